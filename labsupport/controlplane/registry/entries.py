"""From ServiceEntries to service records: one for every host and address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from labsupport.controlplane.proxies import PodInfo
from labsupport.controlplane.registry.addresses import normal_block
from labsupport.controlplane.registry.kubernetes import traffic_distribution
from labsupport.controlplane.registry.services import UNSPECIFIED, Endpoint, RegistryPort, Resolution, ServiceRecord
from labsupport.controlplane.registry.workloads import (
    WorkloadRecord,
    identity,
    pod_endpoint_labels,
    tls_mode,
    workload_name,
    workload_record,
)
from labsupport.model.kinds.serviceentry import ServiceEntry, ServiceEntrySpec, ServicePort
from labsupport.model.protocols import parse

__all__ = ["convert_entry"]

_RESOLUTIONS: Mapping[str, Resolution] = {
    "NONE": "PASSTHROUGH",
    "STATIC": "EDS",
    "DNS": "DNS",
    "DNS_ROUND_ROBIN": "DNS_ROUND_ROBIN",
    "DYNAMIC_DNS": "DYNAMIC_DNS",
}


def _number(port: ServicePort, ports: Mapping[str, int]) -> int:
    return ports.get(port.name) or port.target_port or port.number


def _written_endpoints(name: str, namespace: str, spec: ServiceEntrySpec) -> list[Endpoint]:
    records = [
        workload_record(f"{name}-{index}", namespace, entry, entry.labels) for index, entry in enumerate(spec.endpoints)
    ]
    return [
        record.endpoint(port.name, _number(port, record.ports), port.number)
        for record in records
        for port in spec.ports
    ]


def _selected_endpoints(
    spec: ServiceEntrySpec,
    labels: Mapping[str, str],
    pods: Iterable[PodInfo],
    entries: Iterable[WorkloadRecord],
    *,
    dns: bool,
) -> list[Endpoint]:
    wanted = labels.items()
    endpoints = []
    for pod in sorted(pods, key=lambda pod: pod.name):
        if pod.leaving or not pod.ready or not wanted <= dict(pod.labels).items():
            continue
        for port in spec.ports:
            number = _number(port, pod.ports)
            endpoints.append(
                Endpoint(
                    address=pod.ip,
                    port=number,
                    port_name=port.name,
                    labels=pod_endpoint_labels(pod.labels, pod.locality, pod.node),
                    locality=pod.locality,
                    tls_mode=tls_mode(pod.labels, pod.injected),
                    workload=workload_name(pod),
                    namespace=pod.namespace,
                    node=pod.node,
                    identity=identity(pod.namespace, pod.service_account),
                    port_number=port.number,
                )
            )
    for entry in entries:
        if wanted <= entry.labels.items() and (dns or not entry.by_name):
            endpoints += [entry.endpoint(port.name, _number(port, entry.ports), port.number) for port in spec.ports]
    return endpoints


def _own_host(name: str, namespace: str, host: str, spec: ServiceEntrySpec) -> list[Endpoint]:
    """A DNS entry without endpoints: the host itself is called."""
    return [
        Endpoint(
            address=host,
            port=port.target_port or port.number,
            port_name=port.name,
            healthy=None,
            workload=name,
            namespace=namespace,
            port_number=port.number,
        )
        for port in spec.ports
    ]


def convert_entry(
    resource: ServiceEntry,
    *,
    pods: Sequence[PodInfo],
    entries: Sequence[WorkloadRecord],
    namespace_annotations: Mapping[str, str],
) -> list[ServiceRecord]:
    """Make the records of a ServiceEntry.

    Args:
        resource: the ServiceEntry.
        pods: the pods of its namespace, for ``workloadSelector``.
        entries: the WorkloadEntries of its namespace, for ``workloadSelector``.
        namespace_annotations: annotations of its namespace.

    Returns:
        One record per host and address, in the order they were written.
    """
    spec, meta = resource.spec, resource.metadata
    resolution = _RESOLUTIONS[spec.resolution or "NONE"]
    ports = tuple(RegistryPort(port.name, port.number, parse(port.protocol or "")) for port in spec.ports)
    targets = {}
    if resolution == "PASSTHROUGH":
        targets = {port.number: port.target_port for port in spec.ports if port.target_port}
    addresses = [known for text in spec.addresses if (known := normal_block(text)) is not None]
    if not spec.addresses:
        addresses = [UNSPECIFIED]
    dns = resolution in ("DNS", "DNS_ROUND_ROBIN")
    records = []
    for host in spec.hosts:
        if spec.workload_selector is not None:
            endpoints = _selected_endpoints(spec, spec.workload_selector.labels, pods, entries, dns=dns)
        elif dns and not spec.endpoints:
            endpoints = _own_host(resource.name, resource.namespace, host, spec)
        else:
            endpoints = _written_endpoints(resource.name, resource.namespace, spec)
        records += [
            ServiceRecord(
                hostname=host,
                name=host,
                namespace=resource.namespace,
                kubernetes=False,
                ports=ports,
                resolution=resolution,
                addresses=(address,),
                labels=meta.labels,
                export_to=frozenset(spec.export_to),
                endpoints=tuple(endpoints),
                mesh_external=spec.location != "MESH_INTERNAL",
                selector=spec.workload_selector.labels if spec.workload_selector is not None else None,
                target_ports=targets,
                traffic_distribution=traffic_distribution(None, meta.annotations, namespace_annotations),
                race_connect=meta.annotations.get("istio.io/connect-strategy", "").upper() == "RACE_FIRST_TCP_CONNECT",
                subject_alt_names=tuple(spec.subject_alt_names),
            )
            for address in addresses
        ]
    return records
