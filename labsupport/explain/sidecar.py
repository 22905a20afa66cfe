"""Which VirtualService a client's sidecar follows for a host and a port.

Follows the route tables that istiod makes for sidecars: one per port, with one virtual host per service of that port,
and, on port 80, also one per host that only a rule knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labsupport.explain.catalog import Catalog, exported, label_of
from labsupport.explain.known import KnownService, place_of
from labsupport.explain.matching import Viewpoint
from labsupport.explain.records import Ignored
from labsupport.explain.rules import Candidate, EffectiveRule, effective_rules, survives
from labsupport.explain.scope import Listener, ProxyKnowledge, rule_hosts
from labsupport.model import VirtualService
from labsupport.model.gatewayapi import ConvertedRule
from labsupport.model.hosts import fqdn, gateway_name, is_wildcard, matches
from labsupport.records import Pod

__all__ = ["Table", "service_names", "sidecar_table"]

_SERVICE_SUFFIX = ".svc.cluster.local"
_NOT_HTTP = ("TCP", "TLS", "HTTPS", "UDP", "Mongo", "Redis", "MySQL")


@dataclass(frozen=True, slots=True)
class Table:
    """What decides about a host.

    Args:
        known: whether there is anything for the host.
        service: the service it names; None for a host that only a rule knows.
        rules: every rule one may ask about, with the proxy's point of view.
        routes: the routes in the order they are tried; empty if the service is reached without any rule.
        ruled: whether a VirtualService decides.
        ignored: objects about the host that do not count.
        https_only: the gateway sends plain HTTP to HTTPS.
    """

    known: bool
    service: KnownService | None = None
    rules: tuple[tuple[EffectiveRule, Viewpoint], ...] = ()
    routes: tuple[Candidate, ...] = ()
    ruled: bool = False
    ignored: tuple[Ignored, ...] = ()
    https_only: bool = False


@dataclass(frozen=True, slots=True)
class _VirtualHost:
    domains: tuple[str, ...]
    rule: VirtualService | None
    service: KnownService | None


def sidecar_table(catalog: Catalog, scope: ProxyKnowledge, client: Pod, host: str, port: int) -> Table:
    """Find what decides about a host and port in a pod's sidecar.

    Args:
        catalog: what there is.
        scope: what the sidecar knows of it.
        client: the pod whose sidecar it is.
        host: host of the request, in lower case, without port.
        port: port of the request.

    Returns:
        The rules and routes.
    """
    view = Viewpoint("mesh", port, client.namespace, client.labels)
    listener = scope.listener_for(port) or Listener((), ())
    services = listener.at(port)
    lost: dict[int, list[Ignored]] = {id(rule): [] for rule in listener.rules}
    effective = {id(rule): effective_rules(catalog, rule, lost[id(rule)]) for rule in listener.rules}
    routes = {id(rule): survives(effective[id(rule)], view) for rule in listener.rules}
    table = None
    if speaks_http(listener, port):
        table = _look_up(_virtual_hosts(catalog, client.namespace, services, listener.rules, routes, port), host)
    if table is not None and table.service is not None:
        hostname = table.service.key
    else:
        named = (service for service in catalog.services if host in service_names(service, client.namespace))
        hostname = next((service.key for service in named), host)
    winner = table.rule if table is not None else None
    losers = _losers(catalog, client.namespace, hostname, port, winner, listener.rules, routes)
    ignored = tuple(Ignored(label_of(rule), reason, place_of(rule, "spec.hosts")) for rule, reason in losers)
    if table is None:
        return Table(known=False, ignored=ignored)
    asked = [winner] if winner is not None else []
    if winner is None:
        # Rules that name the host are still shown: each says why it is not for this client.
        asked = [rule for rule in listener.rules if hostname in map(str.lower, rule_hosts(catalog, rule))]
    return Table(
        known=True,
        service=table.service,
        rules=tuple((rule, view) for owner in asked for rule in effective[id(owner)]),
        routes=tuple(routes[id(winner)]) if winner is not None else (),
        ruled=winner is not None,
        ignored=(*(item for owner in asked for item in lost[id(owner)]), *ignored),
    )


def speaks_http(listener: Listener, port: int) -> bool:
    """Whether a sidecar has a route table for a port."""
    if listener.port:
        return bool(listener.services) and listener.protocol not in _NOT_HTTP
    return any(service.speaks_http(port) for service in listener.services)


def _virtual_hosts(
    catalog: Catalog,
    namespace: str,
    services: Mapping[str, KnownService],
    bound: Sequence[VirtualService],
    routes: Mapping[int, list[Candidate]],
    port: int,
) -> list[_VirtualHost]:
    built: list[_VirtualHost] = []
    routed: set[str] = set()
    full = set(services)
    for rule in bound:
        names = [host.lower() for host in rule_hosts(catalog, rule)]
        covered = [name for name in names if name in services]
        if isinstance(rule, ConvertedRule):
            # A route of the Gateway API counts for clients of its own namespace, and for services of it.
            if not any(rule.namespace in (namespace, services[name].namespace) for name in covered):
                continue
            names = covered
        for name in (name for name in names if is_wildcard(name)):
            fitting = [host for host in sorted(services) if matches(host, name)]
            # A service's virtual host also has the names of its aliases, so it comes before them.
            fitting.sort(key=lambda host: bool(services[host].alias_of))
            covered += [host for host in fitting if _closest(catalog, bound, host) is rule and host not in covered]
        concerned = any(_concerns(name, services) for name in names)
        if not routes[id(rule)] or (port != 80 and not concerned):
            continue
        spoken = [host for host in covered if services[host].speaks_http(port)]
        if not spoken and port != 80:
            continue
        unknown = [
            name
            for name in names
            if name not in services and not (is_wildcard(name) and any(matches(host, name) for host in services))
        ]
        built += [_VirtualHost((name,), rule, None) for name in unknown]
        built += [_VirtualHost(_domains(services[host], namespace, full), rule, services[host]) for host in spoken]
        routed.update(spoken)
    for host, service in sorted(services.items()):
        if host not in routed and service.speaks_http(port) and not service.alias_of:
            built.append(_VirtualHost(_domains(service, namespace, full), None, service))
    return built


def _concerns(name: str, services: Mapping[str, KnownService]) -> bool:
    if name in services:
        return True
    if is_wildcard(name):
        return any(matches(name, host) for host in services)
    return any(is_wildcard(host) and matches(name, host) for host in services)


def _closest(catalog: Catalog, bound: Sequence[VirtualService], host: str) -> VirtualService | None:
    """The rule with the most specific host for a service; of two that are equally specific, the older."""
    best: tuple[tuple[bool, int], VirtualService] | None = None
    for rule in bound:
        for name in (name.lower() for name in rule_hosts(catalog, rule)):
            if name == host or (is_wildcard(name) and host.endswith(name[1:])):
                rank = (is_wildcard(name), -len(name))
                if best is None or rank < best[0]:
                    best = (rank, rule)
    return best[1] if best else None


def service_names(service: KnownService, namespace: str) -> tuple[str, ...]:
    """All names a service is called by from a namespace, in lower case."""
    names: list[str] = []
    for host in (service.key, *(alias.lower() for alias in service.aliases)):
        names += [host, f"{host}."]
        if host.endswith(_SERVICE_SUFFIX):
            short = host.removesuffix(_SERVICE_SUFFIX)
            name, _, owner = short.partition(".")
            names += [short, f"{short}.svc"]
            if owner == namespace:
                names.append(name)
    if service.kubernetes and service.resolution == "caller":
        # Each pod of a headless Service has a name below the Service's.
        names += [f"*.{name}" for name in names]
    return (*names, *(address for address in service.addresses if "/" not in address))


def _domains(service: KnownService, namespace: str, full: set[str]) -> tuple[str, ...]:
    own = {service.key, *(alias.lower() for alias in service.aliases)}
    # A shorter form of one name may be the full name of another service.
    return tuple(name for name in service_names(service, namespace) if name in own or name not in full)


def _look_up(hosts: Sequence[_VirtualHost], host: str) -> _VirtualHost | None:
    """Envoy's order: the exact domain, then the longest wildcard in front, then ``*``."""
    exact = next((item for item in hosts if host in item.domains), None)
    if exact is not None:
        return exact
    best: tuple[int, _VirtualHost] | None = None
    for item in hosts:
        for domain in item.domains:
            fits = is_wildcard(domain) and host.endswith(domain[1:]) and len(host) >= len(domain)
            if (fits or domain == "*") and (best is None or len(domain) > best[0]):
                best = (len(domain), item)
    return best[1] if best else None


def _about(catalog: Catalog, rule: VirtualService, hostname: str) -> bool:
    """Whether a rule names a host or leads to it, rather than only covering it as one of any.

    A gateway's rule for ``*`` is about what it leads to; no sidecar lacks it.
    """
    if hostname in map(str.lower, rule_hosts(catalog, rule)):
        return True
    led = (
        fqdn(item.destination.host, effective.namespace)
        for effective in effective_rules(catalog, rule)
        for item in effective.rule.route
    )
    return hostname in map(str.lower, led)


def _counts_here(catalog: Catalog, rule: ConvertedRule, namespace: str, hostname: str) -> bool:
    spaces = {service.namespace for service in catalog.services if service.key == hostname}
    return rule.namespace in {namespace, *spaces}


def _losers(
    catalog: Catalog,
    namespace: str,
    hostname: str,
    port: int,
    winner: VirtualService | None,
    bound: Sequence[VirtualService],
    routes: Mapping[int, list[Candidate]],
) -> Iterator[tuple[VirtualService, str]]:
    for rule in catalog.virtual_services:
        owner = catalog.namespace_of(rule)
        if rule is winner or not rule.spec.hosts:
            continue
        if not any(matches(host.lower(), hostname) for host in rule_hosts(catalog, rule)):
            continue
        if not exported(rule, owner, namespace):
            yield rule, f"its exportTo does not show it to namespace {namespace}"
        elif "mesh" not in (rule.spec.gateways or ["mesh"]):
            if not _about(catalog, rule, hostname):
                continue
            names = ", ".join(gateway_name(name, owner) for name in rule.spec.gateways)
            yield rule, f"it is bound to {names} only; name mesh among its gateways to have it in sidecars"
        elif rule not in bound:
            yield rule, "a Sidecar object leaves its hosts out"
        elif isinstance(rule, ConvertedRule) and not _counts_here(catalog, rule, namespace, hostname):
            yield rule, f"its namespace {owner} is neither that of the client nor that of {hostname}"
        elif not rule.spec.http:
            yield rule, "it has no http rules, and the request is HTTP"
        elif not routes[id(rule)]:
            yield rule, f"none of its rules is for this client and port {port}, so the proxy does without it"
        elif winner is not None:
            yield rule, f"{label_of(winner)} comes first for this host; sidecars do not merge rules"
