"""What became of one request: every request that every service received because of it, tries counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from labsupport import words

__all__ = ["FanOut", "Received", "fan_out"]


class _Row(Protocol):
    """What is looked at of a row of a journey."""

    @property
    def caller(self) -> str: ...
    @property
    def callee(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def depth(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def tries(self) -> int: ...
    @property
    def failed(self) -> bool: ...
    @property
    def unsure(self) -> bool: ...


@dataclass(slots=True)
class Received:
    """One request that a service received, or the one that everything began with.

    Args:
        name: who received it, with its version.
        version: the version; empty if unknown.
        failed: whether it was answered with an error, or not at all.
        made: the requests that others received because of it.
    """

    name: str
    version: str = ""
    failed: bool = False
    made: list[Received] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FanOut:
    """The requests behind one request, as a tree and by distance.

    Args:
        root: the first one, as its sender made it.
        levels: those that were so many calls away, the root alone at first.
    """

    root: Received
    levels: tuple[tuple[Received, ...], ...]

    @property
    def multiplied(self) -> bool:
        """Whether one request became several on more than one hop."""
        counts = [len(level) for level in self.levels]
        return len(counts) > 2 and counts[-1] > 2 and max(counts) > 1

    def __str__(self) -> str:
        """How many requests each service received, in words."""
        told = []
        for level in self.levels[1:]:
            names = words.join(dict.fromkeys(received.name for received in level))
            told.append(f"{names} received {words.plural(len(level), 'request')}")
        return f"1 request of {self.root.name}: {', '.join(told)}"


def fan_out(rows: Sequence[_Row]) -> FanOut | None:
    """Put the requests of a journey together.

    Args:
        rows: its hops, in the order of the call tree.

    Returns:
        The tree; None without hops, or where lines are put together by guess.
    """
    if not rows or any(row.unsure for row in rows):
        return None
    root = Received(rows[0].caller)
    behind: list[tuple[int, Received]] = [(-1, root)]
    for row in rows:
        while behind[-1][0] >= row.depth:
            behind.pop()
        above = behind[-1][1]
        # A call that was tried more than once is received by its tries, which have rows of their own.
        if row.kind == "client" or (row.kind == "call" and row.tries > 1):
            behind.append((row.depth, above))
            continue
        received = Received(row.callee, row.version, row.failed)
        above.made.append(received)
        behind.append((row.depth, received))
    levels: list[tuple[Received, ...]] = [(root,)]
    while following := tuple(received for above in levels[-1] for received in above.made):
        levels.append(following)
    return FanOut(root, tuple(levels))
