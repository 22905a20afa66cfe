"""``retries`` and ``timeout`` of an ``http`` rule."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from labsupport.controlplane.translate.names import duration
from labsupport.model.kinds.virtualservice import HTTPRetry
from labsupport.records import JsonObject

__all__ = ["retry_policy", "timeouts"]

_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_STATUS_CODES = frozenset(str(int(status)) for status in HTTPStatus)
_PREVIOUS_HOSTS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    },
}
_PREVIOUS_PRIORITIES = {
    "name": "envoy.retry_priorities.previous_priorities",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        "update_frequency": 2,
    },
}


def timeouts(timeout: timedelta | None) -> JsonObject:
    """``timeout`` and the limit for gRPC's own header; Istio's default is none, unlike Envoy's 15 s."""
    text = "0s" if timeout is None else duration(timeout)
    return {"timeout": text, "max_grpc_timeout": text}


def retry_policy(retries: HTTPRetry | None, *, hashed: bool = False) -> JsonObject | None:
    """The retry policy of a route.

    Args:
        retries: ``retries`` of the rule or of the mesh; None is Istio's default.
        hashed: whether requests go by a hash, so that a retry has to come to the same endpoint.

    Returns:
        A RetryPolicy, or None if nothing is tried again.
    """
    policy: JsonObject = {"retry_on": _RETRY_ON, "num_retries": 2, "host_selection_retry_max_attempts": "5"}
    if not hashed:
        policy["retry_host_predicate"] = [_PREVIOUS_HOSTS]
    if retries is None:
        return policy
    if retries.attempts <= 0:
        return None
    policy["num_retries"] = retries.attempts
    if retries.retry_on:
        policy.update(_conditions(retries.retry_on))
    if retries.per_try_timeout is not None:
        policy["per_try_timeout"] = duration(retries.per_try_timeout)
    if retries.retry_ignore_previous_hosts is not None:
        policy.pop("retry_host_predicate", None)
        if retries.retry_ignore_previous_hosts:
            policy["retry_host_predicate"] = [_PREVIOUS_HOSTS]
    if retries.retry_remote_localities:
        policy["retry_priority"] = _PREVIOUS_PRIORITIES
    if retries.backoff is not None:
        policy["retry_back_off"] = {"base_interval": duration(retries.backoff)}
    return policy


def _conditions(text: str) -> JsonObject:
    parts = [part.strip() for part in text.split(",")]
    codes = [int(part) for part in parts if part in _STATUS_CODES]
    names = ",".join(part for part in parts if part and part not in _STATUS_CODES)
    if not codes:
        return {"retry_on": names}
    if "retriable-status-codes" not in names:
        names += ",retriable-status-codes"
    return {"retry_on": names, "retriable_status_codes": codes}
