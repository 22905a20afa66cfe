"""istiod's verdict on one rule of ``spec.http`` (``validateHTTPRoute``)."""

from __future__ import annotations

from base64 import b64decode

from labsupport.model.kinds.virtualservice import (
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRewrite,
    HTTPRoute,
    StringMatch,
)
from labsupport.model.schema.syntax import is_dns_label, port_problem, regex_problem
from labsupport.model.validation.common import check_destination, check_gateway_names
from labsupport.model.validation.findings import Findings
from labsupport.model.validation.headers import (
    check_headers,
    is_authority,
    match_header_problem,
)
from labsupport.model.validation.httppolicy import (
    check_abort,
    check_cors,
    check_delay,
    check_mirror_share,
    check_retries,
    operator,
    status_problem,
)
from labsupport.model.validation.weights import check_weights

__all__ = ["check_http_route"]

_BODY_WARNING, _BODY_LIMIT = 100 * 1024, 1024 * 1024


def check_http_route(route: HTTPRoute, path: str, findings: Findings, *, delegate: bool) -> None:
    """Check one rule.

    Args:
        route: the rule.
        path: its field path.
        findings: where findings go.
        delegate: whether the VirtualService is a delegate (has no hosts).
    """
    _conflicts(route, path, findings, delegate)
    for index, match in enumerate(route.match):
        _match(match, f"{path}.match[{index}]", findings.silent())
    check_headers(route.headers, f"{path}.headers", findings)
    check_cors(route.cors_policy, f"{path}.corsPolicy", findings)
    if route.fault is not None:
        if route.fault.delay is None and route.fault.abort is None:
            findings.error(f"{path}.fault", "needs a delay or an abort")
        check_abort(route.fault.abort, f"{path}.fault.abort", findings.silent())
        check_delay(route.fault.delay, f"{path}.fault.delay", findings)
    if route.mirror_percent is not None:
        if route.mirror_percent > 100:
            findings.error(f"{path}.mirrorPercent", f"must be at most 100, got {route.mirror_percent}")
        findings.warn(f"{path}.mirrorPercent", "mirrorPercent is deprecated", "Use mirrorPercentage: {value: ...}.")
    check_mirror_share(route.mirror_percentage, f"{path}.mirrorPercentage", findings)
    check_destination(route.mirror, f"{path}.mirror", findings)
    for index, mirror in enumerate(route.mirrors):
        place = f"{path}.mirrors[{index}]"
        if mirror.destination is None:
            findings.error(f"{place}.destination", "is required")
            continue
        check_destination(mirror.destination, f"{place}.destination", findings)
        check_mirror_share(mirror.percentage, f"{place}.percentage", findings)
    _redirect(route.redirect, route.match, f"{path}.redirect", findings)
    _direct_response(route.direct_response, f"{path}.directResponse", findings)
    check_retries(route.retries, f"{path}.retries", findings)
    _rewrite(route.rewrite, f"{path}.rewrite", findings)
    _one_authority(route, path, findings)
    for index, target in enumerate(route.route):
        check_headers(target.headers, f"{path}.route[{index}].headers", findings)
    check_weights(route.route, f"{path}.route", findings)
    findings.duration(f"{path}.timeout", route.timeout)


def _conflicts(route: HTTPRoute, path: str, findings: Findings, delegate: bool) -> None:
    if route.delegate is not None and not delegate:
        for name, given in (("redirect", route.redirect is not None), ("route", bool(route.route))):
            if given:
                findings.error(f"{path}.{name}", f"a rule with delegate takes no {name}", "Remove one of them.")
        return
    if route.delegate is not None:
        findings.error(f"{path}.delegate", "a delegate cannot delegate again")
    # Of several answers istiod names the first; the rule must have exactly one.
    answers = [("redirect", route.redirect is not None), ("directResponse", route.direct_response is not None)]
    chosen = next((name for name, given in answers if given), "")
    if chosen:
        others = [("route", bool(route.route)), ("fault", route.fault is not None)]
        others += [("rewrite", route.rewrite is not None), *answers]
        for name, given in others:
            if given and name != chosen:
                findings.error(f"{path}.{name}", f"a rule with {chosen} takes no {name}", "Remove one of them.")
    elif not route.route:
        findings.error(path, "the rule does nothing: route, redirect or directResponse must be given")
    if route.mirror is not None and route.mirrors:
        findings.error(f"{path}.mirrors", "mirror and mirrors cannot be given together", "Keep mirrors.")


def _match(match: HTTPMatchRequest, path: str, findings: Findings) -> None:
    for name, condition in match.headers.items():
        place = f"{path}.headers.{name}"
        findings.error(place, match_header_problem(name))
        _string(condition, place, findings)
    for name, condition in match.without_headers.items():
        place = f"{path}.withoutHeaders.{name}"
        findings.error(place, match_header_problem(name))
        if condition.regex != "*":  # stands for presence here, although it is no regular expression
            _string(condition, place, findings)
    if match.uri is not None and match.uri.regex is not None:
        _string(match.uri, f"{path}.uri", findings)
    for field, string_match in (("scheme", match.scheme), ("method", match.method), ("authority", match.authority)):
        if string_match is not None:
            _string(string_match, f"{path}.{field}", findings)
    for name, condition in match.query_params.items():
        _string(condition, f"{path}.queryParams.{name}", findings)
    if match.port:
        findings.error(f"{path}.port", port_problem(match.port))
    findings.label_map(f"{path}.sourceLabels", match.source_labels)
    check_gateway_names(match.gateways, f"{path}.gateways", findings)
    if match.source_namespace and not is_dns_label(match.source_namespace):
        findings.error(f"{path}.sourceNamespace", f"{match.source_namespace[:80]!r} is not a namespace")


def _string(condition: StringMatch, path: str, findings: Findings) -> None:
    name, text = operator(condition)
    if name in ("prefix", "regex") and not text:
        findings.error(f"{path}.{name}", "must not be empty", "Write {} to ask only for presence.")
    elif name == "regex":
        findings.error(f"{path}.regex", regex_problem(text))


def _redirect(redirect: HTTPRedirect | None, matches: list[HTTPMatchRequest], path: str, findings: Findings) -> None:
    if redirect is None:
        return
    has_port = redirect.port is not None or redirect.derive_port is not None
    by_prefix = all(match.uri is None or operator(match.uri)[0] == "prefix" for match in matches)
    if redirect.uri and redirect.prefix_rewrite:
        findings.error(path, "uri and prefixRewrite cannot be given together", "Remove one of them.")
    elif redirect.prefix_rewrite and not by_prefix:
        findings.error(f"{path}.prefixRewrite", "works only if every uri match of the rule is a prefix")
    elif not (redirect.uri or redirect.prefix_rewrite or redirect.authority or has_port or redirect.scheme):
        findings.error(path, "leads nowhere: uri, prefixRewrite, authority, scheme or port must be given")
    elif redirect.redirect_code and not 300 <= redirect.redirect_code <= 399:
        findings.error(f"{path}.redirectCode", f"{redirect.redirect_code} is not a 3xx status")
    elif redirect.scheme not in ("", "http", "https"):
        findings.error(f"{path}.scheme", "must be http or https")
    elif redirect.port and redirect.derive_port is None:
        findings.error(f"{path}.port", port_problem(redirect.port))


def _direct_response(response: HTTPDirectResponse | None, path: str, findings: Findings) -> None:
    if response is None:
        return
    size = 0
    if response.body is not None and response.body.bytes is not None:
        size = len(b64decode(response.body.bytes))
    elif response.body is not None and response.body.string is not None:
        size = len(response.body.string.encode())
    if size > _BODY_LIMIT:
        findings.error(f"{path}.body", f"is {size} bytes; at most 1 MiB is allowed")
    elif size > _BODY_WARNING:
        findings.warn(f"{path}.body", f"is {size} bytes; large bodies slow the control plane down")
    findings.error(f"{path}.status", status_problem(response.status))


def _rewrite(rewrite: HTTPRewrite | None, path: str, findings: Findings) -> None:
    if rewrite is None:
        return
    regex = rewrite.uri_regex_rewrite
    if rewrite.uri and regex is not None:
        findings.error(path, "uri and uriRegexRewrite cannot be given together", "Remove one of them.")
    elif not rewrite.uri and regex is None and not rewrite.authority:
        findings.error(path, "changes nothing: uri, uriRegexRewrite or authority must be given")
    elif regex is not None:
        if not (regex.match and regex.rewrite):
            findings.error(f"{path}.uriRegexRewrite", "needs both match and rewrite")
        else:
            findings.error(f"{path}.uriRegexRewrite.match", regex_problem(regex.match))


def _one_authority(route: HTTPRoute, path: str, findings: Findings) -> None:
    values = [route.rewrite.authority] if route.rewrite is not None else []
    request = route.headers.request if route.headers is not None else None
    if request is not None:
        for entries in (request.set, request.add):
            values += [value for name, value in entries.items() if is_authority(name)]
    current = ""
    for index, value in enumerate(values):
        if current and index:
            findings.error(path, f"the authority is set twice, to {current[:60]!r} and to {value[:60]!r}", "Keep one.")
            return
        current = value
