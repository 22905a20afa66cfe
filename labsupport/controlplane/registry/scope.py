"""What one namespace (or one set of pods, with a ``Sidecar`` object) sees of the mesh: services and rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from labsupport.controlplane.proxies import Proxy
from labsupport.controlplane.registry.destinationrules import MergedRule
from labsupport.controlplane.registry.registry import Registry
from labsupport.controlplane.registry.services import RegistryPort, ServiceRecord
from labsupport.controlplane.registry.virtualservices import VirtualServiceRule
from labsupport.model.hosts import is_wildcard, matches, most_specific, subset_of
from labsupport.model.kinds.sidecar import IstioEgressListener, Sidecar
from labsupport.model.kinds.virtualservice import Destination
from labsupport.model.protocols import parse

__all__ = ["EgressListener", "Scope", "scope_of"]


@dataclass(eq=False)
class _ImportedHosts:
    """The hosts that a Sidecar's egress imports from one namespace."""

    exact: set[str] = field(default_factory=set)
    all: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)

    def excludes(self, host: str) -> bool:
        return any(subset_of(host, pattern) for pattern in self.excluded)

    def has_service(self, host: str) -> bool:
        return host in self.exact or any(
            subset_of(host, pattern) for pattern in self.all if is_wildcard(host) or is_wildcard(pattern)
        )

    def has_rule(self, host: str, *, converted: bool) -> bool:
        covers = subset_of if converted else matches
        return host in self.exact or any(
            covers(host, pattern) for pattern in self.all if is_wildcard(host) or is_wildcard(pattern)
        )


@dataclass(eq=False)
class EgressListener:
    """One ``egress`` entry of a Sidecar, or the default one that imports everything.

    Args:
        services: imported services, oldest first.
        rules: imported VirtualServices, in order of precedence.
        port: the only port it listens on; 0 for the ports of the services.
        protocol: protocol of that port.
        bind: address it listens on; empty for the default.
        capture: ``captureMode`` of the entry.
        closest: for every service the VirtualService whose host covers it most closely.
    """

    services: list[ServiceRecord]
    rules: list[VirtualServiceRule]
    port: int = 0
    protocol: str = ""
    port_name: str = ""
    bind: str = ""
    capture: str = "DEFAULT"
    closest: Mapping[str, VirtualServiceRule] = field(default_factory=dict)


class Scope:
    """Services and rules that the proxies of one namespace see.

    Args:
        namespace: of the proxies.
        listeners: what they listen for.
        registry: everything there is.
        sidecar: the Sidecar object that shaped it, if one did.
    """

    def __init__(
        self, namespace: str, listeners: list[EgressListener], registry: Registry, sidecar: Sidecar | None = None
    ) -> None:
        self.namespace = namespace
        self.listeners = listeners
        self.sidecar = sidecar
        self.services: list[ServiceRecord] = []
        self.by_host: dict[str, ServiceRecord] = {}
        self.outbound_traffic_policy: str | None = None
        self.egress_proxy: Destination | None = None
        self._registry = registry
        self._positions: dict[str, int] = {}
        self._rules: dict[str, list[MergedRule]] = {}

    def add(self, service: ServiceRecord) -> None:
        """Take a service in; of several on one host, Kubernetes Services win and ports are combined."""
        position = self._positions.get(service.hostname)
        if position is None:
            self._positions[service.hostname] = len(self.services)
            self.services.append(service)
            self.by_host[service.hostname] = service
            return
        known = self.services[position]
        if known is service or (known.kubernetes and not service.kubernetes):
            return
        if known.kubernetes == service.kubernetes:
            if known.ports == service.ports or not _mergeable(known, service):
                return
            numbers = {port.number for port in known.ports}
            extra = tuple(port for port in service.ports if port.number not in numbers)
            service = known.with_ports(known.ports + extra)
        self.services[position] = service
        self.by_host[service.hostname] = service

    def destination_rules(self, hostname: str) -> list[MergedRule]:
        """All DestinationRules for a service of this scope, those with a selector first."""
        if hostname not in self._rules:
            service = self.by_host.get(hostname)
            self._rules[hostname] = (
                self._registry.destination_rules.candidates(self.namespace, hostname, service.namespace)
                if service is not None
                else []
            )
        return self._rules[hostname]

    def destination_rule(self, hostname: str, labels: Mapping[str, str], *, inbound: bool = False) -> MergedRule | None:
        """The DestinationRule that a pod with these labels uses for a service."""
        general = None
        for rule in self.destination_rules(hostname):
            if rule.selector is None:
                general = rule
            elif not inbound and rule.namespace == self.namespace and rule.selector.items() <= labels.items():
                return rule
        return general

    def listener_for(self, port: int, bind: str) -> EgressListener | None:
        """The listener that a route table belongs to."""
        for listener in self.listeners:
            if not listener.port and not listener.protocol:
                return listener
            if listener.port == port and (port or listener.bind == bind):
                return listener
        return None


def _mergeable(service: ServiceRecord, other: ServiceRecord) -> bool:
    return (
        service.namespace == other.namespace
        and service.resolution == other.resolution
        and service.labels == other.labels
        and (service.selector or {}) == (other.selector or {})
        and service.export_to == other.export_to
    )


def scope_of(registry: Registry, proxy: Proxy) -> Scope:
    """What a proxy sees; equal scopes of one registry are the same object."""
    scopes = cast("dict[object, Scope]", registry.derived)
    namespace = proxy.pod.namespace
    if proxy.role == "gateway":
        key: object = ("gateway", namespace)
        if key not in scopes:
            scopes[key] = _gateway_scope(registry, namespace)
        return scopes[key]
    sidecar = _sidecar_for(registry, proxy)
    key = (namespace, id(sidecar))
    if key not in scopes:
        scopes[key] = _sidecar_scope(registry, namespace, sidecar)
    return scopes[key]


def _sidecar_for(registry: Registry, proxy: Proxy) -> Sidecar | None:
    """The Sidecar object that counts for a proxy: its namespace's, or else the root namespace's."""
    labels = dict(proxy.pod.labels).items()
    for sidecar in registry.sidecars:
        selector = sidecar.spec.workload_selector
        if sidecar.namespace == proxy.pod.namespace and (selector is None or selector.labels.items() <= labels):
            return sidecar
    for sidecar in registry.sidecars:
        if sidecar.namespace == registry.mesh.root_namespace and sidecar.spec.workload_selector is None:
            return sidecar
    return None


def _gateway_scope(registry: Registry, namespace: str) -> Scope:
    """What gateways of a namespace see: all services exported to it."""
    listener = EgressListener(services=[], rules=registry.virtual_services.for_gateway(namespace, "mesh"))
    scope = Scope(namespace, [listener], registry)
    for service in registry.exported_services(namespace):
        scope.add(service)
    return scope


def _sidecar_scope(registry: Registry, namespace: str, sidecar: Sidecar | None) -> Scope:
    """What sidecars of a namespace see, as a Sidecar object (or its absence) says.

    Args:
        registry: everything there is.
        namespace: of the pods.
        sidecar: the Sidecar that applies to them, or None.

    Returns:
        The scope.
    """
    entries = list(sidecar.spec.egress) if sidecar is not None else []
    listeners = [_listener(registry, namespace, entry) for entry in entries] or [
        _select(registry, namespace, {"*": _ImportedHosts(all=["*"])}, only_exact=False)
    ]
    scope = Scope(namespace, listeners, registry, sidecar)
    for listener in listeners:
        for service in listener.services:
            scope.add(service)
        for rule in listener.rules:
            for host, ports in rule.destinations(namespace).items():
                target = _destination_service(registry, namespace, host)
                narrowed = _narrow(target, listener, ports) if target is not None else None
                if narrowed is not None:
                    scope.add(narrowed)
    policy = sidecar.spec.outbound_traffic_policy if sidecar is not None else None
    if policy is not None:
        scope.outbound_traffic_policy = policy.mode or "REGISTRY_ONLY"
        scope.egress_proxy = policy.egress_proxy
    else:
        scope.outbound_traffic_policy = registry.outbound_traffic_policy
    return scope


def _destination_service(registry: Registry, namespace: str, host: str) -> ServiceRecord | None:
    """The service a rule sends to: of the own namespace, or else a Kubernetes Service, or else the oldest."""
    by_namespace = registry.by_host_and_namespace.get(host)
    if not by_namespace:
        return None
    if namespace in by_namespace:
        return by_namespace[namespace]
    visible = [service for service in by_namespace.values() if registry.visible(service, namespace)]
    if not visible:
        return None
    return min(visible, key=lambda service: (not service.kubernetes, registry.age(service)))


def _narrow(service: ServiceRecord, listener: EgressListener, ports: set[int]) -> ServiceRecord | None:
    if listener.port and listener.protocol != "HTTP_PROXY":
        return _with_only(service, listener.port)
    if not ports or 0 in ports:
        return service
    kept = tuple(port for port in service.ports if port.number in ports)
    if len(kept) == len(service.ports):
        return service
    return service.with_ports(kept) if kept else None


def _with_only(service: ServiceRecord, number: int) -> ServiceRecord | None:
    for port in service.ports:
        if port.number == number:
            if len(service.ports) == 1:
                return service
            return service.with_ports([RegistryPort(port.name, port.number, port.protocol)])
    return None


def _listener(registry: Registry, namespace: str, entry: IstioEgressListener) -> EgressListener:
    by_namespace: dict[str, _ImportedHosts] = {}
    only_exact = True
    for text in entry.hosts:
        space, _, host = text.partition("/")
        excluded = space.startswith("~")
        if excluded:
            space = space[1:] or "*"
        space = namespace if space == "." else space
        hosts = by_namespace.setdefault(space, _ImportedHosts())
        if excluded:
            hosts.excluded.append(host)
            continue
        if is_wildcard(host):
            only_exact = False
        else:
            hosts.exact.add(host)
        only_exact = only_exact and space != "*"
        hosts.all.append(host)
    port = entry.port
    number = port.number if port is not None else 0
    protocol = (parse(port.protocol or "") or "AUTO") if port is not None else ""
    match_port = number if protocol != "HTTP_PROXY" else 0
    listener = _select(registry, namespace, by_namespace, only_exact=only_exact, port=match_port)
    listener.port = number
    listener.protocol = protocol
    listener.port_name = (port.name or "") if port is not None else ""
    listener.bind = entry.bind or ""
    listener.capture = entry.capture_mode or "DEFAULT"
    return listener


def _select(
    registry: Registry, namespace: str, by_namespace: Mapping[str, _ImportedHosts], *, only_exact: bool, port: int = 0
) -> EgressListener:
    everywhere = by_namespace.get("*")
    rules = _select_rules(registry.virtual_services.for_gateway(namespace, "mesh"), by_namespace, everywhere)
    candidates: Iterable[ServiceRecord]
    if only_exact:
        candidates = sorted(
            [
                service
                for space, hosts in by_namespace.items()
                for host in hosts.exact
                if (service := registry.by_host_and_namespace.get(host, {}).get(space)) is not None
                and registry.visible(service, namespace)
            ],
            key=lambda service: (registry.age(service), service.name, service.namespace),
        )
    else:
        candidates = registry.exported_services(namespace)
    services = _select_services(candidates, namespace, by_namespace, everywhere, port)
    return EgressListener(services=services, rules=rules, closest=_closest(rules, services))


def _select_rules(
    rules: Iterable[VirtualServiceRule], by_namespace: Mapping[str, _ImportedHosts], everywhere: _ImportedHosts | None
) -> list[VirtualServiceRule]:
    selected = []
    for rule in rules:
        own = by_namespace.get(rule.namespace)
        imported = [hosts for hosts in (own, everywhere) if hosts is not None]
        for host in rule.hosts:
            chosen = any(hosts.has_rule(host, converted=rule.converted) for hosts in imported)
            if chosen and not any(hosts.excludes(host) for hosts in imported):
                selected.append(rule)
                break
    return selected


def _select_services(
    candidates: Iterable[ServiceRecord],
    namespace: str,
    by_namespace: Mapping[str, _ImportedHosts],
    everywhere: _ImportedHosts | None,
    port: int,
) -> list[ServiceRecord]:
    imported = []
    for service in candidates:
        own = by_namespace.get(service.namespace)
        scopes = [hosts for hosts in (own, everywhere) if hosts is not None]
        if any(hosts.excludes(service.hostname) for hosts in scopes):
            continue
        for hosts in scopes:
            if hosts.has_service(service.hostname):
                kept = _with_only(service, port) if port else service
                if kept is not None:
                    imported.append(_import_aliases(kept, hosts))
                    break
    # One namespace provides a host: the service's own, which counts as the client's, then Kubernetes' ones.
    owners: dict[str, tuple[str, bool]] = {}
    for service in imported:
        known = owners.get(service.hostname)
        better = (
            known is None
            or service.namespace == namespace
            or (not known[1] and service.kubernetes and known[0] != namespace)
        )
        if better:
            owners[service.hostname] = (service.namespace, service.kubernetes)
    return [service for service in imported if owners[service.hostname][0] == service.namespace]


def _import_aliases(service: ServiceRecord, hosts: _ImportedHosts) -> ServiceRecord:
    if not service.aliases:
        return service
    kept = tuple(alias for alias in service.aliases if hosts.has_service(alias[0]))
    return service if len(kept) == len(service.aliases) else replace(service, aliases=kept)


def _closest(
    rules: Sequence[VirtualServiceRule], services: Sequence[ServiceRecord]
) -> Mapping[str, VirtualServiceRule]:
    exact: dict[str, VirtualServiceRule] = {}
    wildcards: dict[str, VirtualServiceRule] = {}
    for rule in rules:
        for host in rule.hosts:
            (wildcards if is_wildcard(host) else exact).setdefault(host, rule)
    if not wildcards:
        return {service.hostname: exact[service.hostname] for service in services if service.hostname in exact}
    closest_by_host = {}
    for service in services:
        closest = most_specific(service.hostname, exact, wildcards)
        if closest is not None:
            closest_by_host[service.hostname] = closest
    return closest_by_host
