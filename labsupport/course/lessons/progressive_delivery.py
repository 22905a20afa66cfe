"""Judges of notebook 19: what becomes of good and bad versions, two hundred times each, under a learner's analysis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labsupport.check.result import CheckOutcome
from labsupport.course.canary_analysis import Met
from labsupport.course.judging import claim, judge
from labsupport.course.ladder import Rung
from labsupport.course.replays import GOOD, Replayed, replayed
from labsupport.course.spec import Because, Shown
from labsupport.model.kinds.canary import Canary

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_TIMES, _QUICK_S, _SLOW_S = 200, 0.01, 0.6
# What 1,000 requests meet: one failure, all slow, or 30 failures, spread evenly.
_ANSWERS = {
    GOOD: [Met(number == 500, _QUICK_S) for number in range(1_000)],
    "slow": [Met(False, _SLOW_S)] * 1_000,
    "failing": [Met(number % 100 in (20, 50, 80), _QUICK_S) for number in range(1_000)],
}
_BUSY, _QUIET = 1_000, 100
# Of 200, that a judge may get wrong: false rollbacks, and bad versions that it misses.
_FALSE, _MISSED = 2, 10
_MOST_HURT = 100


@judge("19.2")
def it_passed_every_check(lab: Lab) -> Iterator[Shown]:
    """A busy service: what fails or is slow goes back, and what is good does not."""
    for version in ("failing", "slow", GOOD):
        yield Because(version, _seldom_wrong(_released(lab, version, _BUSY)))


@judge("19.3")
def a_quiet_service(lab: Lab) -> Iterator[Shown | Rung]:
    """A hundred requests a minute: the same, and few are hurt."""
    released = {version: _released(lab, version, _QUIET) for version in _ANSWERS}
    for version in ("slow", "failing"):
        yield Because(version, _seldom_wrong(released[version]))
    yield Rung("bad")
    yield Because(GOOD, _seldom_wrong(released[GOOD]))
    yield Rung("good")
    hurt = max(released[version].mean_hurt for version in ("slow", "failing"))
    line = f"A bad version hurts {hurt:.0f} requests on average; expected: {_MOST_HURT} at most."
    yield Because("hurt", claim(hurt <= _MOST_HURT, "few are hurt", line))
    yield Rung("hurt")


def _released(lab: Lab, version: str, per_minute: int) -> Replayed:
    (canary,) = lab.get("Canary", "web")
    assert isinstance(canary, Canary)
    return replayed(version, _ANSWERS[version], "web", canary, per_minute=per_minute, times=_TIMES, seed=0)


def _seldom_wrong(row: Replayed) -> CheckOutcome:
    allowed = _FALSE if row.version == GOOD else _MISSED
    what = f"{row.mistakes} of {_TIMES} releases of a {row.version} version were {row.mistake}"
    line = f"{what}; expected: {allowed} at most."
    return claim(row.mistakes <= allowed, f"a {row.version} version is judged rightly", line)
