"""How a request ends once its route is chosen: with shares, so that chance is part of the prediction."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.explain.matching import compare, operator_of
from labsupport.explain.records import PredictedOutcome, RoutedTo
from labsupport.explain.regex import substitute
from labsupport.explain.request import Request
from labsupport.explain.rules import Candidate
from labsupport.explain.words import percent_of
from labsupport.model import CorsPolicy, HTTPRedirect

__all__ = ["https_redirect", "predict", "rewritten"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


def predict(route: Candidate | None, request: Request, destinations: Sequence[RoutedTo]) -> list[PredictedOutcome]:
    """The ways in which a request can end.

    Args:
        route: the route that took it; None for a service without any rule.
        request: the request.
        destinations: where the route sends to.

    Returns:
        Outcomes whose shares add up to 1, in the order in which Envoy would decide for them.
    """
    outcomes: list[PredictedOutcome] = []
    left = 1.0
    rule = route.rule.rule if route is not None else None
    if rule is not None and rule.fault is not None and rule.fault.abort is not None:
        abort = rule.fault.abort
        share = percent_of(abort.percentage, 0) / 100
        if share > 0:
            # A gRPC status travels in a header of a reply with status 200.
            status = abort.http_status if abort.http_status is not None else 200
            text = f"the fault of the rule answers {status}"
            outcomes.append(PredictedOutcome("abort", share, text, status=status, flags="FI"))
            left = max(0.0, left - share)
    if rule is not None and rule.cors_policy is not None and _preflight(rule.cors_policy, request):
        return [*outcomes, PredictedOutcome("preflight", left, "the proxy answers the preflight itself", status=200)]
    if left <= 0:
        return outcomes
    if rule is not None and rule.redirect is not None:
        assert route is not None
        code = rule.redirect.redirect_code or 301
        location = _location(rule.redirect, route, request)
        text = f"the proxy redirects to {location}"
        outcomes.append(PredictedOutcome("redirect", left, text, status=code, location=location))
    elif rule is not None and rule.direct_response is not None:
        status = rule.direct_response.status
        text = f"the proxy itself answers {status}"
        outcomes.append(PredictedOutcome("direct_response", left, text, status=status))
    else:
        outcomes += [_reached(destination, left) for destination in destinations if destination.share > 0]
    return outcomes


def https_redirect(request: Request) -> PredictedOutcome:
    """What ``httpsRedirect`` of a Gateway's server answers."""
    host, _, port = request.authority.rpartition(":")
    name = host if host and port == "80" else request.authority
    location = f"https://{name}{request.header(':path')}"
    return PredictedOutcome("redirect", 1.0, f"the gateway redirects to {location}", status=301, location=location)


def rewritten(route: Candidate | None, request: Request) -> tuple[str, str]:
    """Path (with query) and authority as the application sees them."""
    path, authority = request.path, request.authority
    rule = route.rule.rule if route is not None else None
    if route is not None and rule is not None:
        if rule.headers is not None and rule.headers.request is not None:
            operations = rule.headers.request
            given = {**operations.add, **operations.set}
            authority = next((given[key] for key in given if key.lower() in ("host", ":authority")), authority)
        elif len(rule.route) == 1 and rule.route[0].headers is not None and rule.route[0].headers.request is not None:
            operations = rule.route[0].headers.request
            given = {**operations.add, **operations.set}
            authority = next((given[key] for key in given if key.lower() in ("host", ":authority")), authority)
        if rule.rewrite is not None:
            authority = rule.rewrite.authority or authority
            if rule.rewrite.uri_regex_rewrite is not None:
                expression = rule.rewrite.uri_regex_rewrite
                path = substitute(expression.match, expression.rewrite, path)
            elif rule.rewrite.uri:
                path = _swap_prefix(route, path, rule.rewrite.uri)
    return path + (f"?{request.query}" if request.query else ""), authority


def _swap_prefix(route: Candidate, path: str, replacement: str) -> str:
    """Envoy's ``prefix_rewrite``: the matched prefix is replaced, and for any other match the whole path."""
    uri = route.match.uri if route.match is not None else None
    operator = operator_of(uri) if uri is not None else None
    if operator is None:
        return replacement + path[1:]
    kind, text = operator
    return replacement + path[len(text) :] if kind == "prefix" else replacement


def _reached(destination: RoutedTo, left: float) -> PredictedOutcome:
    share = destination.share * left
    if destination.problem == "NC":
        text = f"the proxy answers 503: {destination.reason}"
        return PredictedOutcome("no_cluster", share, text, status=503, flags="NC")
    if destination.problem == "UH":
        text = f"the proxy answers 503: {destination.reason}"
        return PredictedOutcome("no_endpoints", share, text, status=503, flags="UH")
    return PredictedOutcome("forwarded", share, f"{_either(destination.pods)} answers", pods=destination.pods)


def _either(pods: Sequence[str]) -> str:
    if len(pods) > 6:
        return f"one of {len(pods)} pods"
    return pods[0] if len(pods) == 1 else f"{', '.join(pods[:-1])} or {pods[-1]}"


def _preflight(cors: CorsPolicy, request: Request) -> bool:
    origin = request.header("origin")
    if request.method != "OPTIONS" or not origin or not request.header("access-control-request-method"):
        return False
    if origin in cors.allow_origin and not cors.allow_origins:
        return True
    operators = [operator_of(match) for match in cors.allow_origins]
    return any(operator is not None and compare(*operator, origin) for operator in operators)


def _location(redirect: HTTPRedirect, route: Candidate, request: Request) -> str:
    """The ``Location`` that Envoy makes: what the redirect does not change is taken from the request."""
    scheme = redirect.scheme or request.scheme
    port = 0
    if redirect.port is not None:
        port = redirect.port
    elif redirect.derive_port == "FROM_REQUEST_PORT":
        port = route.view.port
    if port == _DEFAULT_PORTS.get(scheme):
        port = 0
    host = redirect.authority
    if not host:
        name, colon, own = request.authority.rpartition(":")
        has_port = bool(colon) and own.isdigit()
        other = scheme != request.scheme and has_port and int(own) == _DEFAULT_PORTS.get(request.scheme)
        host = name if has_port and (port or other) else request.authority
    target = request.header(":path") or "/"
    if redirect.uri:
        target = redirect.uri + (f"?{request.query}" if request.query and "?" not in redirect.uri else "")
    elif redirect.prefix_rewrite:
        path = _swap_prefix(route, request.path, redirect.prefix_rewrite)
        target = path + (f"?{request.query}" if request.query else "")
    return f"{scheme}://{host}{f':{port}' if port else ''}{target}"
