"""What an incident was, told when it is over."""

from __future__ import annotations

from dataclasses import dataclass

from labsupport import words

__all__ = ["STARS", "Debrief", "Event", "clock", "in_stars"]

STARS = 3
"""How many an incident begins with."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done.

    Args:
        at_s: seconds after the incident began.
        text: what.
    """

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Debrief:
    """What happened, and what can be learnt.

    Args:
        heading: of the incident.
        stars: how many are left.
        events: what was applied, looked at and asked for, in order.
        lessons: of each fault its title, what was wrong, how to think of it, and what would have shown it.
    """

    heading: str
    stars: int
    events: tuple[Event, ...]
    lessons: tuple[tuple[str, str, str, str], ...]

    @words.shown
    def __repr__(self) -> str:
        lines = [f"{self.heading} · {in_stars(self.stars)}"]
        lines += [f"  {clock(event.at_s)}  {event.text}" for event in self.events]
        for title, wrong, model, command in self.lessons:
            lines += [f"  {title}", f"    Wrong: {wrong}", f"    The rule: {model}", f"    Shown by: {command}"]
        return "\n".join(lines)


def clock(seconds: float) -> str:
    """Minutes and seconds.

    Args:
        seconds: since something began.
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def in_stars(count: int) -> str:
    """Stars that are left, and those that are not.

    Args:
        count: how many are left.
    """
    return "★" * count + "☆" * (STARS - count)
