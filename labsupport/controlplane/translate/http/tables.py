"""RDS of a sidecar: one table per port, with a virtual host per service, and one for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from labsupport.controlplane.registry.memo import MEMO
from labsupport.controlplane.registry.scope import EgressListener
from labsupport.controlplane.registry.services import UNSPECIFIED, RegistryPort, ServiceRecord
from labsupport.controlplane.registry.virtualservices import VirtualServiceRule
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.http.actions import destination_cluster
from labsupport.controlplane.translate.http.rules import rule_routes, service_route
from labsupport.controlplane.translate.names import PASSTHROUGH, domain_port
from labsupport.model.hosts import CLUSTER_DOMAIN, is_wildcard, matches
from labsupport.model.protocols import is_http_or_sniffed
from labsupport.model.schema.syntax import is_ip
from labsupport.records import JsonObject

__all__ = ["MAX_BODY", "abbreviations", "catch_all", "route_config", "service_names", "sidecar_tables"]

MAX_BODY = 1024 * 1024
"""Istio raises the limit for bodies of direct responses to 1 MiB."""


@dataclass(slots=True)
class _RouteGroup:
    """Routes and the hosts they are for: services of the registry, and hosts that only a rule knows."""

    port: int
    services: Sequence[ServiceRecord]
    hosts: Sequence[str]
    routes: list[JsonObject]


def route_config(name: str, virtual_hosts: list[JsonObject]) -> JsonObject:
    """A RouteConfiguration; the port in a request's Host does not count."""
    return {
        "name": name,
        "virtual_hosts": virtual_hosts,
        "validate_clusters": False,
        "max_direct_response_body_size_bytes": MAX_BODY,
        "ignore_port_in_host_matching": True,
    }


def sidecar_tables(context: Context, names: Sequence[str]) -> dict[str, JsonObject]:
    """The tables that a sidecar's listeners refer to, by name: ``80``, or ``host:port`` for a detected protocol."""
    hosts_by_port: dict[int, list[JsonObject]] = {}
    tables = {}
    for name in names:
        before, _, number = name.rpartition(":") if not name.startswith("unix://") else ("", "", "")
        port = int(number) if number.isdigit() else 0
        if port not in hosts_by_port:
            hosts_by_port[port] = _virtual_hosts(context, port, name)
        if before:
            asked = [host for host in hosts_by_port[port] if name in host["domains"] or before in host["domains"]]
            virtual_hosts = [{**host, "domains": ["*"]} for host in asked] if len(asked) == 1 else asked
        else:
            virtual_hosts = [*hosts_by_port[port], catch_all(context)]
        tables[name] = route_config(name, virtual_hosts)
    return tables


def _virtual_hosts(context: Context, port: int, name: str) -> list[JsonObject]:
    listener = context.scope.listener_for(port, name)
    if listener is None:
        return []
    if listener.protocol == "HTTP_PROXY":
        # The caller says host and port of where it wants to go, as it does to a listener on a socket.
        port = 0
    services: dict[str, ServiceRecord] = {}
    for service in listener.services:
        own = service.port(port)
        if not port:
            services[service.hostname] = service
        elif own is not None:
            narrowed = MEMO.get("service port", (service, own), (), partial(_with_port, service, own))
            services[narrowed.hostname] = narrowed
    rules = listener.rules if port == 80 else _concerned(listener.rules, services)
    groups = _groups(context, listener, rules, services, port)
    return sorted(_build(context, groups, port), key=lambda host: str(host["name"]))


def _with_port(service: ServiceRecord, port: RegistryPort) -> ServiceRecord:
    return replace(service, hostname=service.hostname.lower(), ports=(port,))


def _concerned(rules: Sequence[VirtualServiceRule], services: Mapping[str, ServiceRecord]) -> list[VirtualServiceRule]:
    """Rules about a service that has the port; only port 80 also serves hosts that no service has."""
    wildcards = [host for host in services if is_wildcard(host)]

    def concerns(host: str) -> bool:
        if host in services:
            return True
        if is_wildcard(host):
            return any(matches(host, service) for service in services)
        return any(matches(host, service) for service in wildcards)

    return [rule for rule in rules if any(concerns(host.lower()) for host in rule.hosts)]


def _groups(
    context: Context,
    listener: EgressListener,
    rules: Sequence[VirtualServiceRule],
    services: Mapping[str, ServiceRecord],
    port: int,
) -> list[_RouteGroup]:
    groups = []
    routed: set[str] = set()
    for rule in rules:
        routes = rule_routes(context, rule, services.get, port=port, gateway="mesh")
        if not routes:
            continue
        hosts, known = _split_hosts(rule, listener, services)
        if rule.converted and not any(rule.namespace in (service.namespace, context.namespace) for service in known):
            # A route of the Gateway API counts for clients of its own namespace, and for services of it.
            continue
        by_port: dict[int, list[ServiceRecord]] = {}
        for service in known:
            for own in _http_ports(service):
                by_port.setdefault(own.number, []).append(service)
            if _http_ports(service):
                routed.add(service.hostname)
        if not by_port and port == 80:
            by_port[port] = []
        groups += [_RouteGroup(number, served, hosts, routes) for number, served in by_port.items()]
    for service in sorted(services.values(), key=lambda service: service.hostname):
        if service.hostname not in routed and service.resolution != "ALIAS":
            for own in _http_ports(service):
                groups.append(_RouteGroup(own.number, [service], [], [service_route(context, service, own)]))
    return groups


def _http_ports(service: ServiceRecord) -> list[RegistryPort]:
    return [port for port in service.ports if is_http_or_sniffed(port.protocol)]


def _split_hosts(
    rule: VirtualServiceRule, listener: EgressListener, services: Mapping[str, ServiceRecord]
) -> tuple[list[str], list[ServiceRecord]]:
    """A rule's hosts apart: those that no service has, and the services that the others stand for."""
    unknown: list[str] = []
    known: list[ServiceRecord] = []
    for host in rule.hosts:
        if is_wildcard(host.lower()):
            continue
        if host.lower() in services:
            known.append(services[host.lower()])
        else:
            unknown.append(host)
    for host in (host.lower() for host in rule.hosts if is_wildcard(host)):
        if rule.converted:
            unknown.append(host)
            continue
        covered = [service for name, service in sorted(services.items()) if matches(name, host)]
        # A service's virtual host also has the names of its aliases, so it comes before them.
        covered.sort(key=lambda service: service.resolution == "ALIAS")
        known += [service for service in covered if listener.closest.get(service.hostname) is rule]
        if not covered:
            unknown.append(host)
    return unknown, known


def _build(context: Context, groups: Sequence[_RouteGroup], port: int) -> list[JsonObject]:
    names: set[str] = set()
    taken: set[str] = set()
    full_names = {
        name for group in groups for service in group.services for name in _both(service.hostname, group.port)
    }
    built = []
    for group in groups:
        hosts: list[tuple[str, ServiceRecord | None]] = [(host.lower(), None) for host in group.hosts]
        hosts += [(service.hostname, service) for service in group.services]
        for host, service in hosts:
            name = domain_port(host, group.port)
            if name in names:
                continue
            names.add(name)
            if service is None:
                candidates, alternatives = [_bracketed(host)], set[str]()
            else:
                candidates, alternatives = _domains(context, service, 0 if port else group.port)
            domains = []
            for domain in candidates:
                # A shorter form of one name may be the full name of another service.
                if domain.lower() in taken or (domain in alternatives and domain in full_names):
                    continue
                domains.append(domain)
                taken.add(domain.lower())
            if not port and group.port != 80:
                # A name without a port means port 80 there.
                domains = [domain for domain in domains if ":" in domain]
            if domains:
                built.append(
                    {
                        "name": name,
                        "domains": domains,
                        "routes": group.routes,
                        "include_request_attempt_count": True,
                    }
                )
    return built


def _both(host: str, port: int) -> tuple[str, str]:
    return domain_port(host, port), host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _domains(context: Context, service: ServiceRecord, port: int) -> tuple[list[str], set[str]]:
    """All names a service is called by from the proxy's namespace, and which of them are abbreviations.

    With a port, every name comes with it as well; without (0), ports are ignored.
    """
    domains: list[str] = []
    alternatives: set[str] = set()

    def forms(name: str) -> list[str]:
        return [_bracketed(name), domain_port(name, port)] if port else [_bracketed(name)]

    for host in (service.hostname, *(alias for alias, _ in service.aliases)):
        shorter = [form for name in abbreviations(host, context.namespace) for form in forms(name)]
        domains += [*forms(host), *shorter]
        alternatives.update(shorter)
    if service.resolution == "PASSTHROUGH" and service.kubernetes:
        domains += [f"*.{domain}" for domain in domains]
    # The proxies of the mesh have IPv4 addresses; a ServiceEntry's own are taken as they are written.
    domains += [
        form
        for address in service.addresses
        if address and address != UNSPECIFIED and not (service.kubernetes and ":" in address)
        for form in forms(address)
    ]
    return domains, alternatives


def abbreviations(host: str, namespace: str) -> list[str]:
    """Shorter names of a Kubernetes Service for callers in a namespace, and every name with its final dot."""
    shorter = [] if is_ip(host) else [f"{host}."]
    suffix = f".svc.{CLUSTER_DOMAIN}"
    position = host.find(".svc.")
    if not host.endswith(suffix) or position <= 0:
        return shorter
    name, dot, owner = host[:position].partition(".")
    if not dot:
        return shorter
    if owner == namespace:
        return [*shorter, name, f"{host[:position]}.svc", host[:position]]
    return [*shorter, host[:position], f"{host[:position]}.svc"]


def service_names(context: Context, service: ServiceRecord) -> list[str]:
    """All names a service is called by from the proxy's namespace, its addresses included."""
    return _domains(context, service, 0)[0]


def catch_all(context: Context) -> JsonObject:
    """What happens to requests for hosts that are not in the mesh (``outboundTrafficPolicy``)."""
    if context.outbound_traffic_policy == "ALLOW_ANY":
        name = "allow_any"
        proxy = context.scope.egress_proxy
        cluster = destination_cluster(proxy, None, 0) if proxy is not None else PASSTHROUGH
        action: JsonObject = {"route": {"cluster": cluster, "timeout": "0s", "max_grpc_timeout": "0s"}}
    else:
        name = "block_all"
        action = {"direct_response": {"status": 502}}
    route = {"name": name, "match": {"prefix": "/"}, **action}
    return {"name": name, "domains": ["*"], "routes": [route], "include_request_attempt_count": True}
