"""The journey of one request as a picture: a bar per call on one time axis, failures and delays in words.

Below a call, a line for each time after which its caller waits no longer; one that ended the call crosses its bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.display.drawing.figure import Figure
from labsupport.display.drawing.palette import NEUTRAL, slot_of
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import breakable, clip, el, esc, fitting, num, width, wrapped
from labsupport.display.pictures.fan_picture import fan
from labsupport.display.pictures.timeline import nice_scale
from labsupport.observe.journey import HopRow, Journey, told

if TYPE_CHECKING:
    from labsupport.observe.limits import Limit

__all__ = ["journey_figure"]

_TOP, _ROW, _BAR, _LIMIT = 26.0, 26.0, 15.0, 17.0
_INDENT = 12.0


@dataclass(frozen=True, slots=True)
class _JourneyFrame:
    """Where things are: names on the left, the time axis, the status on the right.

    Args:
        wide: width of the picture.
        x: where the axis begins.
        span: its length.
        ticks: how many marks it has at most.
    """

    wide: float
    x: float
    span: float
    ticks: int


_WIDE = _JourneyFrame(960.0, 270.0, 610.0, 6)
_NARROW = _JourneyFrame(640.0, 190.0, 385.0, 4)


def _said(row: HopRow) -> list[str]:
    """What is worth saying inside or beside the bar, from the longest form to the shortest."""
    way = ""
    if row.kind == "call" and not (row.failed and row.remark):
        way = " · ".join(part for part in (f"route {row.route}" if row.route else "", row.cluster) if part)
    forms = [" · ".join(part for part in (remark, way) if part) for remark in row.remarks]
    return list(dict.fromkeys(form for form in (*forms, *row.remarks) if form))


def _bar(row: HopRow, y: float, scale: float, frame: _JourneyFrame) -> str:
    x, wide = frame.x + row.start_s * scale, max(3.0, row.record.duration_s * scale)
    top = y - _BAR / 2
    slot = slot_of(row.version) if row.version else NEUTRAL
    box = {"x": x, "y": top, "width": wide, "height": _BAR, "rx": 2.0}
    parts = []
    if row.failed:
        dash = "4 3" if row.kind == "copy" else None
        if row.injected_s:
            held = min(wide, row.injected_s * scale)
            parts.append(el("rect", **{**box, "width": held}, fill="var(--ws-ce)", opacity=".2"))
        look: dict[str, object] = {"fill": "none", "stroke": "var(--ws-ce)", "stroke_width": 1.6}
        parts.append(el("rect", **box, **look, stroke_dasharray=dash))
    else:
        faint = {"opacity": ".45"} if row.kind == "try" else {}
        dashed = {"fill": "none", "stroke": "currentColor", "stroke_dasharray": "4 3", "stroke_width": 1.5}
        look = dashed if row.kind == "copy" else {"fill": "currentColor", **faint}
        parts.append(el("rect", **box, class_=f"ws-c{slot.key}", **look))
        if row.injected_s:
            # Waiting is no work: the injected part of the bar is washed out.
            held = min(wide, row.injected_s * scale)
            parts.append(el("rect", **{**box, "width": held}, fill="var(--ws-bg)", opacity=".55"))
    if row.waited_s:
        # Nothing is under way between two tries.
        wait = f"M{num(x - row.waited_s * scale)} {num(y)}H{num(x)}"
        parts.append(el("path", d=wait, stroke="var(--ws-dim)", stroke_width=1.4, stroke_dasharray="1.5 3"))
    if said := _said(row):
        parts.append(_beside(row, said, x, wide, y, frame, (row.waited_s or 0.0) * scale))
    return "".join(parts)


def _beside(
    row: HopRow, forms: Sequence[str], x: float, wide: float, y: float, frame: _JourneyFrame, wait: float
) -> str:
    """The words of a bar: inside it, else where there is more room; they leave the line of a wait before it free."""
    right, left = frame.x + frame.span + 30 - x - wide, x - wait - frame.x
    room = max(wide - 14, right - 12, left - 12)
    said = fitting(forms, room)
    kind = "e h" if row.failed else "d h"
    if width(said) <= wide - 14:
        slot = slot_of(row.version) if row.version else NEUTRAL
        solid = not row.failed and row.kind in ("call", "client") and not row.injected_s
        ink = f"fill:var(--ws-i{slot.key})" if solid else None
        return el("text", esc(said), x=x + 6, y=y + 4.2, class_="e" if row.failed else None, style=ink)
    if right >= left or width(said) <= right - 12:
        return el("text", esc(clip(said, right - 12)), x=x + wide + 6, y=y + 4.2, class_=kind)
    return el("text", esc(clip(said, left - 12)), x=x - wait - 6, y=y + 4.2, text_anchor="end", class_=kind)


def _limit(row: HopRow, limit: Limit, bar_y: float, y: float, indent: float, scale: float, frame: _JourneyFrame) -> str:
    """How long the caller waits, from the begin of its call to a mark; across the bar if that ended the call."""
    cut = limit.cut(row.record)
    # Its clock began to run a little before its proxy's: what was cut off ended with it.
    begin_s = max(0.0, row.start_s + row.record.duration_s - limit.after_s) if cut else row.start_s + limit.held_s
    x, end = frame.x + begin_s * scale, frame.x + (begin_s + limit.after_s) * scale
    edge = frame.x + frame.span + 20
    look: dict[str, object] = {
        "fill": "none",
        "stroke": "var(--ws-ce)" if cut else "var(--ws-dim)",
        "stroke_width": 1.6 if cut else 1.2,
    }
    if end <= edge:
        above = bar_y - _BAR / 2 - 3 if cut else y - 5
        tip = el("path", d=f"M{num(end)} {num(above)}V{num(y + 5)}", **look)
    else:
        end = edge
        tip = el("path", d=f"M{num(end - 5)} {num(y - 4)}L{num(end)} {num(y)}L{num(end - 5)} {num(y + 4)}", **look)
    line = el("path", d=f"M{num(x)} {num(y)}H{num(end)}", stroke_dasharray="2 3", **look)
    said = str(limit) if frame is _WIDE else str(limit).partition(" ")[2]
    name = el("text", esc(clip(said, frame.x - indent - 14)), x=indent, y=y + 4.2, class_="e h" if cut else "d h")
    title = el("title", esc(f"{row.label}: {limit}{', and then it was over' if cut else ''}"))
    return el("g", title, name, line, tip)


def _axis(total_s: float, scale: float, bottom: float, frame: _JourneyFrame) -> str:
    # Nothing shorter than what a label can say.
    step = max(1e-4, nice_scale(total_s * 1e6 / frame.ticks) / 1e6)
    parts, at = [], 0.0
    while at <= total_s * 1.0001:
        x = frame.x + at * scale
        parts.append(el("path", d=f"M{num(x)} {num(_TOP - 4)}V{num(bottom)}", stroke="var(--ws-line)"))
        parts.append(el("text", words.duration(at), x=x, y=14.0, class_="d", text_anchor="middle"))
        at += step
    return "".join(parts)


def _name(row: HopRow, room: float, frame: _JourneyFrame) -> str:
    """Who calls whom, as far as there is room: the arrow between them stays."""
    label = row.label.replace("mirror ", "") if frame is _NARROW else row.label
    # Where there is little room, who called is told by the row above alone.
    if row.kind == "call" and row.depth and (frame is _NARROW or width(label) > room):
        label = f"{'~ ' if row.unsure else ''}→ {row.callee}"
    caller, arrow, callee = label.rpartition("→ ")
    return caller + arrow + clip(callee, room - width(caller + arrow))


def _drawn(rows: Sequence[HopRow], total_s: float, frame: _JourneyFrame) -> tuple[str, float, float]:
    scale = frame.span / total_s
    bottom = _TOP + _ROW * len(rows) + _LIMIT * sum(len(row.limits) for row in rows)
    parts = [_axis(total_s, scale, bottom, frame)]
    top = _TOP
    for row in rows:
        y, top = top + _ROW / 2, top + _ROW
        # A deep call tree must not push its names out of their column.
        indent = min(_INDENT * row.depth, 0.4 * frame.x)
        name = _name(row, frame.x - indent - 14, frame)
        look = "d" if row.kind in ("try", "copy") else None
        told_in_full = el("title", esc(f"{row.label}: {told(row)}"))
        parts.append(el("g", told_in_full, el("text", esc(name), x=indent, y=y + 4.2, class_=look)))
        parts.append(_bar(row, y, scale, frame))
        status = str(row.record.status) if row.record.status else "–"
        parts.append(
            el(
                "text",
                status,
                x=frame.wide - 4,
                y=y + 4.2,
                text_anchor="end",
                class_="b e" if row.failed else "b",
            )
        )
        for limit in row.limits:
            parts.append(_limit(row, limit, y, top + _LIMIT / 2, indent + _INDENT, scale, frame))
            top += _LIMIT
    return "".join(parts), frame.wide, bottom + 8


def _table(rows: Sequence[HopRow]) -> str:
    cells = [
        [
            esc("· " * row.depth + row.label),
            words.duration(row.start_s),
            words.duration(row.record.duration_s),
            str(row.record.status or "–"),
            esc(row.remark),
            esc(", ".join(map(str, row.limits))),
            esc(row.route),
            breakable(row.cluster),
        ]
        for row in rows
    ]
    heads = ["call", "begins at", "takes", "status", "remarks", "limits", "route", "cluster"]
    return table(heads, cells, numeric=frozenset({1, 2, 3}), caption="all hops of the request")


def journey_figure(journey: Journey) -> Figure:
    """One request over all hops.

    Args:
        journey: the request.

    Returns:
        A figure with a table of all hops; without hops, one that says why.
    """
    rows = journey.hops
    if not rows:
        body = el("text", esc(journey.note), x=0.0, y=20.0, class_="d")
        return Figure("Journey of one request", journey.title, body, width(journey.note) + 20, 30.0, journey.note)
    total = journey.duration_s or 0.001
    summary = f"{words.plural(len(rows), 'hop')}. " + ". ".join(f"{row.label}: {told(row)}" for row in rows) + "."
    body, wide, high = _drawn(rows, total, _WIDE)
    small = _drawn(rows, total, _NARROW)
    if (tree := journey.fan_out) is not None and tree.multiplied:
        summary = f"{summary} {tree}."
        below, ends = fan(tree, wide, high + 6)
        body, high = body + below, ends + 8
        below, ends = fan(tree, small[1], small[2] + 6)
        small = small[0] + below, small[1], ends + 8
    if journey.note:
        summary = f"{summary} {journey.note}"
        lines = wrapped(journey.note, _WIDE.wide), wrapped(journey.note, _NARROW.wide)
        body, high = body + _note(lines[0], high), high + 16.0 * len(lines[0]) + 4
        small = small[0] + _note(lines[1], small[2]), small[1], small[2] + 16.0 * len(lines[1]) + 4
    return Figure("Journey of one request", journey.title, body, wide, high, summary, _table(rows), small)


def _note(lines: Sequence[str], y: float) -> str:
    return "".join(
        el("text", esc(line), x=0.0, y=y + 12 + 16.0 * place, class_="d") for place, line in enumerate(lines)
    )
