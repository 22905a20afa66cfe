"""What the cluster engine refuses by name before the API server is asked."""

from __future__ import annotations

from collections.abc import Iterable

from labsupport.controlplane.translate import gateway_api_refusal, unsupported
from labsupport.engine.cluster.objects.additions import PART_LABEL
from labsupport.engine.cluster.objects.images import Images
from labsupport.engine.cluster.objects.parts import GATEWAY, OUTSIDE
from labsupport.errors import Problem
from labsupport.model import Resource
from labsupport.model.gatewayapi import ROUTES
from labsupport.model.kinds.gatewayapi.gateway import GatewayClass

__all__ = ["problems"]

_OURS = frozenset({("Deployment", GATEWAY), ("Service", GATEWAY), ("ServiceAccount", GATEWAY), ("Deployment", OUTSIDE)})


def problems(objects: Iterable[Resource], namespace: str, images: Images) -> list[Problem]:
    """Objects that belong elsewhere, or that name an image which does not exist.

    Args:
        objects: with their namespace.
        namespace: the lab's.
        images: the course's.
    """
    problems: list[Problem] = []
    for resource in objects:
        origin, label = resource.origin, f"{resource.kind}/{resource.name}"

        def add(path: str, message: str, remedy: str, origin=origin, label=label) -> None:  # type: ignore[no-untyped-def]
            line = origin.line_of(path)
            problems.append(Problem(message, origin.file, origin.document, line, label, path, remedy))

        if reason := gateway_api_refusal(resource):
            add("kind", reason, "Write it as a VirtualService or Gateway of networking.istio.io/v1.")
        elif isinstance(resource, GatewayClass):
            reason = f"a GatewayClass is the whole cluster's, and the lab works in namespace {namespace!r} only"
            add("kind", reason, "Leave it out, and write gatewayClassName: istio, a class that istiod makes itself.")
        elif resource.kind == "Namespace":
            add(
                "kind",
                f"the lab works in namespace {namespace!r}, which it makes itself with injection on, and in no other",
                "Leave the Namespace out.",
            )
        elif resource.namespace != namespace:
            add(
                "metadata.namespace",
                f"the lab works in namespace {namespace!r} only, and this names {resource.namespace!r}",
                "Leave metadata.namespace out.",
            )
        elif (resource.kind, resource.name) in _OURS or PART_LABEL in resource.metadata.labels:
            add("metadata.name", "this is a part of the lab itself", "Give it another name.")
        for path, reason in unsupported(resource) if isinstance(resource, ROUTES) else ():
            add(path, reason, "")
        raw = resource.raw or resource.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for path, message, remedy in images.problems(resource.kind, raw):
            add(path, message, remedy)
    return problems
