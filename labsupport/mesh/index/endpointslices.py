"""Endpoints that are written down instead of found through a selector: Endpoints and EndpointSlice objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labsupport.mesh.index.services import Endpoint
from labsupport.mesh.index.workloads import identity, pod_endpoint_labels, tls_mode
from labsupport.mesh.records import PodInfo

if TYPE_CHECKING:
    from labsupport.manifest import Document

__all__ = ["given_endpoints"]

_SERVICE_LABEL = "kubernetes.io/service-name"


def given_endpoints(
    documents: Iterable[Document], objects: Iterable[Any], pods: Sequence[PodInfo]
) -> dict[tuple[str, str], list[Endpoint]]:
    """Read the endpoints of Services from the objects that list them.

    Args:
        documents: may hold Endpoints and EndpointSlice objects; a Service with a slice gets nothing from its selector.
        objects: the Services among them count.
        pods: to find the pods behind addresses.

    Returns:
        Endpoints by namespace and name of their Service.
    """
    by_ip = {(pod.namespace, pod.ip): pod for pod in pods}
    selectors = {
        (resource.namespace, resource.name): bool(resource.spec.selector)
        for resource in objects
        if resource.kind == "Service"
    }
    found: dict[tuple[str, str], list[Endpoint]] = {}
    for document in documents:
        raw = document.raw
        meta = raw.get("metadata") or {}
        namespace = str(meta.get("namespace") or "default")
        if raw.get("kind") == "EndpointSlice":
            service = str((meta.get("labels") or {}).get(_SERVICE_LABEL, ""))
            found.setdefault((namespace, service), []).extend(_slice(raw, namespace, by_ip))
        elif raw.get("kind") == "Endpoints":
            key = (namespace, str(meta.get("name", "")))
            if selectors.get(key) is False:
                found.setdefault(key, []).extend(_endpoints(raw, namespace, by_ip))
    return found


def _slice(raw: Mapping[str, Any], namespace: str, by_ip: Mapping[tuple[str, str], PodInfo]) -> Iterable[Endpoint]:
    for item in raw.get("endpoints") or ():
        conditions = item.get("conditions") or {}
        ready = conditions.get("ready")
        if ready is False and conditions.get("terminating") is not False:
            continue
        for address in item.get("addresses") or ():
            for port in raw.get("ports") or ():
                yield _endpoint(address, port, ready is not False, by_ip.get((namespace, address)))


def _endpoints(raw: Mapping[str, Any], namespace: str, by_ip: Mapping[tuple[str, str], PodInfo]) -> Iterable[Endpoint]:
    for subset in raw.get("subsets") or ():
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for item in subset.get(field) or ():
                for port in subset.get("ports") or ():
                    yield _endpoint(item["ip"], port, ready, by_ip.get((namespace, item["ip"])))


def _endpoint(address: str, port: Mapping[str, Any], ready: bool, pod: PodInfo | None) -> Endpoint:
    number, name = int(port.get("port") or 0), str(port.get("name") or "")
    if pod is None:
        return Endpoint(address, number, name, labels=pod_endpoint_labels({}, "", ""), healthy=ready)
    return Endpoint(
        address=address,
        port=number,
        port_name=name,
        labels=pod_endpoint_labels(pod.labels, pod.locality, pod.node),
        locality=pod.locality,
        tls_mode=tls_mode(pod.labels, pod.injected),
        healthy=ready,
        workload=pod.workload or pod.name,
        namespace=pod.namespace,
        node=pod.node,
        identity=identity(pod.namespace, pod.service_account),
    )
