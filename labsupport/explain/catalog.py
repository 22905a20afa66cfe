"""What there is in the mesh: services with the pods behind them, and rules by age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from labsupport.engine.base import Pod
from labsupport.explain.records import Place
from labsupport.mesh.index.hosts import fqdn, matches
from labsupport.mesh.index.protocols import is_http_or_sniffed, kubernetes_protocol, parse
from labsupport.mesh.registry import EPOCH
from labsupport.model import (
    DestinationRule,
    Gateway,
    Resource,
    Service,
    ServiceEntry,
    Sidecar,
    VirtualService,
)

__all__ = ["ROOT_NAMESPACE", "Catalog", "KnownService", "exported", "hidden_by", "place_of"]

ROOT_NAMESPACE = "istio-system"
_EXPORT_TO = "networking.istio.io/exportTo"

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class KnownEndpoint:
    """A pod, or an address outside of the mesh, that serves a service."""

    name: str
    labels: Mapping[str, str]
    injected: bool = False


@dataclass(frozen=True, slots=True)
class KnownService:
    """A service of the registry.

    Args:
        hostname: fully qualified name.
        namespace: of its object.
        ports: number to protocol; an empty protocol is detected.
        endpoints: those that take traffic.
        unready: names of pods that would serve it but are not ready.
        export_to: namespaces that see it; empty for all.
        alias_of: target of an ExternalName service.
        place: where it was written.
    """

    hostname: str
    namespace: str
    ports: Mapping[int, str]
    endpoints: tuple[KnownEndpoint, ...] = ()
    unready: tuple[str, ...] = ()
    export_to: frozenset[str] = frozenset()
    alias_of: str = ""
    addresses: tuple[str, ...] = ()
    place: Place = field(default_factory=lambda: Place(""))

    def speaks_http(self, port: int) -> bool:
        """Whether requests to this port are routed by HTTP rules."""
        return port in self.ports and is_http_or_sniffed(self.ports[port])

    def visible(self, namespace: str) -> bool:
        """Whether proxies of a namespace know it (``exportTo``)."""
        return not self.export_to or bool(self.export_to & {"*", namespace})

    def with_labels(self, labels: Mapping[str, str]) -> tuple[KnownEndpoint, ...]:
        """Endpoints that carry all these labels."""
        return tuple(endpoint for endpoint in self.endpoints if labels.items() <= endpoint.labels.items())


class Catalog:
    """Objects and pods, indexed for explanations.

    Args:
        objects: oldest first unless a ``creationTimestamp`` says otherwise.
        pods: all pods.
        namespace: the namespace of objects that name none.
    """

    def __init__(self, objects: Sequence[Resource], pods: Sequence[Pod], namespace: str) -> None:
        self.namespace = namespace
        self.pods = tuple(pods)
        ages: dict[int, float] = {}
        for position, resource in enumerate(objects):
            written = resource.metadata.creation_timestamp
            # Objects of the embedded mesh have no timestamp; among some that have one, they count as the registry's do.
            ages[id(resource)] = EPOCH + position if written is None else written.timestamp()
        self._objects = sorted(
            objects, key=lambda resource: (ages[id(resource)], resource.name, self.namespace_of(resource))
        )
        self.virtual_services = self._of(VirtualService)
        self.destination_rules = self._of(DestinationRule)
        self.gateways = self._of(Gateway)
        self.kubernetes_services = self._of(Service)
        self.services = [self._kubernetes(service) for service in self.kubernetes_services]
        self.services += [known for entry in self._of(ServiceEntry) for known in self._entry(entry)]

    def namespace_of(self, resource: Resource) -> str:
        """The namespace an object is in."""
        return resource.namespace or self.namespace

    def service(self, hostname: str, namespace: str) -> KnownService | None:
        """The service of a name as proxies of a namespace see it; an ExternalName service is its target."""
        for known in self.services:
            if known.hostname.lower() == hostname.lower() and known.visible(namespace):
                if known.alias_of and known.alias_of != known.hostname:
                    return self.service(known.alias_of, namespace)
                return known
        return None

    def egress(self, namespace: str, labels: Mapping[str, str]) -> Sidecar | None:
        """The Sidecar object that limits what a pod's sidecar knows; None if nothing does."""
        general: Sidecar | None = None
        for space in (namespace, ROOT_NAMESPACE):
            for sidecar in self._of(Sidecar):
                if self.namespace_of(sidecar) != space:
                    continue
                selector = sidecar.spec.workload_selector
                if selector is None:
                    general = general or sidecar
                elif space == namespace and selector.labels.items() <= labels.items():
                    return sidecar
            if general is not None:
                return general
        return None

    def _of(self, kind: type[R]) -> list[R]:
        return [resource for resource in self._objects if isinstance(resource, kind)]

    def _kubernetes(self, service: Service) -> KnownService:
        spec, namespace = service.spec, self.namespace_of(service)
        own = [
            pod
            for pod in self.pods
            if spec.selector and pod.namespace == namespace and spec.selector.items() <= pod.labels.items()
        ]
        taking = [pod for pod in own if pod.ready or spec.publish_not_ready_addresses]
        text = service.metadata.annotations.get(_EXPORT_TO, "")
        return KnownService(
            hostname=fqdn(service.name, namespace),
            namespace=namespace,
            ports={
                port.port: kubernetes_protocol(port.port, port.name, port.protocol, port.app_protocol)
                for port in reversed(spec.ports)
            },
            endpoints=tuple(KnownEndpoint(pod.name, pod.labels, pod.injected) for pod in taking),
            unready=tuple(pod.name for pod in own if pod not in taking),
            export_to=_spaces((part.strip() for part in text.split(",")) if text else (), namespace),
            alias_of=spec.external_name if spec.type == "ExternalName" else "",
            addresses=(spec.cluster_ip,) if spec.cluster_ip not in ("", "None") else (),
            place=place_of(service, ""),
        )

    def _entry(self, entry: ServiceEntry) -> list[KnownService]:
        spec, namespace = entry.spec, self.namespace_of(entry)
        endpoints: list[KnownEndpoint] = []
        if spec.workload_selector is not None:
            wanted = spec.workload_selector.labels.items()
            endpoints = [
                KnownEndpoint(pod.name, pod.labels, pod.injected)
                for pod in self.pods
                if pod.namespace == namespace and pod.ready and wanted <= pod.labels.items()
            ]
        elif spec.endpoints:
            endpoints = [KnownEndpoint(endpoint.address, endpoint.labels) for endpoint in spec.endpoints]
        found = []
        for host in spec.hosts:
            own = endpoints or ([] if spec.resolution == "STATIC" else [KnownEndpoint(host, {})])
            found.append(
                KnownService(
                    hostname=host,
                    namespace=namespace,
                    ports={port.number: parse(port.protocol or port.name.partition("-")[0]) for port in spec.ports},
                    endpoints=tuple(own),
                    export_to=_spaces(spec.export_to, namespace),
                    addresses=tuple(spec.addresses),
                    place=place_of(entry, ""),
                )
            )
        return found


def exported(resource: Any, owner: str, namespace: str) -> bool:
    """Whether proxies of a namespace see a VirtualService or DestinationRule (``exportTo``)."""
    spaces = _spaces(resource.spec.export_to, owner)
    return not spaces or bool(spaces & {"*", namespace})


def place_of(resource: Resource, path: str) -> Place:
    """Where a field of an object was written."""
    origin = resource.origin
    line = origin.line_of(path) if path else origin.line
    return Place(f"{resource.kind}/{resource.name}", path, origin.file, line)


def hidden_by(sidecar: Sidecar | None, hostname: str, owner: str, namespace: str) -> bool:
    """Whether a Sidecar object leaves a host of a namespace out of what a pod's sidecar knows."""
    if sidecar is None or not sidecar.spec.egress:
        return False
    hidden = True
    for listener in sidecar.spec.egress:
        for text in listener.hosts:
            space, _, host = text.rpartition("/")
            without = space.startswith("~")
            space = (space[1:] or "*") if without else space
            space = namespace if space == "." else space or "*"
            if space in ("*", owner) and matches(hostname, host):
                if without:
                    return True
                hidden = False
    return hidden


def _spaces(spaces: Any, own: str) -> frozenset[str]:
    return frozenset(own if space == "." else space for space in spaces if space)
