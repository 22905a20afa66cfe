"""istiod's verdict on what a rule of ``spec.http`` adds to routing: faults, mirrors, retries, CORS."""

from __future__ import annotations

from labsupport import words
from labsupport.model.kinds.virtualservice import Abort, CorsPolicy, Delay, HTTPRetry, Percent, StringMatch
from labsupport.model.schema.syntax import is_go_integer, regex_problem
from labsupport.model.validation.findings import Findings
from labsupport.model.validation.headers import cors_header_problem

__all__ = [
    "GRPC_CODES",
    "RETRY_ON",
    "check_abort",
    "check_cors",
    "check_delay",
    "check_mirror_share",
    "check_retries",
    "operator",
    "status_problem",
]

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
# In the order of their numbers, from 0.
GRPC_CODES = (
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
)
_CORS_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"])


def operator(condition: StringMatch) -> tuple[str, str]:
    """Tell the operator of a condition and its text; two empty texts without one.

    Where a lenient decoder let several through, the last in the proto's order counts.
    """
    for name, text in (("regex", condition.regex), ("prefix", condition.prefix), ("exact", condition.exact)):
        if text is not None:
            return name, text
    return "", ""


def check_cors(policy: CorsPolicy | None, path: str, findings: Findings) -> None:
    """Check a CORS policy, which may be absent."""
    if policy is None:
        return
    for index, origin in enumerate(policy.allow_origins):
        name, text = operator(origin)
        place = f"{path}.allowOrigins[{index}]"
        if not text:
            findings.error(place, "an origin needs exact, prefix or regex with a text")
        elif name == "regex":
            findings.error(f"{place}.regex", regex_problem(text))
    for index, method in enumerate(policy.allow_methods):
        if method not in _CORS_METHODS:
            findings.error(f"{path}.allowMethods[{index}]", f"{method[:60]!r} is not an HTTP method in capital letters")
    for field, names in (("allowHeaders", policy.allow_headers), ("exposeHeaders", policy.expose_headers)):
        for index, header in enumerate(names):
            findings.error(f"{path}.{field}[{index}]", cors_header_problem(header))
    if policy.max_age is not None:
        findings.duration(f"{path}.maxAge", policy.max_age)
        if policy.max_age.nanoseconds > 0 and policy.max_age.nanoseconds % 1_000_000_000:
            findings.error(f"{path}.maxAge", "must be whole seconds")


def _percentage(share: Percent | None, path: str, findings: Findings) -> None:
    if share is None:
        return
    value = share.value
    if value < 0 or value > 100 or 0 < value < 0.0001:
        findings.error(f"{path}.value", f"must be 0, or between 0.0001 and 100, got {value:g}")


def check_mirror_share(share: Percent | None, path: str, findings: Findings) -> None:
    """Check the share of requests that a mirror gets."""
    if share is not None and not 0 <= share.value <= 100:
        findings.error(f"{path}.value", f"must be between 0 and 100, got {share.value:g}")


def status_problem(status: int) -> str:
    """Check an HTTP status that the proxy is to send."""
    return "" if 200 <= status <= 600 else f"{status} is not an HTTP status that can be sent (200 to 599)"


def check_abort(abort: Abort | None, path: str, findings: Findings) -> None:
    """Check an abort to inject, which may be absent."""
    if abort is None:
        return
    _percentage(abort.percentage, f"{path}.percentage", findings)
    if abort.http2_error is not None:
        findings.error(f"{path}.http2Error", "HTTP/2 errors cannot be injected", "Use httpStatus or grpcStatus.")
    elif abort.grpc_status is not None:
        if abort.grpc_status not in GRPC_CODES:
            findings.error(f"{path}.grpcStatus", f"{abort.grpc_status[:60]!r} is not a gRPC status such as UNAVAILABLE")
    elif abort.http_status is not None:
        findings.error(f"{path}.httpStatus", status_problem(abort.http_status))


def check_delay(delay: Delay | None, path: str, findings: Findings) -> None:
    """Check a delay to inject, which may be absent."""
    if delay is None:
        return
    _percentage(delay.percentage, f"{path}.percentage", findings)
    if delay.exponential_delay is not None:
        findings.error(f"{path}.exponentialDelay", "is not supported", "Use fixedDelay.")
    else:
        findings.duration(f"{path}.fixedDelay", delay.fixed_delay)


def check_retries(retries: HTTPRetry | None, path: str, findings: Findings) -> None:
    """Check a retry policy, which may be absent."""
    if retries is None:
        return
    if retries.attempts < 0:
        findings.error(f"{path}.attempts", "must not be negative")
    idle = retries.per_try_timeout is not None or retries.retry_on or retries.retry_remote_localities is not None
    if retries.attempts == 0 and idle:
        remedy = "Set attempts to how often to try again, or remove the other fields."
        findings.error(f"{path}.attempts", "is 0 (no retries), but a retry policy is given", remedy)
    findings.duration(f"{path}.perTryTimeout", retries.per_try_timeout)
    for condition in retries.retry_on.split(",") if retries.retry_on else ():
        if not _is_condition(condition):
            conditions = (
                f'Conditions are statuses, such as "503", and {words.join(sorted(RETRY_ON))}, divided by commas.'
            )
            remedy = "Leave out the space." if _is_condition(condition.strip()) else conditions
            findings.error(f"{path}.retryOn", f"{condition[:60]!r} is not a condition to retry on", remedy)
    findings.duration(f"{path}.backoff", retries.backoff)


def _is_condition(text: str) -> bool:
    return text in RETRY_ON or is_go_integer(text) in HTTP_CODES
