"""Rules of TCPRoutes and TLSRoutes in words of a VirtualService."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.model.gatewayapi.destinations import Find, destinations
from labsupport.model.gatewayapi.faults import Fault
from labsupport.model.hosts import intersection, matches
from labsupport.model.kinds.gatewayapi.otherroutes import L4RouteRule, TCPRoute, TLSRoute
from labsupport.records import JsonObject

__all__ = ["at_listener", "at_parent", "connection_rule"]

_NOWHERE = {"host": "internal.cluster.local", "subset": "zero-weight", "port": {"number": 65535}}


def connection_rule(route: TCPRoute | TLSRoute, rule: L4RouteRule, find: Find) -> tuple[JsonObject, list[Fault]]:
    """One rule of ``tcp`` or ``tls``; as in istiod, connections of one without any weight go nowhere.

    Args:
        route: the route.
        rule: one of its rules.
        find: finds what it refers to.

    Returns:
        the rule, and the faults of which the status tells.

    Raises:
        InvalidRouteError: the whole route counts for nothing.
    """
    if not sum(reference.weight for reference in rule.backend_refs):
        nobody: JsonObject = {} if isinstance(route, TCPRoute) else {"match": []}
        return {**nobody, "route": [{"destination": _NOWHERE, "weight": 0}]}, []
    listed, faults = destinations(rule.backend_refs, find)
    if isinstance(route, TCPRoute):
        return {"route": listed}, faults
    return {"match": [{"sniHosts": list(route.spec.hostnames) or ["*"]}], "route": listed}, faults


def at_parent(content: JsonObject, *, tls: bool, port: int | None, host: str, hosts: Sequence[str]) -> JsonObject:
    """The rule for connections to one host of a parent.

    Args:
        content: what ``connection_rule`` made.
        tls: whether it is of a TLSRoute.
        port: of the parent, if that is named.
        host: one host of the parent.
        hosts: all of them.
    """
    listed = content.get("match", [] if tls or port is None else [{}])
    if not listed:
        return content
    if tls and listed[0]["sniHosts"] == ["*"]:
        listed = [{"sniHosts": list(hosts)}]
    if tls and len(listed[0]["sniHosts"]) > 1:
        # As in istiod, a single name counts even if it is none of the host's.
        listed = [{"sniHosts": [name for name in listed[0]["sniHosts"] if matches(host, name)]}]
    if port is not None:
        listed = [{**match, "port": port} for match in listed]
    return {**content, "match": listed}


def at_listener(content: JsonObject, hostname: str) -> JsonObject:
    """A rule of a TLSRoute for the server names that a listener has too.

    Args:
        content: what ``connection_rule`` made.
        hostname: of the listener.
    """
    listed = [{**match, "sniHosts": intersection(match["sniHosts"], [hostname])} for match in content["match"]]
    return {**content, "match": listed}
