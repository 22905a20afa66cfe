"""What an exercise consists of, once its folder was read; how it is judged comes from ``course/lessons``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from labsupport.check.result import CheckOutcome
from labsupport.course.ladder import Rung
from labsupport.course.questions import Question
from labsupport.traffic.observations import Observations

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

__all__ = ["KINDS", "Because", "ExerciseSpec", "Judge", "Kind", "Shown", "Untouched", "Wrong"]


@dataclass(frozen=True, slots=True)
class Because:
    """A check whose failure has a reason in the texts of the exercise.

    Args:
        reason: its name below ``[en.reasons]``.
        outcome: the check.
    """

    reason: str
    outcome: CheckOutcome


Shown = CheckOutcome | Observations | Because
"""What a judge shows: responses, all of which must have been answered, or a check."""

Judge = Callable[["Lab"], Shown | Iterable[Shown | Rung]]
"""Looks at the mesh, sends what it needs, and says whether the behaviour is the one asked for, rung by rung if any."""

Untouched = Callable[["Lab"], bool]
"""Whether the mesh is still as given, for exercises that are not done in a cell."""

Kind = Literal["write", "diagnose", "predict", "find"]
KINDS: tuple[Kind, ...] = ("write", "diagnose", "predict", "find")


@dataclass(frozen=True, slots=True)
class Wrong:
    """A typical wrong answer, which must be recognised.

    Args:
        path: its manifest, below ``manifests``.
        words: what the outcome must say: the comment lines that the file begins with.
    """

    path: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExerciseSpec:
    """One exercise.

    Args:
        number: lesson and number, such as ``02.1``: the name of its folder.
        title: what to do, in a few words that give nothing away; the notebook's heading says the same.
        task: the whole task, one sentence per line.
        kind: ``write`` a manifest, ``diagnose`` a broken one, ``predict``, or ``find`` something out.
        hints: from mild to concrete, three at least.
        judge: whether the behaviour is there; None for questions only.
        start: the text that the notebook's cell begins with; empty without a cell.
        solution: a manifest that solves it, as a path below ``manifests``; empty for questions only.
        verb: the call that solves it, where no manifest is to be written; empty otherwise.
        right: other answers that pass, as paths below ``manifests``.
        wrong: typical wrong answers.
        needs: manifests that must be there before, in this order.
        absent: objects that must not be there before, such as ``DestinationRule/web``.
        may_go: needed objects that an answer may delete; they are only missed where not one of them is there.
        untouched: whether the mesh is still as given, for exercises that are not done in a cell.
        questions: what can be answered with ``predict``.
        reasons: what a judge says by name, see ``Because``.
        rungs: steps of a ladder by name, the lowest first, see ``Rung``.
        short_cuts: manifests below ``manifests`` that must not help, such as another way to no traffic at all.
        extra: whether it may be left out: it stands in the notebook's part **Extras**, and a lesson is done without it.
    """

    number: str
    title: str
    task: str
    kind: Kind
    hints: tuple[str, ...]
    judge: Judge | None = None
    start: str = ""
    solution: str = ""
    right: tuple[str, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    needs: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    may_go: tuple[str, ...] = ()
    untouched: Untouched | None = None
    questions: tuple[Question, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    rungs: Mapping[str, str] = field(default_factory=dict)
    short_cuts: tuple[str, ...] = ()
    verb: str = ""
    extra: bool = False

    @property
    def heading(self) -> str:
        """What the notebook and every card call it, such as ``Exercise 02.1 · One in ten``."""
        return f"Exercise {self.number} · {self.title}"
