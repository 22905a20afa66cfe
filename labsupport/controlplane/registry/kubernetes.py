"""From Kubernetes Services and pods to service records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from labsupport.controlplane.proxies import PodInfo
from labsupport.controlplane.registry.services import UNSPECIFIED, Endpoint, RegistryPort, ServiceRecord
from labsupport.controlplane.registry.workloads import (
    WorkloadRecord,
    identity,
    pod_endpoint_labels,
    tls_mode,
    workload_name,
)
from labsupport.model.hosts import CLUSTER_DOMAIN
from labsupport.model.kinds.core import Service, ServicePortSpec
from labsupport.model.protocols import kubernetes_protocol

__all__ = ["convert_service", "service_hostname", "target_port", "traffic_distribution"]

_EXPORT_TO = "networking.istio.io/exportTo"
_TRAFFIC_DISTRIBUTION = "networking.istio.io/traffic-distribution"
_DISTRIBUTIONS = {
    "PreferClose": "zone",
    "PreferSameZone": "zone",
    "PreferSameNode": "node",
}


def service_hostname(name: str, namespace: str) -> str:
    """Fully qualified name of a Kubernetes Service."""
    return f"{name}.{namespace}.svc.{CLUSTER_DOMAIN}"


def export_to(annotations: Mapping[str, str]) -> frozenset[str]:
    """Namespaces a Service is shown to, from its ``networking.istio.io/exportTo`` annotation."""
    text = annotations.get(_EXPORT_TO, "")
    return frozenset(part.strip() for part in text.split(",")) if text else frozenset()


def traffic_distribution(field: str | None, annotations: Mapping[str, str], namespace: Mapping[str, str]) -> str:
    """``zone``, ``node`` or an empty text: the field counts first, then the annotations of object and namespace."""
    if field is not None and field in _DISTRIBUTIONS:
        return _DISTRIBUTIONS[field]
    known = {name.lower(): kind for name, kind in _DISTRIBUTIONS.items()}
    for source in (annotations, namespace):
        if text := source.get(_TRAFFIC_DISTRIBUTION, "").lower():
            return known.get(text, "")
    return ""


def target_port(port: ServicePortSpec, pod: PodInfo) -> int | None:
    """Number of the container port behind a Service port; None if the pod has no port of that name."""
    target = port.target_port
    if target is None or target == 0 or target == "":
        return int(port.port)
    if isinstance(target, int):
        return target
    return pod.ports.get(target)


def _entry_port(port: ServicePortSpec, entry: WorkloadRecord) -> int | None:
    if isinstance(port.target_port, str) and port.target_port:
        return entry.ports.get(port.target_port)
    return entry.ports.get(port.name) or port.target_port or int(port.port)


def convert_service(
    resource: Service,
    *,
    address: str,
    pods: Iterable[PodInfo],
    extra: Sequence[Endpoint],
    entries: Sequence[WorkloadRecord],
    namespace_annotations: Mapping[str, str],
) -> ServiceRecord:
    """Make the record of a Kubernetes Service.

    Args:
        resource: the Service.
        address: its cluster IP; empty if it has none of its own.
        pods: pods of its namespace that its selector finds, oldest first.
        extra: endpoints from Endpoints or EndpointSlice objects.
        entries: WorkloadEntries, which selectors find as well.
        namespace_annotations: annotations of its namespace.

    Returns:
        The record; an ExternalName service becomes an alias of its target.
    """
    spec, meta = resource.spec, resource.metadata
    ports = tuple(
        RegistryPort(
            port.name or "",
            port.port,
            kubernetes_protocol(port.port, port.name or "", port.protocol, port.app_protocol),
        )
        for port in spec.ports
    )
    external = spec.external_name if spec.type == "ExternalName" and spec.external_name else ""
    addresses: tuple[str, ...] = (UNSPECIFIED,)
    headless = address == "None"
    if address and not headless:
        addresses = (next((known for known in (address, *spec.cluster_ips) if ":" not in known), address),)
    endpoints = list(extra)
    seen = {(endpoint.address, endpoint.port_name) for endpoint in endpoints}
    for pod in pods:
        labels = pod_endpoint_labels(pod.labels, pod.locality, pod.node)
        for port in spec.ports:
            number = target_port(port, pod)
            if number is None or (pod.ip, port.name or "") in seen:
                continue
            endpoints.append(
                Endpoint(
                    address=pod.ip,
                    port=number,
                    port_name=port.name or "",
                    labels=labels,
                    locality=pod.locality,
                    tls_mode=tls_mode(pod.labels, pod.injected),
                    healthy=pod.ready or bool(spec.publish_not_ready_addresses),
                    workload=workload_name(pod),
                    namespace=pod.namespace,
                    node=pod.node,
                    identity=identity(pod.namespace, pod.service_account),
                )
            )
    selector = spec.selector.items()
    for entry in entries if selector and not (headless or external) else ():
        if entry.namespace == resource.namespace and selector <= entry.labels.items() and not entry.by_name:
            endpoints += [
                entry.endpoint(port.name, number)
                for port in spec.ports
                if (number := _entry_port(port, entry)) is not None
            ]
    return ServiceRecord(
        hostname=service_hostname(resource.name, resource.namespace),
        name=resource.name,
        namespace=resource.namespace,
        kubernetes=True,
        ports=ports,
        resolution="PASSTHROUGH" if headless else "ALIAS" if external else "EDS",
        addresses=addresses,
        labels=meta.labels,
        export_to=export_to(meta.annotations),
        endpoints=tuple(endpoints),
        mesh_external=bool(external),
        selector=spec.selector or None,
        external_name=external,
        node_local=spec.internal_traffic_policy == "Local",
        traffic_distribution=traffic_distribution(spec.traffic_distribution, meta.annotations, namespace_annotations),
        subject_alt_names=(),
    )
