"""``fault`` and ``corsPolicy`` of an ``http`` rule: configuration of Envoy's filters for one route."""

from __future__ import annotations

from labsupport.controlplane.translate.http.match import string_match
from labsupport.controlplane.translate.names import duration
from labsupport.model.kinds.virtualservice import CorsPolicy, HTTPFaultInjection, HTTPRoute, Percent
from labsupport.model.validation.httppolicy import GRPC_CODES
from labsupport.records import JsonObject

__all__ = ["CORS", "FAULT", "fraction", "percentage", "route_filters"]

FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"
_FAULT_TYPE = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
_CORS_TYPE = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"


def percentage(percent: Percent) -> JsonObject:
    """A ``Percent`` in millionths, as Istio keeps its decimals."""
    return _fractional(int(percent.value * 10000), "MILLION")


def fraction(percent: int) -> JsonObject:
    """A whole number of hundredths."""
    return _fractional(percent, "")


def _fractional(numerator: int, denominator: str) -> JsonObject:
    result: JsonObject = {"numerator": numerator} if numerator else {}
    if denominator:
        result["denominator"] = denominator
    return result


def route_filters(rule: HTTPRoute) -> JsonObject:
    """``typed_per_filter_config`` of a rule's routes; empty without faults and CORS."""
    result: JsonObject = {}
    if rule.fault is not None:
        result[FAULT] = {"@type": _FAULT_TYPE, **_fault(rule.fault)}
    if rule.cors_policy is not None:
        result[CORS] = {"@type": _CORS_TYPE, **_cors(rule.cors_policy)}
    return result


def _fault(fault: HTTPFaultInjection) -> JsonObject:
    result: JsonObject = {}
    delay, abort = fault.delay, fault.abort
    if delay is not None and delay.fixed_delay is not None:
        share = percentage(delay.percentage) if delay.percentage is not None else fraction(delay.percent)
        result["delay"] = {"fixed_delay": duration(delay.fixed_delay), "percentage": share}
    if abort is not None:
        error: JsonObject = {}
        if abort.http_status is not None:
            error["http_status"] = abort.http_status
        elif abort.grpc_status is not None:
            error["grpc_status"] = GRPC_CODES.index(abort.grpc_status)
        if error:
            if abort.percentage is not None:
                error["percentage"] = percentage(abort.percentage)
            result["abort"] = error
    return result


def _cors(policy: CorsPolicy) -> JsonObject:
    result: JsonObject = {
        "filter_enabled": {"default_value": fraction(100)},
        "forward_not_matching_preflights": policy.unmatched_preflights != "IGNORE",
    }
    origins = [matcher for text in policy.allow_origins if (matcher := string_match(text)) is not None]
    if not policy.allow_origins:
        origins = [{"exact": origin} for origin in policy.allow_origin]
    if origins:
        result["allow_origin_string_match"] = origins
    for field, values in (
        ("allow_methods", policy.allow_methods),
        ("allow_headers", policy.allow_headers),
        ("expose_headers", policy.expose_headers),
    ):
        if values:
            result[field] = ",".join(values)
    if policy.max_age is not None:
        result["max_age"] = str(int(policy.max_age.total_seconds()))
    if policy.allow_credentials is not None:
        result["allow_credentials"] = policy.allow_credentials
    return result
