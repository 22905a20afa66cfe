"""Objects of the mesh as ``lab.get`` returns them: readable as ``kubectl get`` is."""

from __future__ import annotations

from labsupport import words
from labsupport.model.gatewayapi import ROUTES
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway
from labsupport.model.schema.base import Resource
from labsupport.model.writing.lines import block
from labsupport.model.writing.written import written
from labsupport.records import JsonObject

__all__ = ["Objects"]


def _shown(resource: Resource) -> JsonObject:
    """An object as it was written; a route or Gateway of the Gateway API with its status, where its faults are told."""
    status = resource.raw.get("status") if isinstance(resource, (*ROUTES, KubernetesGateway)) else None
    return written(resource) | ({"status": status} if status else {})


class Objects(tuple[Resource, ...]):
    """Objects, oldest first: one is shown as YAML, several as a list of names."""

    __slots__ = ()

    @property
    def yaml(self) -> str:
        """All objects as YAML documents."""
        return "\n---\n".join("\n".join(line.text for line in block(_shown(resource))) for resource in self)

    @words.shown
    def __repr__(self) -> str:
        if len(self) == 1:
            return self.yaml
        return "\n".join(str(resource.ref) for resource in self) or "no objects"
