"""Policies of rules in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from labsupport import words
from labsupport.explain.records import Policy
from labsupport.explain.rules import EffectiveRule
from labsupport.model import (
    Abort,
    ConnectionPoolSettings,
    Destination,
    HTTPRetry,
    HTTPRoute,
    LoadBalancerSettings,
    OutlierDetection,
    Percent,
    Schema,
)

__all__ = ["HASH", "described", "limits", "mirror_percent", "per_try", "percent_of", "rule_policies", "tries_of"]

# After which conditions Envoy tries again when one try has taken too long.
_AFTER_TIMEOUT = {"5xx", "gateway-error", "reset"}
# Istio leaves Envoy's max_ejection_time alone: 300 s, or baseEjectionTime where that is longer.
_LONGEST_EJECTION = timedelta(seconds=300)
HASH = "consistent hash "
"""How the words about a balancer that hashes begin."""

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"


def limits(rule: HTTPRoute | None) -> float | None:
    """What all tries together may take, in seconds; None for no limit."""
    return rule.timeout.total_seconds() if rule is not None and rule.timeout is not None else None


def per_try(rule: HTTPRoute | None) -> float | None:
    """What one try may take, in seconds; None for no limit of its own."""
    limit = rule.retries.per_try_timeout if rule is not None and rule.retries is not None else None
    return limit.total_seconds() if limit else None


def tries_of(rule: HTTPRoute | None) -> int:
    """How often a request is tried at most, the first try included."""
    if rule is None or rule.retries is None:
        return 3
    return 1 + max(0, rule.retries.attempts)


def rule_policies(rule: EffectiveRule | None) -> tuple[Policy, ...]:
    """Everything a rule puts in force besides its destinations.

    Args:
        rule: the rule; None for a service without any.

    Returns:
        Policies, those that are Istio's defaults without a place.
    """
    return tuple(_rule_policies(rule))


def _rule_policies(rule: EffectiveRule | None) -> Iterator[Policy]:
    route = rule.rule if rule is not None else HTTPRoute()

    def place(field: str) -> Any:
        return rule.place(field) if rule is not None else None

    answers_itself = route.redirect is not None or route.direct_response is not None
    if not answers_itself:
        if route.timeout is not None:
            yield Policy("timeout", f"{route.timeout} for all tries together", place("timeout"))
        else:
            yield Policy("timeout", "none")
        yield Policy("retries", _retries(route.retries), place("retries") if route.retries is not None else None)
    if route.fault is not None and (delay := route.fault.delay) is not None:
        share = percent_of(delay.percentage, delay.percent) if delay.percentage or delay.percent else None
        after = _after(route, "passes once, before {}")
        yield Policy(
            "fault.delay", _fires(f"{delay.fixed_delay or ''}", "duration", share, after), place("fault.delay")
        )
    if route.fault is not None and (abort := route.fault.abort) is not None:
        share = percent_of(abort.percentage, 0) if abort.percentage else None
        after = _after(route, "is the reply, before {}")
        yield Policy("fault.abort", _fires(_status(abort), "status", share, after), place("fault.abort"))
    if route.mirror is not None and mirror_percent(route):
        text = f"{mirror_percent(route):g} % of the requests are copied to {destination_name(route.mirror)}"
        yield Policy("mirror", text, place("mirror"))
    for index, mirror in enumerate(route.mirrors):
        share = percent_of(mirror.percentage, 100)
        text = f"{share:g} % of the requests are copied to {destination_name(mirror.destination)}"
        yield Policy("mirrors", text, place(f"mirrors[{index}]"))
    for name, value in (
        ("rewrite", route.rewrite),
        ("headers", route.headers),
        ("corsPolicy", route.cors_policy),
        ("redirect", route.redirect),
        ("directResponse", route.direct_response),
    ):
        if value is not None:
            unused = "; no effect, as the proxy answers itself" * (name == "corsPolicy" and answers_itself)
            yield Policy(name, f"{flat(value)}{unused}", place(name))


def destination_name(destination: Destination) -> str:
    """A destination as short as it was written."""
    subset = f" subset {destination.subset}" if destination.subset else ""
    port = f" port {destination.port.number}" if destination.port is not None else ""
    return f"{destination.host}{subset}{port}"


def percent_of(percentage: Percent | None, otherwise: float) -> float:
    """A percentage, or what counts if it is not given."""
    return percentage.value if percentage is not None else float(otherwise)


def mirror_percent(route: HTTPRoute) -> float:
    """How many percent of the requests ``mirror`` copies."""
    return percent_of(route.mirror_percentage, 100 if route.mirror_percent is None else route.mirror_percent)


def described(block: str, value: Any, endpoints: int = 0) -> str:
    """A block of a traffic policy in words.

    Args:
        block: its name, such as ``outlier_detection``.
        value: its model.
        endpoints: how many endpoints it is about; 0 if there is none, or it is not known.
    """
    if isinstance(value, LoadBalancerSettings):
        parts = [_balancer(value)]
        if value.locality_lb_setting is not None:
            parts.append(f"by locality: {flat(value.locality_lb_setting) or 'as by default'}")
        if value.warmup is not None:
            parts.append(f"new endpoints warmed up: {flat(value.warmup)}")
        return "; ".join(parts)
    if isinstance(value, OutlierDetection):
        return _outlier(value, endpoints)
    if isinstance(value, ConnectionPoolSettings):
        # proto3 knows no difference between a number that is left out and 0.
        limits = (
            f"{path} 0, which sets nothing" if text == "0" else f"{path} {text}" for path, text in _leaves(value, "")
        )
        return (", ".join(limits) or "as by default") + _counted(value)
    return flat(value) or "as by default"


def _counted(pool: ConnectionPoolSettings) -> str:
    """What the limits of a pool do, and where they are counted; empty if it has none."""
    connections = pool.tcp.max_connections if pool.tcp is not None else 0
    waiting = pool.http.http1_max_pending_requests if pool.http is not None else 0
    under_way = pool.http.http2_max_requests if pool.http is not None else 0
    most = [words.plural(connections, "connection")] if connections else []
    most += [words.plural(under_way, "request") + " under way"] if under_way else []
    most += [words.plural(waiting, "request") + " waiting for a connection"] if waiting else []
    if not most:
        return ""
    beyond = "a request more is answered 503, flag UO" if waiting or under_way else "a request more waits for one"
    return f"; counted by this proxy for itself: at most {words.join(most)}, and {beyond}"


def flat(value: Any) -> str:
    """The fields that are set, by their YAML names: ``tcp.maxConnections 1, http.http1MaxPendingRequests 1``."""
    return ", ".join(f"{path} {text}" for path, text in _leaves(value, ""))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Schema):
        fields = type(value).model_fields
        for name in fields:
            if name in value.model_fields_set:
                alias = fields[name].serialization_alias or fields[name].alias or name
                yield from _leaves(getattr(value, name), f"{path}.{alias}" if path else alias)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}[{key}]")
    elif isinstance(value, list | tuple):
        if value and all(isinstance(item, str | int | float) for item in value):
            yield path, " ".join(str(item) for item in value)
        else:
            for index, item in enumerate(value):
                yield from _leaves(item, f"{path}[{index}]")
    elif isinstance(value, bool):
        yield path, "true" if value else "false"
    elif isinstance(value, str):
        yield path, f'"{value}"' if " " in value or not value else value
    elif value is not None:
        yield path, str(value) if isinstance(value, timedelta) else f"{value}"


def _retries(retries: HTTPRetry | None) -> str:
    if retries is None:
        return f"2, on {DEFAULT_RETRY_ON}"
    if retries.attempts <= 0:
        return "none"
    text = f"{retries.attempts}, on {retries.retry_on or DEFAULT_RETRY_ON}"
    if retries.per_try_timeout is not None:
        text += f", each try at most {retries.per_try_timeout}"
        if not _AFTER_TIMEOUT & set((retries.retry_on or DEFAULT_RETRY_ON).split(",")):
            text += " (504, and no other try: that takes retryOn with 5xx, gateway-error or reset)"
    return f"{text}; after each two tries, at the pods that come next" if retries.retry_remote_localities else text


def _status(abort: Abort) -> str:
    if abort.http_status is not None:
        return f"status {abort.http_status}"
    return f"gRPC status {abort.grpc_status}" if abort.grpc_status is not None else ""


def _after(route: HTTPRoute, how: str) -> str:
    """What of the rule a fault comes before: Envoy's filter for faults stands before the router, which has the rest."""
    tries = route.retries is not None and route.retries.attempts > 0
    written = [name for name, is_written in (("timeout", route.timeout is not None), ("retries", tries)) if is_written]
    verb = "begins" if written == ["timeout"] else "begin"
    return f"; it {how.format(f'{words.join(written)} of this rule {verb}')}" if written else ""


def _fires(what: str, named: str, percent: float | None, after: str) -> str:
    if not what:
        return f"no {named}, so that it never fires"
    if percent is None:
        return f"{what}, but never: it has no percentage"
    return f"{what} for {percent:g} % of the requests{after}" if percent else f"{what}, but never: its percentage is 0"


def _balancer(value: LoadBalancerSettings) -> str:
    hashing = value.consistent_hash
    if hashing is None:
        simple = value.simple or "LEAST_REQUEST"
        return "LEAST_REQUEST" if simple in ("LEAST_CONN", "UNSPECIFIED") else simple
    table = "Maglev" if hashing.maglev is not None else "ring"
    if hashing.http_header_name:
        return f"{HASH}of header {hashing.http_header_name} ({table})"
    if hashing.http_cookie is not None:
        made = "" if hashing.http_cookie.ttl is None else f", made with ttl {hashing.http_cookie.ttl} if missing"
        return f"{HASH}of cookie {hashing.http_cookie.name}{made} ({table})"
    if hashing.http_query_parameter_name:
        return f"{HASH}of query parameter {hashing.http_query_parameter_name} ({table})"
    return f"{HASH}of the source address ({table})" if hashing.use_source_ip else f"consistent hash ({table})"


def _outlier(value: OutlierDetection, endpoints: int) -> str:
    parts = []
    if value.consecutive_5xx_errors is None:
        parts.append("consecutive5xxErrors 5 by default")
    elif value.consecutive_5xx_errors == 0:
        parts.append("consecutive5xxErrors off")
    else:
        parts.append(f"consecutive5xxErrors {value.consecutive_5xx_errors}")
    if value.consecutive_gateway_errors:
        parts.append(f"consecutiveGatewayErrors {value.consecutive_gateway_errors}")
    if value.consecutive_errors:
        parts.append("consecutiveErrors is ignored")
    base = value.base_ejection_time
    if base is not None and base >= _LONGEST_EJECTION:
        parts.append(f"ejected for {base}")
    else:
        parts.append(f"ejected for {base or '30s'} times the number of ejections, 300s at most")
    parts.append(f"returns looked at every {value.interval or '10s'}")
    limit = value.max_ejection_percent or 10
    default = "" if value.max_ejection_percent else " by default"
    # Envoy ejects one more only if the share with it is still within the limit; there is no exception for the first.
    most = f", that is {endpoints * limit // 100 or 'none'} of {endpoints}" if endpoints else ""
    parts.append(f"at most {limit} % of the endpoints{default}{most}")
    if value.min_health_percent:
        parts.append(f"all are used again if fewer than {value.min_health_percent} % are left")
    return ", ".join(parts)
