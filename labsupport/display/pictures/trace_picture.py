"""Traces as a picture: a bar per span of the first trace on one time axis, as trace viewers draw it."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport import words
from labsupport.display.drawing.figure import Figure
from labsupport.display.drawing.palette import NEUTRAL, slot_of
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import breakable, clip, el, esc, num, width, wrapped
from labsupport.display.pictures.timeline import nice_scale
from labsupport.observe.traces import SpanRow, Trace, Traces

__all__ = ["traces_figure"]

_TOP, _ROW, _BAR, _INDENT = 26.0, 24.0, 15.0, 12.0
# Width of the picture, where the axis begins, how long it is, how many marks it has at most.
_WIDE = (960.0, 290.0, 620.0, 6)
_NARROW = (640.0, 200.0, 385.0, 4)


def _row(row: SpanRow, y: float, scale: float, frame: tuple[float, float, float, int]) -> str:
    wide, left, span, _ = frame
    x, length = left + row.start_s * scale, max(3.0, row.span.duration_s * scale)
    slot = slot_of(row.version) if row.version else NEUTRAL
    # A server's span is inside that of its client: the one is filled, the other a frame around a wait.
    framed = row.failed or row.span.kind == "client"
    look: dict[str, object] = {"fill": "none", "stroke": "currentColor", "stroke_width": 1.5}
    colour = {"style": "color:var(--ws-ce)"} if row.failed else {"class_": f"ws-c{slot.key}"}
    look = look if framed else {"fill": "currentColor"}
    bar = el("rect", x=x, y=y - _BAR / 2, width=length, height=_BAR, rx=2.0, **look, **colour)
    said = " ".join(part for part in (row.operation, row.flags) if part)
    after, before = left + span + 20 - x - length, x - left
    place: dict[str, object] = {"x": x + length + 6, "class_": "e h" if row.failed else "d h"}
    if length > width(said) + 14:
        ink = None if framed else f"fill:var(--ws-i{slot.key})"
        place = {"x": x + 6, "class_": "e" if row.failed else None, "style": ink}
    elif before > after:
        place |= {"x": x - 6, "text_anchor": "end"}
        said = clip(said, before - 10)
    else:
        said = clip(said, after - 10)
    indent = min(_INDENT * row.depth, 0.4 * left)
    name = el("text", esc(clip(row.label, left - indent - 14)), x=indent, y=y + 4.2)
    ends = {"text_anchor": "end", "class_": "b e" if row.failed else "b"}
    status = el("text", row.status or "–", x=wide - 4, y=y + 4.2, **ends)
    told = f"{row.label}: {row.operation}, {words.duration(row.span.duration_s)}"
    return el("g", el("title", esc(told)), name, bar, el("text", esc(said), y=y + 4.2, **place), status)


def _drawn(trace: Trace, frame: tuple[float, float, float, int]) -> tuple[str, float, float]:
    wide, left, span, ticks = frame
    total = trace.duration_s or 0.001
    scale, bottom = span / total, _TOP + _ROW * len(trace.rows)
    step = max(1e-4, nice_scale(total * 1e6 / ticks) / 1e6)
    parts = []
    for place in range(int(total * 1.0001 / step) + 1):
        x = left + place * step * scale
        parts.append(el("path", d=f"M{num(x)} {num(_TOP - 4)}V{num(bottom)}", stroke="var(--ws-line)"))
        parts.append(el("text", words.duration(place * step), x=x, y=14.0, class_="d", text_anchor="middle"))
    parts += [_row(row, _TOP + _ROW * (index + 0.5), scale, frame) for index, row in enumerate(trace.rows)]
    return "".join(parts), wide, bottom + 8


def _table(traces: Traces) -> str:
    cells = [
        [
            esc(trace.trace_id[:8]),
            esc("· " * row.depth + row.label),
            breakable(row.operation),
            words.duration(row.start_s),
            words.duration(row.span.duration_s),
            esc(" ".join(part for part in (row.status or "–", row.flags) if part)),
        ]
        for trace in traces[:5]
        for row in trace.rows
    ]
    heads = ["trace", "span", "operation", "begins at", "takes", "status"]
    return table(heads, cells, numeric=frozenset({3, 4}), caption="spans of the first traces")


def _remarks(lines: Sequence[str], room: float, y: float) -> tuple[str, float]:
    shown = [part for line in lines for part in wrapped(line, room)]
    texts = (el("text", esc(line), x=0.0, y=y + 16.0 * place, class_="d") for place, line in enumerate(shown))
    return "".join(texts), 16.0 * len(shown)


def traces_figure(traces: Traces) -> Figure:
    """The first of some traces.

    Args:
        traces: the traces.

    Returns:
        A figure with a table of spans; without traces, one that says why.
    """
    if not traces:
        body, high = _remarks(traces.remarks, _WIDE[0], 18.0)
        wide = max((width(line) for line in traces.remarks), default=200.0)
        return Figure("Traces", traces.title, body, min(wide + 20, _WIDE[0]), high + 12, repr(traces))
    made = []
    for frame in (_WIDE, _NARROW):
        body, wide, high = _drawn(traces[0], frame)
        below, more = _remarks((traces[0].title, *traces.remarks), wide, high + 12)
        made.append((body + below, wide, high + more + 8))
    return Figure("Traces", traces.title, *made[0], repr(traces), _table(traces), made[1])
