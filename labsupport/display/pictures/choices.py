"""Kept connections as a strip: a frame for each, a mark for each request on it, in the look of who answered."""

from __future__ import annotations

import math
from dataclasses import dataclass

from labsupport import words
from labsupport.display.drawing.marks import mark
from labsupport.display.drawing.palette import look_of
from labsupport.display.drawing.text import el, esc
from labsupport.traffic.observations import Observations
from labsupport.traffic.share import value_of

__all__ = ["Strip", "choices_strip"]

_PITCH, _RADIUS, _ROW, _ROWS = 9.0, 3.0, 22.0, 6
_LEFT, _BETWEEN = 2.0, 8.0


@dataclass(frozen=True, slots=True)
class Strip:
    """Kept connections, drawn.

    Args:
        body: SVG markup.
        height: in pixels.
        told: what it shows, in words.
    """

    body: str
    height: float
    told: str


def choices_strip(seen: Observations, *, wide: float, service: str | None = None) -> Strip | None:
    """Which requests went together, and what was one choice.

    Args:
        seen: what was seen.
        wide: room in pixels.
        service: mark who of this service answered.

    Returns:
        The strip; None where each request had a connection of its own.
    """
    kept = seen.connections
    if len(kept) == len(seen):
        return None
    rule = f"1 {seen.per} = 1 choice"
    told = f"{words.plural(len(seen), 'request')} on {words.plural(len(kept), 'connection')}: {rule}"
    longest = max(map(len, kept))
    # Of very long connections, a part of the requests stands for all.
    step = math.ceil(longest * _PITCH / (wide - 2 * _LEFT - _PITCH))
    parts = [el("text", esc(told), x=0.0, y=14.0, class_="b")]
    x, y, left_out = _LEFT, 24.0, 0
    for number, responses in enumerate(kept, start=1):
        shown = responses[::step]
        room = _PITCH * len(shown) + 6
        if x + room > wide - _LEFT and x > _LEFT:
            x, y = _LEFT, y + _ROW
        if y > 24.0 + _ROW * (_ROWS - 1):
            left_out, y = len(kept) - number + 1, y - _ROW
            break
        frame = el("rect", x=x, y=y, width=room, height=16.0, rx=4.0, fill="none", stroke="var(--ws-dim)")
        marks = "".join(
            mark(look_of(value_of(response, "version", service)), x + 3 + _PITCH * (place + 0.5), y + 8, _RADIUS)
            for place, response in enumerate(shown)
        )
        title = el("title", esc(f"connection {number}: {words.plural(len(responses), 'request')}"))
        parts.append(el("g", title, frame, marks))
        x += room + _BETWEEN
    y += _ROW
    notes = [f"and {words.plural(left_out, 'more connection')}"] if left_out else []
    notes += [f"one mark = {step} requests"] if step > 1 else []
    if notes:
        parts.append(el("text", ", ".join(notes), x=0.0, y=y + 10, class_="d"))
        y += 14
    return Strip("".join(parts), y + 4, told)
