"""Services as explanations know them, from Services and ServiceEntries, with the pods and addresses behind them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from labsupport.explain.records import Place
from labsupport.model import Resource, Service
from labsupport.model.gatewayapi import ConvertedGateway, ConvertedRule
from labsupport.model.hosts import fqdn
from labsupport.model.kinds.apps import Deployment
from labsupport.model.kinds.serviceentry import ServiceEntry, WorkloadEntry
from labsupport.model.protocols import is_http_or_sniffed, kubernetes_protocol, parse
from labsupport.records import Pod

__all__ = ["KnownEndpoint", "KnownService", "known_entry", "known_service", "place_of", "spaces"]

_EXPORT_TO = "networking.istio.io/exportTo"
_OF_CONNECTIONS = re.compile(r"spec\.t(?:cp|ls)\[(\d+)\]\.?")
Resolution = Literal["pods", "dns", "caller", "alias"]
_RESOLUTIONS: Mapping[str, Resolution] = {"STATIC": "pods", "NONE": "caller"}


@dataclass(frozen=True, slots=True)
class KnownEndpoint:
    """A pod, or an address outside of the mesh, that serves a service.

    Args:
        name: of the pod, or the address.
        labels: its labels.
        injected: whether it has a sidecar.
        ports: names of the service's ports that it serves; None for all of them.
        refuses: ports of the service that lead to a port of the pod at which nobody listens, with that port.
        doubts: ports of the service that lead to a port that no container of the pod names, with that port, where
            nobody knows on which ports its programs listen.
    """

    name: str
    labels: Mapping[str, str]
    injected: bool = False
    ports: frozenset[str] | None = None
    refuses: Mapping[int, int] = field(default_factory=dict)
    doubts: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KnownService:
    """A service of the registry.

    Args:
        hostname: fully qualified name.
        namespace: of its object.
        ports: number to protocol; an empty protocol is detected.
        port_names: number to name.
        endpoints: those that take traffic.
        unready: names of pods that would serve it but are not ready.
        export_to: namespaces that see it; empty for all.
        alias_of: target of an ExternalName service.
        aliases: names of ExternalName services that point to it.
        addresses: virtual addresses.
        resolution: ``pods`` (the proxy knows the endpoints), ``dns`` (it looks the name up), ``caller`` (it connects
            to the address that the caller looked up: headless Services and resolution NONE) or ``alias``.
        kubernetes: whether it is a Service (else a ServiceEntry).
        place: where it was written.
    """

    hostname: str
    namespace: str
    ports: Mapping[int, str]
    port_names: Mapping[int, str] = field(default_factory=dict)
    endpoints: tuple[KnownEndpoint, ...] = ()
    unready: tuple[str, ...] = ()
    export_to: frozenset[str] = frozenset()
    alias_of: str = ""
    aliases: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    resolution: Resolution = "pods"
    kubernetes: bool = True
    place: Place = field(default_factory=lambda: Place(""))

    @property
    def key(self) -> str:
        """The name it is compared by."""
        return self.hostname.lower()

    def speaks_http(self, port: int) -> bool:
        """Whether requests to this port are routed by HTTP rules."""
        return port in self.ports and is_http_or_sniffed(self.ports[port])

    def visible(self, namespace: str) -> bool:
        """Whether proxies of a namespace know it (``exportTo``)."""
        return not self.export_to or bool(self.export_to & {"*", namespace})

    def serving(self, port: int, labels: Mapping[str, str]) -> tuple[KnownEndpoint, ...]:
        """Endpoints of a port that carry all these labels."""
        name = self.port_names.get(port, "")
        return tuple(
            endpoint
            for endpoint in self.endpoints
            if labels.items() <= endpoint.labels.items() and (endpoint.ports is None or name in endpoint.ports)
        )

    def limited(self, ports: Iterable[int]) -> KnownService | None:
        """The same service with some of its ports only; None without any."""
        wanted = set(ports)
        kept = {number: protocol for number, protocol in self.ports.items() if number in wanted}
        return replace(self, ports=kept) if kept else None


def spaces(names: Iterable[str], own: str) -> frozenset[str]:
    """Namespaces of an ``exportTo`` list, its ``.`` resolved."""
    return frozenset(own if name == "." else name for name in names if name)


def place_of(resource: Resource, path: str) -> Place:
    """Where a field of an object was written; what was converted, was written as the routes that it stands for."""
    origin = resource.origin
    if isinstance(resource, ConvertedRule):
        if (of_connections := _OF_CONNECTIONS.match(path)) is not None:
            piece = resource.pieces[int(of_connections[1])]
            return place_of(piece.route, piece.path_of(path[of_connections.end() :]))
        return Place(resource.label, "spec.parentRefs", origin.file, origin.line_of(path))
    if isinstance(resource, ConvertedGateway):
        path = "spec.listeners"
        return Place(f"KubernetesGateway/{resource.section.gateway}", path, origin.file, origin.line_of(path))
    line = origin.line_of(path) if path else origin.line
    return Place(f"{resource.kind}/{resource.name}", path, origin.file, line)


def known_service(
    service: Service,
    namespace: str,
    pods: Sequence[Pod],
    deployments: Sequence[Deployment],
    entries: Sequence[WorkloadEntry],
) -> KnownService:
    """Read a Kubernetes Service.

    Args:
        service: the object.
        namespace: its namespace.
        pods: pods of that namespace.
        deployments: Deployments of that namespace, which tell the named ports of their pods.
        entries: WorkloadEntries of that namespace, which selectors find as well.
    """
    spec = service.spec
    alias = spec.external_name if spec.type == "ExternalName" else ""
    headless = spec.cluster_ip == "None"
    own = [pod for pod in pods if spec.selector and not alias and spec.selector.items() <= pod.labels.items()]
    taking = [pod for pod in own if pod.ready or spec.publish_not_ready_addresses]
    endpoints = [_endpoint(service, pod, deployments) for pod in taking]
    if spec.selector and not headless and not alias:
        endpoints += _addresses(entries, spec.selector)
    text = service.metadata.annotations.get(_EXPORT_TO, "")
    listed = list(reversed(spec.ports))
    return KnownService(
        hostname=fqdn(service.name, namespace),
        namespace=namespace,
        ports={
            port.port: kubernetes_protocol(port.port, port.name, port.protocol, port.app_protocol) for port in listed
        },
        port_names={port.port: port.name for port in listed},
        endpoints=tuple(endpoints),
        unready=tuple(pod.name for pod in own if pod not in taking),
        export_to=spaces((part.strip() for part in text.split(",")) if text else (), namespace),
        alias_of=alias,
        addresses=(spec.cluster_ip,) if spec.cluster_ip not in ("", "None") else (),
        resolution="alias" if alias else "caller" if headless else "pods",
        place=place_of(service, ""),
    )


def known_entry(
    entry: ServiceEntry, namespace: str, pods: Sequence[Pod], entries: Sequence[WorkloadEntry]
) -> list[KnownService]:
    """Read a ServiceEntry: one service for each of its hosts.

    Args:
        entry: the object.
        namespace: its namespace.
        pods: pods of that namespace, for its ``workloadSelector``.
        entries: WorkloadEntries of that namespace.
    """
    spec = entry.spec
    endpoints: list[KnownEndpoint] | None = None
    if spec.workload_selector is not None:
        wanted = spec.workload_selector.labels
        targets = {port.number: port.target_port or port.number for port in spec.ports}
        endpoints = [
            KnownEndpoint(pod.name, pod.labels, pod.injected, refuses=_refused(pod, targets))
            for pod in pods
            if pod.ready and wanted.items() <= pod.labels.items()
        ]
        endpoints += _addresses(entries, wanted)
    elif spec.endpoints or spec.resolution == "STATIC":
        endpoints = [KnownEndpoint(endpoint.address, endpoint.labels) for endpoint in spec.endpoints]
    return [
        KnownService(
            hostname=host,
            namespace=namespace,
            ports={port.number: parse(port.protocol) for port in spec.ports},
            port_names={port.number: port.name for port in spec.ports},
            endpoints=tuple([KnownEndpoint(host, {})] if endpoints is None else endpoints),
            export_to=spaces(spec.export_to, namespace),
            addresses=tuple(spec.addresses),
            resolution=_RESOLUTIONS.get(spec.resolution or "NONE", "dns"),
            kubernetes=False,
            place=place_of(entry, ""),
        )
        for host in spec.hosts
    ]


def _addresses(entries: Sequence[WorkloadEntry], labels: Mapping[str, str]) -> list[KnownEndpoint]:
    return [
        KnownEndpoint(entry.spec.address or entry.name, entry.spec.labels)
        for entry in entries
        if labels.items() <= entry.spec.labels.items()
    ]


def _endpoint(service: Service, pod: Pod, deployments: Sequence[Deployment]) -> KnownEndpoint:
    """A pod behind a Service: a ``targetPort`` by name has to be one of its containers'."""
    targets = {port.port: port.target_port or port.port for port in service.spec.ports}
    named = any(isinstance(target, str) for target in targets.values())
    owner = next((deployment for deployment in deployments if deployment.name == pod.workload), None)
    containers = owner.spec.template.spec.containers if owner is not None else []
    ports = [port for container in containers for port in container.ports]
    declared = {port.name: port.container_port for port in ports}
    numbers = {
        port: target if isinstance(target, int) else declared[target]
        for port, target in targets.items()
        if isinstance(target, int) or target in declared
    }
    known = owner is not None and named
    serves = frozenset(port.name for port in service.spec.ports if port.port in numbers) if known else None
    said = {port.container_port for port in ports}
    unsaid = {port: target for port, target in numbers.items() if said and target not in said}
    doubts = unsaid if pod.listens is None else {}
    return KnownEndpoint(pod.name, pod.labels, pod.injected, serves, _refused(pod, numbers), doubts)


def _refused(pod: Pod, targets: Mapping[int, int]) -> Mapping[int, int]:
    """Those ports of a service that lead to where nobody listens."""
    listens = pod.listens
    return {} if listens is None else {port: target for port, target in targets.items() if target not in listens}
