"""Envoy's response flags in words (access-log operator ``%RESPONSE_FLAGS%``)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["flag_advice", "flag_words", "was_answered", "words_of"]


class _Flag(NamedTuple):
    """What a flag says, and what it comes from in a mesh, as far as the course meets it."""

    words: str
    cause: str = ""


_FLAGS = {
    "DC": _Flag("client closed the connection"),
    "DF": _Flag("DNS resolution failed"),
    "DI": _Flag("delay injected"),
    "DPE": _Flag("malformed request"),
    "DT": _Flag("duration timeout"),
    "FI": _Flag("abort injected"),
    "IH": _Flag("invalid header value"),
    "LH": _Flag("local health check failed"),
    "LR": _Flag("connection reset by this proxy"),
    "NC": _Flag(
        "no such cluster",
        "the rule names a subset that no DestinationRule defines, or a host without a Service that has this port",
    ),
    "NFCF": _Flag("no filter configuration"),
    "NR": _Flag("no route", "the host has rules, and none of them takes the request"),
    "OM": _Flag("overload manager"),
    "RL": _Flag("rate limited"),
    "RLSE": _Flag("rate limit service error"),
    "SI": _Flag("stream idle timeout"),
    "UAEX": _Flag("denied by external authorization"),
    "UC": _Flag("upstream closed the connection"),
    "UF": _Flag("connection to the upstream failed", "the pod did not accept it"),
    "UH": _Flag("no healthy upstream", "the subset or the Service is there, but no ready pod has its labels"),
    "UMSDR": _Flag("maximum stream duration reached"),
    "UO": _Flag("circuit breaker overflow", "a connection pool is full"),
    "UPE": _Flag("upstream protocol error"),
    "UR": _Flag("upstream reset the stream"),
    "URX": _Flag("retry limit reached"),
    "UT": _Flag("upstream request timeout", "the route's timeout was over"),
}


# With these the client gets no answer of a pod, whatever pod was tried.
_UNANSWERED = frozenset({*_FLAGS} - {"DI", "URX"})


def was_answered(flags: str) -> bool:
    """Whether it was a pod that answered, by the flags of the line; else the proxy did so itself, or nobody did."""
    return _UNANSWERED.isdisjoint(flags.split(","))


def words_of(flag: str) -> str:
    """One flag in words, without its letters."""
    return _FLAGS[flag].words


def flag_words(flags: str) -> str:
    """Flags such as ``UT,URX`` as ``upstream request timeout (UT), retry limit reached (URX)``; empty for none."""
    known = [flag for flag in flags.split(",") if flag and flag != "-"]
    return ", ".join(f"{_FLAGS[flag].words} ({flag})" if flag in _FLAGS else flag for flag in known)


def flag_advice(flag: str) -> str:
    """One flag with what it comes from, such as ``no route: the host has rules, ...``; empty if unknown."""
    return ": ".join(text for text in _FLAGS.get(flag, ("",)) if text)
