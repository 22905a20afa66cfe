"""Variables and files of a Deployment that no pod of it can get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from labsupport.engine.podfiles import UnfitFile, volume_files
from labsupport.engine.podtemplate import MissingReference, UnfitVariable, environment, own_containers
from labsupport.errors import Problem
from labsupport.model import Deployment, Resource

__all__ = ["dangling"]


def dangling(objects: Sequence[Resource]) -> list[Problem]:
    """What Deployments refer to and is not there, or no program can get; a cluster starts no such pod."""
    problems = []
    for resource in objects:
        if not isinstance(resource, Deployment):
            continue
        pod = "spec.template.spec"
        for index, container in own_containers(resource.spec.template.spec):
            variables = partial(environment, resource, container, objects, pod={}, labels={})
            problems += _problems(resource, variables, f"{pod}.containers[{index}].env")
        problems += _problems(resource, partial(volume_files, resource, objects, pod={}, labels={}), f"{pod}.volumes")
    return problems


def _problems(resource: Resource, make: Callable[[], object], path: str) -> list[Problem]:
    try:
        make()
    except (MissingReference, UnfitVariable, UnfitFile) as error:
        origin = resource.origin
        place = (origin.file, origin.document, origin.line_of(path))
        missing = isinstance(error, MissingReference)
        remedy = "Apply it too, or before." if missing else "Correct it, or what its references stand for."
        return [Problem(str(error), *place, f"Deployment/{resource.name}", path, remedy)]
    return []
