"""The exercises of the course: one module per notebook in ``lessons``, with a tuple ``EXERCISES``."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import weakref
from functools import cache
from typing import TYPE_CHECKING

from labsupport.course import lessons
from labsupport.errors import NotFoundError
from labsupport.lab import current

if TYPE_CHECKING:
    from labsupport.course.exercise import Exercise, ExerciseSpec
    from labsupport.lab.lab import Lab

__all__ = ["every", "exercise", "find"]

# An exercise does not keep its lab, so that both go when the notebook lets go of the lab.
_begun: weakref.WeakKeyDictionary[Lab, dict[str, Exercise]] = weakref.WeakKeyDictionary()


@cache
def every() -> dict[str, ExerciseSpec]:
    """All exercises by number, in order.

    Raises:
        RuntimeError: two exercises have the same number.
    """
    found: dict[str, ExerciseSpec] = {}
    for module in [module.name for module in pkgutil.iter_modules(lessons.__path__)]:
        for spec in importlib.import_module(f"{lessons.__name__}.{module}").EXERCISES:
            if spec.number in found:
                raise RuntimeError(f"exercise {spec.number} is defined twice, the second time in {module}")
            found[spec.number] = spec
    return dict(sorted(found.items()))


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


def exercise(number: str, *, lab: Lab | None = None) -> Exercise:
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

    if lab is None:
        here = current.current()
        assert isinstance(here, Lab)
        lab = here
    spec = find(number)
    begun = _begun.setdefault(lab, {})
    if spec.number not in begun:
        made = begun[spec.number] = Exercise(spec, lab)
        lab.when_reset(made.forget_attempt)
    return begun[spec.number]
