"""The exercises of the course: one module per notebook, named ``exNN_topic``, with a tuple ``EXERCISES``."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING

from labsupport.errors import NotFoundError

if TYPE_CHECKING:
    from labsupport.exercises.base import Exercise, ExerciseSpec
    from labsupport.lab import Lab

__all__ = ["every", "find", "make"]

_LESSON = re.compile(r"ex\d\d_\w+")


@cache
def every() -> dict[str, ExerciseSpec]:
    """All exercises by number, in order.

    Raises:
        RuntimeError: two exercises have the same number.
    """
    found: dict[str, ExerciseSpec] = {}
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__) if _LESSON.fullmatch(module.name)):
        for spec in importlib.import_module(f"{__name__}.{module}").EXERCISES:
            if spec.number in found:
                raise RuntimeError(f"exercise {spec.number} is defined twice, the second time in {module}")
            found[spec.number] = spec
    return found


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


def make(number: str, lab: Lab) -> Exercise:
    """One exercise, to be done in a lab."""
    from labsupport.exercises.base import Exercise

    return Exercise(find(number), lab)
