"""What the judges of several lessons share: sending, and saying why requests failed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import CheckOutcome
from labsupport.observe.flags import flag_advice

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

__all__ = ["all_answered", "joined", "with_reasons"]

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
    pods_by_answer: dict[tuple[int, str], set[str]] = {}
    for record in lab.access_log([response.request_id for response in failed[:_LOOK_AT] if response.request_id]):
        if record.flags and record.status >= 400:
            for flag in record.flags.split(","):
                pods_by_answer.setdefault((record.status, flag), set()).add(record.pod)
    lines = []
    for (status, flag), pods in sorted(pods_by_answer.items()):
        advice = flag_advice(flag)
        meaning = f", {advice}" if advice else ""
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
