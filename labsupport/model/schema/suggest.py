"""Finding out what somebody meant who wrote a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["closest"]


def closest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Find the known word that is most similar to another.

    Args:
        word: as written.
        known: the words that exist.
        likeness: from 0 to 1; what is less alike is no suggestion.

    Returns:
        the most similar known word; empty if none is similar.
    """
    lowered: dict[str, str] = {}
    for name in known:
        lowered.setdefault(name.lower(), name)
    close_matches = difflib.get_close_matches(word.lower().replace("_", "")[:100], lowered, n=1, cutoff=likeness)
    return lowered[close_matches[0]] if close_matches else ""
