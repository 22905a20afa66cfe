"""The frame of an exercise: what is asked, how an answer is noted, and how it is judged.

Nothing here draws or imports IPython: records carry text, and ``labsupport.display`` shows them.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from labsupport import paths, words
from labsupport.arguments import checked
from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, CheckOutcome
from labsupport.course import progress
from labsupport.course.attempt import Attempt
from labsupport.course.judging import judged
from labsupport.course.ladder import Climbed
from labsupport.course.needs import left_over, missing, not_in, without_pods
from labsupport.course.questions import Answer, Asked, ChoiceQuestion, Compared, Prediction, Question, in_time
from labsupport.course.spec import ExerciseSpec
from labsupport.errors import ConfigRejectedError, LabError, ManifestError, NotFoundError, UsageError, WaitTimeoutError
from labsupport.lab.sources import has_gap
from labsupport.records import Ref
from labsupport.traffic.observations import Observations

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.records import ApplyResult

__all__ = ["Exercise", "Hint", "Solution", "solution_of"]

# What a learner's answer can bring about; anything else is a fault of the mesh and must not look like a wrong answer.
_LEARNERS_ERRORS = (ManifestError, ConfigRejectedError, NotFoundError, UsageError, WaitTimeoutError)


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint.

    Args:
        text: what it says.
        number: which one, from 1.
        total: how many there are.
    """

    text: str
    number: int
    total: int

    @words.shown
    def __repr__(self) -> str:
        more = "" if self.number < self.total else " That was the last one; solution() shows one way."
        return f"Hint {self.number} of {self.total}: {self.text}{more}"


@dataclass(frozen=True, slots=True)
class Solution:
    """One way to do it, shown and not applied.

    Args:
        text: the manifest, or the answer.
        path: where it is, below ``manifests``; empty for an answer in words.
    """

    text: str
    path: str = ""

    @words.shown
    def __repr__(self) -> str:
        return f"# {self.path}\n{self.text.rstrip()}" if self.path else self.text


def solution_of(spec: ExerciseSpec) -> Solution:
    """One way to do an exercise, which takes no lab.

    Args:
        spec: the exercise.
    """
    if spec.verb:
        return Solution(f"`{spec.verb}`")
    if spec.solution:
        text = paths.resolve(paths.manifests() / spec.solution).read_text(encoding="utf-8")
        return Solution(text, spec.solution)
    return Solution("\n".join(question.reason for question in spec.questions))


@checked
class Exercise:
    """An exercise together with the lab it is done in, which it does not keep.

    Args:
        spec: what is asked.
        lab: where it is done.
    """

    def __init__(self, spec: ExerciseSpec, lab: Lab) -> None:
        self.spec = spec
        self._lab = weakref.ref(lab)
        self._attempt: Attempt | None = None
        self._made: set[Ref] = set()
        self._hints = 0
        self._answers: dict[str, Prediction | None] = {}

    @property
    def lab(self) -> Lab:
        """Where it is done.

        Raises:
            UsageError: that lab is gone.
        """
        lab = self._lab()
        if lab is None:
            raise UsageError("The lab of this exercise is gone. Open another one: lab = Lab()")
        return lab

    # --- for the learner ----------------------------------------------------------------------------------------

    def check(self) -> CheckOutcome:
        """Look whether it is done; a wrong answer is an outcome, never an exception.

        Returns:
            PASSED, FAILED with what was seen, or NOT_ATTEMPTED.
        """
        outcome = self._judge()
        reached = outcome.reached if isinstance(outcome, Climbed) else 0
        progress.record(self.spec.number, outcome.state, hints=self._hints, rungs=reached)
        return outcome

    def hint(self) -> Hint:
        """The next hint; each says more than the one before, and the last one comes again."""
        self._hints = min(self._hints + 1, len(self.spec.hints))
        progress.record(self.spec.number, None, hints=self._hints)
        return Hint(self.spec.hints[self._hints - 1], self._hints, len(self.spec.hints))

    def solution(self) -> Solution:
        """One way to do it; it is shown, not applied."""
        return solution_of(self.spec)

    def start(self) -> Solution:
        """The text that the cell of this exercise began with.

        Returns:
            The text; a notebook shows it as YAML.

        Raises:
            UsageError: the exercise has no cell.
        """
        if not self.spec.start:
            raise UsageError(
                f"Exercise {self.spec.number} has no text to begin with: it is done without a manifest. "
                f"exercise({self.spec.number!r}) shows its task."
            )
        return Solution(self.spec.start)

    def prepare(self) -> ApplyResult:
        """Bring what the exercise builds on into the mesh, for those who begin in the middle of a notebook.

        Returns:
            What was created, changed or unchanged, as of ``lab.apply``.

        Raises:
            UsageError: it builds on nothing, or the lab is gone or closed.
            WaitTimeoutError: it was not in force in time.
        """
        if not self.spec.needs:
            raise UsageError(f"Exercise {self.spec.number} needs nothing in the mesh.")
        if self.spec.absent:
            # First, so that the result holds no note about what is gone at once.
            self.lab.delete(*self.spec.absent, missing_ok=True)
        return self.lab.apply(*(self._path(path) for path in self.spec.needs))

    def predict(self, value: Answer, *, question: int = 1) -> Exercise:
        """Answer a question before looking; a cell before that of the traffic is the place for it.

        Args:
            value: a number, or one of the choices (its text or its letter).
            question: which one, from 1.

        Returns:
            This exercise.

        Raises:
            UsageError: the question does not take such an answer.
        """
        asked = self._question(question)
        answer, before = asked.parse(value), self._answer(asked)
        # Who says the same once more has said it when it was said first.
        same = before is not None and before.value == answer
        at_s, late = (before.at_s, before.late) if before is not None and same else (time.time(), None)
        self._answers[asked.name] = Prediction(answer, at_s, late=late)
        progress.record_prediction(self.spec.number, asked.name, answer, at_s=at_s, late=late)
        return self

    def skip(self, question: int = 1) -> Exercise:
        """Go on without a prediction, which is noted as skipped.

        Args:
            question: which one, from 1.

        Returns:
            This exercise.

        Raises:
            UsageError: there is no such question.
        """
        asked = self._question(question)
        self._answers[asked.name] = None
        progress.record_prediction(self.spec.number, asked.name, None, at_s=time.time())
        return self

    def compare(self, observations: Observations | None = None, *, question: int = 1) -> CheckOutcome:
        """Hold a prediction against what was seen, both in one picture; without a prediction it counts as skipped.

        One that an earlier session kept counts, and is marked so. One that came after the first response is marked as
        late. One in time that turned out otherwise has not failed: it counts as done, and its state is COMPARED.

        Args:
            observations: what was seen; None if the question is not about traffic.
            question: which one, from 1.
        """
        asked = self._question(question)
        said = self._answer(asked)
        if observations is not None and said is None:
            self.skip(question)
        late = said is not None and said.after_first_of(observations)
        # What is to be counted is shown by responses alone; the choices of a question hold what was seen.
        shown = bool(observations) or (observations is None and isinstance(asked, ChoiceQuestion))
        if said is not None and shown:
            self._answers[asked.name] = replace(said, late=late)
            progress.record_prediction(self.spec.number, asked.name, said.value, at_s=said.at_s, late=late)
        if self.spec.judge is None:
            progress.record(self.spec.number, self._judge().state, hints=self._hints)
        outcome = asked.compare(_value(said), observations)
        if asked.predicts and not late and shown:
            outcome = in_time(outcome)
        mark = "late: after the first response" if late else said.mark if said is not None else ""
        if isinstance(outcome, Compared):
            outcome = replace(outcome, mark=mark, late=late)
        return replace(outcome, lines=(*outcome.lines, f"The prediction was {mark}.")) if mark else outcome

    def ask(self, question: int = 1) -> Asked:
        """A question; a notebook shows it with something to click or to type in.

        Args:
            question: which one, from 1.

        Returns:
            The question with the answer so far; what is answered there is noted as by ``predict``.

        Raises:
            UsageError: there is no such question.
        """
        asked = self._question(question)
        said = self._answer(asked)
        mark = said.mark if said is not None else ""
        return Asked(asked, _value(said), lambda value: self.predict(value, question=question), mark)

    # --- for %%manifest -----------------------------------------------------------------------------------------

    def note_gap(self, text: str) -> CheckOutcome:
        """The cell still has ``____`` in it; nothing was applied."""
        self._attempt = Attempt(text, gap=True)
        return self._judge()

    def note_refusal(self, text: str, error: LabError) -> CheckOutcome:
        """The cell's text was refused; nothing was applied."""
        self._attempt = Attempt(text, refusal=error)
        outcome = self._judge()
        progress.record(self.spec.number, outcome.state, hints=self._hints)
        return outcome

    def note_applied(self, text: str, applied: Sequence[Ref] = ()) -> None:
        """The cell's text is in force, which holds these objects."""
        self._attempt = Attempt(text, applied=tuple(applied))
        self._made.update(self._attempt.applied)

    def note_unready(self, text: str, error: LabError) -> CheckOutcome:
        """The cell's text was applied and did not come into force in time, such as a pod that does not start."""
        self._attempt = Attempt(text, unready=error)
        progress.record(self.spec.number, FAILED, hints=self._hints)
        return CheckOutcome(FAILED, self.spec.heading, ("It was applied, and is not ready.", *str(error).splitlines()))

    def forget_attempt(self) -> None:
        """The mesh was emptied: what the cell brought about is gone; answers and hints stay."""
        self._attempt = None
        self._made.clear()

    # --- inside -------------------------------------------------------------------------------------------------

    def _judge(self) -> CheckOutcome:
        spec, attempt = self.spec, self._attempt
        title = spec.heading
        if spec.questions and spec.judge is None:
            return self._judge_answers(title)
        if self.lab.closed:
            return CheckOutcome(NOT_ATTEMPTED, title, ("The lab is closed: there is nothing to look at.",))
        if spec.start and attempt is None:
            return CheckOutcome(NOT_ATTEMPTED, title, ("Run the cell of this exercise first.",))
        if attempt is not None and (attempt.gap or has_gap(attempt.text)):
            return CheckOutcome(
                NOT_ATTEMPTED, title, ("Replace every ____ and run the cell again.", "Nothing was applied.")
            )
        if attempt is not None and spec.start and not attempt.changes(spec.start):
            lines = ["The text is still as given: find what is wrong with it, and repair it."]
            lines += str(attempt.refusal).splitlines() if attempt.refusal is not None else []
            return CheckOutcome(NOT_ATTEMPTED, title, tuple(lines))
        if attempt is not None and attempt.refusal is not None:
            lines = ["The manifest was refused, nothing was applied.", *str(attempt.refusal).splitlines()]
            return CheckOutcome(FAILED, title, tuple(lines))
        lacking = missing(self.lab, spec)
        if lacking:
            remedy = f"Run the cells above, or exercise({spec.number!r}).prepare() and then the cell of this exercise."
            return CheckOutcome(NOT_ATTEMPTED, title, (f"The mesh lacks {words.join(lacking)}.", remedy))
        idle = without_pods(self.lab, spec)
        if idle:
            line = f"No pod of {words.join(idle, 'or')} is ready, so there is nobody to be met."
            return CheckOutcome(NOT_ATTEMPTED, title, (line, "lab.scale gives them pods again."))
        unready = attempt.unready if attempt is not None else None
        lacking = not_in(attempt.applied, spec) if attempt is not None and unready is None else []
        if attempt is not None and lacking:
            line = f"The cell holds {words.join(attempt.applied) or 'nothing'}, and no {words.join(lacking, 'or')}."
            return CheckOutcome(FAILED, title, (line, spec.task.splitlines()[0]))
        assert spec.judge is not None
        try:
            if spec.untouched is not None and spec.untouched(self.lab):
                return CheckOutcome(NOT_ATTEMPTED, title, ("The mesh is still as given.",))
            outcome = judged(self.lab, spec.judge(self.lab), spec.reasons, spec.rungs)
        except _LEARNERS_ERRORS as error:
            return CheckOutcome(FAILED, title, (*str(error).splitlines(),))
        outcome = attempt.owns(outcome) if attempt is not None else outcome
        # It may have become ready since; where it has not, this is why.
        if unready is not None and not outcome.passed:
            outcome = replace(outcome, lines=(*str(unready).splitlines(), *outcome.lines))
        if outcome.state is FAILED and attempt is not None and unready is None:
            lines = left_over(self.lab, spec, self._made.difference(attempt.applied))
            outcome = replace(outcome, lines=(*outcome.lines, *lines))
        return replace(self._with_answers(outcome), title=title)

    def _with_answers(self, outcome: CheckOutcome) -> CheckOutcome:
        """Questions beside the judge count: their answers must be there and right; a prediction the traffic answers."""
        asked = [question for question in self.spec.questions if not question.predicts]
        judgements = [question.judge(_value(self._answer(question))) for question in asked]
        wrong = [f"{said.title} {line}" for said in judgements if said.state is FAILED for line in said.lines]
        unanswered = [line for said in judgements if said.state is NOT_ATTEMPTED for line in said.lines]
        if outcome.passed and wrong:
            return replace(outcome, state=FAILED, lines=("What you did is right, and an answer is not.", *wrong))
        if outcome.passed and unanswered:
            lines = ("What you did is right, and a question is open.", *unanswered)
            return replace(outcome, state=NOT_ATTEMPTED, lines=lines)
        return outcome

    def _judge_answers(self, title: str) -> CheckOutcome:
        """Questions alone: right answers pass, and honest predictions once they were held against what was seen."""
        outcomes = [self._judge_answer(question) for question in self.spec.questions]
        states = {outcome.state for outcome in outcomes}
        state = FAILED if FAILED in states else NOT_ATTEMPTED if NOT_ATTEMPTED in states else PASSED
        lines = tuple(line for outcome in outcomes for line in outcome.lines)
        return CheckOutcome(state, title, lines)

    def _judge_answer(self, question: Question) -> CheckOutcome:
        said = self._answer(question)
        outcome = question.judge(_value(said))
        if said is None or not question.predicts or said.late:
            return outcome
        if said.late is None:
            line = f"You predict {_shown(said.value)}. compare(...) shows it beside what was seen, and why."
            return CheckOutcome(NOT_ATTEMPTED, question.text, (line,))
        return replace(outcome, state=PASSED)

    def _answer(self, question: Question) -> Prediction | None:
        """What was answered here, else what an earlier session kept, if it is still an answer to this question."""
        if question.name not in self._answers:
            kept = progress.prediction(self.spec.number, question.name)
            if kept is None or not isinstance(kept[0], str | int | float):
                return None
            try:
                self._answers[question.name] = Prediction(question.parse(kept[0]), kept[1], kept=True, late=kept[2])
            except UsageError:
                return None
        return self._answers[question.name]

    def _question(self, number: int) -> Question:
        count = len(self.spec.questions)
        if not count:
            raise UsageError(f"Exercise {self.spec.number} asks no question; use check().")
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count:
            raise UsageError(f"question={number!r}: exercise {self.spec.number} has {words.plural(count, 'question')}.")
        return self.spec.questions[number - 1]

    @staticmethod
    def _path(path: str) -> str:
        return str(paths.manifests() / path)

    @words.shown
    def __repr__(self) -> str:
        lines = [self.spec.heading, *(f"  {line}" for line in self.spec.task.splitlines())]
        lines += [f"  Rung {number}: {text}" for number, text in enumerate(self.spec.rungs.values(), start=1)]
        for number, question in enumerate(self.spec.questions, start=1):
            lines.append(f"  Question {number}: {question}")
        return "\n".join(lines)


def _value(said: Prediction | None) -> float | str | None:
    return None if said is None else said.value


def _shown(value: float | str) -> str:
    return repr(value) if isinstance(value, str) else f"{value:g}"
