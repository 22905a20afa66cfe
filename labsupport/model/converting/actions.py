"""What a VirtualService's rule does to a request besides sending it on, as filters, ``timeouts`` and ``retry``."""

from __future__ import annotations

from collections.abc import Callable

from labsupport.model.converting.losses import Losses, NoCounterpartError
from labsupport.model.kinds.virtualservice import (
    CorsPolicy,
    Destination,
    Headers,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    Percent,
)
from labsupport.model.schema.duration import GoDuration
from labsupport.records import JsonObject

__all__ = ["add_limits", "cors", "duration", "header_filters", "mirrors", "redirect", "rewrite"]

# What istiod lets every HTTPRoute with a retry try again, and a VirtualService whose retryOn is not written.
_ALWAYS = ("connect-failure", "refused-stream", "unavailable", "cancelled")
_GROUPS = {"5xx": (500, 502, 503, 504), "gateway-error": (502, 503, 504)}
_REDIRECTS = (301, 302, 303, 307, 308)
_MS = 1_000_000


def duration(value: GoDuration, path: str) -> str:
    """A duration as the Gateway API writes them: whole numbers.

    Raises:
        NoCounterpartError: it is no whole number of milliseconds, or too long.
    """
    milliseconds, rest = divmod(value.nanoseconds, _MS)
    text = f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
    if rest or len(text) > len("99999ms"):
        raise NoCounterpartError(path, f"a duration of the Gateway API is a few whole numbers, and {value} is not")
    return text


def header_filters(headers: Headers | None) -> list[JsonObject]:
    """``headers`` of a rule or of a destination."""
    filters: list[JsonObject] = []
    for kind, operations in (
        ("Request", headers.request if headers is not None else None),
        ("Response", headers.response if headers is not None else None),
    ):
        if operations is None:
            continue
        changes: JsonObject = {
            field: [{"name": name, "value": value} for name, value in given.items()]
            for field, given in (("set", operations.set), ("add", operations.add))
            if given
        }
        if operations.remove:
            changes["remove"] = list(operations.remove)
        if changes:
            filters.append({"type": f"{kind}HeaderModifier", f"{kind.lower()}HeaderModifier": changes})
    return filters


def redirect(settings: HTTPRedirect, match: JsonObject, losses: Losses) -> JsonObject:
    """``redirect`` as a filter, for the requests of one match.

    Raises:
        NoCounterpartError: a part of it has no counterpart.
    """
    code = settings.redirect_code or 301
    if code not in _REDIRECTS:
        raise NoCounterpartError("redirect.redirectCode", f"an HTTPRoute redirects with {_REDIRECTS}, and not {code}")
    if ":" in settings.authority:
        raise NoCounterpartError("redirect.authority", "an HTTPRoute names the port apart: write it into port")
    changes: JsonObject = {"statusCode": code}
    for field, value in (("hostname", settings.authority), ("scheme", settings.scheme), ("port", settings.port)):
        if value:
            changes[field] = value
    if settings.uri:
        changes["path"] = {"type": "ReplaceFullPath", "replaceFullPath": settings.uri}
    elif settings.prefix_rewrite:
        changes["path"] = _in_place_of_match("redirect.prefixRewrite", settings.prefix_rewrite, match, losses)
    ours = settings.derive_port or ("" if settings.authority or settings.scheme else "FROM_REQUEST_PORT")
    theirs = "FROM_PROTOCOL_DEFAULT" if settings.scheme else "FROM_REQUEST_PORT"
    if not settings.port and ours != theirs:
        port = "of the scheme" if settings.scheme else "of the request"
        losses.tell("redirect", f"without a port, the reply of an HTTPRoute names the port {port}")
    return {"type": "RequestRedirect", "requestRedirect": changes}


def rewrite(settings: HTTPRewrite, match: JsonObject, losses: Losses) -> JsonObject:
    """``rewrite`` as a filter, for the requests of one match.

    Raises:
        NoCounterpartError: a part of it has no counterpart.
    """
    if settings.uri_regex_rewrite is not None:
        raise NoCounterpartError("rewrite.uriRegexRewrite", "an HTTPRoute rewrites by no expression")
    if ":" in settings.authority:
        raise NoCounterpartError("rewrite.authority", "an HTTPRoute rewrites the name of the host, without a port")
    changes: JsonObject = {"hostname": settings.authority} if settings.authority else {}
    if settings.uri:
        changes["path"] = _in_place_of_match("rewrite.uri", settings.uri, match, losses)
    return {"type": "URLRewrite", "urlRewrite": changes}


def _in_place_of_match(field: str, text: str, match: JsonObject, losses: Losses) -> JsonObject:
    """What is written in place of that part of the path that the rule's condition names."""
    path = match.get("path", {"type": "PathPrefix", "value": "/"})
    if path["type"] == "Exact":
        return {"type": "ReplaceFullPath", "replaceFullPath": text}
    if path["type"] == "RegularExpression":
        raise NoCounterpartError(field, "its rule has an expression for the path, and no part of one is replaced")
    if path["value"].endswith("/") or text.endswith("/"):
        losses.tell(field, "an HTTPRoute puts exactly one slash between what it writes and what follows")
    return {"type": "ReplacePrefixMatch", "replacePrefixMatch": text}


def mirrors(rule: HTTPRoute, backend: Callable[[Destination, str], JsonObject]) -> list[JsonObject]:
    """``mirror`` and ``mirrors`` as filters.

    Args:
        rule: the rule.
        backend: gives the reference for a destination, and takes its path.
    """
    copies: list[tuple[str, Destination, Percent | None]] = [
        (f"mirrors[{index}].destination", policy.destination, policy.percentage)
        for index, policy in enumerate(rule.mirrors)
    ]
    if rule.mirror is not None:
        old = Percent(value=float(rule.mirror_percent)) if rule.mirror_percent is not None else None
        copies.append(("mirror", rule.mirror, rule.mirror_percentage or old))
    filters = []
    for path, destination, share in copies:
        copied: JsonObject = {"backendRef": backend(destination, path)}
        if share is not None and share.value == int(share.value):
            copied["percent"] = int(share.value)
        elif share is not None:
            copied["fraction"] = {"numerator": round(share.value * 1000), "denominator": 100_000}
        filters.append({"type": "RequestMirror", "requestMirror": copied})
    return filters


def cors(policy: CorsPolicy, losses: Losses) -> JsonObject:
    """``corsPolicy`` as a filter.

    Raises:
        NoCounterpartError: an origin is not compared as a whole.
    """
    origins = list(policy.allow_origin)
    for index, origin in enumerate(policy.allow_origins):
        if origin.exact is None:
            raise NoCounterpartError(f"corsPolicy.allowOrigins[{index}]", "an HTTPRoute lists origins by their names")
        origins.append(origin.exact)
    changes: JsonObject = {}
    for field, values in (
        ("allowOrigins", origins),
        ("allowMethods", policy.allow_methods),
        ("allowHeaders", policy.allow_headers),
        ("exposeHeaders", policy.expose_headers),
    ):
        if values:
            changes[field] = list(values)
    if policy.allow_credentials:
        changes["allowCredentials"] = True
    if policy.max_age is not None:
        changes["maxAge"] = max(1, policy.max_age.nanoseconds // (1000 * _MS))
    if policy.max_age is None or policy.unmatched_preflights != "IGNORE":
        losses.tell("corsPolicy", "an HTTPRoute answers preflights of other origins itself, and has a maxAge of 5 s")
    return {"type": "CORS", "cors": changes}


def add_limits(rule: HTTPRoute, result: JsonObject, losses: Losses) -> None:
    """Write ``timeout`` and ``retries`` into a rule of an HTTPRoute."""
    timeouts: JsonObject = {}
    if rule.timeout is not None and rule.timeout.nanoseconds:
        timeouts["request"] = duration(rule.timeout, "timeout")
    if rule.retries is not None and not rule.retries.attempts:
        losses.tell("retries.attempts", "an HTTPRoute cannot turn retries off: Istio's two tries more stay")
    elif rule.retries is not None:
        tried = rule.retries.per_try_timeout
        if tried is not None and rule.timeout is not None and 0 < rule.timeout.nanoseconds < tried.nanoseconds:
            losses.tell("retries.perTryTimeout", "it is longer than timeout, which an HTTPRoute may not have: left out")
        elif tried is not None:
            timeouts["backendRequest"] = duration(tried, "retries.perTryTimeout")
        result["retry"] = _retry(rule.retries, losses)
    if timeouts:
        result["timeouts"] = timeouts


def _retry(retries: HTTPRetry, losses: Losses) -> JsonObject:
    named = [word.strip() for word in retries.retry_on.split(",") if word.strip()] or list(_ALWAYS)
    codes = [int(word) for word in named if word.isdigit() and 400 <= int(word) <= 599]
    for word in named:
        if word in _GROUPS:
            codes += _GROUPS[word]
            losses.tell("retries.retryOn", f"an HTTPRoute lists codes: {word} becomes {_GROUPS[word]}")
        elif not word.isdigit() and word not in (*_ALWAYS, "retriable-status-codes"):
            losses.tell("retries.retryOn", f"an HTTPRoute has no condition {word}")
    if lacking := [word for word in _ALWAYS if word not in named]:
        losses.tell("retries.retryOn", f"an HTTPRoute tries again after {', '.join(lacking)}, too")
    for field, value in (
        ("retryRemoteLocalities", retries.retry_remote_localities),
        ("retryIgnorePreviousHosts", retries.retry_ignore_previous_hosts),
    ):
        if value is not None:
            losses.tell(f"retries.{field}", "an HTTPRoute has no such field: Istio's default counts")
    result: JsonObject = {"attempts": retries.attempts}
    if codes:
        result["codes"] = list(dict.fromkeys(codes))
    if retries.backoff is not None:
        result["backoff"] = duration(retries.backoff, "retries.backoff")
    return result
