"""An exercise that is climbed step by step: it works, it works with a fault, it works within a budget.

The rungs are texts of the exercise, ``[en.rungs]``, from the lowest to the highest. Its judge yields ``Rung(name)``
after what must hold for that rung; as the frame stops at the first check that does not hold, what came before is
reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from labsupport import words
from labsupport.check.result import NOT_ATTEMPTED, PASSED, SIGNS, CheckOutcome
from labsupport.errors import UsageError

__all__ = ["Climbed", "Ladder", "Rung"]


@dataclass(frozen=True, slots=True)
class Rung:
    """Everything that the judge has shown so far held: this rung is reached.

    Args:
        name: which one, below ``[en.rungs]``.
    """

    name: str


@dataclass(frozen=True, slots=True, repr=False)
class Climbed(CheckOutcome):
    """The outcome of an exercise with rungs.

    Args:
        reached: how many rungs were reached.
        rungs: how many there are.
    """

    reached: int = 0
    rungs: int = 0


class Ladder:
    """The rungs of one exercise while it is judged.

    Args:
        rungs: name to text, the lowest first; none for an exercise without.
    """

    def __init__(self, rungs: Mapping[str, str]) -> None:
        self._rungs = rungs
        self._reached = 0

    def reach(self, rung: Rung) -> None:
        """Note a rung.

        Args:
            rung: it must be the next one.

        Raises:
            UsageError: it is not.
        """
        left = [*self._rungs][self._reached :]
        if not left or rung.name != left[0]:
            following = repr(left[0]) if left else "none"
            raise UsageError(f"The judge reaches rung {rung.name!r}, but below [en.rungs] the next one is {following}.")
        self._reached += 1

    def told(self, outcome: CheckOutcome) -> CheckOutcome:
        """The outcome with the rungs in front of what is said.

        Args:
            outcome: of all checks that were looked at.

        Raises:
            UsageError: everything held, and yet the judge has not reached every rung.
        """
        if not self._rungs:
            return outcome
        if outcome.passed and self._reached < len(self._rungs):
            raise UsageError(f"The judge ends without rung {[*self._rungs][self._reached]!r} of [en.rungs].")
        given = {field.name: getattr(outcome, field.name) for field in fields(CheckOutcome)}
        lines = tuple(self._lines(outcome))
        return Climbed(**(given | {"lines": lines, "reached": self._reached, "rungs": len(self._rungs)}))

    def _lines(self, outcome: CheckOutcome) -> Iterator[str]:
        yield f"{self._reached} of {words.plural(len(self._rungs), 'rung')} reached."
        for place, text in enumerate(self._rungs.values()):
            state = PASSED if place < self._reached else outcome.state if place == self._reached else NOT_ATTEMPTED
            yield f"{SIGNS[state]} {text}"
            if place == self._reached:
                yield from (f"  {line}" for line in outcome.lines)
        if outcome.passed:
            yield from outcome.lines
