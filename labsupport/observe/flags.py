"""Envoy's response flags in words (access-log operator ``%RESPONSE_FLAGS%``)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FLAGS", "Flag", "flag_advice", "flag_place", "flag_words", "was_answered", "words_of"]


class Flag(NamedTuple):
    """What a flag says.

    Args:
        words: its name in words.
        cause: what it comes from in a mesh, as far as the course meets it.
        lab: the call of the lab that shows more.
        work: the command that does on a cluster.
    """

    words: str
    cause: str = ""
    lab: str = ""
    work: str = ""


_WHY, _JOURNEY, _PODS = "lab.explain(url)", "lab.journey(seen)", "lab.status()"
_LOG, _ROUTES = "kubectl logs POD -c istio-proxy", "istioctl proxy-config routes POD"
_ENDPOINTS = "istioctl proxy-config endpoints POD"

FLAGS = {
    "DC": Flag(
        "client closed the connection", "the caller, or a proxy before this one, waited no longer", _JOURNEY, _LOG
    ),
    "DF": Flag("DNS resolution failed"),
    "DI": Flag("delay injected", "a rule has fault.delay", _WHY, _ROUTES),
    "DPE": Flag("malformed request"),
    "DT": Flag("duration timeout"),
    "FI": Flag("abort injected", "a rule has fault.abort", _WHY, _ROUTES),
    "IH": Flag("invalid header value"),
    "LH": Flag("local health check failed"),
    "LR": Flag("connection reset by this proxy"),
    "NC": Flag(
        "no such cluster",
        "the rule names a subset that no DestinationRule defines, or a host without a Service that has this port",
        _WHY,
        "istioctl proxy-config clusters POD",
    ),
    "NFCF": Flag("no filter configuration"),
    "NR": Flag("no route", "the host has rules, and none of them takes the request", _WHY, _ROUTES),
    "OM": Flag("overload manager"),
    "RL": Flag("rate limited"),
    "RLSE": Flag("rate limit service error"),
    "SI": Flag("stream idle timeout"),
    "UAEX": Flag("denied by external authorization"),
    "UC": Flag("upstream closed the connection"),
    "UF": Flag("connection to the upstream failed", "the pod did not accept it", _PODS, _ENDPOINTS),
    "UH": Flag(
        "no healthy upstream", "the subset or the Service is there, but no ready pod has its labels", _PODS, _ENDPOINTS
    ),
    "UMSDR": Flag("maximum stream duration reached"),
    "UO": Flag(
        "circuit breaker overflow",
        "a connection pool is full",
        'lab.pools("CALLER")',
        "istioctl proxy-config clusters POD -o yaml",
    ),
    "UPE": Flag("upstream protocol error"),
    "UR": Flag("upstream reset the stream"),
    "URX": Flag("retry limit reached", "every try failed, and the rule allows no more", _JOURNEY, _LOG),
    "UT": Flag("upstream request timeout", "the route's timeout was over", _JOURNEY, _LOG),
}


# With these the client gets no answer of a pod, whatever pod was tried.
_UNANSWERED = frozenset({*FLAGS} - {"DI", "URX"})


def was_answered(flags: str) -> bool:
    """Whether it was a pod that answered, by the flags of the line; else the proxy did so itself, or nobody did."""
    return _UNANSWERED.isdisjoint(flags.split(","))


def words_of(flag: str) -> str:
    """One flag in words, without its letters."""
    return FLAGS[flag].words


def flag_words(flags: str) -> str:
    """Flags such as ``UT,URX`` as ``upstream request timeout (UT), retry limit reached (URX)``; empty for none."""
    known = [flag for flag in flags.split(",") if flag and flag != "-"]
    return ", ".join(f"{FLAGS[flag].words} ({flag})" if flag in FLAGS else flag for flag in known)


def flag_advice(flag: str) -> str:
    """One flag with what it comes from, such as ``no route: the host has rules, ...``; empty if unknown."""
    known = FLAGS.get(flag, Flag(""))
    return ": ".join(text for text in (known.words, known.cause) if text)


def flag_place(flag: str) -> str:
    """The call of the lab that shows more of requests with this flag; empty if none does."""
    return FLAGS.get(flag, Flag("")).lab
