"""LDS of a gateway: one listener per port, with a chain for plain HTTP or one per TLS server."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.controlplane.registry.services import UNSPECIFIED
from labsupport.controlplane.registry.virtualservices import VirtualServiceRule
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.gateway.merge import Merged, MergedServer, duplicate_hosts
from labsupport.controlplane.translate.gateway.tls import downstream_socket
from labsupport.controlplane.translate.listeners.chains import TLS_INSPECTOR, Chain
from labsupport.controlplane.translate.listeners.http import gateway_manager
from labsupport.controlplane.translate.listeners.network import rule_filters
from labsupport.controlplane.translate.names import listener_name, socket_address
from labsupport.model.hosts import matches
from labsupport.model.kinds.virtualservice import L4MatchAttributes, TCPRoute, TLSMatchAttributes, TLSRoute
from labsupport.model.protocols import is_http, parse
from labsupport.records import JsonObject

__all__ = ["gateway_listeners"]


def gateway_listeners(context: Context, merged: Merged) -> dict[str, JsonObject]:
    """The listeners of a gateway, by name; a port without any chain has none."""
    chains: dict[str, list[Chain]] = {}
    places: dict[str, tuple[str, int]] = {}
    tls_hosts: dict[int, dict[str, str]] = {}
    for (number, protocol, bind), port in merged.ports.items():
        address = bind or UNSPECIFIED
        name = listener_name(address, number)
        places.setdefault(name, (address, number))
        port_chains = chains.setdefault(name, [])
        if is_http(parse(protocol)):
            port_chains.append(Chain(filters=(gateway_manager(f"outbound_{name}", port.table, parse(protocol)),)))
            continue
        for server in port.servers:
            if server.terminates_https:
                port_chains.append(_https(name, server, merged.tls_tables[id(server)]))
            else:
                port_chains += _l4(context, server, number, tls_hosts)
    return {name: _listener(name, places[name], port_chains) for name, port_chains in chains.items() if port_chains}


def _https(name: str, server: MergedServer, table: str) -> Chain:
    prefix = server.spec.name or f"outbound_{name}"
    manager = gateway_manager(prefix, table, server.protocol)
    if server.spec.name:
        # A server's own name is used without the delimiter that made-up names get.
        manager["typed_config"]["stat_prefix"] = server.spec.name
    return Chain(
        filters=(manager,),
        server_names=server.server_names,
        transport_socket=downstream_socket(server.tls) if server.tls is not None else None,
    )


def _l4(context: Context, server: MergedServer, number: int, tls_hosts: dict[int, dict[str, str]]) -> list[Chain]:
    rules = [
        rule
        for rule in context.registry.virtual_services.for_gateway(context.namespace, server.gateway)
        if _bound(server, rule)
    ]
    if server.tls is not None and server.passthrough:
        return _passthrough(context, server, rules, tls_hosts.setdefault(number, {}))
    filters = _tcp_filters(context, server, rules)
    if not filters:
        return []
    socket = downstream_socket(server.tls) if server.tls is not None else None
    return [Chain(filters=filters, server_names=server.server_names, transport_socket=socket)]


def _bound(server: MergedServer, rule: VirtualServiceRule) -> bool:
    """Whether a host of the rule is one of the server, namespaces considered."""
    for text in server.hosts:
        space, slash, host = text.partition("/")
        if slash and space != rule.namespace:
            continue
        if any(matches(host if slash else text, own) for own in rule.hosts):
            return True
    return False


def _applies(match: L4MatchAttributes | TLSMatchAttributes, server: MergedServer) -> bool:
    return match.port in (0, server.spec.port.number) and (not match.gateways or server.gateway in match.gateways)


def _tcp_filters(context: Context, server: MergedServer, rules: Sequence[VirtualServiceRule]) -> tuple[JsonObject, ...]:
    for rule in rules:
        # Where TLS ends at the server, a TLSRoute is what a TCPRoute is.
        ended = [item for item in rule.tls if rule.converted and any(_applies(match, server) for match in item.match)]
        listed: list[TCPRoute | TLSRoute] = [*rule.tcp, *ended]
        for item in listed:
            if item.route and (not item.match or any(_applies(match, server) for match in item.match)):
                return rule_filters(context, item.route, server.spec.port.number, server.protocol, rule.full_name)
    return ()


def _passthrough(
    context: Context, server: MergedServer, rules: Sequence[VirtualServiceRule], taken: dict[str, str]
) -> list[Chain]:
    chains = []
    for rule in rules:
        for item in rule.tls:
            for match in item.match if item.route else ():
                if not _applies(match, server) or duplicate_hosts(match.sni_hosts, server.spec.bind, taken):
                    continue
                filters = rule_filters(context, item.route, server.spec.port.number, server.protocol, rule.full_name)
                chains.append(Chain(filters=filters, server_names=tuple(match.sni_hosts)))
    return chains


def _listener(name: str, place: tuple[str, int], chains: Sequence[Chain]) -> JsonObject:
    result: JsonObject = {
        "name": name,
        "address": socket_address(*place),
        "traffic_direction": "OUTBOUND",
        "max_connections_to_accept_per_socket_event": 1,
    }
    built = []
    for chain in chains:
        match = chain.match()
        built.append(chain.proto() if match is None else {**chain.proto(), "filter_chain_match": match})
    result["filter_chains"] = built
    if any(chain.server_names or chain.transport_socket is not None for chain in chains):
        result["listener_filters"] = [TLS_INSPECTOR]
    return result
