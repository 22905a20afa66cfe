"""Questions to be answered before looking: a number, or one of several choices."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

from labsupport import words
from labsupport.check.result import COMPARED, FAILED, NOT_ATTEMPTED, PASSED, CheckOutcome
from labsupport.check.strays import told
from labsupport.check.window import window_line
from labsupport.errors import UsageError
from labsupport.statistics import Interval, proportion_interval

if TYPE_CHECKING:
    from labsupport.traffic.observations import Observations

__all__ = [
    "COUNTED",
    "Answer",
    "Asked",
    "ChoiceQuestion",
    "Compared",
    "NumberQuestion",
    "Prediction",
    "Question",
    "in_time",
]

COUNTED = {"version", "pod", "service", "status", "outcome", "user"}
"""What a question about a number of responses can count them by."""


Answer = Annotated[float | str, "the question knows which fits"]
"""A prediction."""

LEVEL = 0.999
"""Confidence of the interval beside a prediction."""

# Clocks of a cluster's nodes differ by less, and nobody reads a response and answers in that time.
_NOBODY_SO_FAST_S = 1.0
_ELSEWHERE = "The mesh was not as the question has it. Run the cells above again, in their order."
_NOTHING = "There are no responses: nothing was shown. Send requests first."


@dataclass(frozen=True, slots=True, repr=False)
class Compared(CheckOutcome):
    """A prediction beside what was seen, for one picture.

    Args:
        predicted: the predicted share; None if the prediction was skipped.
        mark: what is to be known of the prediction, such as that it came late; empty for one made in time.
        late: whether it came after the first response.
    """

    predicted: float | None = None
    mark: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer, and when it was given.

    Args:
        value: the answer.
        at_s: when, in seconds since the epoch.
        kept: whether it was read from the record of an earlier session.
        late: whether it came after the first of the responses that it was held against; None before that.
    """

    value: float | str
    at_s: float
    kept: bool = False
    late: bool | None = None

    @property
    def mark(self) -> str:
        """Where it is from, if it was not given in this session: ``kept from 29 Nov 10:43``."""
        return time.strftime("kept from %d %b %H:%M", time.localtime(self.at_s)) if self.kept else ""

    def after_first_of(self, observations: Observations | None) -> bool:
        """Whether it was given after the first of these responses had been seen."""
        ends = (response.started_s + response.duration_s for response in observations or ())
        return self.at_s > min(ends, default=math.inf) + _NOBODY_SO_FAST_S


@dataclass(frozen=True, slots=True)
class NumberQuestion:
    """A question for a number.

    Args:
        name: what to call it in a record of answers.
        text: the question.
        low: smallest answer that is right.
        high: largest answer that is right.
        reason: why, shown once it was answered right.
        of: the number of requests that the answer is a part of; 0 if it is not about requests.
        counts: which responses are the ones asked about, as for ``Observations.count``; empty if it is not about any.
        unit: what is counted.
        pointer: where to look again, shown with a wrong answer; empty for a prediction, which the requests answer.
    """

    name: str
    text: str
    low: float
    high: float
    reason: str
    of: int = 0
    counts: Mapping[str, Any] = field(default_factory=dict)
    unit: str = "requests"
    pointer: str = ""

    @property
    def predicts(self) -> bool:
        """Whether it asks for what will be seen, and not for what is so."""
        return bool(self.counts)

    @property
    def exact(self) -> bool:
        """Whether a single number is right: then nothing is left to chance, and there is no interval to tell."""
        return self.low == self.high

    def parse(self, value: float | str) -> float:
        """Take an answer.

        Raises:
            UsageError: it is not a number that can be an answer.
        """
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        limit = self.of or math.inf
        if not 0 <= number <= limit or math.isinf(number):
            scope = f"a number from 0 to {self.of}" if self.of else "a number from 0"
            raise UsageError(f"{value!r} is no answer here: give {scope}.")
        return number

    def judge(self, answer: float | str | None) -> CheckOutcome:
        """Whether an answer is right."""
        if answer is None:
            return CheckOutcome(NOT_ATTEMPTED, self.text, (f"Not answered yet: {self.text}",))
        number = float(answer)
        if self.low <= number <= self.high:
            return CheckOutcome(PASSED, self.text, (f"You said {number:g}. {self.reason}",))
        side = "few" if number < self.low else "many"
        return CheckOutcome(FAILED, self.text, (f"You said {number:g}: too {side}. {self.pointer or self.reason}",))

    def right_answer(self) -> float:
        """An answer that is right."""
        return (self.low + self.high) / 2

    def wrong_answers(self) -> tuple[float, ...]:
        """Answers on both sides that are not, as far as they are answers."""
        return tuple(answer for answer in (self.low - 1, self.high + 1) if 0 <= answer <= (self.of or math.inf))

    def compare(self, answer: float | str | None, observations: Observations | None) -> CheckOutcome:
        """Hold an answer against what was seen; the answer is judged, the sample shows why."""
        outcome = self.judge(answer)
        if not self.counts or (observations is None and answer is None):
            return outcome
        if not observations:
            return CheckOutcome(FAILED, self.text, (_NOTHING,))
        n = len(observations)
        count = observations.count(**self.counts)
        intervals = {} if self.exact else {"seen": self.interval(observations)}
        seen = f"{count:,} of {n:,} {self.unit} {told(self.counts)} ({words.percent(count / n)})."
        chance = [
            f"By chance, any share of {words.percent_range(*ends)} can look like this." for ends in intervals.values()
        ]
        if answer is None:
            lines: tuple[str, ...] = ("The prediction was skipped.", seen, *chance)
            said = None
        else:
            said = float(answer) * n / self.of if self.of else float(answer)
            lines = (f"You said {said:g}. {seen}", *chance, self.reason)
            # Where one number is right, another one is seen in another mesh only.
            if self.exact and self.of and count * self.of != self.low * n:
                lines += (_ELSEWHERE,)
        if observations.window is not None:
            lines = (*lines, f"{window_line(observations.window).capitalize()}.")
        return Compared(
            outcome.state,
            self.text,
            lines,
            n=n,
            seen={"seen": count} if said is None else {"predicted": round(said), "seen": count},
            interval=intervals,
            level=LEVEL if intervals else 0.0,
            predicted=None if said is None else said / n,
        )

    def interval(self, observations: Observations) -> Interval:
        """The shares that may look like what was seen."""
        chosen = observations.independent_choices(per=observations.per)
        return proportion_interval(chosen.count(**self.counts), len(chosen), level=LEVEL)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ChoiceQuestion:
    """A question with choices, of which one is right.

    Args:
        name: what to call it in a record of answers.
        text: the question.
        choices: the possible answers.
        right: the right one.
        reason: why, shown once it was answered right.
        because: for each wrong answer, what is wrong with it.
        predicts: whether it asks for what will be seen, and not for what is so.
    """

    name: str
    text: str
    choices: tuple[str, ...]
    right: str
    reason: str
    because: tuple[tuple[str, str], ...]
    predicts: bool = False

    def parse(self, value: float | str) -> str:
        """Take an answer: the text of a choice, or its letter.

        Raises:
            UsageError: there is no such choice.
        """
        text = str(value).strip()
        for letter, choice in zip("abcdefghij", self.choices, strict=False):
            if text.lower() in (letter, choice.lower()):
                return choice
        listed = ", ".join(f"{letter}: {choice!r}" for letter, choice in zip("abcdefghij", self.choices, strict=False))
        raise UsageError(f"{value!r} is no answer here: give one of {listed}.")

    def judge(self, answer: float | str | None) -> CheckOutcome:
        """Whether an answer is right."""
        if answer is None:
            return CheckOutcome(NOT_ATTEMPTED, self.text, (f"Not answered yet: {self.text}",))
        if answer == self.right:
            return CheckOutcome(PASSED, self.text, (f"You said {answer!r}. {self.reason}",))
        return CheckOutcome(FAILED, self.text, (f"You said {answer!r}. {dict(self.because)[str(answer)]}",))

    def right_answer(self) -> str:
        """The answer that is right."""
        return self.right

    def wrong_answers(self) -> tuple[str, ...]:
        """All answers that are not."""
        return tuple(choice for choice in self.choices if choice != self.right)

    def compare(self, answer: float | str | None, observations: Observations | None) -> CheckOutcome:
        """Whether an answer is right; what was seen needs no counting, as it is in the choices."""
        if observations is not None and not len(observations):
            return CheckOutcome(FAILED, self.text, (_NOTHING,))
        if answer is None and observations is not None:
            return CheckOutcome(NOT_ATTEMPTED, self.text, ("The prediction was skipped.", self.reason))
        return self.judge(answer)

    def __str__(self) -> str:
        choices = "; ".join(f"{letter}) {choice}" for letter, choice in zip("abcdefghij", self.choices, strict=False))
        return f"{self.text} ({choices})"


Question = NumberQuestion | ChoiceQuestion


def in_time(outcome: CheckOutcome) -> CheckOutcome:
    """What a prediction made before looking is worth: one that turned out otherwise has not failed."""
    if outcome.state is not FAILED:
        return outcome
    return replace(outcome, state=COMPARED, lines=(*outcome.lines, "It is done: a prediction need not come true."))


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """A question that waits for an answer.

    Args:
        question: what is asked.
        answer: the answer so far; None without one.
        note: takes each new answer; it raises a ``UsageError`` for what is no answer.
        mark: what is to be known of the answer so far, such as when an earlier session kept it.
    """

    question: Question
    answer: float | str | None
    note: Callable[[float | str], object]
    mark: str = ""

    @words.shown
    def __repr__(self) -> str:
        said = "none yet" if self.answer is None else str(self.answer)
        return f"{self.question}\nAnswer: {said}" + (f" ({self.mark})" if self.mark else "")
