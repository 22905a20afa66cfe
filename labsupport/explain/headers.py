"""Header operations of rules: what the application sees of them, and what the client does.

Follows ``headers`` of VirtualService and Envoy's order: on one level headers are removed first, then set, then added.
The operations of a rule's only destination join those of the rule; those of one of several destinations are a level of
their own, before that of the rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from labsupport.explain.matching import compare, operator_of
from labsupport.explain.request import Request
from labsupport.model import CorsPolicy, HeaderOperations, HTTPRoute, HTTPRouteDestination

__all__ = ["allowed_origin", "answer_headers", "cors_headers", "preflight_headers", "request_headers", "sent_authority"]

_COMMAND = re.compile(r"%([A-Z_]+)(?:\(([^)]*)\))?%")


def request_headers(
    rule: HTTPRoute, destination: HTTPRouteDestination | None, request: Request
) -> dict[str, str | None]:
    """Request headers that a rule changes on the way to one of its destinations.

    Args:
        rule: the rule.
        destination: the destination; None for a rule without any.
        request: the request.

    Returns:
        By lower-case name the value that the application sees, or None if it sees none. Values that only the proxy can
        tell are left out.
    """
    own = rule.headers.request if rule.headers is not None else None
    there = destination.headers.request if destination is not None and destination.headers is not None else None
    return _after(_levels(rule, own, there), request, dict(request.headers))


def answer_headers(
    rule: HTTPRoute, destination: HTTPRouteDestination | None, request: Request
) -> dict[str, str | None]:
    """Response headers that a rule changes, as far as the application sends none of these names.

    Args:
        rule: the rule.
        destination: the destination that answers; None where the proxy answers itself.
        request: the request.

    Returns:
        By lower-case name the value, or None for a header that is taken away.
    """
    own = rule.headers.response if rule.headers is not None else None
    there = destination.headers.response if destination is not None and destination.headers is not None else None
    changed = _after(_levels(rule, own, there), request, {})
    # Envoy's filter for CORS passes over what the proxy answers itself.
    policy = rule.cors_policy if destination is not None else None
    if policy is not None and allowed_origin(policy, request):
        changed |= cors_headers(policy, request)
    return changed


def sent_authority(rule: HTTPRoute, destination: HTTPRouteDestination | None, request: Request) -> str:
    """The host that the application sees: of the rewrite, or else the rule's, or else the destination's headers."""
    if rule.rewrite is not None and rule.rewrite.authority:
        return rule.rewrite.authority
    for headers in (rule.headers, destination.headers if destination is not None else None):
        operations = headers.request if headers is not None else None
        if operations is not None:
            for values in (operations.set, operations.add):
                for name, value in values.items():
                    if name.lower() in ("host", ":authority") and value:
                        return value
    return request.authority


def allowed_origin(policy: CorsPolicy, request: Request) -> bool:
    """Whether a request's ``Origin`` is one of those that a CORS policy allows."""
    origin = request.header("origin")
    if not origin:
        return False
    if not policy.allow_origins:
        return origin in policy.allow_origin
    operators = [operator_of(match) for match in policy.allow_origins]
    return any(operator is not None and compare(*operator, origin) for operator in operators)


def cors_headers(policy: CorsPolicy, request: Request) -> dict[str, str | None]:
    """What a CORS policy adds to the answer of a request from an allowed origin."""
    headers: dict[str, str | None] = {"access-control-allow-origin": request.header("origin")}
    if policy.allow_credentials:
        headers["access-control-allow-credentials"] = "true"
    if policy.expose_headers:
        headers["access-control-expose-headers"] = ",".join(policy.expose_headers)
    return headers


def preflight_headers(policy: CorsPolicy, request: Request) -> dict[str, str | None]:
    """What a CORS policy answers a preflight from an allowed origin."""
    headers = cors_headers(policy, request)
    headers.pop("access-control-expose-headers", None)
    for name, values in (("methods", policy.allow_methods), ("headers", policy.allow_headers)):
        if values:
            headers[f"access-control-allow-{name}"] = ",".join(values)
    if policy.max_age is not None:
        headers["access-control-max-age"] = str(int(policy.max_age.total_seconds()))
    return headers


def _levels(
    rule: HTTPRoute, own: HeaderOperations | None, there: HeaderOperations | None
) -> list[list[HeaderOperations]]:
    """Operations that count together, in the order in which they are done."""
    if len(rule.route) == 1:
        return [[operations for operations in (own, there) if operations is not None]]
    return [[operations] for operations in (there, own) if operations is not None]


def _after(
    levels: Sequence[Iterable[HeaderOperations]], request: Request, values: dict[str, str]
) -> dict[str, str | None]:
    touched: dict[str, None] = {}
    unknown: set[str] = set()
    gone: set[str] = set()
    for level in levels:
        together = list(level)
        for name in _names(name for operations in together for name in operations.remove):
            touched.setdefault(name)
            gone.add(name)
            values.pop(name, None)

        def header(name: str) -> str | None:
            key = name.lower()
            return values.get(key, None if key in gone else request.header(key))

        # Envoy looks at the request for all values of a level before it changes anything.
        changes: list[tuple[bool, str, str | None]] = []
        for adds, which in ((False, "set"), (True, "add")):
            for operations in together:
                given: Mapping[str, str] = getattr(operations, which)
                changes += [(adds, name.lower(), _formatted(text, header)) for name, text in sorted(given.items())]
        for adds, key, value in changes:
            if key.startswith(":") or key == "host" or value == "":
                continue
            touched.setdefault(key)
            if value is None:
                unknown.add(key)
            elif adds and key in values:
                values[key] = f"{values[key]},{value}"
            else:
                values[key] = value
    return {name: values.get(name) for name in touched if name not in unknown}


def _names(names: Iterable[str]) -> list[str]:
    return [name.lower() for name in names if not name.startswith(":") and name.lower() != "host"]


def _formatted(text: str, header: Callable[[str], str | None]) -> str | None:
    """A value with Envoy's ``%REQ(...)%`` and ``%%`` filled in; None where another command is used."""
    unknown = False

    def put(match: re.Match[str]) -> str:
        nonlocal unknown
        if match[1] == "REQ" and match[2]:
            names = match[2].split("?")
            return next((value for name in names if (value := header(name)) is not None), "")
        unknown = True
        return ""

    filled = "%".join(_COMMAND.sub(put, part) for part in text.split("%%"))
    return None if unknown else filled
