"""The exercises of the course: folders ``manifests/NN-topic/exercises/NN.k``, judged by the modules of ``lessons``."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
import weakref
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from labsupport import paths, words
from labsupport.arguments import checked, shown
from labsupport.course import lessons
from labsupport.course.judging import JUDGES, UNTOUCHED
from labsupport.course.reading import FILE, language, read_exercise
from labsupport.errors import NotFoundError, UsageError
from labsupport.lab import current

if TYPE_CHECKING:
    from labsupport.course.exercise import Exercise
    from labsupport.course.spec import ExerciseSpec
    from labsupport.lab.lab import Lab

__all__ = ["every", "exercise", "find", "titles"]

_NUMBER = re.compile(r"\d\d\.[1-9]\d*")

# An exercise does not keep its lab, so that both go when the notebook lets go of the lab.
_begun: weakref.WeakKeyDictionary[Lab, dict[str, Exercise]] = weakref.WeakKeyDictionary()


def every() -> dict[str, ExerciseSpec]:
    """All exercises by number, in order.

    Raises:
        UsageError: the folder of an exercise is not complete, or two exercises have the same number.
    """
    return _read(paths.manifests(), language())


@cache
def _read(base: Path, _language: str) -> dict[str, ExerciseSpec]:
    for module in pkgutil.iter_modules(lessons.__path__):
        importlib.import_module(f"{lessons.__name__}.{module.name}")
    specs: dict[str, ExerciseSpec] = {}
    for folder in sorted(base.glob("[0-9][0-9]-*/exercises/*/")):
        number, lesson = folder.name, folder.parents[1].name[:2]
        where = folder.relative_to(base.parent)
        if not _NUMBER.fullmatch(number) or number[:2] != lesson:
            raise UsageError(f"{where}: an exercise of this lesson is called {lesson}.1, {lesson}.2 and so on.")
        if number in specs:
            raise UsageError(f"{where}: there is another exercise {number}. Give this one the next number.")
        specs[number] = read_exercise(folder, base, judge=JUDGES.get(number), untouched=UNTOUCHED.get(number))
    for number in sorted({*JUDGES, *UNTOUCHED} - {*specs}):
        raise UsageError(f"course/lessons judges {number}, but there is no folder exercises/{number} with {FILE}.")
    return dict(sorted(specs.items(), key=lambda entry: words.natural_key(entry[0])))


def titles() -> dict[str, str]:
    """Number and title of each lesson, in order: ``{"02": "Canary by weight"}``."""
    folders = (folder.name.partition("-") for folder in sorted(paths.manifests().glob("[0-9][0-9]-*/")))
    return {number: topic.replace("-", " ").capitalize() for number, _, topic in folders}


def find(number: str) -> ExerciseSpec:
    """One exercise.

    Args:
        number: such as ``"02.1"``; ``2.1`` is the same.

    Raises:
        NotFoundError: there is no such exercise; the message lists those of the lesson.
    """
    known = every()
    lesson, _, rest = str(number).strip().partition(".")
    padded = f"{lesson.zfill(2)}.{rest}"
    if padded in known:
        return known[padded]
    near = [name for name in known if name.startswith(f"{lesson.zfill(2)}.")] or difflib.get_close_matches(
        padded, known
    )
    raise NotFoundError(f"There is no exercise {number!r}. There are: {', '.join(near or known)}.")


@checked
def exercise(number: str | float, *, lab: Lab | None = None) -> Exercise:
    """An exercise of the course, for ``check()``, ``hint()``, ``predict()`` and ``solution()``.

    Args:
        number: such as ``"02.1"``.
        lab: where it is done; by default in the kernel's lab.

    Returns:
        The exercise; the same one as long as its lab is there.

    Raises:
        NotFoundError: there is no such exercise; the message lists what there is.
        UsageError: no lab is open.
    """
    from labsupport.course.exercise import Exercise
    from labsupport.lab.lab import Lab

    spec = find(str(number))
    here = current.current() if lab is None else lab
    if not isinstance(here, Lab):
        raise UsageError(f"{shown('lab', lab)}: give a lab, such as lab = Lab(), or leave it out.")
    begun = _begun.setdefault(here, {})
    if spec.number not in begun:
        made = begun[spec.number] = Exercise(spec, here)
        here.when_reset(made.forget_attempt)
    return begun[spec.number]
