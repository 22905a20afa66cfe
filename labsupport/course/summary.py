"""How far the exercises of the course are: as a map, for ``workshop progress``, and of one lesson for its recap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labsupport import words
from labsupport.arguments import checked
from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, CheckState
from labsupport.course import catalogue
from labsupport.course.outline import Outline, outlines
from labsupport.course.progress import read, whole
from labsupport.errors import NotFoundError

__all__ = ["CourseMap", "ExerciseProgress", "LessonProgress", "Summary", "as_json", "course_map", "progress", "summary"]

_UNKNOWN = Outline()
_MARKS = {PASSED: "✓", FAILED: "✗", NOT_ATTEMPTED: "·"}


@dataclass(frozen=True, slots=True)
class ExerciseProgress:
    """How far one exercise is.

    Args:
        number: such as ``02.1``.
        title: what it is about.
        state: PASSED once it has passed, else what the last check said.
        checks: how often it was checked.
        hints: how many hints were read.
        passed_s: when it first passed, in seconds since the epoch; 0 if it did not.
        reached: the most rungs that were reached.
        rungs: how many rungs it has; 0 for an exercise without.
        extra: whether the lesson is done without it.
    """

    number: str
    title: str
    state: CheckState
    checks: int = 0
    hints: int = 0
    passed_s: float = 0.0
    reached: int = 0
    rungs: int = 0
    extra: bool = False

    @property
    def ladder(self) -> str:
        """How far up its rungs it is, in words; empty for an exercise without, or not begun."""
        return f"{self.reached} of {words.plural(self.rungs, 'rung')}" if self.rungs and self.reached else ""


def _told(exercises: Sequence[ExerciseProgress]) -> str:
    """How many have passed, in words; extras are counted apart."""
    main = [done.state for done in exercises if not done.extra]
    extras = [done.state for done in exercises if done.extra]
    told = f"{main.count(PASSED)} of {words.plural(len(main), 'exercise')} passed"
    return f"{told}, and {extras.count(PASSED)} of {words.plural(len(extras), 'extra')}" if extras else told


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """How far all exercises are.

    Args:
        exercises: in the order of the course.
        file: where it is kept.
        problem: why it cannot be kept or read; empty if it can.
    """

    exercises: tuple[ExerciseProgress, ...]
    file: Path | None
    problem: str = ""

    @property
    def passed(self) -> int:
        """How many have passed."""
        return sum(done.state is PASSED for done in self.exercises)

    @property
    def told(self) -> str:
        """How many have passed, in words."""
        return _told(self.exercises)

    def __repr__(self) -> str:
        lines = [self.told]
        for done in self.exercises:
            notes = ["extra"] if done.extra else []
            notes += [done.ladder] if done.ladder else []
            notes += [f"{words.plural(done.checks, 'check')}"] if done.checks else []
            notes += [words.plural(done.hints, "hint")] if done.hints else []
            lines.append(
                f"  {_MARKS[done.state]} {done.number} {done.title}" + (f" ({', '.join(notes)})" if notes else "")
            )
        if self.problem:
            lines.append(self.problem)
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class LessonProgress:
    """How far one lesson is.

    Args:
        number: such as ``02``.
        title: what it is about.
        exercises: in their order.
        outline: how long it takes, and what it needs.
    """

    number: str
    title: str
    exercises: tuple[ExerciseProgress, ...]
    outline: Outline = _UNKNOWN

    @property
    def passed(self) -> int:
        """How many of its exercises have passed."""
        return sum(done.state is PASSED for done in self.exercises)

    @property
    def whole(self) -> bool:
        """Whether all of its exercises have passed that are no extras."""
        return all(done.state is PASSED for done in self.exercises if not done.extra)

    @property
    def minutes_left(self) -> int:
        """How long what is not passed takes, extras aside, as if each exercise took as long as the others."""
        main = [done.state for done in self.exercises if not done.extra]
        return round(self.outline.minutes * (1 - main.count(PASSED) / len(main))) if main else 0

    def __str__(self) -> str:
        return f"{self.number} {self.title}: {_told(self.exercises)}"


@dataclass(frozen=True, slots=True, repr=False)
class CourseMap:
    """How far the whole course is, lesson by lesson.

    Args:
        lessons: in the order of the course.
        problem: why progress cannot be kept or read; empty if it can.
        here: the lesson that is being done; empty for none.
    """

    lessons: tuple[LessonProgress, ...]
    problem: str = ""
    here: str = ""

    @property
    def told(self) -> str:
        """How many exercises have passed, and how long the others take, in words."""
        passed = _told([done for lesson in self.lessons for done in lesson.exercises])
        minutes = sum(lesson.minutes_left for lesson in self.lessons)
        left = [words.plural(minutes // 60, "hour")] if minutes >= 60 else []
        left += [words.plural(minutes % 60, "minute")] if minutes % 60 else []
        return f"{passed}; {' and '.join(left)} left" if left else passed

    @property
    def next(self) -> LessonProgress | None:
        """The first lesson that is not done, of those that need only what is done; None if all is done."""
        done = {lesson.number for lesson in self.lessons if lesson.whole}
        ready = (lesson for lesson in self.lessons if not lesson.whole and done.issuperset(lesson.outline.needs))
        return next(ready, None)

    def __repr__(self) -> str:
        lines = [self.told]
        if (following := self.next) is not None:
            lines.append(f"next: {following.number} {following.title}")
        wide = max((len(lesson.title) for lesson in self.lessons), default=0)
        room = max((len(lesson.outline.needs) for lesson in self.lessons), default=0) * 3
        for lesson in self.lessons:
            main, extras = (
                "".join(_MARKS[done.state] for done in lesson.exercises if done.extra is extra)
                for extra in (False, True)
            )
            marks = f"{main}+{extras}" if extras else main
            here = ">" if lesson.number == self.here else " "
            left = f"{lesson.minutes_left:>3} min" if lesson.minutes_left else " " * 7
            needs = " ".join(lesson.outline.needs)
            lines.append(f"{here} {lesson.number} {lesson.title:{wide}}  {left}  {needs:{room}} {marks}")
        return "\n".join([*lines, self.problem] if self.problem else lines)


def course_map(here: str = "") -> CourseMap:
    """How far the whole course is; reads and never writes.

    Args:
        here: the lesson that is being done; empty for none.
    """
    known, told = summary(), outlines()
    lessons = tuple(
        LessonProgress(
            number,
            told.get(number, _UNKNOWN).title or title,
            tuple(done for done in known.exercises if done.number.startswith(f"{number}.")),
            told.get(number, _UNKNOWN),
        )
        for number, title in catalogue.titles().items()
    )
    return CourseMap(tuple(lesson for lesson in lessons if lesson.exercises), known.problem, here)


def as_json(known: Summary) -> dict[str, Any]:
    """All that is known of the exercises, for programs.

    Args:
        known: what ``summary`` returned.
    """
    return {
        "passed": known.passed,
        "exercises": [asdict(done) for done in known.exercises],
        "file": str(known.file or ""),
        "problem": known.problem,
    }


def summary() -> Summary:
    """How far all exercises of the course are; reads and never writes."""
    kept = read()
    done = []
    for number, spec in catalogue.every().items():
        entry = kept.entries.get(number, {})
        state = CheckState(entry["state"]) if entry.get("state") in (PASSED, FAILED) else NOT_ATTEMPTED
        passed_s = entry.get("passed_s")
        done.append(
            ExerciseProgress(
                number,
                spec.title,
                state,
                whole(entry.get("checks")),
                whole(entry.get("hints")),
                float(passed_s) if isinstance(passed_s, int | float) else 0.0,
                # An exercise may have lost rungs since.
                min(whole(entry.get("rungs")), len(spec.rungs)),
                len(spec.rungs),
                spec.extra,
            )
        )
    return Summary(tuple(done), kept.file, kept.problem)


@checked
def progress(lesson: str | int | None = None) -> Summary | CourseMap:
    """How far the exercises of one lesson are, as a card for its end, or how far the whole course is, as a map.

    Args:
        lesson: its number, such as ``"02"``; left out for the map.

    Returns:
        What was passed, now or another day.

    Raises:
        NotFoundError: there is no such lesson.
    """
    if lesson is None:
        return course_map()
    whole_course = summary()
    done = tuple(entry for entry in whole_course.exercises if entry.number.startswith(f"{str(lesson).zfill(2)}."))
    if not done:
        lessons = words.join(sorted({entry.number[:2] for entry in whole_course.exercises}))
        raise NotFoundError(f"There is no lesson {lesson!r} with exercises. There are: {lessons}.")
    return Summary(done, whole_course.file, whole_course.problem)
