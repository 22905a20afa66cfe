"""How a request ends once its route is chosen: with shares, so that chance is part of the prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labsupport import words
from labsupport.explain.headers import allowed_origin, answer_headers, preflight_headers
from labsupport.explain.matching import operator_of
from labsupport.explain.records import OutcomeKind, PredictedOutcome, RoutedTo
from labsupport.explain.regex import substitute
from labsupport.explain.request import Request
from labsupport.explain.rules import Candidate
from labsupport.explain.words import percent_of
from labsupport.model import CorsPolicy, HTTPRedirect, HTTPRoute, HTTPRouteDestination

__all__ = ["either", "https_redirect", "nobody_listens", "predict", "rewritten_path", "unreached"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ENDINGS: Mapping[str, OutcomeKind] = {"NC": "no_cluster", "UH": "no_endpoints", "UF": "refused"}


def predict(
    route: Candidate | None,
    request: Request,
    destinations: Sequence[tuple[RoutedTo, HTTPRouteDestination | None]],
) -> list[PredictedOutcome]:
    """The ways in which a request can end.

    Args:
        route: the route that took it; None for a service without any rule.
        request: the request.
        destinations: where the route sends to, each with what was written there.

    Returns:
        Outcomes whose shares add up to 1, in the order in which Envoy would decide for them.
    """
    if route is None:
        return [_reached(destination, 1.0, None, None, request) for destination, _ in destinations]
    rule = route.rule.rule
    outcomes = []
    left = 1.0
    if rule.fault is not None and rule.fault.abort is not None:
        abort = rule.fault.abort
        share = min(1.0, percent_of(abort.percentage, 0) / 100)
        if share > 0 and (abort.http_status is not None or abort.grpc_status is not None):
            # A gRPC status travels in a header of a reply with status 200.
            status = abort.http_status if abort.http_status is not None else 200
            text = f"the fault of the rule answers {status}"
            outcomes.append(PredictedOutcome("abort", share, text, status=status, flags="FI"))
            left = 1.0 - share
    answers_itself = rule.redirect is not None or rule.direct_response is not None
    if rule.cors_policy is not None and left > 0 and _is_preflight(request) and not answers_itself:
        answered = _preflight(rule, rule.cors_policy, request, left)
        if answered is not None:
            return [*outcomes, answered]
    if left > 0:
        outcomes += _by_action(route, request, destinations, left)
    return outcomes


def _by_action(
    route: Candidate,
    request: Request,
    destinations: Sequence[tuple[RoutedTo, HTTPRouteDestination | None]],
    left: float,
) -> list[PredictedOutcome]:
    rule = route.rule.rule
    if rule.redirect is not None:
        code = rule.redirect.redirect_code or 301
        location = _location(rule.redirect, route, request)
        text = f"the proxy redirects to {location}"
        headers = answer_headers(rule, None, request)
        return [PredictedOutcome("redirect", left, text, status=code, location=location, headers=headers)]
    if rule.direct_response is not None:
        status, body = rule.direct_response.status, rule.direct_response.body
        text = f"the proxy itself answers {status}"
        headers = answer_headers(rule, None, request)
        written = body.string if body is not None else ""
        return [PredictedOutcome("direct_response", left, text, status=status, headers=headers, body=written)]
    return [
        _reached(destination, left, rule, written, request)
        for destination, written in destinations
        if destination.share
    ]


def https_redirect(request: Request) -> PredictedOutcome:
    """What ``httpsRedirect`` of a Gateway's server answers."""
    host, _, port = request.authority.rpartition(":")
    name = host if host and port == "80" else request.authority
    location = f"https://{name}{request.header(':path')}"
    return PredictedOutcome("redirect", 1.0, f"the gateway redirects to {location}", status=301, location=location)


def rewritten_path(route: Candidate | None, request: Request) -> str:
    """Path with query as the application sees it."""
    path = request.path
    rewrite = route.rule.rule.rewrite if route is not None else None
    if route is not None and rewrite is not None:
        if rewrite.uri_regex_rewrite is not None:
            expression = rewrite.uri_regex_rewrite
            path = substitute(expression.match, expression.rewrite, path)
        elif rewrite.uri == "/" and route.rule.piece is not None:
            # Here the prefix is taken away, with the slash behind it.
            path = "/" + _swap_prefix(route, path, "").removeprefix("/")
        elif rewrite.uri:
            path = _swap_prefix(route, path, rewrite.uri)
    return path + (f"?{request.query}" if request.query else "")


def _swap_prefix(route: Candidate, path: str, replacement: str) -> str:
    """Envoy's ``prefix_rewrite``: the matched prefix is replaced, and for any other match the whole path."""
    uri = route.match.uri if route.match is not None else None
    operator = operator_of(uri) if uri is not None else None
    if operator is None:
        return replacement + path[1:]
    kind, text = operator
    return replacement + path[len(text) :] if kind == "prefix" else replacement


def unreached(destination: RoutedTo, share: float, *, closes: bool = False) -> PredictedOutcome | None:
    """How it ends where a destination has nobody behind it; None if it has.

    Args:
        destination: the destination.
        share: of the requests.
        closes: whether a connection is closed instead of a request answered.
    """
    if not destination.problem:
        return None
    status = 0 if closes else destination.status
    if destination.problem == "UF":
        # Which proxy meets the refusal depends on whether the pod has one.
        text = f"{'the connection is closed' if closes else 'the answer is 503'}: {destination.reason}"
    else:
        text = f"the proxy {'closes the connection' if closes else f'answers {status}'}: {destination.reason}"
    kind = _ENDINGS[destination.problem]
    return PredictedOutcome(kind, share, text, status=status, flags=destination.problem)


def nobody_listens(refusing: Mapping[str, int]) -> str:
    """Where nobody listens, in words.

    Args:
        refusing: names of pods, with the port.
    """
    ports = words.join(sorted({str(port) for port in refusing.values()}))
    pods = words.join(list(refusing)) if len(refusing) <= 3 else f"these {len(refusing)} pods"
    return f"nobody listens on port {ports} of {pods}"


def _reached(
    destination: RoutedTo,
    left: float,
    rule: HTTPRoute | None,
    written: HTTPRouteDestination | None,
    request: Request,
) -> PredictedOutcome:
    share = destination.share * left
    missed = unreached(destination, share)
    if missed is not None:
        return missed
    headers = answer_headers(rule, written, request) if rule is not None else {}
    text = _answers(destination)
    return PredictedOutcome("forwarded", share, text, pods=destination.pods, headers=headers)


def _answers(destination: RoutedTo) -> str:
    first, later = (
        [pod for pod in pods if pod not in destination.refusing] for pods in (destination.first, destination.later)
    )
    spare = (
        f", or {either(later)} when {'it is' if len(first) == 1 else 'they are'} taken out" if first and later else ""
    )
    failing = f", or 503 UF: {nobody_listens(destination.refusing)}" if destination.refusing else ""
    return f"{either(first or later)} answers{_if_it_listens(destination.doubtful)}{spare}{failing}"


def _if_it_listens(doubtful: Mapping[str, int]) -> str:
    """What only a request tells, as a clause: manifests name ports, and where a program listens it decides itself."""
    ports = words.join(sorted({str(port) for port in doubtful.values()}))
    return f", if its program listens on port {ports}, which no container names and nobody knows" if doubtful else ""


def either(pods: Sequence[str]) -> str:
    """Names of pods as alternatives, in words."""
    if len(pods) > 6:
        return f"one of {len(pods)} pods"
    return pods[0] if len(pods) == 1 else f"{', '.join(pods[:-1])} or {pods[-1]}"


def _is_preflight(request: Request) -> bool:
    asked = request.header("access-control-request-method")
    return request.method == "OPTIONS" and bool(request.header("origin")) and bool(asked)


def _preflight(rule: HTTPRoute, cors: CorsPolicy, request: Request, left: float) -> PredictedOutcome | None:
    if allowed_origin(cors, request):
        headers = preflight_headers(cors, request)
        operations = rule.headers.response if rule.headers is not None else None
        bare = ", without the response headers of the rule" if operations is not None else ""
        text = f"the proxy answers the preflight itself{bare}"
        return PredictedOutcome("preflight", left, text, status=200, headers=headers)
    if cors.unmatched_preflights == "IGNORE":
        text = "the proxy answers the preflight itself, without allowing the origin"
        return PredictedOutcome("preflight", left, text, status=200)
    return None


def _location(redirect: HTTPRedirect, route: Candidate, request: Request) -> str:
    """The ``Location`` that Envoy makes: what the redirect does not change is taken from the request."""
    scheme = redirect.scheme or request.scheme
    port = 0
    if redirect.port is not None:
        port = redirect.port
    elif redirect.derive_port == "FROM_REQUEST_PORT":
        port = route.view.port
    # Istiod leaves a default port out, as the Gateway's server and not as the request has it.
    if port == _DEFAULT_PORTS.get(redirect.scheme or ("https" if route.view.tls else "http")):
        port = 0
    host = redirect.authority
    if not host:
        name, colon, own = request.authority.rpartition(":")
        has_port = bool(colon) and own.isdigit()
        other = scheme != request.scheme and has_port and int(own) == _DEFAULT_PORTS.get(request.scheme)
        host = name if has_port and (port or other) else request.authority
    target = request.header(":path") or "/"
    if redirect.prefix_rewrite:
        path = _swap_prefix(route, request.path, redirect.prefix_rewrite)
        target = path + (f"?{request.query}" if request.query else "")
    elif redirect.uri:
        target = redirect.uri + (f"?{request.query}" if request.query and "?" not in redirect.uri else "")
    # Envoy begins a path with a slash where the rule does not.
    return f"{scheme}://{host}{f':{port}' if port else ''}/{target.removeprefix('/')}"
