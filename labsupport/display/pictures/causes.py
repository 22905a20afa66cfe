"""Why a request failed, in words: the few texts that Envoy and the load client use, made readable."""

from __future__ import annotations

from labsupport.records import Response

__all__ = ["cause"]

# Envoy's local replies (source/common/http, source/common/router): the beginning of the body -> words.
_ENVOY = (
    ("no healthy upstream", "no healthy upstream"),
    ("no_healthy_upstream", "no healthy upstream"),
    ("upstream request timeout", "upstream request timeout"),
    ("fault filter abort", "injected by a fault rule"),
    ("local_rate_limited", "rate limited"),
    ("RBAC: access denied", "access denied"),
    ("stream timeout", "stream timeout"),
)
_RESET = (
    ("overflow", "circuit breaker overflow"),
    ("connection failure", "connection to the upstream failed"),
    ("remote connection failure", "connection to the upstream failed"),
    ("connection termination", "upstream closed the connection"),
    ("connection timeout", "connection to the upstream timed out"),
)
_REASONS = {
    404: "no route",
    429: "too many requests",
    500: "server error",
    502: "bad gateway",
    503: "service unavailable",
    504: "gateway timeout",
}


def cause(response: Response) -> str:
    """A failure in a few words, with its status first; empty for a success.

    Args:
        response: the response.

    Returns:
        Such as ``503 no healthy upstream`` or ``404 from web risk``.
    """
    if response.outcome == "ok":
        return ""
    if response.outcome == "timeout":
        return "client timeout"
    if response.outcome == "unknown_destination":
        return f"{response.status or 'connection'} unknown host or port"
    if response.outcome == "connection":
        return "connection failed"
    status = str(response.status) if response.status else "no status"
    if response.path:
        return f"{status} from {response.path[0]}"
    body = response.body
    for start, words in _ENVOY:
        if body.startswith(start):
            return f"{status} {words}"
    if body.startswith("upstream connect error"):
        reason = body.rpartition("reset reason: ")[2].strip().lower()
        known = (words for start, words in _RESET if reason.startswith(start))
        return f"{status} {next(known, 'upstream connection error')}"
    return f"{status} {_REASONS.get(response.status, 'from a proxy')}"
