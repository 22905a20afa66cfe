"""Endings of a request that no rule chooses but a policy in force brings about: and what only a running mesh tells."""

from __future__ import annotations

from labsupport import words
from labsupport.explain import Explanation, Policy, RoutedTo
from labsupport.records import AccessRecord

__all__ = ["broken", "policed"]

_ASKED_TIMEOUT = "x-envoy-upstream-rq-timeout-ms"
# Nothing in the manifests says that a pod answers, or that a client waits for it.
_BROKEN = frozenset({"UF", "UC", "UR", "DC", "LR", "UPE", "SI"})


def policed(explanation: Explanation, record: AccessRecord) -> str:
    """Which policy in force ended a request so.

    Args:
        explanation: of the request.
        record: what the proxy wrote that decides.

    Returns:
        a clause with the policy and its place; empty if there is none.
    """
    flags = _flags(record)
    if "UT" in flags:
        return _timeout(explanation)
    for flag, name, what in (
        ("UH", "outlierDetection", "its endpoints are ejected by outlierDetection"),
        ("UO", "connectionPool", "its connection pool is full"),
    ):
        for destination in explanation.destinations:
            policy = next((policy for policy in destination.policies if policy.name == name), None)
            if flag in flags and policy is not None and _reached(destination, record):
                return f"{what} ({policy.place or 'default'})"
    return ""


def broken(record: AccessRecord) -> bool:
    """Whether the connection to a pod or to the client broke, which manifests say nothing about."""
    return bool(_flags(record) & _BROKEN)


def _flags(record: AccessRecord) -> frozenset[str]:
    return frozenset(record.flags.split(","))


def _reached(destination: RoutedTo, record: AccessRecord) -> bool:
    return bool(destination.pods) and record.cluster in ("", destination.cluster)


def _timeout(explanation: Explanation) -> str:
    if explanation.timeout_s is not None:
        return f"the timeout of {words.duration(explanation.timeout_s)} was over ({_place(explanation, 'timeout')})"
    if explanation.per_try_s is not None:
        limit = words.duration(explanation.per_try_s)
        return f"a try took longer than perTryTimeout, {limit} ({_place(explanation, 'retries')})"
    asked = next((value for name, value in explanation.headers.items() if name.lower() == _ASKED_TIMEOUT), "")
    return f"the request itself asked for {asked} ms at most" if asked else ""


def _place(explanation: Explanation, name: str) -> object:
    policies: tuple[Policy, ...] = explanation.policies
    return next((policy.place for policy in policies if policy.name == name), None) or "default"
