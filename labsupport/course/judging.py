"""What the judges of several lessons share: sending, and saying why requests failed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import CheckOutcome

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

__all__ = ["FLAGS", "all_answered", "joined", "with_reasons"]

FLAGS = {
    "NC": "no such cluster: the rule names a subset that no DestinationRule defines, or a host without a Service",
    "NR": "no route: a rule took the request, but none of its matches fits",
    "UF": "the pod did not accept the connection",
    "UH": "no healthy upstream: the subset or the Service is there, but no ready pod has its labels",
    "UO": "overflow: a connection pool is full",
    "UT": "the route's timeout was over",
}
"""Envoy's response flags in a learner's words (``%RESPONSE_FLAGS%`` of Envoy's access log)."""

_LOOK_AT = 20


def with_reasons(lab: Lab, observations: Observations, outcome: CheckOutcome) -> CheckOutcome:
    """Add to a failed outcome what the proxies' access logs say about the requests that failed.

    Args:
        lab: where it happened.
        observations: what the client saw.
        outcome: what a check found.
    """
    failed = observations.errors
    if outcome.passed or not failed:
        return outcome
    found: dict[tuple[int, str], set[str]] = {}
    for record in lab.access_log([response.request_id for response in failed[:_LOOK_AT] if response.request_id]):
        if record.flags and record.status >= 400:
            for flag in record.flags.split(","):
                found.setdefault((record.status, flag), set()).add(record.pod)
    lines = []
    for (status, flag), pods in sorted(found.items()):
        meaning = f", {FLAGS[flag]}" if flag in FLAGS else ""
        lines.append(f"{status} {flag}{meaning} (access log of {words.join(sorted(pods))}).")
    outcomes = failed.share("outcome")
    if "connection" in outcomes:
        lines.append(f"{words.plural(outcomes.count('connection'), 'connection')} refused: no pod took it.")
    if "unknown_destination" in outcomes:
        lines.append("The mesh knows no such host and port.")
    return replace(outcome, lines=(*outcome.lines, *lines))


def all_answered(lab: Lab, observations: Observations) -> CheckOutcome:
    """Not one request failed; else why."""
    return with_reasons(lab, observations, check.ok(observations))


def joined(*outcomes: CheckOutcome) -> CheckOutcome:
    """Several expectations as one: the first that failed, as what comes after it only repeats it; else the last."""
    for outcome in outcomes:
        if not outcome.passed:
            return outcome
    lines = tuple(line for outcome in outcomes for line in outcome.lines)
    return replace(outcomes[-1], lines=lines, alpha=sum(outcome.alpha for outcome in outcomes))
