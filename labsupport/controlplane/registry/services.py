"""Services as a control plane sees them: one record per host name and address, from Services and ServiceEntries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

__all__ = ["UNSPECIFIED", "Endpoint", "RegistryPort", "Resolution", "ServiceRecord", "service_target"]

Resolution = Literal["EDS", "DNS", "DNS_ROUND_ROBIN", "PASSTHROUGH", "ALIAS", "DYNAMIC_DNS"]

UNSPECIFIED = "0.0.0.0"
"""The address of a service that has none."""


@dataclass(frozen=True, slots=True)
class RegistryPort:
    """A port of a service; an empty protocol means that it is detected per connection."""

    name: str
    number: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that serves one port of a service.

    Args:
        address: IP address, host name, or path of a socket if ``port`` is 0.
        port: where it listens.
        port_name: name of the service port it belongs to.
        labels: the workload's labels, with those that tell where it runs.
        locality: ``region/zone/subzone``.
        weight: load balancing weight; 0 for the default.
        tls_mode: ``istio`` if it takes mutual TLS, else ``disabled``.
        healthy: whether it takes traffic; None if nobody looks, as for the endpoints of a ServiceEntry.
        workload: name of its workload.
        namespace: its namespace.
        node: the node it runs on.
        port_number: service port number for endpoints of a ServiceEntry; 0 otherwise.
        identity: SPIFFE name of its service account; empty if it has none.
    """

    address: str
    port: int
    port_name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    locality: str = ""
    weight: int = 0
    tls_mode: str = "disabled"
    healthy: bool | None = True
    workload: str = ""
    namespace: str = ""
    node: str = ""
    port_number: int = 0
    identity: str = ""


@dataclass(frozen=True)
class ServiceRecord:
    """A service of the mesh.

    Args:
        hostname: fully qualified name.
        name, namespace, labels: of the object it comes from; the name of a ServiceEntry's service is its host.
        kubernetes: whether it is a Kubernetes Service (else a ServiceEntry).
        ports: in the order they were written.
        resolution: how its endpoints are found.
        addresses: virtual addresses; ``0.0.0.0`` stands for none.
        export_to: namespaces that may see it; empty for the default.
        endpoints: in order of the pods.
        mesh_external: whether it is outside of the mesh.
        selector: pod labels, None if it selects nothing.
        external_name: target of an ExternalName service.
        aliases: host names of ExternalName services that point to it, with their namespaces.
        target_ports: for resolution NONE, service port to the port that is called instead.
        node_local: whether only endpoints on the caller's node are used.
        traffic_distribution: ``spec.trafficDistribution``; empty for any.
        race_connect: whether all addresses of a DNS name are tried at once.
        subject_alt_names: names the server's certificate may carry.
    """

    hostname: str
    name: str
    namespace: str
    kubernetes: bool
    ports: tuple[RegistryPort, ...]
    resolution: Resolution
    addresses: tuple[str, ...] = (UNSPECIFIED,)
    labels: Mapping[str, str] = field(default_factory=dict)
    export_to: frozenset[str] = frozenset()
    endpoints: tuple[Endpoint, ...] = ()
    mesh_external: bool = False
    selector: Mapping[str, str] | None = None
    external_name: str = ""
    aliases: tuple[tuple[str, str], ...] = ()
    target_ports: Mapping[int, int] = field(default_factory=dict)
    node_local: bool = False
    traffic_distribution: str = ""
    race_connect: bool = False
    subject_alt_names: tuple[str, ...] = ()

    @cached_property
    def server_names(self) -> tuple[str, ...]:
        """Names that certificates of its endpoints may carry, sorted."""
        identities = {endpoint.identity for endpoint in self.endpoints if endpoint.identity}
        return tuple(sorted({*self.subject_alt_names, *identities}))

    @property
    def address(self) -> str:
        """The first virtual address, ``0.0.0.0`` if it has none."""
        return self.addresses[0] if self.addresses else ""

    @cached_property
    def port_by_number(self) -> Mapping[int, RegistryPort]:
        """Its ports by number; the first of a number counts, and a UDP port, which no proxy serves, never does."""
        return {port.number: port for port in reversed(self.ports) if port.protocol != "UDP"}

    def port(self, number: int) -> RegistryPort | None:
        """The port of a number, if it has it."""
        return self.port_by_number.get(number)

    def with_ports(self, ports: Sequence[RegistryPort]) -> ServiceRecord:
        """The same service with other ports."""
        return replace(self, ports=tuple(ports))

    @cached_property
    def by_port_name(self) -> Mapping[str, tuple[Endpoint, ...]]:
        """Endpoints by the name of their service port."""
        by_name: dict[str, list[Endpoint]] = {}
        for endpoint in self.endpoints:
            by_name.setdefault(endpoint.port_name, []).append(endpoint)
        return {name: tuple(endpoints) for name, endpoints in by_name.items()}

    def endpoints_by_number(self, port: RegistryPort, labels: Mapping[str, str] | None = None) -> list[Endpoint]:
        """Endpoints of one port by its number, as istiod finds those that are part of a cluster or a listener.

        With several ServiceEntries of one host, ports of the same name may have different numbers.
        """
        wanted = (labels or {}).items()
        return [
            endpoint
            for endpoint in self.endpoints
            if (endpoint.port_number == port.number if endpoint.port_number else endpoint.port_name == port.name)
            and wanted <= endpoint.labels.items()
        ]

    def endpoints_of(self, port: RegistryPort, labels: Mapping[str, str] | None = None) -> list[Endpoint]:
        """Endpoints of one port that carry all the given labels."""
        endpoints = self.by_port_name.get(port.name, ())
        if not labels:
            return list(endpoints)
        wanted = labels.items()
        return [endpoint for endpoint in endpoints if wanted <= endpoint.labels.items()]


def service_target(service: ServiceRecord) -> Mapping[str, str]:
    """How clusters name the service in their metadata."""
    return {"host": service.hostname, "name": service.name, "namespace": service.namespace}
