"""The record that every check of the doctor yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from labsupport.errors import LabError

__all__ = ["Finding", "Level"]

Level = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        level: ``ok``; ``note`` for what only some will miss; ``warning`` for what may go wrong; ``error`` for what
            will.
        title: what was looked at.
        detail: what was found.
        remedy: what to do; empty if nothing.
    """

    level: Level
    title: str
    detail: str
    remedy: str = ""

    @classmethod
    def of(cls, title: str, error: LabError, otherwise: str = "") -> Finding:
        """What an error says, with its own remedy in the place of remedies, so that none is told twice.

        Args:
            title: what was looked at.
            error: what came of it: a sentence of what happened, and sentences of what to do.
            otherwise: the remedy where the error has none.
        """
        detail, _, remedy = str(error).partition(". ")
        return cls("error", title, detail, remedy or otherwise)
