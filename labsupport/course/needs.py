"""What an exercise builds on, and what of it a mesh lacks: then there is nothing to be judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from labsupport import paths, words
from labsupport.arguments import a_kind
from labsupport.errors import UsageError

if TYPE_CHECKING:
    from labsupport.course.spec import ExerciseSpec
    from labsupport.lab.lab import Lab
    from labsupport.records import Ref

__all__ = ["CLIENT", "check_lab", "left_over", "missing", "needed", "not_in", "without_pods"]

CLIENT = "client"
"""The Deployment of the load client."""


def check_lab(call: str, given: object) -> None:
    """Refuse what is given in place of the lab.

    Args:
        call: how it is called rightly, such as ``buy(lab)``.
        given: the first argument.

    Raises:
        UsageError: it is no lab.
    """
    from labsupport.lab.lab import Lab

    if not isinstance(given, Lab):
        name = call.partition("(")[0]
        raise UsageError(f"{name}: the first argument is {a_kind(type(given))}. Give it the lab: {call}.")


def needed(spec: ExerciseSpec) -> Iterator[dict[str, Any]]:
    """The objects of the manifests that an exercise needs."""
    for path in spec.needs:
        yield from _objects(path)


def missing(lab: Lab, spec: ExerciseSpec) -> list[str]:
    """The objects that an exercise needs and a mesh does not have, as ``Kind/name``."""
    there: dict[str, set[str]] = {}
    lacking = []
    for document in needed(spec):
        kind, name = document["kind"], document["metadata"]["name"]
        if kind not in there:
            there[kind] = {resource.name for resource in lab.get(kind)}
        if name not in there[kind]:
            lacking.append(f"{kind}/{name}")
    # Without all of them nobody has done the cells above; without some of them somebody has decided.
    return lacking if {*spec.may_go} <= {*lacking} else [ref for ref in lacking if ref not in spec.may_go]


def without_pods(lab: Lab, spec: ExerciseSpec) -> list[str]:
    """The Deployments that an exercise needs, as ``Kind/name``, if not one of them has a pod that is ready.

    The load client does not count: it meets the others.
    """
    deployments = {document["metadata"]["name"] for document in needed(spec) if document["kind"] == "Deployment"}
    deployments.discard(CLIENT)
    met = {pod.workload for pod in lab.pods() if pod.ready}
    return [] if deployments & met else sorted(f"Deployment/{name}" for name in deployments)


def not_in(applied: Iterable[Ref], spec: ExerciseSpec) -> list[str]:
    """What the cell of an exercise is about and did not hold, as ``Kind/name``, or ``Kind`` where any name will do."""
    refs, lacking = {(ref.kind, ref.name) for ref in applied}, []
    for document in _objects(spec.solution) if spec.solution else ():
        kind, name = document["kind"], document["metadata"]["name"]
        # Under another name than the given one, it is a second rule beside the first.
        if f"name: {name}" in spec.start:
            lacking += [] if (kind, name) in refs else [f"{kind}/{name}"]
        elif kind not in {known for known, _ in refs}:
            lacking.append(kind)
    return lacking


def left_over(lab: Lab, spec: ExerciseSpec, made: Iterable[Ref]) -> list[str]:
    """What earlier runs of an exercise's cell made and the mesh still has, in sentences; not what was given."""
    given = {(document["kind"], document["metadata"]["name"]) for document in needed(spec)}
    ours = {(ref.kind, ref.name) for ref in made} - given
    there = {(kind, resource.name) for kind in {kind for kind, _ in ours} for resource in lab.get(kind)}
    earlier = [f"{kind}/{name}" for kind, name in sorted(ours & there)]
    if not earlier:
        return []
    return [
        f"Still in the mesh from earlier runs of this cell: {words.join(earlier)}.",
        f"lab.delete({', '.join(map(repr, earlier))}) takes away what is not in the cell any more.",
    ]


def _objects(path: str) -> Iterator[dict[str, Any]]:
    """What a file or a folder below ``manifests`` holds, read as ``lab.apply`` reads it."""
    # Imported here, because pydantic's models take longer to build than a notebook should wait at its first line.
    from labsupport.model.reading.documents import read

    return (document.raw for document in read(paths.manifests() / path))
