"""Finding out what somebody meant who wrote a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labsupport.model.shape import ObjectShape

__all__ = ["closest", "unknown_field"]


def closest(word: str, known: Iterable[str]) -> str:
    """Find the known word that is most similar to another.

    Args:
        word: as written.
        known: the words that exist.

    Returns:
        the most similar known word; empty if none is similar.
    """
    lowered: dict[str, str] = {}
    for name in known:
        lowered.setdefault(name.lower(), name)
    found = difflib.get_close_matches(word.lower().replace("_", "")[:100], lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else ""


def unknown_field(shape: ObjectShape, key: str, path: str) -> tuple[str, str]:
    """Word the message about an unknown field.

    Args:
        shape: the mapping that the field is in.
        key: the field as written.
        path: its path.

    Returns:
        message and remedy.
    """
    message = f"unknown field {key[:60]!r}"
    guess = closest(key, shape.fields)
    if guess:
        return message, f"Did you mean {guess}?"
    parent = path[: -len(key) - 1] or "the top level"
    return message, f"{parent} has the fields {', '.join(sorted(shape.fields))}."
