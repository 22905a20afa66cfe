"""From the ``http`` rules of one VirtualService to routes in order, and the routes of services without any rule."""

from __future__ import annotations

from labsupport.controlplane.registry.memo import MEMO
from labsupport.controlplane.registry.services import RegistryPort, ServiceRecord
from labsupport.controlplane.registry.virtualservices import VirtualServiceRule
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.http.actions import Lookup, direct_response, forward, redirect
from labsupport.controlplane.translate.http.filters import route_filters
from labsupport.controlplane.translate.http.hashing import hash_policy, service_hash
from labsupport.controlplane.translate.http.headers import header_operations
from labsupport.controlplane.translate.http.match import applies, is_catch_all, route_match
from labsupport.controlplane.translate.http.retries import retry_policy, timeouts
from labsupport.controlplane.translate.names import origin_metadata, outbound_cluster
from labsupport.model.kinds.virtualservice import HTTPMatchRequest, HTTPRoute
from labsupport.records import JsonObject

__all__ = ["rule_routes", "service_route"]


def rule_routes(
    context: Context, service_rule: VirtualServiceRule, lookup: Lookup, *, port: int, gateway: str, tls: bool = False
) -> list[JsonObject]:
    """The routes of a VirtualService for one proxy and port.

    Args:
        context: the proxy.
        service_rule: the VirtualService.
        lookup: finds services of destinations.
        port: the port of the request: that of the service, or the ``number`` written in the Gateway.
        gateway: ``mesh``, or ``namespace/name`` of the gateway that routes are made for.
        tls: whether requests come over TLS.

    Returns:
        One route per rule and ``match`` entry, up to the first that takes everything; empty if nothing applies here.
    """
    hosts = service_rule.destination_hosts
    inputs = (service_rule, context.mesh, *map(lookup, hosts), *map(context.rule, hosts))
    source: tuple[object, ...] = ()
    if service_rule.looks_at_source:
        source = (context.namespace, tuple(sorted(context.labels.items())))
    return MEMO.get(
        "routes",
        inputs,
        (port, gateway, tls, source),
        lambda: _routes(context, service_rule, lookup, port=port, gateway=gateway, tls=tls),
    )


def _routes(
    context: Context, service_rule: VirtualServiceRule, lookup: Lookup, *, port: int, gateway: str, tls: bool
) -> list[JsonObject]:
    gateways = frozenset((gateway,))
    routes: list[JsonObject] = []
    for rule in service_rule.http:
        for match in rule.match or (None,):
            if not applies(match, port=port, gateways=gateways, labels=context.labels, namespace=context.namespace):
                continue
            route = _route(context, service_rule, rule, match, lookup, port=port, tls=tls)
            routes.append(route)
            if match is not None and is_catch_all(route):
                return routes
        if not rule.match:
            break
    return routes


def _route(
    context: Context,
    service_rule: VirtualServiceRule,
    rule: HTTPRoute,
    match: HTTPMatchRequest | None,
    lookup: Lookup,
    *,
    port: int,
    tls: bool,
) -> JsonObject:
    name = rule.name
    if match is not None and match.name:
        name = f"{name}.{match.name}"
    operations, authority = header_operations(rule.headers)
    route: JsonObject = {"match": route_match(match, whole_elements=service_rule.converted)}
    if name:
        route["name"] = name
    route["metadata"] = origin_metadata("VirtualService", service_rule.namespace, service_rule.name)
    route.update(operations)
    if match is not None and match.stat_prefix:
        route["stat_prefix"] = match.stat_prefix
    if rule.redirect is not None:
        redirect(route, rule.redirect, port=port, tls=tls)
    elif rule.direct_response is not None:
        direct_response(route, rule.direct_response)
    else:
        forward(context, route, rule, lookup, authority=authority, port=port, converted=service_rule.converted)
    filters = route_filters(rule)
    if filters:
        route["typed_per_filter_config"] = filters
    return route


def service_route(context: Context, service: ServiceRecord, port: RegistryPort) -> JsonObject:
    """The only route of a service that no VirtualService is about."""
    rule = context.rule(service.hostname)
    key = (service.hostname, port.number)
    return MEMO.get("service route", (rule, context.mesh), key, lambda: _service_route(context, service, port))


def _service_route(context: Context, service: ServiceRecord, port: RegistryPort) -> JsonObject:
    action: JsonObject = {
        "cluster": outbound_cluster(service.hostname, port.number),
        **timeouts(None),
        "retry_policy": retry_policy(context.mesh.default_http_retry_policy),
    }
    if action["retry_policy"] is None:
        del action["retry_policy"]
    policy = hash_policy(service_hash(context, service, port))
    if policy is not None:
        action["hash_policy"] = [policy]
    return {"name": "default", "match": {"prefix": "/"}, "route": action}
