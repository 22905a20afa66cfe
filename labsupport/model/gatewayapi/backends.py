"""``backendRefs``: where requests go, and what is wrong with that."""

from __future__ import annotations

from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.faults import Fault, InvalidRouteError
from labsupport.model.hosts import CLUSTER_DOMAIN
from labsupport.model.kinds.gatewayapi.shared import BackendObjectReference
from labsupport.records import JsonObject

__all__ = ["backend"]

_SERVICE_IMPORT = ("multicluster.x-k8s.io", "ServiceImport")


def backend(
    reference: BackendObjectReference, namespace: str, facts: Facts, path: str, *, asking: str = ""
) -> tuple[JsonObject, Fault | None]:
    """The destination that a reference stands for.

    In the mesh no ReferenceGrant is asked for, so a Service of another namespace is one like any other.

    Args:
        reference: the reference.
        namespace: of the route.
        facts: what there is.
        path: where the reference is, below its rule.
        asking: kind of the route, if other namespaces have to grant what it refers to, as at Gateways.

    Returns:
        ``destination`` of a VirtualService, and the fault for which requests to it get 500.

    Raises:
        InvalidRouteError: the whole route counts for nothing.
    """
    owner = reference.namespace or namespace
    group, kind, name = reference.group, reference.kind, reference.name
    missing: Fault | None = None
    if asking and owner != namespace and not facts.granted(asking, namespace, (group, kind, owner, name)):
        told = f"not accessible to a {asking} in namespace {_quoted(namespace)} (missing a ReferenceGrant?)"
        return {"host": ""}, Fault("RefNotPermitted", f"backendRef {name}/{owner} {told}", path)
    if (group, kind) in (("", "Service"), _SERVICE_IMPORT):
        if kind == "Service" and "." in name:
            text = "service name invalid; the name of the Service must be used, not the hostname."
            raise InvalidRouteError("InvalidDestination", text, path)
        host = f"{name}.{owner}.svc.{CLUSTER_DOMAIN}"
        known = (owner, name) in facts.services
    elif (group, kind) == ("networking.istio.io", "Hostname"):
        if reference.namespace:
            raise InvalidRouteError("InvalidDestination", "namespace may not be set with Hostname type", path)
        host = name
        known = (host, namespace) in facts.hosts
    else:
        text = f"referencing unsupported backendRef: group {_quoted(group)} kind {_quoted(kind)}"
        return {"host": ""}, Fault("InvalidKind", text, path)
    if not known:
        missing = Fault("BackendNotFound", f"backend({host}) not found", path)
    if reference.port is None:
        raise InvalidRouteError("InvalidDestination", "port is required in backendRef", path)
    return {"host": host, "port": {"number": reference.port}}, missing


def _quoted(text: str) -> str:
    return f'"{text}"'
