"""Requests as dots that fall through the ordered rules of a VirtualService, each caught by the first that fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labsupport import words
from labsupport.display.drawing.figure import Figure
from labsupport.display.drawing.marks import mark
from labsupport.display.drawing.palette import ERROR, Slot, look_of, order_key, slot_of
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import clip, el, esc, num, wrapped
from labsupport.observe.taken import RuleRow, RulesTaken

__all__ = ["rules_figure"]

_WIDE, _LANE = 640.0, 26.0
_BOX, _BOX_WIDE = 64.0, 300.0
_TRAY = 382.0
_LINE, _HEAD, _PAD, _GAP = 16.0, 20.0, 8.0, 26.0
_DOT, _PITCH, _ACROSS, _DEEP = 4.4, 12.5, 20, 3
_DELAY_S = 0.35


@dataclass(frozen=True, slots=True)
class _Row:
    """A rule as it is drawn.

    Args:
        lines: text and CSS class of each.
        dots: look and number of requests of each kind.
        said: what the tray says below its dots.
        count: number of requests that it took.
        failed: whether they ended there because no rule wanted them.
    """

    lines: tuple[tuple[str, str], ...]
    dots: tuple[tuple[Slot, int], ...]
    said: tuple[str, ...]
    count: int
    failed: bool = False

    def tray(self, each: int) -> list[Slot]:
        """One look for each dot, every kind with at least one."""
        return [slot for slot, count in self.dots for _ in range(-(-count // each))]

    def high(self, each: int) -> float:
        deep = -(-len(self.tray(each)) // _ACROSS)
        return max(_HEAD + _LINE * (len(self.lines) - 1) + _PAD, deep * _PITCH + _LINE * len(self.said) + _PAD)


def rules_figure(taken: RulesTaken) -> Figure:
    """Rules from top to bottom, as they are tried: what falls past one comes to the next.

    Args:
        taken: the rules, and what each of them took.

    Returns:
        A figure with a table of all rules. Where motion is welcome, the dots fall once.
    """
    rows = list(_rows(taken))
    each = _each(rows)
    left = sum(row.count for row in rows)
    parts = [el("text", esc(words.plural(left, "request")), x=0.0, y=13.0, class_="b")]
    y, above = 20.0, 20.0
    for place, row in enumerate(rows):
        y += _GAP if place else 10.0
        parts.append(_fall(above, y + _HEAD - 6, left / taken.count if taken.count else 0.0))
        if place and left:
            parts.append(el("text", esc(f"{left:,} fall on"), x=_LANE + 14, y=y - 8, class_="d"))
        parts.append(_drawn(row, y, row.high(each), taken.count))
        parts.append(_caught(row, y, each, _DELAY_S * place))
        above, left = y + _HEAD - 6, left - row.count
        y += row.high(each)
    notes = [f"One dot is {each:,} requests."] if each > 1 else []
    for line in [line for note in (*notes, *taken.notes) for line in wrapped(note, _WIDE)]:
        y += _LINE + 2
        parts.append(el("text", esc(line), x=0.0, y=y, class_="d"))
    subtitle = f"{words.plural(taken.count, 'request')}, rules of {taken.rule}, tried from top to bottom"
    return Figure("Which rule took them", subtitle, "".join(parts), _WIDE, y + 8, f"{taken!r}", _numbers(taken))


def _each(rows: Sequence[_Row]) -> int:
    """How many requests a dot is, so that no tray has too many; each kind of answer has a dot in any case."""
    size = 1
    while True:
        for each in (size, 2 * size, 5 * size):
            if all(len(row.tray(each)) <= max(len(row.dots), _ACROSS * _DEEP) for row in rows):
                return each
        size *= 10


def _rows(taken: RulesTaken) -> Iterator[_Row]:
    left = taken.count
    for row in taken.rows:
        versions = sorted(row.versions.items(), key=lambda item: order_key(item[0]))
        dots = [(slot_of(version), count) for version, count in versions]
        dots += [(look_of(str(status), by="status"), count) for status, count in row.by_proxy.items()]
        yield _Row(tuple(_lines(row)), tuple(dots), tuple(_said(row, left)), row.count)
        left -= row.count
    if taken.unmatched:
        lines = (("no rule", "b"), ("the proxy answers 404, flag NR", "e"))
        yield _Row(
            lines, ((ERROR, taken.unmatched),), (words.plural(taken.unmatched, "request"),), taken.unmatched, True
        )


def _lines(row: RuleRow) -> Iterator[tuple[str, str]]:
    room = _BOX_WIDE - 20
    yield from ((line, "b") for line in wrapped(f"rule {row.title}", room, bold=True))
    for place, condition in enumerate(row.conditions or ("every request",)):
        yield from ((line, "") for line in wrapped(f"or {condition}" if place else condition, room))
    yield from ((line, "d") for line in wrapped(f"→ {row.leads_to}", room))


def _said(row: RuleRow, left: int) -> Iterator[str]:
    if row.count:
        yield from wrapped(f"{words.plural(row.count, 'request')}: {row.met}", _WIDE - _TRAY - 4)
    else:
        yield "took none" if left else "nothing comes this far"


def _fall(top: float, bottom: float, share: float) -> str:
    way = f"M{num(_LANE)} {num(top)}V{num(bottom)}"
    if not share:
        return el("path", d=way, fill="none", stroke="var(--ws-dim)", stroke_dasharray="2 4")
    return el("path", d=way, fill="none", stroke="var(--ws-bar)", stroke_width=1.6 + 6.4 * share)


def _drawn(row: _Row, y: float, high: float, all_of: int) -> str:
    """The rule, and the way of what it takes; lit if it took any."""
    middle, lit = y + _HEAD - 6, bool(row.count)
    edge = "var(--ws-ce)" if row.failed else "var(--ws-c1)" if lit else "var(--ws-dim)"
    frame = {"x": _BOX, "y": y, "width": _BOX_WIDE, "height": high, "rx": 6.0, "stroke": edge}
    parts = [el("rect", **frame, fill="var(--ws-bg)", stroke_dasharray=None if lit else "4 4")]
    way = ""
    if lit:
        parts.append(el("rect", **{**frame, "fill": "var(--ws-hl)", "stroke_width": 2.0}))
        colour = "var(--ws-ce)" if row.failed else "var(--ws-bar)"
        line, thick = f"M{num(_LANE)} {num(middle)}H{num(_BOX - 9)}", 1.6 + 6.4 * row.count / all_of
        way = el("path", d=line, fill="none", stroke=colour, stroke_width=thick)
        way += el("path", d=f"M{num(_BOX - 10)} {num(middle - 6)}l8 6l-8 6z", fill=colour)
    for place, (text, look) in enumerate(row.lines):
        # Dimmed letters on the highlight would be too faint.
        shown = None if lit and look == "d" else look or None
        line = esc(clip(text, _BOX_WIDE - 20, bold=look == "b"))
        parts.append(el("text", line, x=_BOX + 10, y=y + 15 + _LINE * place, class_=shown))
    return way + el("g", *parts, class_="ws-box")


def _caught(row: _Row, y: float, each: int, delay_s: float) -> str:
    """The dots beside a rule, which fall from the top, and who answered them."""
    tray = row.tray(each)
    dots = [
        mark(slot, _TRAY + _PITCH * (place % _ACROSS) + _DOT, y + 8 + _PITCH * (place // _ACROSS), _DOT)
        for place, slot in enumerate(tray)
    ]
    motion = f"--ws-way:{num(y)}px;animation-delay:{delay_s:.2f}s"
    below = y + -(-len(tray) // _ACROSS) * _PITCH + 13
    return el("g", *dots, class_="ws-fall", style=motion) + "".join(
        el("text", esc(line), x=_TRAY, y=below + _LINE * place, class_=None if row.count else "d")
        for place, line in enumerate(row.said)
    )


def _numbers(taken: RulesTaken) -> str:
    rows: list[Sequence[str]] = [
        (f"rule {row.title}", " or ".join(row.conditions) or "every request", row.leads_to, f"{row.count:,}", row.met)
        for row in taken.rows
    ]
    if taken.unmatched:
        rows.append(("no rule", "", "404 NR", f"{taken.unmatched:,}", ""))
    heads = ["rule", "takes", "leads to", "requests", "who answered"]
    return table(heads, [[esc(cell) for cell in row] for row in rows], numeric=frozenset({3}), caption="rules")
