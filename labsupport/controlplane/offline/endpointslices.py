"""Endpoints that are written down instead of found through a selector: Endpoints and EndpointSlice objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labsupport.controlplane.proxies import PodInfo
from labsupport.controlplane.registry.services import Endpoint
from labsupport.controlplane.registry.workloads import identity, pod_endpoint_labels, tls_mode, workload_name

if TYPE_CHECKING:
    from labsupport.model.reading.documents import Document

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
    finder = _Pods(pods)
    selectors = {
        (resource.namespace, resource.name): bool(resource.spec.selector)
        for resource in objects
        if resource.kind == "Service"
    }
    endpoints: dict[tuple[str, str], list[Endpoint]] = {}
    mirrored: dict[tuple[str, str], list[Endpoint]] = {}
    for document in documents:
        raw = document.raw
        meta = raw.get("metadata") or {}
        namespace = str(meta.get("namespace") or "default")
        if raw.get("kind") == "EndpointSlice":
            service = str((meta.get("labels") or {}).get(_SERVICE_LABEL, ""))
            endpoints.setdefault((namespace, service), []).extend(_slice(raw, namespace, finder))
        elif raw.get("kind") == "Endpoints":
            key = (namespace, str(meta.get("name", "")))
            if selectors.get(key) is False:
                mirrored.setdefault(key, []).extend(_endpoints(raw, namespace, finder))
    # An address that moves from one slice to another is in both for a while; it counts once.
    return {
        service: list({(endpoint.address, endpoint.port_name): endpoint for endpoint in listed}.values())
        for service, listed in {**mirrored, **endpoints}.items()
    }


class _Pods:
    """Finds the pod behind an address: the one that is named, or else one that has the address."""

    def __init__(self, pods: Sequence[PodInfo]) -> None:
        self._by_ip: dict[tuple[str, str], PodInfo] = {}
        for pod in pods:
            self._by_ip.setdefault((pod.namespace, pod.ip), pod)
        self._by_name = {(pod.namespace, pod.name): pod for pod in pods}

    def missing(self, reference: Mapping[str, Any]) -> bool:
        """Whether a pod is named that is not there; such an address does not count."""
        return self._is_pod(reference) and self._named(reference) is None

    def find(self, reference: Mapping[str, Any], namespace: str, address: str) -> PodInfo | None:
        """The pod, if there is one."""
        return self._named(reference) if self._is_pod(reference) else self._by_ip.get((namespace, address))

    def _is_pod(self, reference: Mapping[str, Any]) -> bool:
        return reference.get("kind") == "Pod"

    def _named(self, reference: Mapping[str, Any]) -> PodInfo | None:
        return self._by_name.get((str(reference.get("namespace", "")), str(reference.get("name", ""))))


def _slice(raw: Mapping[str, Any], namespace: str, pods: _Pods) -> Iterable[Endpoint]:
    if raw.get("addressType") == "FQDN":
        return
    for item in raw.get("endpoints") or ():
        conditions = item.get("conditions") or {}
        ready = conditions.get("ready")
        reference = item.get("targetRef") or {}
        if (ready is False and conditions.get("terminating") is not False) or pods.missing(reference):
            continue
        for address in item.get("addresses") or ():
            for port in raw.get("ports") or ():
                yield _endpoint(address, port, ready is not False, pods.find(reference, namespace, address))


def _endpoints(raw: Mapping[str, Any], namespace: str, pods: _Pods) -> Iterable[Endpoint]:
    for subset in raw.get("subsets") or ():
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for item in subset.get(field) or ():
                reference = item.get("targetRef") or {}
                if pods.missing(reference):
                    continue
                for port in subset.get("ports") or ():
                    yield _endpoint(item["ip"], port, ready, pods.find(reference, namespace, item["ip"]))


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
        workload=workload_name(pod),
        namespace=pod.namespace,
        node=pod.node,
        identity=identity(pod.namespace, pod.service_account),
    )
