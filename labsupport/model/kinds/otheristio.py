"""Kinds of Istio outside the course's subject: known by name, their ``spec`` taken as it is."""

from __future__ import annotations

from typing import ClassVar, Final

from labsupport.model.schema.base import Resource
from labsupport.model.schema.types import Loose

__all__ = ["OTHER_KINDS", "OtherIstio"]


class OtherIstio(Resource):
    """An object that nothing here runs or judges; the API server and istiod of a cluster do."""

    KIND: ClassVar[str] = ""

    spec: Loose = None
    status: Loose = None

    @property
    def match_labels(self) -> dict[str, str] | None:
        """Labels of the pods that it is for, None if it has no selector."""
        selector = self.spec.get("selector") if isinstance(self.spec, dict) else None
        if not isinstance(selector, dict):
            return None
        labels = selector.get("matchLabels")
        pairs = labels.items() if isinstance(labels, dict) else ()
        return {key: value for key, value in pairs if isinstance(value, str)}


def _kind(kind: str, group: str, *versions: str) -> type[OtherIstio]:
    return type(kind, (OtherIstio,), {"KIND": kind, "GROUP": group, "VERSIONS": versions, "__module__": __name__})


OTHER_KINDS: Final = (
    _kind("EnvoyFilter", "networking.istio.io", "v1alpha3"),
    _kind("ProxyConfig", "networking.istio.io", "v1beta1"),
    _kind("WorkloadGroup", "networking.istio.io", "v1", "v1beta1", "v1alpha3"),
    _kind("AuthorizationPolicy", "security.istio.io", "v1", "v1beta1"),
    _kind("PeerAuthentication", "security.istio.io", "v1", "v1beta1"),
    _kind("RequestAuthentication", "security.istio.io", "v1", "v1beta1"),
    _kind("WasmPlugin", "extensions.istio.io", "v1alpha1"),
    _kind("TrafficExtension", "extensions.istio.io", "v1alpha1"),
)
"""Their classes, one for each kind: name, group and versions, the preferred one first."""
