"""One colour and one shape per version, the same in every picture of a kernel.

The colours are those of Okabe and Ito, made darker where a mark on white would have less than 3:1 contrast (WCAG 2.2,
1.4.11) and lighter in the dark theme, and so far apart in lightness that people who see fewer colours tell them, too.
Red is never given to a version: it means an error. Colour is never the only sign: each slot has its own shape.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from labsupport import words

__all__ = ["ERROR", "NEUTRAL", "SLOTS", "Palette", "Shape", "Slot", "look_of", "order_key", "slot_of"]

Shape = Literal["circle", "square", "triangle", "diamond", "bar", "wedge", "plus", "ring", "cross"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One look.

    Args:
        key: short name, used in CSS class names (``ws-c<key>``).
        shape: the mark's shape.
        light: colour on a light background.
        dark: colour on a dark background.
    """

    key: str
    shape: Shape
    light: str
    dark: str


SLOTS: tuple[Slot, ...] = (
    Slot("0", "circle", "#0067a8", "#4fa6e3"),
    Slot("1", "square", "#c47f00", "#f0b429"),
    Slot("2", "triangle", "#009e73", "#4be0a8"),
    Slot("3", "diamond", "#a8487f", "#e39ac6"),
    Slot("4", "bar", "#4b5d67", "#b4c3cd"),
    Slot("5", "wedge", "#2f8fc4", "#a5d8f7"),
    Slot("6", "plus", "#7a6a00", "#f0e442"),
)
NEUTRAL = Slot("n", "ring", "#6a737d", "#97a0a9")
ERROR = Slot("e", "cross", "#b8260b", "#ff7a59")

# Old and new are the same two looks in every lesson, whatever the lesson calls its versions.
_KNOWN = {"v1": 0, "safe": 0, "stable": 0, "v2": 1, "risk": 1, "canary": 1, "v3": 2, "v4": 3, "v5": 4, "v6": 5, "v7": 6}
_FIRST_FREE = 3
# What is counted besides versions: a colour would make a version of it.
_NO_VERSIONS = frozenset({"none", "ok", "as expected", "predicted", "seen"})
_ERRORS = frozenset({"otherwise", "http_error", "timeout", "connection", "unknown_destination"})


class Palette:
    """Assigns a slot to each version name: known names have theirs, others take the next one when first seen."""

    def __init__(self) -> None:
        self._seen: dict[str, Slot] = {}
        self._next = _FIRST_FREE
        self._lock = threading.Lock()

    def slot(self, version: str) -> Slot:
        """The slot of a version; the neutral one for an empty name."""
        if not version:
            return NEUTRAL
        if version in _KNOWN:
            return SLOTS[_KNOWN[version]]
        with self._lock:
            slot = self._seen.get(version)
            if slot is None:
                slot = self._seen[version] = SLOTS[self._next]
                self._next = (self._next + 1) % len(SLOTS)
            return slot


_palette = Palette()


def slot_of(version: str) -> Slot:
    """The look of a version in this kernel."""
    return _palette.slot(version)


def look_of(key: str, *, by: str = "version") -> Slot:
    """The look of anything that responses are counted by: only versions have colours of their own.

    Args:
        key: a version, or a status, an outcome, what a check or a prediction counts.
        by: what it is counted by, as for ``Observations.share``.
    """
    if key in _NO_VERSIONS:
        return NEUTRAL
    if key in _ERRORS:
        return ERROR
    if by in ("status", "outcome"):
        return NEUTRAL if key.isdecimal() and int(key) < 400 else ERROR
    return slot_of(key)


def order_key(version: str) -> tuple[int, tuple[tuple[int, int, str], ...]]:
    """Sort key of versions in pictures: old before new whatever the lesson calls them, then natural order."""
    return _KNOWN.get(version, len(SLOTS)), words.natural_key(version)
