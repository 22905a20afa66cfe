"""Judge of notebook 20: two faults at once, held to the promises of the game."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labsupport.course.incidents.promises import PROMISES, Look
from labsupport.course.judging import judge
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_ASKED = ("untouched", "special", "others", "hiccup", "outage", "hang")


@judge("20.2")
def two_at_once(lab: Lab) -> Iterator[Shown]:
    """One reader meets her version, all others theirs, and bad moments of ratings cost what was agreed on."""
    look = Look(lab, {"USER": "mei", "SPECIAL": "v3", "USUAL": "v2"})
    for promise in PROMISES:
        if promise.name in _ASKED:
            yield Because(promise.name, promise.kept(look))
