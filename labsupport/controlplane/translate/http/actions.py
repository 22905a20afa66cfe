"""What a route does: forward, redirect or answer (``route``, ``redirect``, ``directResponse``, ``rewrite`` ...)."""

from __future__ import annotations

from collections.abc import Callable

from labsupport.controlplane.registry.services import ServiceRecord
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.http.filters import fraction, percentage
from labsupport.controlplane.translate.http.hashing import destination_hash, hash_policy
from labsupport.controlplane.translate.http.headers import HEADER_FIELDS, header_operations
from labsupport.controlplane.translate.http.retries import retry_policy, timeouts
from labsupport.controlplane.translate.names import outbound_cluster
from labsupport.model.gatewayapi.filters import quote_meta
from labsupport.model.kinds.virtualservice import (
    Destination,
    Headers,
    HTTPDirectResponse,
    HTTPRedirect,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
)
from labsupport.records import JsonObject

__all__ = ["Lookup", "destination_cluster", "direct_response", "forward", "redirect"]

Lookup = Callable[[str], ServiceRecord | None]
"""Finds the service of a destination's host, among those that count where routes are made."""

_REDIRECT_CODES = {
    0: None,
    301: None,
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


def destination_cluster(destination: Destination, service: ServiceRecord | None, port: int) -> str:
    """The cluster a destination stands for.

    Args:
        destination: host, subset and port.
        service: the service behind it, if it is known.
        port: the port of the request, for destinations without one of their own.

    Returns:
        The cluster's name, whether there is such a cluster or not.
    """
    host = destination.host
    if not host:
        # What a route of the Gateway API refers to, if that is nothing that proxies can send to.
        return "UnknownService"
    if service is not None and service.external_name:
        host = service.external_name
    if destination.port is not None:
        port = destination.port.number
    elif service is not None and len(service.ports) == 1:
        port = service.ports[0].number
    return outbound_cluster(host, port, destination.subset)


def redirect(route: JsonObject, rule: HTTPRedirect, *, port: int, tls: bool) -> None:
    """Make a route answer with ``redirect``.

    Args:
        route: the route, changed in place.
        rule: ``redirect`` of the rule.
        port: the port of the request.
        tls: whether it comes over TLS.
    """
    action: JsonObject = {}
    if rule.authority:
        action["host_redirect"] = rule.authority
    if rule.prefix_rewrite:
        action["prefix_rewrite"] = rule.prefix_rewrite
    else:
        action["path_redirect"] = rule.uri
    if rule.scheme:
        action["scheme_redirect"] = rule.scheme
    target = port if rule.derive_port == "FROM_REQUEST_PORT" else rule.port
    scheme = rule.scheme or ("https" if tls else "http")
    if target and target != _DEFAULT_PORTS.get(scheme):
        action["port_redirect"] = target
    if rule.redirect_code not in _REDIRECT_CODES:
        # Admission takes every 3xx, but Envoy knows only these; istiod then sends a route without an action.
        return
    code = _REDIRECT_CODES[rule.redirect_code]
    if code is not None:
        action["response_code"] = code
    route["redirect"] = action


def direct_response(route: JsonObject, rule: HTTPDirectResponse) -> None:
    """Make a route answer with ``directResponse``."""
    action: JsonObject = {"status": rule.status}
    if rule.body is not None:
        if rule.body.string is not None:
            action["body"] = {"inline_string": rule.body.string}
        elif rule.body.bytes is not None:
            action["body"] = {"inline_bytes": rule.body.bytes}
    route["direct_response"] = action


def forward(
    context: Context,
    route: JsonObject,
    rule: HTTPRoute,
    lookup: Lookup,
    *,
    authority: str,
    port: int,
    converted: bool = False,
) -> None:
    """Make a route forward to the rule's destinations.

    Args:
        context: the proxy.
        route: the route, changed in place; it has the rule's own header changes already.
        rule: the ``http`` rule.
        lookup: finds services of destinations.
        authority: what replaces the request's authority, from the rule's headers.
        port: the port of the request.
        converted: whether the rule stands for one of the Gateway API: what does not exist answers 500 there, and the
            rewrite ``/`` takes the prefix away.
    """
    action: JsonObject = timeouts(rule.timeout)
    route["route"] = action
    if converted:
        action["cluster_not_found_response_code"] = "INTERNAL_SERVER_ERROR"
    if rule.rewrite is not None:
        authority = _rewrite(action, rule.rewrite) or authority
        if converted and action.get("prefix_rewrite") == "/":
            del action["prefix_rewrite"]
            prefix = quote_meta(route["match"].get("path_separated_prefix", ""))
            action["regex_rewrite"] = {"pattern": {"regex": f"^{prefix}(/?)(.*)"}, "substitution": r"/\2"}
    if authority:
        action["host_rewrite_literal"] = authority
    mirrors = _mirrors(rule, lookup, port)
    if mirrors:
        action["request_mirror_policies"] = mirrors
    hashed = False
    hashes: list[JsonObject] = []
    if len(rule.route) == 1:
        destination = rule.route[0]
        action["cluster"] = destination_cluster(destination.destination, lookup(destination.destination.host), port)
        _append_headers(route, action, destination.headers)
        consistent = destination_hash(context, destination.destination)
        hashed = consistent is not None
        hashes.append(hash_policy(consistent) or {})
    else:
        clusters = []
        for destination in rule.route:
            if not destination.weight:
                continue
            clusters.append(_weighted(destination, lookup, port))
            hashes.append(hash_policy(destination_hash(context, destination.destination)) or {})
        action["weighted_clusters"] = {"clusters": clusters} if clusters else {}
    hashes = [policy for policy in hashes if policy]
    if hashes:
        action["hash_policy"] = hashes
    retries = rule.retries if rule.retries is not None else context.mesh.default_http_retry_policy
    policy = retry_policy(retries, hashed=hashed)
    if policy is not None:
        action["retry_policy"] = policy


def _rewrite(action: JsonObject, rewrite: HTTPRewrite) -> str:
    if rewrite.uri_regex_rewrite is not None:
        pattern = rewrite.uri_regex_rewrite
        action["regex_rewrite"] = {
            "pattern": {"regex": pattern.match} if pattern.match else {},
            **({"substitution": pattern.rewrite} if pattern.rewrite else {}),
        }
    elif rewrite.uri:
        action["prefix_rewrite"] = rewrite.uri
    return str(rewrite.authority)


def _mirrors(rule: HTTPRoute, lookup: Lookup, port: int) -> list[JsonObject]:
    mirrors = []
    if rule.mirror is not None:
        share: JsonObject | None = fraction(100)
        if rule.mirror_percentage is not None:
            share = percentage(rule.mirror_percentage) if rule.mirror_percentage.value > 0 else None
        elif rule.mirror_percent is not None:
            share = fraction(rule.mirror_percent) if rule.mirror_percent > 0 else None
        if share is not None:
            mirrors.append(_mirror(destination_cluster(rule.mirror, lookup(rule.mirror.host), port), share))
    for mirror in rule.mirrors:
        share = fraction(100)
        if mirror.percentage is not None:
            share = percentage(mirror.percentage) if mirror.percentage.value > 0 else None
        if share is not None:
            target = mirror.destination
            mirrors.append(_mirror(destination_cluster(target, lookup(target.host), port), share))
    return mirrors


def _mirror(cluster: str, share: JsonObject) -> JsonObject:
    return {
        "cluster": cluster,
        "runtime_fraction": {"default_value": share},
        "trace_sampled": False,
        "disable_shadow_host_suffix_append": True,
    }


def _append_headers(route: JsonObject, action: JsonObject, headers: Headers | None) -> None:
    """The header changes of the only destination come after those of the rule."""
    operations, authority = header_operations(headers)
    for field in HEADER_FIELDS:
        if field in operations:
            route[field] = [*route.get(field, ()), *operations[field]]
    if authority:
        action.setdefault("host_rewrite_literal", authority)


def _weighted(destination: HTTPRouteDestination, lookup: Lookup, port: int) -> JsonObject:
    operations, authority = header_operations(destination.headers)
    weighted: JsonObject = {
        "name": destination_cluster(destination.destination, lookup(destination.destination.host), port),
        "weight": destination.weight,
        **operations,
    }
    if authority:
        weighted["host_rewrite_literal"] = authority
    return weighted
