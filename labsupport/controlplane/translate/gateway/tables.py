"""RDS of a gateway: virtual hosts where the hosts of servers and of VirtualServices meet."""

from __future__ import annotations

from labsupport.controlplane.registry.services import ServiceRecord
from labsupport.controlplane.registry.virtualservices import VirtualServiceRule
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.gateway.merge import Merged, MergedServer
from labsupport.controlplane.translate.http.actions import Lookup
from labsupport.controlplane.translate.http.match import is_catch_all
from labsupport.controlplane.translate.http.rules import rule_routes
from labsupport.controlplane.translate.http.tables import route_config
from labsupport.controlplane.translate.names import domain_port
from labsupport.model.hosts import host_order, intersection
from labsupport.records import JsonObject

__all__ = ["gateway_table", "server_hosts"]


def server_hosts(server: MergedServer, namespace: str) -> list[str]:
    """Hosts of a server that VirtualServices of a namespace may be bound to."""
    hosts = []
    for text in server.hosts:
        space, slash, host = text.partition("/")
        if not slash:
            hosts.append(text)
        elif space in (namespace, "*"):
            hosts.append(host)
    return hosts


def gateway_table(context: Context, merged: Merged, name: str) -> JsonObject:
    """One route table of a gateway.

    Args:
        context: the gateway's pod.
        merged: its servers.
        name: name of the table.

    Returns:
        A RouteConfiguration in proto JSON.
    """
    servers = merged.tables.get(name)
    if servers is None:
        return {"name": name, "validate_clusters": False}
    hosts: dict[str, JsonObject] = {}
    routes_of: dict[tuple[str, tuple[str, str]], list[JsonObject]] = {}
    for server in servers:
        port = server.spec.port.number
        for rule in context.registry.virtual_services.for_gateway(context.namespace, server.gateway):
            common = intersection(server_hosts(server, rule.namespace), rule.hosts)
            if not common:
                continue
            key = (server.gateway, rule.key)
            if key not in routes_of:
                routes_of[key] = rule_routes(
                    context,
                    rule,
                    _lookup(context, rule),
                    port=port,
                    gateway=server.gateway,
                    tls=server.tls is not None,
                )
                if not routes_of[key]:
                    del routes_of[key]
                    continue
            for host in (host.lower() for host in common):
                _join(hosts, host, port, routes_of[key], server)
        if server.redirects:
            for host in (host.lower() for host in server.hosts):
                _join(hosts, host, port, [], server)
    if not hosts:
        port = servers[0].spec.port.number
        return route_config(name, [{"name": domain_port("blackhole", port), "domains": ["*"]}])
    return route_config(name, _collapse(hosts))


def _lookup(context: Context, rule: VirtualServiceRule) -> Lookup:
    """Find services of destinations: those of the rule's own namespace first."""

    def find(host: str) -> ServiceRecord | None:
        own = context.registry.by_host_and_namespace.get(host, {}).get(rule.namespace)
        if own is not None and context.registry.visible(own, context.namespace):
            return own
        return context.service(host)

    return find


def _join(hosts: dict[str, JsonObject], host: str, port: int, routes: list[JsonObject], server: MergedServer) -> None:
    known = hosts.get(host)
    if known is None:
        known = hosts[host] = {
            "name": domain_port(host, port),
            "domains": [host],
            "routes": [],
            "include_request_attempt_count": True,
        }
    known["routes"] = [*known["routes"], *routes]
    if server.redirects:
        known["require_tls"] = "ALL"


def _collapse(hosts: dict[str, JsonObject]) -> list[JsonObject]:
    """Make one virtual host of those with the very same routes, and put routes that take everything last.

    Like istiod this looks only at the newest host with these routes: one that redirects ends the joining.
    """
    kept: list[JsonObject] = []
    newest: dict[tuple[int, ...], JsonObject] = {}
    for host in sorted(hosts, key=host_order):
        virtual_host = hosts[host]
        key = tuple(id(route) for route in virtual_host["routes"])
        known = newest.get(key)
        if known is not None and known.get("require_tls") == virtual_host.get("require_tls"):
            known["domains"] = [*known["domains"], *virtual_host["domains"]]
            continue
        newest[key] = virtual_host
        kept.append(virtual_host)
    for virtual_host in kept:
        routes = virtual_host["routes"]
        last = [route for route in routes if is_catch_all(route)]
        virtual_host["routes"] = [route for route in routes if not is_catch_all(route)] + last
        if not routes:
            del virtual_host["routes"]
    return sorted(kept, key=lambda virtual_host: str(virtual_host["name"]))
