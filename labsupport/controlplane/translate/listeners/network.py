"""Network filters that lead connections, not requests, to clusters: ``tcp`` and ``tls`` rules, plain services."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.controlplane.registry.destinationrules import MergedRule
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.http.actions import destination_cluster
from labsupport.controlplane.translate.names import dns_cache, domain_port, duration
from labsupport.model.kinds.virtualservice import RouteDestination
from labsupport.records import JsonObject

__all__ = ["TCP_PROXY", "destination_filters", "rule_filters", "sni_proxy", "tcp_proxy"]

TCP_PROXY = "envoy.filters.network.tcp_proxy"
_TYPES = "type.googleapis.com/envoy.extensions.filters.network"


def tcp_proxy(stat_prefix: str, cluster: str) -> JsonObject:
    """The filter that passes connections on to one cluster."""
    return {
        "name": TCP_PROXY,
        "typed_config": {"@type": f"{_TYPES}.tcp_proxy.v3.TcpProxy", "stat_prefix": stat_prefix, "cluster": cluster},
    }


def sni_proxy(host: str, port: int) -> JsonObject:
    """The filter that resolves the server name of a connection, for a wildcard host of resolution DYNAMIC_DNS."""
    return {
        "name": "envoy.extensions.filters.network.sni_dynamic_forward_proxy",
        "typed_config": {
            "@type": f"{_TYPES}.sni_dynamic_forward_proxy.v3.FilterConfig",
            "dns_cache_config": dns_cache(host),
            "port_value": port,
        },
    }


def destination_filters(
    stat_prefix: str, cluster: str, subset: str, protocol: str, rule: MergedRule | None
) -> tuple[JsonObject, ...]:
    """Filters for one destination.

    Args:
        stat_prefix: prefix of statistics.
        cluster: where connections go.
        subset: name of the destination's subset; empty without one.
        protocol: protocol of the port.
        rule: the DestinationRule of the destination's service.

    Returns:
        Network filters in proto JSON.
    """
    proxy = tcp_proxy(stat_prefix, cluster)
    _apply_rule(proxy["typed_config"], rule, subset)
    return _stack(protocol, proxy, stat_prefix)


def rule_filters(
    context: Context, routes: Sequence[RouteDestination], port: int, protocol: str, owner: str
) -> tuple[JsonObject, ...]:
    """Filters for the destinations of a ``tcp`` or ``tls`` rule.

    Args:
        context: the proxy.
        routes: ``route`` of the rule.
        port: the port that is listened on.
        protocol: its protocol.
        owner: ``name.namespace`` of the VirtualService.

    Returns:
        Network filters in proto JSON.
    """
    first = routes[0].destination
    service = context.service(first.host)
    rule = context.rule(service.hostname) if service is not None else None
    if len(routes) == 1:
        cluster = destination_cluster(first, service, port)
        return destination_filters(cluster, cluster, first.subset, protocol, rule)
    proxy = tcp_proxy(owner, "")
    config = proxy["typed_config"]
    del config["cluster"]
    config["weighted_clusters"] = {
        "clusters": [
            {
                "name": destination_cluster(route.destination, context.service(route.destination.host), port),
                "weight": route.weight,
            }
            for route in routes
            if route.weight > 0
        ]
    }
    _apply_rule(config, rule, "")
    return _stack(protocol, proxy, owner)


def _apply_rule(config: JsonObject, rule: MergedRule | None, subset: str) -> None:
    policy = rule.traffic_policy if rule is not None else None
    pool = policy.connection_pool if policy is not None else None
    tcp = pool.tcp if pool is not None else None
    if tcp is not None and tcp.idle_timeout is not None:
        config["idle_timeout"] = duration(tcp.idle_timeout)
    if tcp is not None and tcp.max_connection_duration is not None:
        config["max_downstream_connection_duration"] = duration(tcp.max_connection_duration)
    if rule is None:
        return
    chosen = rule.subset(subset) if subset else None
    own = chosen.traffic_policy if chosen is not None else None
    balancer = policy.load_balancer if policy is not None else None
    if own is not None and own.load_balancer is not None:
        balancer = own.load_balancer
    consistent = balancer.consistent_hash if balancer is not None else None
    if consistent is not None and consistent.use_source_ip:
        config["hash_policy"] = [{"source_ip": {}}]
    tunnel_policy = own if subset else policy
    tunnel = tunnel_policy.tunnel if tunnel_policy is not None else None
    if tunnel is not None:
        config["tunneling_config"] = {"hostname": domain_port(tunnel.target_host, tunnel.target_port)}
        if tunnel.protocol == "POST":
            config["tunneling_config"]["use_post"] = True


def _stack(protocol: str, proxy: JsonObject, stat_prefix: str) -> tuple[JsonObject, ...]:
    """Put what understands the protocol in front of the proxy."""
    if protocol == "Mongo":
        mongo = {"@type": f"{_TYPES}.mongo_proxy.v3.MongoProxy", "stat_prefix": stat_prefix}
        return ({"name": "envoy.filters.network.mongo_proxy", "typed_config": mongo}, proxy)
    return (proxy,)
