"""What is worth knowing about a change that was accepted, whatever the engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from labsupport.engine.protocol import Engine
from labsupport.errors import ManifestError
from labsupport.lab.canaries import Canaries
from labsupport.model.analysis.world import INJECT
from labsupport.model.schema.base import Resource
from labsupport.records import ApplyResult, Ref

__all__ = ["advised", "patch"]

_FROM_CONFIG_MAPS = ("configMapKeyRef", "configMapRef", "configMap")


def advised(
    result: ApplyResult, resources: Iterable[Resource], analysis: Iterable[str] = (), objects: Sequence[Resource] = ()
) -> ApplyResult:
    """Add notes to the outcome of a change.

    Args:
        result: the outcome.
        resources: what was applied, as far as known.
        analysis: what does not fit together since then; what a warning has said is not said again.
        objects: all that there are.
    """
    new = (note for note in analysis if not _warned(note, result.warnings))
    found = (*_changed(result, objects), *_ineffective(resources), *new)
    notes = tuple(note for note in found if note not in result.notes)
    return replace(result, notes=(*result.notes, *notes)) if notes else result


def _warned(note: str, warnings: Iterable[str]) -> bool:
    """Whether a warning (object, field, message) says of the same object the same."""
    parts = (warning.split(": ", 2) for warning in warnings)
    return any(len(part) == 3 and note.startswith(part[0]) and f": {part[2]}" in note for part in parts)


def _changed(result: ApplyResult, objects: Sequence[Resource]) -> Iterator[str]:
    for change in result.changes:
        read = change.ref.kind == "ConfigMap" and any(_reads(each.raw, change.ref.name) for each in objects)
        if read and change.action == "changed":
            # Kubernetes reads variables from it when a container starts, and writes files of volumes anew.
            yield (
                f"{change.ref}: running pods keep the variables they started with, and files mounted by subPath; other "
                "files follow, on a cluster within a minute or two. New pods get all of it."
            )


def _reads(part: Any, name: str) -> bool:
    """Whether a part of an object has variables or files of a ConfigMap."""
    if isinstance(part, list):
        return any(_reads(each, name) for each in part)
    if not isinstance(part, Mapping):
        return False
    named = (part[key] for key in _FROM_CONFIG_MAPS if isinstance(part.get(key), Mapping))
    return any(each.get("name") == name for each in named) or any(_reads(each, name) for each in part.values())


def _ineffective(resources: Iterable[Resource]) -> Iterator[str]:
    for resource in resources:
        spec = (resource.raw or {}).get("spec") or {}
        if resource.kind == "VirtualService" and not spec.get("hosts"):
            yield (
                f"VirtualService/{resource.name} has no hosts: it acts only where another VirtualService names it in "
                "spec.http[].delegate"
            )
        if resource.kind == "Deployment" and INJECT in {**resource.metadata.labels, **resource.metadata.annotations}:
            yield (
                f"Deployment/{resource.name}: {INJECT} counts on its pods, and has no effect where it stands. "
                "Write it below spec.template.metadata.labels."
            )


def patch(engine: Engine | Canaries, ref: Ref, change: Mapping[str, Any], timeout_s: float) -> ApplyResult:
    """Patch an object; what is wrong with the outcome is told of that, not of the manifest it once came from.

    Args:
        engine: where the object is.
        ref: the object.
        change: a JSON merge patch.
        timeout_s: how long to wait until it is in force.

    Raises:
        ManifestError: the result would not be valid; its problems name no file, because the object is in none.
    """
    try:
        return engine.patch(ref, change, timeout_s=timeout_s)
    except ManifestError as error:
        # A line of the file that the object was once read from would mislead.
        problems = [
            replace(problem, file="after the patch", line=0, document=0, object=problem.object or str(ref))
            for problem in error.problems
        ]
        raise ManifestError(problems) from error
