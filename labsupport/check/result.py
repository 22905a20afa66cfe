"""What a check found: passed, failed, too little data to tell, or not attempted; and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from labsupport import words
from labsupport.arguments import checked
from labsupport.errors import CheckFailed
from labsupport.statistics import Interval
from labsupport.traffic.observations import Observations

__all__ = [
    "COMPARED",
    "FAILED",
    "NOT_ATTEMPTED",
    "PASSED",
    "SIGNS",
    "TOO_LITTLE_DATA",
    "CheckOutcome",
    "CheckState",
    "all_of",
    "meaning",
    "meanings_last",
    "sign",
    "unusable",
]


class CheckState(StrEnum):
    """The results of a check.

    Two are no failure: with ``TOO_LITTLE_DATA`` a larger sample decides, and ``COMPARED`` is a prediction, made before
    the first response, that turned out otherwise.
    """

    PASSED = "PASSED"
    FAILED = "FAILED"
    NOT_ATTEMPTED = "NOT_ATTEMPTED"
    TOO_LITTLE_DATA = "TOO_LITTLE_DATA"
    COMPARED = "COMPARED"


PASSED, FAILED, NOT_ATTEMPTED, TOO_LITTLE_DATA, COMPARED = CheckState

SIGNS = {PASSED: "✓", FAILED: "✗", TOO_LITTLE_DATA: "◔", NOT_ATTEMPTED: "○", COMPARED: "≠"}
"""A sign for each state, for a place without room for the word."""

_OUTCOMES = {
    FAILED: "failed",
    NOT_ATTEMPTED: "not attempted",
    TOO_LITTLE_DATA: "had too little data",
    COMPARED: "turned out otherwise",
    PASSED: "passed",
}
_MEANS = " interval: the shares that could have produced this; a correct mesh is outside once in "


def sign(held: bool) -> str:
    """The sign before a part of an expectation that held, or did not."""
    return SIGNS[PASSED if held else FAILED]


@checked
@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The result of one check; true in a condition if it passed.

    Args:
        state: PASSED, FAILED, TOO_LITTLE_DATA, NOT_ATTEMPTED or, of a prediction, COMPARED.
        title: what was expected.
        lines: the explanation, one sentence each, what matters most first; ``✓`` or ``✗`` before a part of it.
        details: the numbers behind it, folded away where that is possible.
        n: number of independent choices that were judged.
        seen: key (such as a version) to count.
        interval: key to exact interval of its share.
        level: confidence level of each interval; 0 without any.
        expected: key to expected share; empty where no share is expected.
        p_value: probability of a deviation at least this large if the expectation is right; None if nothing is random.
        alpha: probability that this check fails although the expectation is right; 0 if nothing is random.
        rejects: in words, what the observations rule out.
    """

    state: CheckState
    title: str
    lines: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    n: int = 0
    seen: Mapping[str, int] = field(default_factory=dict)
    interval: Mapping[str, Interval] = field(default_factory=dict)
    level: float = 0.0
    expected: Mapping[str, float] = field(default_factory=dict)
    p_value: float | None = None
    alpha: float = 0.0
    rejects: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it passed."""
        return self.state is PASSED

    def require(self) -> CheckOutcome:
        """Stop here unless it passed.

        Returns:
            This outcome.

        Raises:
            CheckFailed: with the explanation, if it failed, was not attempted or had too little data.
        """
        if not self.passed:
            raise CheckFailed(repr(self))
        return self

    def __bool__(self) -> bool:
        return self.passed

    @words.shown
    def __repr__(self) -> str:
        return "\n".join([f"{self.state} {self.title}", *(f"  {line}" for line in (*self.lines, *self.details))])


@checked
def all_of(title: str, *outcomes: CheckOutcome) -> CheckOutcome:
    """Join several checks: the state is the worst one, from passed over too little data to failed.

    Args:
        title: what is expected in all.
        outcomes: the parts.

    Returns:
        One outcome with a line for each part, and the reasons of those that did not pass; ``alpha`` is their sum.
    """
    states = [outcome.state for outcome in outcomes]
    state = next((state for state in _OUTCOMES if state in states), FAILED)
    lines = [_in_all(states)]
    for outcome in outcomes:
        first, *reasons = outcome.lines or ("",)
        lines.append(f"{SIGNS[outcome.state]} {outcome.title}: {first}")
        lines += [f"  {line}" for line in reasons if not line.startswith("✓")]
    titled = (
        line if _MEANS in line else f"{outcome.title}: {line}" for outcome in outcomes for line in outcome.details
    )
    return CheckOutcome(
        state,
        title,
        tuple(lines),
        meanings_last(titled),
        n=sum(outcome.n for outcome in outcomes),
        alpha=sum(outcome.alpha for outcome in outcomes),
        rejects=tuple(text for outcome in outcomes for text in outcome.rejects),
    )


def _in_all(states: list[CheckState]) -> str:
    if not states:
        return "Nothing was checked."
    if {*states} == {PASSED}:
        return f"All of {len(states)} parts passed." if len(states) > 1 else "The only part passed."
    counts = [f"{states.count(state)} {said}" for state, said in _OUTCOMES.items() if state in states]
    return f"Of {words.plural(len(states), 'part')}, {words.join(counts)}."


def meaning(alpha: float) -> str:
    """What the intervals of a check say that fails a correct mesh with this probability.

    Args:
        alpha: the probability.
    """
    return f"{100 * (1 - alpha):.6g} %{_MEANS}{round(1 / alpha):,} checks"


def meanings_last(details: Iterable[str]) -> tuple[str, ...]:
    """Details of several checks, with what an interval means told once, at the end.

    Args:
        details: of one check after the other.
    """
    return tuple(dict.fromkeys(sorted(details, key=lambda line: _MEANS in line)))


def unusable(observations: Observations | None, title: str) -> CheckOutcome:
    """The outcome of a check that has nothing to look at: not attempted for None, failed for no responses.

    Args:
        observations: None or empty.
        title: what was expected.

    Returns:
        The outcome.
    """
    if observations is None:
        return CheckOutcome(NOT_ATTEMPTED, title, ("Nothing was sent yet.",))
    return CheckOutcome(FAILED, title, ("There are no responses, so nothing was shown: send requests first.",))
