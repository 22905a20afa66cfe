"""``filters`` of a route in words of a VirtualService."""

from __future__ import annotations

import re
from collections.abc import Iterable

from labsupport.model.kinds.gatewayapi.filters import (
    HTTPCors,
    HTTPHeader,
    HTTPHeaderModifier,
    HTTPRequestMirror,
    HTTPRequestRedirect,
    HTTPURLRewrite,
)
from labsupport.records import JsonObject

__all__ = ["cors_policy", "header_operations", "mirror_percentage", "quote_meta", "redirect", "rewrite"]

_ANY_ORIGIN = r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$"
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


def quote_meta(text: str) -> str:
    """Text as a regular expression that matches it, with the escapes that Go's ``regexp.QuoteMeta`` writes."""
    return _META.sub(lambda part: f"\\{part[0]}", text)


def _first_of_each(headers: Iterable[HTTPHeader]) -> dict[str, str]:
    """Values by lower-case name; of names that differ in case only, the first one counts."""
    values: dict[str, str] = {}
    for header in headers:
        values.setdefault(header.name.lower(), header.value)
    return values


def header_operations(modifier: HTTPHeaderModifier) -> JsonObject:
    """``headers.request`` or ``headers.response`` of a VirtualService."""
    return {
        "set": _first_of_each(modifier.set),
        "add": _first_of_each(modifier.add),
        "remove": list(modifier.remove),
    }


def redirect(settings: HTTPRequestRedirect) -> JsonObject:
    """``redirect`` of a VirtualService; without scheme and port, the port of the request stays."""
    result: JsonObject = {"redirectCode": settings.status_code}
    if settings.hostname:
        result["authority"] = settings.hostname
    if settings.scheme:
        result["scheme"] = settings.scheme
    if settings.port is not None:
        result["port"] = settings.port
    else:
        result["derivePort"] = "FROM_PROTOCOL_DEFAULT" if settings.scheme else "FROM_REQUEST_PORT"
    if settings.path is not None:
        if settings.path.type == "ReplaceFullPath":
            result["uri"] = settings.path.replace_full_path
        else:
            result["prefixRewrite"] = settings.path.replace_prefix_match
    return result


def rewrite(settings: HTTPURLRewrite) -> JsonObject | None:
    """``rewrite`` of a VirtualService; None if nothing changes."""
    result: JsonObject = {}
    if settings.path is not None:
        if settings.path.type == "ReplacePrefixMatch":
            result["uri"] = (settings.path.replace_prefix_match or "").removesuffix("/") or "/"
        else:
            result["uriRegexRewrite"] = {"match": "/.*", "rewrite": settings.path.replace_full_path}
    if settings.hostname:
        result["authority"] = settings.hostname
    return result or None


def mirror_percentage(settings: HTTPRequestMirror) -> JsonObject | None:
    """Which share of requests is copied; None for all."""
    if settings.fraction is not None:
        return {"value": 100 * float(settings.fraction.numerator) / float(settings.fraction.denominator)}
    return None if settings.percent is None else {"value": float(settings.percent)}


def _origin(text: str) -> JsonObject:
    if text == "*":
        return {"regex": _ANY_ORIGIN}
    if "*" not in text:
        return {"exact": text}
    if text.count("*") == 1 and text.endswith("*"):
        return {"prefix": text.removesuffix("*")}
    return {"regex": f"^{quote_meta(text).replace(chr(92) + '*', '.*')}$"}


def cors_policy(settings: HTTPCors) -> JsonObject:
    """``corsPolicy`` of a VirtualService."""
    result: JsonObject = {
        "allowOrigins": [_origin(text) for text in settings.allow_origins],
        "allowMethods": list(settings.allow_methods),
        "allowHeaders": list(settings.allow_headers),
        "exposeHeaders": list(settings.expose_headers),
        "maxAge": f"{settings.max_age}s",
        "unmatchedPreflights": "IGNORE",
    }
    if settings.allow_credentials:
        result["allowCredentials"] = True
    return result
