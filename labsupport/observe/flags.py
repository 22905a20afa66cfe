"""Envoy's response flags in words (access-log operator ``%RESPONSE_FLAGS%``)."""

from __future__ import annotations

__all__ = ["flag_words"]

_WORDS = {
    "DC": "client closed the connection",
    "DF": "DNS resolution failed",
    "DI": "delay injected",
    "DPE": "malformed request",
    "DT": "duration timeout",
    "FI": "abort injected",
    "IH": "invalid header value",
    "LH": "local health check failed",
    "LR": "connection reset by this proxy",
    "NC": "no such cluster",
    "NFCF": "no filter configuration",
    "NR": "no route",
    "OM": "overload manager",
    "RL": "rate limited",
    "RLSE": "rate limit service error",
    "SI": "stream idle timeout",
    "UAEX": "denied by external authorization",
    "UC": "upstream closed the connection",
    "UF": "connection to the upstream failed",
    "UH": "no healthy upstream",
    "UMSDR": "maximum stream duration reached",
    "UO": "circuit breaker overflow",
    "UPE": "upstream protocol error",
    "UR": "upstream reset the stream",
    "URX": "retry limit reached",
    "UT": "upstream request timeout",
}


def flag_words(flags: str) -> str:
    """Flags such as ``UT,URX`` as ``upstream request timeout (UT), retry limit reached (URX)``; empty for none."""
    known = [flag for flag in flags.split(",") if flag and flag != "-"]
    return ", ".join(f"{_WORDS[flag]} ({flag})" if flag in _WORDS else flag for flag in known)
