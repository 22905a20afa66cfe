"""From Kubernetes Services and pods to service records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labsupport.mesh.index.hosts import CLUSTER_DOMAIN
from labsupport.mesh.index.protocols import kubernetes_protocol
from labsupport.mesh.index.services import UNSPECIFIED, Endpoint, Port, ServiceRecord
from labsupport.mesh.records import PodInfo

__all__ = ["CLUSTER_ID", "convert_service", "pod_endpoint_labels", "service_hostname", "target_port", "tls_mode"]

CLUSTER_ID = "Kubernetes"
"""Name of the only cluster, as Istio calls it by default."""

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


def tls_mode(labels: Mapping[str, str], injected: bool) -> str:
    """``istio`` for a pod that takes mutual TLS, from the label that injection leaves behind."""
    return labels.get("security.istio.io/tlsMode") or ("istio" if injected else "disabled")


def pod_endpoint_labels(labels: Mapping[str, str], locality: str, node: str) -> Mapping[str, str]:
    """Labels of an endpoint: those of its pod and those that tell where it runs."""
    result = dict(labels)
    region, zone, subzone = (*locality.split("/"), "", "", "")[:3]
    for key, value in (
        ("topology.kubernetes.io/region", region),
        ("topology.kubernetes.io/zone", zone),
        ("topology.istio.io/subzone", subzone),
        ("topology.istio.io/cluster", CLUSTER_ID),
        ("kubernetes.io/hostname", node),
    ):
        if value:
            result[key] = value
    result.setdefault("topology.istio.io/network", "")
    return result


def target_port(port: Any, pod: PodInfo) -> int | None:
    """Number of the container port behind a Service port; None if the pod has no port of that name."""
    target = port.target_port
    if target is None or target == 0 or target == "":
        return int(port.port)
    if isinstance(target, int):
        return target
    return pod.ports.get(target)


def convert_service(
    resource: Any,
    *,
    created: float,
    address: str,
    pods: Iterable[PodInfo],
    extra: Sequence[Endpoint],
    namespace_annotations: Mapping[str, str],
) -> ServiceRecord:
    """Make the record of a Kubernetes Service.

    Args:
        resource: the Service.
        created: its age, in seconds since the epoch.
        address: its cluster IP; empty if it has none of its own.
        pods: pods of its namespace that its selector finds, oldest first.
        extra: endpoints from Endpoints or EndpointSlice objects.
        namespace_annotations: annotations of its namespace.

    Returns:
        The record; an ExternalName service becomes an alias of its target.
    """
    spec, meta = resource.spec, resource.metadata
    ports = tuple(
        Port(
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
        addresses = (address,)
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
                    workload=pod.workload or pod.name,
                    namespace=pod.namespace,
                    node=pod.node,
                )
            )
    return ServiceRecord(
        hostname=service_hostname(resource.name, resource.namespace),
        name=resource.name,
        namespace=resource.namespace,
        kubernetes=True,
        ports=ports,
        resolution="PASSTHROUGH" if headless else "ALIAS" if external else "EDS",
        addresses=addresses,
        created=created,
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
