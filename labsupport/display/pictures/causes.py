"""Why a request failed, in words: the few texts that Envoy and the load client use, made readable."""

from __future__ import annotations

from labsupport.observe.flags import words_of
from labsupport.records import Response

__all__ = ["cause"]

# Envoy's local replies (source/common/http, source/common/router): the beginning of the body -> words.
_ENVOY = (
    ("no healthy upstream", words_of("UH")),
    ("no_healthy_upstream", words_of("UH")),
    ("upstream request timeout", words_of("UT")),
    ("fault filter abort", "injected by a fault rule"),
    ("local_rate_limited", words_of("RL")),
    ("RBAC: access denied", "access denied"),
    ("stream timeout", "stream timeout"),
)
_RESET = (
    ("overflow", words_of("UO")),
    ("connection failure", words_of("UF")),
    ("remote connection failure", words_of("UF")),
    ("connection termination", words_of("UC")),
    ("connection timeout", "connection to the upstream timed out"),
)
_REASONS = {
    404: words_of("NR"),
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
