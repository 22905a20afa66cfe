"""One rule of an HTTPRoute as rules of a VirtualService, one for each match, and the order that they get."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from labsupport.model.gatewayapi.backends import backend
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.faults import Fault, InvalidRouteError
from labsupport.model.gatewayapi.filters import (
    cors_policy,
    header_operations,
    mirror_percentage,
    redirect,
    rewrite,
)
from labsupport.model.kinds.gatewayapi.filters import HTTPFilter
from labsupport.model.kinds.gatewayapi.httproute import HTTPBackendRef, HTTPRoute, HTTPRouteMatch, HTTPRouteRule
from labsupport.model.schema.duration import parse_duration
from labsupport.records import JsonObject

__all__ = ["Piece", "by_precedence", "pieces"]

_RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled")
_FIELDS = {"timeout": "timeouts", "retries": "retry"} | dict.fromkeys(
    ("redirect", "rewrite", "mirrors", "corsPolicy", "headers"), "filters"
)
_Find = Callable[..., tuple[JsonObject, Fault | None]]
_RANKS = {"Exact": 3, "PathPrefix": 2, "RegularExpression": 1}


@dataclass(frozen=True, slots=True)
class Piece:
    """A rule of a VirtualService that stands for one match of an HTTPRoute.

    Args:
        content: the rule, as a VirtualService has it.
        rank: what it is sorted by, the greatest first.
        route: the HTTPRoute.
        rule, match: numbers of the rule and of its match, from 0.
    """

    content: JsonObject
    rank: tuple[int, ...]
    route: HTTPRoute
    rule: int
    match: int

    def path_of(self, field: str) -> str:
        """Where in the HTTPRoute a field of the rule was written.

        Args:
            field: path below the rule, such as ``match[0].headers.x-user`` or ``route[1]``.
        """
        at = f"spec.rules[{self.rule}]"
        name = re.split(r"[.\[]", field, maxsplit=1)[0]
        if name == "match":
            return f"{at}.matches[{self.match}]{'.path' if field.endswith('.uri') else ''}"
        if name == "route":
            return f"{at}.backendRefs{field.removeprefix('route')}"
        return f"{at}.{_FIELDS[name]}" if name in _FIELDS else at

    def at_port(self, port: int) -> Piece:
        """The same for requests to one port only."""
        matches = [{**match, "port": port} for match in self.content.get("match", [{}])]
        return replace(self, content={**self.content, "match": matches})


def by_precedence(listed: Sequence[Piece]) -> list[Piece]:
    """Sort rules as the Gateway API asks: exact paths first, then long ones, then more conditions, then as before."""
    return sorted(listed, key=lambda piece: piece.rank, reverse=True)


def pieces(route: HTTPRoute, facts: Facts, *, granted: bool = False) -> tuple[list[Piece], list[Fault]]:
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
    find = partial(backend, namespace=route.namespace, facts=facts, asking=route.kind if granted else "")
    for index, rule in enumerate(route.spec.rules):
        try:
            content, wrong = _rule(route, rule, index, find)
        except InvalidRouteError as error:
            fault = error.fault
            return [], [replace(fault, path=f"spec.rules[{index}].{fault.path}")]
        faults += [replace(fault, path=f"spec.rules[{index}].{fault.path}") for fault in wrong]
        if not rule.matches:
            converted.append(Piece(content, (-1,), route, index, 0))
        for number, match in enumerate(rule.matches):
            converted.append(Piece({**content, "match": [_match(match)]}, _rank(match), route, index, number))
    return converted, faults


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


def _rule(route: HTTPRoute, rule: HTTPRouteRule, index: int, find: _Find) -> tuple[JsonObject, list[Fault]]:
    content: JsonObject = {"name": rule.name or f"{route.namespace}.{route.name}.{index}"}
    faults = _filters(content, rule.filters, find)
    _retry(content, rule)
    _timeouts(content, rule)
    if "redirect" not in content and not sum(reference.weight for reference in rule.backend_refs):
        content["directResponse"] = {"status": 500}
        return content, faults
    destinations, faults_of_backends = _destinations(rule.backend_refs, find)
    if destinations:
        content["route"] = destinations
    return content, [*faults_of_backends, *faults]


def _filters(content: JsonObject, filters: Sequence[HTTPFilter], find: _Find) -> list[Fault]:
    faults: list[Fault] = []
    for number, entry in enumerate(filters):
        path = f"filters[{number}]"
        if entry.request_redirect is not None:
            content["redirect"] = redirect(entry.request_redirect)
        elif entry.url_rewrite is not None:
            content["rewrite"] = rewrite(entry.url_rewrite)
        elif entry.cors is not None:
            content["corsPolicy"] = cors_policy(entry.cors)
        elif entry.request_mirror is not None:
            try:
                target, fault = find(entry.request_mirror.backend_ref, path=path)
            except InvalidRouteError as error:
                target, fault = {}, error.fault
            if fault is not None:
                faults.append(fault)
                continue
            share = mirror_percentage(entry.request_mirror)
            copy = {"destination": target} | ({"percentage": share} if share is not None else {})
            content["mirrors"] = [*content.get("mirrors", ()), copy]
        else:
            _change_headers(content, entry, path)
    return faults


def _change_headers(content: JsonObject, entry: HTTPFilter, path: str) -> None:
    """Write a filter that changes headers into a rule or a destination; no other filter is left for these."""
    if entry.request_header_modifier is not None:
        content.setdefault("headers", {})["request"] = header_operations(entry.request_header_modifier)
    elif entry.response_header_modifier is not None:
        content.setdefault("headers", {})["response"] = header_operations(entry.response_header_modifier)
    else:
        raise InvalidRouteError("InvalidFilter", f'unsupported filter type "{entry.type}"', path)


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


def _destinations(references: Sequence[HTTPBackendRef], find: _Find) -> tuple[list[JsonObject], list[Fault]]:
    """``route`` of a VirtualService, without what has weight 0."""
    destinations: list[JsonObject] = []
    faults: list[Fault] = []
    kept = [(number, reference) for number, reference in enumerate(references) if reference.weight]
    for number, reference in kept:
        path = f"backendRefs[{number}]"
        target, fault = find(reference, path=path)
        faults += [fault] if fault is not None else []
        destination: JsonObject = {"destination": target, "weight": reference.weight if len(kept) > 1 else 0}
        for entry in reference.filters:
            _change_headers(destination, entry, path)
        destinations.append(destination)
    return destinations, faults
