"""Rules of a route as rules of a VirtualService, one for each match, and the order that they get."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from labsupport.model.gatewayapi.backends import backend
from labsupport.model.gatewayapi.destinations import Find, change_headers, destinations
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.faults import Fault, InvalidRouteError
from labsupport.model.gatewayapi.filters import cors_policy, mirror_percentage, redirect, rewrite
from labsupport.model.gatewayapi.grpc import call_match, call_rank
from labsupport.model.gatewayapi.layer4 import connection_rule
from labsupport.model.kinds.gatewayapi.filters import GRPCFilter, HTTPFilter
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute, HTTPRouteMatch, HTTPRouteRule
from labsupport.model.kinds.gatewayapi.otherroutes import (
    GRPCRoute,
    GRPCRouteRule,
    L4RouteRule,
    TCPRoute,
    TLSRoute,
)
from labsupport.model.schema.duration import parse_duration
from labsupport.records import JsonObject

__all__ = ["ROUTES", "Piece", "Route", "by_precedence", "pieces"]

Route = HTTPRoute | GRPCRoute | TCPRoute | TLSRoute
"""What says where requests or connections go."""
ROUTES: Final[tuple[type[Route], ...]] = (HTTPRoute, GRPCRoute, TCPRoute, TLSRoute)
"""The kinds of it."""

_RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled")
_FIELDS = {"timeout": "timeouts", "retries": "retry"} | dict.fromkeys(
    ("redirect", "rewrite", "mirrors", "corsPolicy", "headers"), "filters"
)
_DESTINATION = re.compile(r"route\[(\d+)\]")
_NO_CONDITION = (-1, 0, False, 0, 0)
_RANKS = {"Exact": 3, "PathPrefix": 2, "RegularExpression": 1}


@dataclass(frozen=True, slots=True)
class Piece:
    """A rule of a VirtualService that stands for one match of a route.

    Args:
        content: the rule, as a VirtualService has it.
        rank: what it is sorted by, the greatest first.
        route: the route.
        rule, match: numbers of the rule and of its match, from 0.
    """

    content: JsonObject
    rank: tuple[int, ...]
    route: Route
    rule: int
    match: int

    @property
    def of_several(self) -> bool:
        """Whether its rule has other matches."""
        rule: HTTPRouteRule | GRPCRouteRule | L4RouteRule = self.route.spec.rules[self.rule]
        return not isinstance(rule, L4RouteRule) and len(rule.matches) > 1

    def path_of(self, field: str) -> str:
        """Where in the route a field of the rule was written.

        Args:
            field: path below the rule, such as ``match[0].headers.x-user`` or ``route[1]``.
        """
        at = f"spec.rules[{self.rule}]"
        name = re.split(r"[.\[]", field, maxsplit=1)[0]
        if name == "match":
            if isinstance(self.route, TCPRoute | TLSRoute):
                named = isinstance(self.route, TLSRoute) and self.route.spec.hostnames and field.endswith(".sniHosts")
                return "spec.hostnames" if named else "spec.parentRefs"
            path = "method" if isinstance(self.route, GRPCRoute) else "path"
            return f"{at}.matches[{self.match}]{f'.{path}' if field.endswith('.uri') else ''}"
        if name == "route":
            # What has weight 0 is no destination; where nothing has any, istiod has one of its own.
            listed = self.route.spec.rules[self.rule].backend_refs
            numbers = [number for number, reference in enumerate(listed) if reference.weight]
            if not numbers:
                return f"{at}.backendRefs"
            return _DESTINATION.sub(lambda part: f"{at}.backendRefs[{numbers[int(part[1])]}]", field)
        return f"{at}.{_FIELDS[name]}" if name in _FIELDS else at

    def at_port(self, port: int) -> Piece:
        """The same for requests to one port only."""
        matches = [{**match, "port": port} for match in self.content.get("match", [{}])]
        return replace(
            self, content={**self.content, "match": matches}, rank=self.rank + _NO_CONDITION[len(self.rank) :]
        )


def by_precedence(listed: Sequence[Piece]) -> list[Piece]:
    """Sort rules as the Gateway API asks: exact paths first, then long ones, then more conditions, then as before."""
    return sorted(listed, key=lambda piece: piece.rank, reverse=True)


def pieces(route: Route, facts: Facts, *, granted: bool = False) -> tuple[list[Piece], list[Fault]]:
    """Convert all rules of a route.

    Args:
        route: the route.
        facts: what it may refer to.
        granted: whether other namespaces have to grant what it refers to, as at Gateways.

    Returns:
        the rules in the order written, and the faults of which the status tells; with a fault that leaves nothing of
        the route, no rules.
    """
    converted: list[Piece] = []
    faults: list[Fault] = []
    listed: Sequence[HTTPRouteRule | GRPCRouteRule | L4RouteRule] = route.spec.rules
    find = partial(backend, namespace=route.namespace, facts=facts, asking=route.kind if granted else "")
    for index, rule in enumerate(listed):
        try:
            made, wrong = _converted(route, rule, index, find)
        except InvalidRouteError as error:
            fault = error.fault
            return [], [replace(fault, path=f"spec.rules[{index}].{fault.path}")]
        faults += [replace(fault, path=f"spec.rules[{index}].{fault.path}") for fault in wrong]
        converted += [Piece(content, rank, route, index, number) for number, (content, rank) in enumerate(made)]
    return converted, faults


_Ranked = tuple[JsonObject, tuple[int, ...]]


def _converted(
    route: Route, rule: HTTPRouteRule | GRPCRouteRule | L4RouteRule, index: int, find: Find
) -> tuple[list[_Ranked], list[Fault]]:
    """A rule as rules of a VirtualService, each with its rank, and what is wrong with it."""
    if isinstance(rule, L4RouteRule):
        assert isinstance(route, TCPRoute | TLSRoute)
        content, faults = connection_rule(route, rule, find)
        return [(content, ())], faults
    content, faults = _rule(route, rule, index, find)
    if not rule.matches:
        return [(content, _NO_CONDITION[:1])], faults
    matches = [
        (_match(match), _rank(match)) if isinstance(match, HTTPRouteMatch) else (call_match(match), call_rank(match))
        for match in rule.matches
    ]
    return [({**content, "match": [match]}, rank) for match, rank in matches], faults


def _prefix(path: str) -> str:
    return path if path == "/" else path.removesuffix("/")


def _match(match: HTTPRouteMatch) -> JsonObject:
    kind, path = match.path.type, match.path.value
    forms = {"Exact": {"exact": path}, "PathPrefix": {"prefix": _prefix(path)}, "RegularExpression": {"regex": path}}
    result: JsonObject = {"uri": forms[kind]}
    for name, conditions in (("headers", match.headers), ("queryParams", match.query_params)):
        if conditions:
            result[name] = {
                item.name: {"exact" if item.type == "Exact" else "regex": item.value} for item in conditions
            }
    if match.method is not None:
        result["method"] = {"exact": match.method}
    return result


def _rank(match: HTTPRouteMatch) -> tuple[int, ...]:
    kind, path = match.path.type, match.path.value
    length = len((_prefix(path) if kind == "PathPrefix" else path).encode())
    return _RANKS[kind], length, match.method is not None, len(match.headers), len(match.query_params)


def _rule(route: Route, rule: HTTPRouteRule | GRPCRouteRule, index: int, find: Find) -> tuple[JsonObject, list[Fault]]:
    content: JsonObject = {"name": rule.name or f"{route.namespace}.{route.name}.{index}"}
    faults = _filters(content, rule.filters, find)
    if isinstance(rule, HTTPRouteRule):
        _retry(content, rule)
        _timeouts(content, rule)
    if "redirect" not in content and not sum(reference.weight for reference in rule.backend_refs):
        content["directResponse"] = {"status": 500}
        return content, faults
    listed, faults_of_backends = destinations(rule.backend_refs, find)
    if listed:
        content["route"] = listed
    return content, [*faults_of_backends, *faults]


def _filters(content: JsonObject, filters: Sequence[HTTPFilter | GRPCFilter], find: Find) -> list[Fault]:
    faults: list[Fault] = []
    for number, entry in enumerate(filters):
        path = f"filters[{number}]"
        if entry.request_mirror is None:
            if isinstance(entry, GRPCFilter) or not _acts(content, entry):
                change_headers(content, entry, path)
            continue
        try:
            target, fault = find(entry.request_mirror.backend_ref, path=path)
        except InvalidRouteError as error:
            target, fault = {}, error.fault
        if fault is not None:
            if isinstance(entry, GRPCFilter):
                # As in istiod, copies of calls that go nowhere take the whole route with them.
                raise InvalidRouteError(fault.reason, fault.message, path)
            faults.append(fault)
            continue
        share = mirror_percentage(entry.request_mirror)
        copy = {"destination": target} | ({"percentage": share} if share is not None else {})
        content["mirrors"] = [*content.get("mirrors", ()), copy]
    return faults


def _acts(content: JsonObject, entry: HTTPFilter) -> bool:
    """Write a filter that GRPCRoutes do not have; whether it is one."""
    if entry.request_redirect is not None:
        content["redirect"] = redirect(entry.request_redirect)
    elif entry.url_rewrite is not None:
        content["rewrite"] = rewrite(entry.url_rewrite)
    elif entry.cors is not None:
        content["corsPolicy"] = cors_policy(entry.cors)
    else:
        return False
    return True


def _retry(content: JsonObject, rule: HTTPRouteRule) -> None:
    if rule.retry is None:
        return
    attempts = 2 if rule.retry.attempts is None else rule.retry.attempts
    content["retries"] = {
        "attempts": attempts,
        "retryOn": ",".join([*_RETRY_ON, *(str(code) for code in rule.retry.codes)]),
    }
    if rule.retry.backoff:
        content["retries"]["backoff"] = rule.retry.backoff


def _timeouts(content: JsonObject, rule: HTTPRouteRule) -> None:
    if rule.timeouts is None:
        return
    request, tried = rule.timeouts.request, rule.timeouts.backend_request
    if request and parse_duration(request).nanoseconds:
        content["timeout"] = request
    if tried and parse_duration(tried).nanoseconds:
        if "retries" in content:
            content["retries"]["perTryTimeout"] = tried
        else:
            content["timeout"] = tried
