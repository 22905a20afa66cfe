"""What one proxy knows of the mesh: services and rules, as exportTo and a Sidecar object leave them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from labsupport.explain.catalog import Catalog, combined, exported
from labsupport.explain.known import KnownService
from labsupport.explain.rules import effective_rules
from labsupport.model import Destination, Sidecar, VirtualService
from labsupport.model.gatewayapi import ConvertedRule
from labsupport.model.hosts import fqdn, gateway_name, is_wildcard, matches, subset_of
from labsupport.model.kinds.sidecar import IstioEgressListener
from labsupport.model.protocols import parse
from labsupport.records import Pod

__all__ = ["Listener", "ProxyKnowledge", "bound_rules", "gateway_scope", "rule_hosts", "sidecar_scope"]


@dataclass(frozen=True, slots=True)
class Listener:
    """One ``egress`` entry of a Sidecar, or what sidecars listen for without any.

    Args:
        services: in order of precedence.
        rules: VirtualServices bound to the mesh, in order of precedence.
        port: the only port it is for; 0 for the ports of the services.
        protocol: protocol of that port; empty where it is detected, or where there is none.
    """

    services: tuple[KnownService, ...]
    rules: tuple[VirtualService, ...]
    port: int = 0
    protocol: str = ""

    def at(self, port: int) -> dict[str, KnownService]:
        """Its services that have a port, by name."""
        return {service.key: service for service in self.services if port in service.ports}


@dataclass(frozen=True, slots=True)
class ProxyKnowledge:
    """What a proxy knows.

    Args:
        namespace: of the proxy.
        services: those it has clusters for, by lower-case name.
        listeners: of a sidecar; none at a gateway.
        sidecar: the Sidecar object that shaped it, if one did.
    """

    namespace: str
    services: Mapping[str, KnownService]
    listeners: tuple[Listener, ...] = ()
    sidecar: Sidecar | None = field(default=None)

    def listener_for(self, port: int) -> Listener | None:
        """The listener that serves a port."""
        return next((listener for listener in self.listeners if not listener.port or listener.port == port), None)

    @property
    def refuses_unknown(self) -> bool | None:
        """Whether calls to unknown hosts are refused (``outboundTrafficPolicy``); None if the Sidecar does not say."""
        policy = self.sidecar.spec.outbound_traffic_policy if self.sidecar is not None else None
        return None if policy is None else policy.mode != "ALLOW_ANY"


def rule_hosts(catalog: Catalog, rule: VirtualService) -> list[str]:
    """Hosts of a VirtualService with their full names."""
    if isinstance(rule, ConvertedRule):
        return list(rule.spec.hosts)
    return [fqdn(host, catalog.namespace_of(rule)) for host in rule.spec.hosts]


def bound_rules(catalog: Catalog, namespace: str, gateway: str) -> list[VirtualService]:
    """VirtualServices bound to a gateway (or ``mesh``) that proxies of a namespace see.

    As in istiod, those that only its own namespace sees come first, then those shown to it, then the public ones.
    """

    def bound(rule: VirtualService) -> bool:
        owner = catalog.namespace_of(rule)
        names = [gateway_name(name, owner) for name in rule.spec.gateways] or ["mesh"]
        return bool(rule.spec.hosts) and gateway in names and exported(rule, owner, namespace)

    def rank(rule: VirtualService) -> tuple[int, bool]:
        own = catalog.namespace_of(rule) == namespace
        # A route of the Gateway API from the client's own namespace beats every other rule.
        other = not (own and isinstance(rule, ConvertedRule))
        if "*" in (rule.spec.export_to or ["*"]):
            return 2, other
        return 0 if own else 1, other

    return sorted((rule for rule in catalog.virtual_services if bound(rule)), key=rank)


def gateway_scope(catalog: Catalog, namespace: str) -> ProxyKnowledge:
    """What gateways of a namespace know: every service that is shown to it."""
    return ProxyKnowledge(namespace, combined(catalog.visible(namespace)))


def sidecar_scope(catalog: Catalog, client: Pod) -> ProxyKnowledge:
    """What the sidecar of a pod knows."""
    namespace = client.namespace
    sidecar = catalog.egress(namespace, client.labels)
    rules = bound_rules(catalog, namespace, "mesh")
    entries = sidecar.spec.egress if sidecar is not None else []
    listeners = [_listener(catalog, namespace, rules, entry) for entry in entries]
    if not listeners:
        known = combined(catalog.visible(namespace), namespace)
        listeners = [Listener(tuple(known.values()), tuple(rules))]
    services = combined(service for listener in listeners for service in listener.services)
    for listener in listeners:
        for rule in listener.rules:
            for host, ports in _destinations(catalog, rule, namespace).items():
                service = _target(catalog, namespace, host, listener, ports)
                if service is not None:
                    services = combined([*services.values(), service])
    return ProxyKnowledge(namespace, services, tuple(listeners), sidecar)


@dataclass(slots=True)
class _EgressHosts:
    """What an ``egress`` entry names of one namespace."""

    named: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)

    def excludes(self, host: str) -> bool:
        return any(subset_of(host, pattern) for pattern in self.excluded)

    def has_service(self, host: str) -> bool:
        return any(
            host == pattern or ((is_wildcard(host) or is_wildcard(pattern)) and subset_of(host, pattern))
            for pattern in self.named
        )

    def has_rule(self, host: str, rule: VirtualService) -> bool:
        covers = subset_of if isinstance(rule, ConvertedRule) else matches
        return any(
            host == pattern or ((is_wildcard(host) or is_wildcard(pattern)) and covers(host, pattern))
            for pattern in self.named
        )


def _listener(
    catalog: Catalog, namespace: str, rules: Sequence[VirtualService], entry: IstioEgressListener
) -> Listener:
    by_space: dict[str, _EgressHosts] = {}
    for text in entry.hosts:
        space, _, host = text.partition("/")
        without = space.startswith("~")
        space = (space[1:] or "*") if without else space
        hosts = by_space.setdefault(namespace if space == "." else space, _EgressHosts())
        (hosts.excluded if without else hosts.named).append(host)

    def asked(space: str) -> list[_EgressHosts]:
        return [by_space[name] for name in dict.fromkeys((space, "*")) if name in by_space]

    port = entry.port.number if entry.port is not None else 0
    protocol = parse(entry.port.protocol) if entry.port is not None else ""
    services = []
    for service in catalog.visible(namespace):
        scopes = asked(service.namespace)
        chosen = next((hosts for hosts in scopes if hosts.has_service(service.hostname)), None)
        if chosen is None or any(hosts.excludes(service.hostname) for hosts in scopes):
            continue
        kept = service.limited([port]) if port and protocol != "HTTP_PROXY" else service
        if kept is not None:
            aliases = tuple(name for name in kept.aliases if chosen.has_service(name))
            services.append(replace(kept, aliases=aliases))

    def selected(rule: VirtualService) -> bool:
        scopes = asked(catalog.namespace_of(rule))
        return any(
            any(hosts.has_rule(host, rule) for hosts in scopes) and not any(hosts.excludes(host) for hosts in scopes)
            for host in rule_hosts(catalog, rule)
        )

    known = combined(services, namespace).values()
    return Listener(tuple(known), tuple(rule for rule in rules if selected(rule)), port, protocol)


def _destinations(catalog: Catalog, rule: VirtualService, namespace: str) -> dict[str, set[int]]:
    """Hosts and ports (0 for any) that a rule may send to, without what only clients elsewhere can match."""
    ports_by_host: dict[str, set[int]] = {}

    def add(destination: Destination | None, owner: str) -> None:
        if destination is not None:
            port = destination.port.number if destination.port is not None else 0
            ports_by_host.setdefault(fqdn(destination.host, owner), set()).add(port)

    for item in effective_rules(catalog, rule):
        sources = [match.source_namespace for match in item.rule.match if match.source_namespace]
        if sources and namespace not in sources:
            continue
        for target in _targets(item.rule.route, item.rule.mirrors):
            add(target, item.namespace)
        add(item.rule.mirror, item.namespace)
    for target in _targets(*(item.route for item in rule.spec.tcp), *(item.route for item in rule.spec.tls)):
        add(target, catalog.namespace_of(rule))
    return ports_by_host


def _targets(*lists: Iterable[object]) -> Iterator[Destination]:
    for items in lists:
        for item in items:
            destination = getattr(item, "destination", None)
            if destination is not None:
                yield destination


def _target(catalog: Catalog, namespace: str, host: str, listener: Listener, ports: set[int]) -> KnownService | None:
    """The service a rule sends to, with the ports that the proxy then has a cluster for."""
    named = [service for service in catalog.services if service.hostname == host]
    # The service of the own namespace is taken even if it is shown to nobody.
    own = [service for service in named if service.namespace == namespace]
    seen = own or [service for service in named if service.visible(namespace)]
    if not seen:
        return None
    service = min(seen, key=lambda candidate: not candidate.kubernetes)
    if listener.port and listener.protocol != "HTTP_PROXY":
        return service.limited([listener.port])
    return service if not ports or 0 in ports else service.limited(ports)
