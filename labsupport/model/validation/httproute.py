"""istiod's verdict on one rule of ``spec.http`` (``validateHTTPRoute``)."""

from __future__ import annotations

from base64 import b64decode

from labsupport.model.syntax import is_dns_label, is_go_integer, port_problem, regex_problem
from labsupport.model.validation.common import check_destination, check_gateway_names
from labsupport.model.validation.findings import Findings
from labsupport.model.validation.headers import (
    check_headers,
    cors_header_problem,
    is_authority,
    match_header_problem,
)
from labsupport.model.validation.weights import check_weights
from labsupport.model.virtualservice import (
    Abort,
    CorsPolicy,
    Delay,
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    Percent,
    StringMatch,
)

__all__ = ["GRPC_CODES", "RETRY_ON", "check_http_route"]

RETRY_ON = frozenset(
    [
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    ]
)
_CODE_RANGES = ((100, 104), (200, 209), (226, 227), (300, 306), (307, 309), (400, 419), (421, 427), (428, 430))
_MORE_CODES = (431, 451, *range(500, 509), 510, 511)
HTTP_CODES = frozenset([*_MORE_CODES, *(code for first, end in _CODE_RANGES for code in range(first, end))])
GRPC_CODES = frozenset(
    [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ]
)
_CORS_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"])
_BODY_WARNING, _BODY_LIMIT = 100 * 1024, 1024 * 1024


def check_http_route(route: HTTPRoute, path: str, found: Findings, *, delegate: bool) -> None:
    """Check one rule.

    Args:
        route: the rule.
        path: its field path.
        found: where findings go.
        delegate: whether the VirtualService is a delegate (has no hosts).
    """
    _conflicts(route, path, found, delegate)
    for index, match in enumerate(route.match):
        _match(match, f"{path}.match[{index}]", found.silent())
    check_headers(route.headers, f"{path}.headers", found)
    _cors(route.cors_policy, f"{path}.corsPolicy", found)
    if route.fault is not None:
        if route.fault.delay is None and route.fault.abort is None:
            found.error(f"{path}.fault", "needs a delay or an abort")
        _abort(route.fault.abort, f"{path}.fault.abort", found.silent())
        _delay(route.fault.delay, f"{path}.fault.delay", found)
    if route.mirror_percent is not None:
        if route.mirror_percent > 100:
            found.error(f"{path}.mirrorPercent", f"must be at most 100, got {route.mirror_percent}")
        found.warn(f"{path}.mirrorPercent", "mirrorPercent is deprecated", "Use mirrorPercentage: {value: ...}.")
    _mirror_share(route.mirror_percentage, f"{path}.mirrorPercentage", found)
    check_destination(route.mirror, f"{path}.mirror", found)
    for index, mirror in enumerate(route.mirrors):
        place = f"{path}.mirrors[{index}]"
        if mirror.destination is None:
            found.error(f"{place}.destination", "is required")
            continue
        check_destination(mirror.destination, f"{place}.destination", found)
        _mirror_share(mirror.percentage, f"{place}.percentage", found)
    _redirect(route.redirect, route.match, f"{path}.redirect", found)
    _direct_response(route.direct_response, f"{path}.directResponse", found)
    _retries(route.retries, f"{path}.retries", found)
    _rewrite(route.rewrite, f"{path}.rewrite", found)
    _one_authority(route, path, found)
    for index, target in enumerate(route.route):
        check_headers(target.headers, f"{path}.route[{index}].headers", found)
    check_weights(route.route, f"{path}.route", found)
    found.duration(f"{path}.timeout", route.timeout)


def _conflicts(route: HTTPRoute, path: str, found: Findings, delegate: bool) -> None:
    if route.delegate is not None and not delegate:
        for name, given in (("redirect", route.redirect is not None), ("route", bool(route.route))):
            if given:
                found.error(f"{path}.{name}", f"a rule with delegate takes no {name}", "Remove one of them.")
        return
    if route.delegate is not None:
        found.error(f"{path}.delegate", "a delegate cannot delegate again")
    # Of several answers istiod names the first; the rule must have exactly one.
    answers = [("redirect", route.redirect is not None), ("directResponse", route.direct_response is not None)]
    chosen = next((name for name, given in answers if given), "")
    if chosen:
        others = [("route", bool(route.route)), ("fault", route.fault is not None)]
        others += [("rewrite", route.rewrite is not None), *answers]
        for name, given in others:
            if given and name != chosen:
                found.error(f"{path}.{name}", f"a rule with {chosen} takes no {name}", "Remove one of them.")
    elif not route.route:
        found.error(path, "the rule does nothing: route, redirect or directResponse must be given")
    if route.mirror is not None and route.mirrors:
        found.error(f"{path}.mirrors", "mirror and mirrors cannot be given together", "Keep mirrors.")


def _match(match: HTTPMatchRequest, path: str, found: Findings) -> None:
    for name, condition in match.headers.items():
        place = f"{path}.headers.{name}"
        found.error(place, match_header_problem(name))
        _string(condition, place, found)
    for name, condition in match.without_headers.items():
        place = f"{path}.withoutHeaders.{name}"
        found.error(place, match_header_problem(name))
        if condition.regex != "*":  # stands for presence here, although it is no regular expression
            _string(condition, place, found)
    if match.uri is not None and match.uri.regex is not None:
        _string(match.uri, f"{path}.uri", found)
    for field, one in (("scheme", match.scheme), ("method", match.method), ("authority", match.authority)):
        if one is not None:
            _string(one, f"{path}.{field}", found)
    for name, condition in match.query_params.items():
        _string(condition, f"{path}.queryParams.{name}", found)
    if match.port:
        found.error(f"{path}.port", port_problem(match.port))
    found.label_map(f"{path}.sourceLabels", match.source_labels)
    check_gateway_names(match.gateways, f"{path}.gateways", found)
    if match.source_namespace and not is_dns_label(match.source_namespace):
        found.error(f"{path}.sourceNamespace", f"{match.source_namespace[:80]!r} is not a namespace")


def operator(condition: StringMatch) -> tuple[str, str]:
    """Tell the operator of a condition and its text; two empty texts without one.

    Where a lenient decoder let several through, the last in the proto's order counts.
    """
    for name in ("regex", "prefix", "exact"):
        text = getattr(condition, name)
        if text is not None:
            return name, text
    return "", ""


def _string(condition: StringMatch, path: str, found: Findings) -> None:
    name, text = operator(condition)
    if name in ("prefix", "regex") and not text:
        found.error(f"{path}.{name}", "must not be empty", "Write {} to ask only for presence.")
    elif name == "regex":
        found.error(f"{path}.regex", regex_problem(text))


def _cors(policy: CorsPolicy | None, path: str, found: Findings) -> None:
    if policy is None:
        return
    for index, origin in enumerate(policy.allow_origins):
        name, text = operator(origin)
        place = f"{path}.allowOrigins[{index}]"
        if not text:
            found.error(place, "an origin needs exact, prefix or regex with a text")
        elif name == "regex":
            found.error(f"{place}.regex", regex_problem(text))
    for index, method in enumerate(policy.allow_methods):
        if method not in _CORS_METHODS:
            found.error(f"{path}.allowMethods[{index}]", f"{method[:60]!r} is not an HTTP method in capital letters")
    for field, names in (("allowHeaders", policy.allow_headers), ("exposeHeaders", policy.expose_headers)):
        for index, header in enumerate(names):
            found.error(f"{path}.{field}[{index}]", cors_header_problem(header))
    if policy.max_age is not None:
        found.duration(f"{path}.maxAge", policy.max_age)
        if policy.max_age.nanoseconds > 0 and policy.max_age.nanoseconds % 1_000_000_000:
            found.error(f"{path}.maxAge", "must be whole seconds")


def _percentage(share: Percent | None, path: str, found: Findings) -> None:
    if share is None:
        return
    value = share.value
    if value < 0 or value > 100 or 0 < value < 0.0001:
        found.error(f"{path}.value", f"must be 0, or between 0.0001 and 100, got {value:g}")


def _mirror_share(share: Percent | None, path: str, found: Findings) -> None:
    if share is not None and not 0 <= share.value <= 100:
        found.error(f"{path}.value", f"must be between 0 and 100, got {share.value:g}")


def _status_problem(status: int) -> str:
    return "" if 200 <= status <= 600 else f"{status} is not an HTTP status that can be sent (200 to 599)"


def _abort(abort: Abort | None, path: str, found: Findings) -> None:
    if abort is None:
        return
    _percentage(abort.percentage, f"{path}.percentage", found)
    if abort.http2_error is not None:
        found.error(f"{path}.http2Error", "HTTP/2 errors cannot be injected", "Use httpStatus or grpcStatus.")
    elif abort.grpc_status is not None:
        if abort.grpc_status not in GRPC_CODES:
            found.error(f"{path}.grpcStatus", f"{abort.grpc_status[:60]!r} is not a gRPC status such as UNAVAILABLE")
    elif abort.http_status is not None:
        found.error(f"{path}.httpStatus", _status_problem(abort.http_status))


def _delay(delay: Delay | None, path: str, found: Findings) -> None:
    if delay is None:
        return
    _percentage(delay.percentage, f"{path}.percentage", found)
    if delay.exponential_delay is not None:
        found.error(f"{path}.exponentialDelay", "is not supported", "Use fixedDelay.")
    else:
        found.duration(f"{path}.fixedDelay", delay.fixed_delay)


def _redirect(redirect: HTTPRedirect | None, matches: list[HTTPMatchRequest], path: str, found: Findings) -> None:
    if redirect is None:
        return
    has_port = redirect.port is not None or redirect.derive_port is not None
    by_prefix = all(match.uri is None or operator(match.uri)[0] == "prefix" for match in matches)
    if redirect.uri and redirect.prefix_rewrite:
        found.error(path, "uri and prefixRewrite cannot be given together", "Remove one of them.")
    elif redirect.prefix_rewrite and not by_prefix:
        found.error(f"{path}.prefixRewrite", "works only if every uri match of the rule is a prefix")
    elif not (redirect.uri or redirect.prefix_rewrite or redirect.authority or has_port or redirect.scheme):
        found.error(path, "leads nowhere: uri, prefixRewrite, authority, scheme or port must be given")
    elif redirect.redirect_code and not 300 <= redirect.redirect_code <= 399:
        found.error(f"{path}.redirectCode", f"{redirect.redirect_code} is not a 3xx status")
    elif redirect.scheme not in ("", "http", "https"):
        found.error(f"{path}.scheme", "must be http or https")
    elif redirect.port and redirect.derive_port is None:
        found.error(f"{path}.port", port_problem(redirect.port))


def _direct_response(response: HTTPDirectResponse | None, path: str, found: Findings) -> None:
    if response is None:
        return
    size = 0
    if response.body is not None and response.body.bytes is not None:
        size = len(b64decode(response.body.bytes))
    elif response.body is not None and response.body.string is not None:
        size = len(response.body.string.encode())
    if size > _BODY_LIMIT:
        found.error(f"{path}.body", f"is {size} bytes; at most 1 MiB is allowed")
    elif size > _BODY_WARNING:
        found.warn(f"{path}.body", f"is {size} bytes; large bodies slow the control plane down")
    found.error(f"{path}.status", _status_problem(response.status))


def _retries(retries: HTTPRetry | None, path: str, found: Findings) -> None:
    if retries is None:
        return
    if retries.attempts < 0:
        found.error(f"{path}.attempts", "must not be negative")
    idle = retries.per_try_timeout is not None or retries.retry_on or retries.retry_remote_localities is not None
    if retries.attempts == 0 and idle:
        remedy = "Set attempts to how often to try again, or remove the other fields."
        found.error(f"{path}.attempts", "is 0 (no retries), but a retry policy is given", remedy)
    found.duration(f"{path}.perTryTimeout", retries.per_try_timeout)
    for condition in retries.retry_on.split(",") if retries.retry_on else ():
        if condition not in RETRY_ON and is_go_integer(condition) not in HTTP_CODES:
            remedy = "Leave out the space." if condition.strip() in RETRY_ON else ""
            found.error(f"{path}.retryOn", f"{condition[:60]!r} is not a condition to retry on", remedy)
    found.duration(f"{path}.backoff", retries.backoff)


def _rewrite(rewrite: HTTPRewrite | None, path: str, found: Findings) -> None:
    if rewrite is None:
        return
    regex = rewrite.uri_regex_rewrite
    if rewrite.uri and regex is not None:
        found.error(path, "uri and uriRegexRewrite cannot be given together", "Remove one of them.")
    elif not rewrite.uri and regex is None and not rewrite.authority:
        found.error(path, "changes nothing: uri, uriRegexRewrite or authority must be given")
    elif regex is not None:
        if not (regex.match and regex.rewrite):
            found.error(f"{path}.uriRegexRewrite", "needs both match and rewrite")
        else:
            found.error(f"{path}.uriRegexRewrite.match", regex_problem(regex.match))


def _one_authority(route: HTTPRoute, path: str, found: Findings) -> None:
    values = [route.rewrite.authority] if route.rewrite is not None else []
    request = route.headers.request if route.headers is not None else None
    if request is not None:
        for entries in (request.set, request.add):
            values += [value for name, value in entries.items() if is_authority(name)]
    current = ""
    for index, value in enumerate(values):
        if current and index:
            found.error(path, f"the authority is set twice, to {current[:60]!r} and to {value[:60]!r}", "Keep one.")
            return
        current = value
