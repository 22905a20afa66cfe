"""The record that every check of the doctor yields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
