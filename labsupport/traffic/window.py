"""What observations leave out: background traffic keeps its last responses, and counts all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from labsupport.records import Response

__all__ = ["Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """The part that is kept of more responses.

    Args:
        kept: how many are kept.
        total: how many there were.
        failed: how many of those that are not kept had failed, by status (the outcome's name without one).
        first_error: the first response of all traffic that failed; None without any.
        last_error: the last one.
    """

    kept: int
    total: int
    failed: Mapping[str, int] = field(default_factory=dict)
    first_error: Response | None = None
    last_error: Response | None = None

    @property
    def errors(self) -> int:
        """How many of those that are not kept had failed."""
        return sum(self.failed.values())

    def __str__(self) -> str:
        return f"the last {self.kept:,} of {self.total:,}"

    def __add__(self, other: Window) -> Window:
        return Window(
            self.kept + other.kept,
            self.total + other.total,
            Counter(self.failed) + Counter(other.failed),
            self.first_error or other.first_error,
            other.last_error or self.last_error,
        )
