"""The journey of one request as a picture: a bar per call on one time axis, failures and delays in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from labsupport import words
from labsupport.display.changes import table
from labsupport.display.figure import Figure
from labsupport.display.flags import flag_words
from labsupport.display.hops import HopRow, hop_rows
from labsupport.display.palette import NEUTRAL, slot_of
from labsupport.display.text import clip, el, esc, num, width
from labsupport.display.timeline import nice_scale
from labsupport.engine.base import AccessRecord, Pod

__all__ = ["journey_figure"]

_WIDE, _X, _SPAN = 960.0, 300.0, 560.0
_TOP, _ROW, _BAR = 26.0, 26.0, 15.0
_INDENT = 12.0
_TICKS = 6
_SUFFIX = re.compile(r"(\.[\w-]+)?\.svc\.cluster\.local$")


def _label(row: HopRow) -> str:
    if row.kind == "try":
        return f"try {row.number} → {row.callee}"
    if row.kind == "copy":
        return f"mirror copy → {row.callee}"
    return f"{row.caller} → {row.callee}"


def _said(row: HopRow) -> str:
    """What is worth saying inside or beside the bar."""
    record = row.record
    parts = []
    flags = flag_words(record.flags)
    if row.injected_s:
        flags = flags.replace("delay injected", f"delay {words.duration(row.injected_s)} injected")
    if flags:
        parts.append(flags)
    if row.kind == "copy":
        parts.append("its response is thrown away")
    if row.kind == "call":
        where = _SUFFIX.sub("", record.cluster)
        route = record.route if record.route not in ("", "default", "-") else ""
        if row.tries > 1:
            parts.append(f"{row.tries} tries")
        if not row.failed or not flags:
            parts.append(" · ".join(part for part in (f"rule {route}" if route else "", where) if part))
    elif record.route and record.route not in ("default", "-") and not flags:
        parts.append(record.route)
    return " · ".join(part for part in parts if part)


def _bar(row: HopRow, y: float, scale: float) -> str:
    x, wide = _X + row.start_s * scale, max(3.0, row.record.duration_s * scale)
    top = y - _BAR / 2
    slot = slot_of(row.version) if row.version else NEUTRAL
    parts = []
    if row.failed:
        parts.append(
            el(
                "rect",
                x=x,
                y=top,
                width=wide,
                height=_BAR,
                rx=2.0,
                fill="none",
                stroke="var(--ws-ce)",
                stroke_width=1.6,
            )
        )
    else:
        faint = {"opacity": ".45"} if row.kind == "try" else {}
        dashed = {"fill": "none", "stroke": "currentColor", "stroke_dasharray": "4 3", "stroke_width": 1.5}
        look: dict[str, object] = dashed if row.kind == "copy" else {"fill": "currentColor", **faint}
        parts.append(el("rect", x=x, y=top, width=wide, height=_BAR, rx=2.0, class_=f"ws-c{slot.key}", **look))
        if row.injected_s:
            # Waiting is no work: the injected part of the bar is washed out.
            held = min(wide, row.injected_s * scale)
            parts.append(el("rect", x=x, y=top, width=held, height=_BAR, rx=2.0, fill="var(--ws-bg)", opacity=".55"))
    said = _said(row)
    if said:
        solid = not row.failed and row.kind == "call"
        inside = wide > width(said) + 14
        room = _X + _SPAN + 30 - x - wide
        # Text beside a bar goes where there is more room.
        left = not inside and room < width(said) + 12 and x - _X > room
        if inside:
            place, anchor, kind = x + 6, "start", "e" if row.failed else None
            text = said
        elif left:
            place, anchor, kind = x - 6, "end", "e" if row.failed else "d h"
            text = clip(said, x - _X - 8)
        else:
            place, anchor, kind = x + wide + 6, "start", "e" if row.failed else "d h"
            text = clip(said, max(60.0, room))
        ink = f"fill:var(--ws-i{slot.key})" if inside and solid and not row.injected_s else None
        parts.append(el("text", esc(text), x=place, y=y + 4.2, text_anchor=anchor, class_=kind, style=ink))
    return "".join(parts)


def _axis(total_s: float, scale: float, bottom: float) -> str:
    step = nice_scale(total_s * 1e6 / _TICKS) / 1e6
    parts, at = [], 0.0
    while at <= total_s * 1.0001:
        x = _X + at * scale
        parts.append(el("path", d=f"M{num(x)} {num(_TOP - 4)}V{num(bottom)}", stroke="var(--ws-line)"))
        parts.append(el("text", words.duration(at), x=x, y=14.0, class_="d", text_anchor="middle"))
        at += step
    return "".join(parts)


def _table(rows: Sequence[HopRow]) -> str:
    cells = [
        [
            esc("· " * row.depth + _label(row)),
            words.duration(row.start_s),
            words.duration(row.record.duration_s),
            str(row.record.status or "–"),
            esc(flag_words(row.record.flags)),
            esc(row.record.route),
            esc(_SUFFIX.sub("", row.record.cluster)),
        ]
        for row in rows
    ]
    heads = ["call", "begins at", "takes", "status", "response flags", "route", "cluster"]
    return table(heads, cells, numeric=frozenset({1, 2, 3}), caption="all hops of the request")


def _sentence(row: HopRow) -> str:
    flags = flag_words(row.record.flags)
    tries = f" after {row.tries} tries" if row.tries > 1 else ""
    status = f"{row.record.status or 'no status'}{tries}{f', {flags}' if flags else ''}"
    return f"{_label(row)}: {status}, {words.duration(row.record.duration_s)}"


def journey_figure(
    records: Iterable[AccessRecord], *, pods: Iterable[Pod] = (), request_id: str | None = None
) -> Figure:
    """One request over all hops.

    Args:
        records: access-log lines of all proxies; of several requests, the first is drawn.
        pods: pods, for the names of services and versions.
        request_id: which request, if not the first.

    Returns:
        A figure with a table of all hops; without lines, one that says so.
    """
    lines = list(records)
    chosen = request_id or next((record.request_id for record in lines if record.request_id), "")
    rows = hop_rows((record for record in lines if record.request_id == chosen), pods)
    if not rows:
        note = "No proxy wrote about this request: it passed none, or its caller and server have no sidecar."
        body = el("text", note, x=0.0, y=20.0, class_="d")
        return Figure("Journey of one request", f"x-request-id {chosen[:8] or 'unknown'}", body, _WIDE, 30.0, note)
    total = max(row.start_s + row.record.duration_s for row in rows) or 0.001
    scale = _SPAN / total
    bottom = _TOP + _ROW * len(rows)
    parts = [_axis(total, scale, bottom)]
    for place, row in enumerate(rows):
        y = _TOP + _ROW * (place + 0.5)
        indent = _INDENT * row.depth
        name = clip(_label(row), _X - indent - 14)
        parts.append(el("text", esc(name), x=indent, y=y + 4.2, class_="d" if row.kind != "call" else None))
        parts.append(_bar(row, y, scale))
        status = str(row.record.status) if row.record.status else "–"
        look = "b e" if row.failed else "b"
        parts.append(el("text", status, x=_WIDE - 4, y=y + 4.2, text_anchor="end", class_=look))
    first = rows[0].record
    subtitle = (
        f"x-request-id {chosen[:8]}…, {first.method} {first.authority}{first.path}, {words.duration(first.duration_s)}"
    )
    summary = f"{words.plural(len(rows), 'hop')}. " + ". ".join(_sentence(row) for row in rows) + "."
    return Figure("Journey of one request", subtitle, "".join(parts), _WIDE, bottom + 8, summary, _table(rows))
