"""A record as a notebook shows it at the end of a cell, for the middle of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Card"]


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """What a notebook shows of a record.

    Args:
        text: the record in plain text.
        forms: MIME type to what is shown.
    """

    text: str
    forms: Mapping[str, str] = field(repr=False)

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {**self.forms, "text/plain": self.text}
