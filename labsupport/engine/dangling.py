"""Variables of a Deployment that no pod of it can get."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.engine.podtemplate import MissingReference, UnfitVariable, environment
from labsupport.errors import Problem
from labsupport.model import Deployment, Resource

__all__ = ["dangling"]


def dangling(objects: Sequence[Resource]) -> list[Problem]:
    """Variables of Deployments that refer to nothing, or that no program can get; a cluster starts no such pod."""
    problems = []
    for resource in objects:
        if not isinstance(resource, Deployment):
            continue
        try:
            environment(resource, objects, pod={}, labels={})
        except (MissingReference, UnfitVariable) as error:
            path = "spec.template.spec.containers[0].env"
            origin = resource.origin
            place = (origin.file, origin.document, origin.line_of(path))
            missing = isinstance(error, MissingReference)
            remedy = "Apply it too, or before" if missing else "Correct it, or what its references stand for"
            problems.append(Problem(str(error), *place, f"Deployment/{resource.name}", path, remedy))
    return problems
