"""What observations leave out: background traffic keeps its last responses, and counts all."""

from __future__ import annotations

from dataclasses import dataclass

from labsupport.records import Response

__all__ = ["Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """The part that is kept of more responses.

    Args:
        kept: how many are kept.
        total: how many there were.
        errors: how many of those that are not kept had failed.
        first_error: the first response of all traffic that failed; None without any.
        last_error: the last one.
    """

    kept: int
    total: int
    errors: int = 0
    first_error: Response | None = None
    last_error: Response | None = None

    def __str__(self) -> str:
        return f"the last {self.kept:,} of {self.total:,}"

    def __add__(self, other: Window) -> Window:
        return Window(
            self.kept + other.kept,
            self.total + other.total,
            self.errors + other.errors,
            self.first_error or other.first_error,
            other.last_error or self.last_error,
        )
