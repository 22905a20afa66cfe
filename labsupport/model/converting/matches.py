"""``match`` of a VirtualService's rule as ``matches`` of an HTTPRoute's."""

from __future__ import annotations

from typing import get_args

from labsupport.model.converting.losses import Losses, NoCounterpartError
from labsupport.model.gatewayapi.filters import quote_meta
from labsupport.model.kinds.gatewayapi.filters import Method
from labsupport.model.kinds.gatewayapi.httproute import path_is_plain
from labsupport.model.kinds.virtualservice import HTTPMatchRequest, StringMatch
from labsupport.records import JsonObject

__all__ = ["as_match"]

# Fields of a condition that an HTTPRoute has none for; leaving them out would let the rule take other requests, too.
_UNKNOWN = {
    "scheme": "scheme",
    "authority": "authority",
    "port": "port",
    "source_labels": "sourceLabels",
    "source_namespace": "sourceNamespace",
    "without_headers": "withoutHeaders",
}


def as_match(match: HTTPMatchRequest, losses: Losses) -> JsonObject:
    """Convert one entry.

    Args:
        match: the conditions.
        losses: where to tell what differs.

    Raises:
        NoCounterpartError: a condition has no counterpart.
    """
    for name, field in _UNKNOWN.items():
        if getattr(match, name):
            raise NoCounterpartError(field, "an HTTPRoute has no such condition")
    result: JsonObject = {}
    if match.uri is not None:
        result["path"] = _path(match.uri, losses, any_case=match.ignore_uri_case)
    for field, conditions in (("headers", match.headers), ("queryParams", match.query_params)):
        if conditions:
            result[field] = [{"name": name, **_value(said, f"{field}.{name}")} for name, said in conditions.items()]
    if match.method is not None:
        if match.method.exact not in get_args(Method):
            raise NoCounterpartError("method", "an HTTPRoute compares methods by their whole name only")
        result["method"] = match.method.exact
    return result


def _path(uri: StringMatch, losses: Losses, *, any_case: bool) -> JsonObject:
    if uri.regex is not None:
        return {"type": "RegularExpression", "value": uri.regex}
    text = uri.prefix if uri.exact is None else uri.exact
    if not text:
        raise NoCounterpartError("uri", "it holds for no request")
    kind, rest = ("Exact", "") if uri.exact is not None else ("PathPrefix", ".*")
    # Nothing but an expression compares without regard to case, or text that is no plain path.
    if any_case or not path_is_plain({"value": text}):
        return {"type": "RegularExpression", "value": f"{'(?i)' * any_case}{quote_meta(text)}{rest}"}
    if kind == "PathPrefix" and text != "/":
        other = f"{text.removesuffix('/')} itself too" if text.endswith("/") else f"{text}/... and not {text}..."
        losses.tell("uri.prefix", f"a prefix counts whole elements of the path there: it takes {other}")
    return {"type": kind, "value": text}


def _value(said: StringMatch, path: str) -> JsonObject:
    """How a header or a query parameter is compared; expressions hold for the whole value."""
    if said.exact is not None:
        if not said.exact:
            raise NoCounterpartError(path, "an HTTPRoute compares with no empty value")
        return {"value": said.exact}
    if said.regex is not None:
        return {"type": "RegularExpression", "value": said.regex}
    return {"type": "RegularExpression", "value": f"{quote_meta(said.prefix or '')}.*"}
