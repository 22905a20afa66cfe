"""References of a Deployment's variables to objects that do not exist."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.engine.podtemplate import MissingReference, environment
from labsupport.errors import Problem
from labsupport.model import Deployment, Resource

__all__ = ["dangling"]


def dangling(objects: Sequence[Resource]) -> list[Problem]:
    """Variables of Deployments that refer to what does not exist; a cluster would leave such pods waiting for it."""
    problems = []
    for resource in objects:
        if not isinstance(resource, Deployment):
            continue
        try:
            environment(resource, objects, pod={}, labels={})
        except MissingReference as error:
            path = "spec.template.spec.containers[0].env"
            origin = resource.origin
            place = (origin.file, origin.document, origin.line_of(path))
            problems.append(Problem(str(error), *place, f"Deployment/{resource.name}", path, "Apply it too, or before"))
    return problems
