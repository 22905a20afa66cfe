"""What the Gateway objects of a lab open: ports, what is spoken on them, and which rules are for connections there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from labsupport.controlplane.proxies import PodInfo
from labsupport.errors import Problem
from labsupport.model import Gateway, Resource, Server, Service, VirtualService
from labsupport.model.hosts import gateway_name
from labsupport.model.kinds.gatewayapi.gateway import GATEWAY_NAME, KubernetesGateway
from labsupport.model.protocols import is_http, parse
from labsupport.records import JsonObject

__all__ = ["Entrance", "carries_connections", "conflicts", "container_port", "port_notes", "schemes", "selects"]


@dataclass(frozen=True, slots=True)
class Entrance:
    """A way in from outside.

    Args:
        scheme: ``http``, ``https``, ``tls`` or ``tcp``.
        authority: what a request there shows as its host.
        port: local port.
    """

    scheme: str
    authority: str
    port: int


def selects(gateway: Gateway, labels: Mapping[str, str]) -> bool:
    """Whether a Gateway is for a pod with these labels."""
    return gateway.spec.selector.items() <= dict(labels).items()


def _scheme(server: Server) -> str:
    protocol = parse(server.port.protocol)
    if is_http(protocol):
        return "http"
    return {"HTTPS": "https", "TLS": "tls"}.get(protocol, "tls" if server.tls is not None else "tcp")


def schemes(objects: Iterable[Resource], labels: Mapping[str, str]) -> dict[int, str]:
    """What is spoken on each port that Gateways open on a pod, by the number written; the oldest decides."""
    scheme_by_port: dict[int, str] = {}
    for gateway in _gateways(objects, labels):
        for server in gateway.spec.servers:
            scheme_by_port.setdefault(server.port.number, _scheme(server))
    return dict(sorted(scheme_by_port.items()))


def _gateways(objects: Iterable[Resource], labels: Mapping[str, str]) -> Iterator[Gateway]:
    return (resource for resource in objects if isinstance(resource, Gateway) and selects(resource, labels))


def _services(objects: Iterable[Resource], pod: PodInfo) -> Iterator[Service]:
    labels = dict(pod.labels).items()
    for resource in objects:
        if isinstance(resource, Service) and resource.namespace == pod.namespace:
            selector = resource.spec.selector
            if selector and selector.items() <= labels:
                yield resource


def container_port(objects: Iterable[Resource], pod: PodInfo, number: int) -> int:
    """The port of a gateway's pod behind a port of its Service; the number itself if its Service has no such port."""
    for service in _services(objects, pod):
        for port in service.spec.ports:
            if port.port == number:
                return port.target_port if isinstance(port.target_port, int) and port.target_port else number
    return number


def port_notes(news: Iterable[Resource], objects: Sequence[Resource], pod: PodInfo) -> list[str]:
    """Notes on ports that new Gateways open, but that the gateway's Service does not have."""
    services = list(_services(objects, pod))
    known = {port.port for service in services for port in service.spec.ports}
    lacking: dict[int, str] = {}
    for gateway in _gateways(news, pod.labels):
        for server in gateway.spec.servers:
            if server.port.number not in known:
                lacking.setdefault(server.port.number, f"Gateway/{gateway.name}")
    name = f"Service {services[0].name}" if services else "the gateway's Service"
    return [
        f"{gateway} opens port {number}, which {name} does not have: here gateway:{number} reaches it all the same, "
        f"on a cluster the Service needs that port too"
        for number, gateway in lacking.items()
    ]


def conflicts(listeners: Mapping[str, JsonObject], objects: Sequence[Resource], pod: PodInfo) -> list[Problem]:
    """Servers of one port that would take the same connections, which istiod lets pass and Envoy does not.

    istiod compares hosts as they are written, and TLS servers with each other only. So a server of plain TCP beside a
    TLS server for all hosts, or ``./a.example`` beside ``a.example``, gives two filter chains of the same match.

    Args:
        listeners: of the gateway, as istiod makes them.
        objects: the desired state, oldest first.
        pod: the gateway's pod.
    """
    notes = []
    for listener in listeners.values():
        name = _shared(listener)
        if name is None:
            continue
        number = listener["address"]["socket_address"]["port_value"]
        concerned = [resource for resource in objects if _opens(resource, objects, pod, number)]
        last = concerned[-1]
        others = ", ".join(f"Gateway/{gateway.name}" for gateway in concerned[:-1]) or "itself"
        notes.append(
            Problem(
                f"two servers of one port both take {f'the server name {name}' if name else 'every connection'} (this "
                f"conflicts with {others}), and Envoy would refuse the whole listener, on a cluster too",
                last.origin.file,
                last.origin.document,
                last.origin.line,
                f"Gateway/{last.name}",
                "spec.servers" if isinstance(last, Gateway) else "spec.listeners",
                "Give each server of the port hosts of its own, or a port of its own.",
            )
        )
    return notes


def _opens(resource: Resource, objects: Sequence[Resource], pod: PodInfo, number: int) -> bool:
    """Whether a Gateway, Istio's or that of the Gateway API, opens a port of a pod."""
    if isinstance(resource, KubernetesGateway):
        own = (resource.namespace, resource.name) == (pod.namespace, dict(pod.labels).get(GATEWAY_NAME))
        return own and any(listener.port == number for listener in resource.spec.listeners)
    if not isinstance(resource, Gateway) or not selects(resource, pod.labels):
        return False
    return any(number == container_port(objects, pod, server.port.number) for server in resource.spec.servers)


def _shared(listener: JsonObject) -> str | None:
    """A server name (empty for any) that two filter chains of a listener match alike; None if there is none."""
    seen: set[tuple[str, str]] = set()
    for chain in listener.get("filter_chains", ()):
        match = chain.get("filter_chain_match", {})
        rest = str(sorted((key, value) for key, value in match.items() if key != "server_names"))
        for name in match.get("server_names", ("",)):
            if (name, rest) in seen:
                return str(name)
            seen.add((name, rest))
    return None


def carries_connections(rule: VirtualService, objects: Iterable[Resource], labels: Mapping[str, str]) -> bool:
    """Whether a VirtualService has ``tcp`` or ``tls`` rules for Gateways of a pod with these labels.

    istiod marks no connection with the rule that it follows, so this cannot be seen in what the proxy holds.
    """
    if not rule.spec.tcp and not rule.spec.tls:
        return False
    bound = {gateway_name(text, rule.namespace) for text in rule.spec.gateways}
    return any(f"{gateway.namespace}/{gateway.name}" in bound for gateway in _gateways(objects, labels))
