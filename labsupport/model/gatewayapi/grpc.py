"""Conditions of a GRPCRoute as those on the path and the headers of an HTTP request, which a call is."""

from __future__ import annotations

from labsupport.model.kinds.gatewayapi.otherroutes import GRPCMethodMatch, GRPCRouteMatch
from labsupport.records import JsonObject

__all__ = ["call_match", "call_rank"]

_RANKS = {"exact": 3, "prefix": 2, "regex": 1}


def _path(method: GRPCMethodMatch) -> tuple[str, str]:
    """Operator and text of the condition on the path, which is ``/service/method``."""
    given = method.model_fields_set
    if "service" not in given:
        return "regex", f"/[^/]+/{method.method}"
    if method.type == "RegularExpression":
        return "regex", f"/{method.service}/{method.method if 'method' in given else '.+'}"
    return ("exact", f"/{method.service}/{method.method}") if "method" in given else ("prefix", f"/{method.service}/")


def call_match(match: GRPCRouteMatch) -> JsonObject:
    """``match`` of a VirtualService."""
    result: JsonObject = {}
    if match.method is not None:
        operator, text = _path(match.method)
        result["uri"] = {operator: text}
    if match.headers:
        result["headers"] = {
            item.name: {"exact" if item.type == "Exact" else "regex": item.value} for item in match.headers
        }
    return result


def call_rank(match: GRPCRouteMatch) -> tuple[int, ...]:
    """What a match is sorted by, among those of HTTPRoutes too."""
    operator, text = _path(match.method) if match.method is not None else ("", "")
    return _RANKS.get(operator, -1), len(text.encode()), False, len(match.headers), 0
