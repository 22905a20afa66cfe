"""How a judge of ``course/lessons`` is found, and what the frame adds to what it shows.

A judge returns checks and the responses that they are about, several as a tuple, or yields them one by one::

    @judge("03.1")
    def testers_only(lab):
        seen = lab.send(WEB, source="client", headers=TESTER, count=200)
        return seen, check.only(seen, version="v2")

Responses stand for the expectation that all of them were answered. The first expectation that does not hold is the
outcome, and the access log of the responses says why; a generator is not asked for what comes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from labsupport import check, words
from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, CheckOutcome, meanings_last
from labsupport.course.ladder import Ladder, Rung
from labsupport.course.spec import Because, Judge, Shown, Untouched
from labsupport.errors import UsageError
from labsupport.observe.flags import flag_advice, flag_place
from labsupport.traffic.observations import Observations

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

__all__ = [
    "JUDGES",
    "UNTOUCHED",
    "answered",
    "claim",
    "disturbed",
    "joined",
    "judge",
    "judged",
    "untouched",
    "with_reasons",
]

JUDGES: dict[str, Judge] = {}
"""By number of the exercise, from the modules of ``course/lessons`` that were imported."""

UNTOUCHED: dict[str, Untouched] = {}

_Hook = TypeVar("_Hook")
_LOOK_AT = 20


def judge(number: str) -> Callable[[Judge], Judge]:
    """Make a function the judge of an exercise.

    Args:
        number: such as ``"03.1"``.

    Raises:
        UsageError: that exercise has a judge already.
    """
    return _registered(JUDGES, number)


def untouched(number: str) -> Callable[[Untouched], Untouched]:
    """Make a function say whether the mesh is still as an exercise without a cell was given.

    Args:
        number: such as ``"01.2"``.

    Raises:
        UsageError: that exercise has such a function already.
    """
    return _registered(UNTOUCHED, number)


def judged(
    lab: Lab, shown: Shown | Iterable[Shown | Rung], reasons: Mapping[str, str], rungs: Mapping[str, str] | None = None
) -> CheckOutcome:
    """The outcome of what a judge shows.

    Args:
        lab: where it happened.
        shown: what the judge returned.
        reasons: the texts that it names.
        rungs: name to text of the steps that it reaches, if it has any.

    Raises:
        UsageError: it shows nothing, or names a text that there is not, or a rung out of turn.
    """
    seen: Observations | None = None
    outcomes, ladder = [], Ladder(rungs or {})
    for part in [shown] if isinstance(shown, CheckOutcome | Observations | Because) else shown:
        if isinstance(part, Rung):
            ladder.reach(part)
            continue
        if isinstance(part, Observations):
            seen, outcome = part, check.ok(part)
        else:
            outcome = _explained(part, reasons) if isinstance(part, Because) else part
        outcomes.append(outcome if seen is None else with_reasons(lab, seen, outcome))
        if not outcome.passed:
            break
    if not outcomes:
        raise UsageError("The judge of this exercise shows nothing: let it return responses or checks.")
    return ladder.told(joined(*outcomes))


def _explained(part: Because, reasons: Mapping[str, str]) -> CheckOutcome:
    if part.reason not in reasons:
        raise UsageError(f"There is no text {part.reason!r} below [en.reasons] of this exercise.")
    if part.outcome.state not in (FAILED, NOT_ATTEMPTED):
        return part.outcome
    return replace(part.outcome, lines=(reasons[part.reason], *part.outcome.lines))


def _registered(hooks: dict[str, _Hook], number: str) -> Callable[[_Hook], _Hook]:
    def register(hook: _Hook) -> _Hook:
        if number in hooks:
            raise UsageError(f"Exercise {number} has two functions for the same: {hooks[number]} and {hook}.")
        hooks[number] = hook
        return hook

    return register


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
    pods_by_cause: dict[tuple[int, str], set[str]] = {}
    for record in lab.access_log([response.request_id for response in failed[:_LOOK_AT] if response.request_id]):
        if record.flags and record.status >= 400:
            for flag in record.flags.split(","):
                pods_by_cause.setdefault((record.status, flag), set()).add(record.pod)
    lines = []
    for (status, flag), pods in sorted(pods_by_cause.items()):
        advice = flag_advice(flag)
        meaning = f", {advice}" if advice else ""
        place = f" Where to look: {flag_place(flag)}." if flag_place(flag) else ""
        lines.append(f"{status} {flag}{meaning} (access log of {words.join(sorted(pods))}).{place}")
    outcomes = failed.share("outcome")
    if "connection" in outcomes:
        lines.append(f"{words.plural(outcomes.count('connection'), 'connection')} refused: no pod took it.")
    if "unknown_destination" in outcomes:
        lines.append("The mesh knows no such host and port.")
    return replace(outcome, lines=(*outcome.lines, *lines))


def answered(lab: Lab, observations: Observations, reasons: Iterable[str]) -> Shown:
    """The responses for a judge to show; if some failed, with what the objects say about it in front.

    Args:
        lab: where it happened.
        observations: what the client saw.
        reasons: sentences; looked at only if requests failed.
    """
    outcome = check.ok(observations)
    if outcome.passed:
        return observations
    return with_reasons(lab, observations, replace(outcome, lines=(*reasons, *outcome.lines)))


def claim(held: bool, title: str, *lines: str) -> CheckOutcome:
    """A claim that holds or not, without chance and without numbers of its own.

    Args:
        held: whether it holds.
        title: what was expected.
        lines: what was seen, one sentence each.
    """
    return CheckOutcome(PASSED if held else FAILED, title, lines)


def disturbed(lab: Lab, service: str) -> Iterator[CheckOutcome]:
    """What is under way already, and would be counted with what a judge sends; it is no answer, right or wrong.

    Args:
        lab: where to look.
        service: to whom, by its short name, from whatever caller.
    """
    status, title = lab.status(), "nothing is under way"
    # Its requests come and go, and are seldom there when one looks.
    if status.traffic:
        line = f"Traffic runs in the background: {words.join(status.traffic)}. Stop it first."
        yield CheckOutcome(NOT_ATTEMPTED, title, (line,))
    count = sum(pool.waiting for pool in lab.pools("client").pools if pool.host == service)
    # Those of all callers, which the proxies of its pods count.
    met = [lab.pools(pod.name) for pod in status.pods if pod.ready and pod.service == service]
    count += sum(pool.under_way + pool.waiting for pools in met for pool in pools.pools if not pool.host)
    if count:
        line = f"Under way to {service} already: {words.plural(count, 'request')}. Release what is held first."
        yield CheckOutcome(NOT_ATTEMPTED, title, (line,))


def joined(*outcomes: CheckOutcome) -> CheckOutcome:
    """Several expectations as one: the first that failed, as what comes after only repeats it; else what all say."""
    for outcome in outcomes:
        if not outcome.passed:
            return outcome
    # What many of them say alike is said once: after ten lines that agree nobody reads the eleventh.
    lines = tuple(dict.fromkeys(line for outcome in outcomes for line in outcome.lines))
    details = meanings_last(line for outcome in outcomes for line in outcome.details)
    return replace(outcomes[-1], lines=lines, details=details, alpha=sum(outcome.alpha for outcome in outcomes))
