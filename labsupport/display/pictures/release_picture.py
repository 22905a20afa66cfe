"""A release in steps, with what each check said; and what became of many, under several judges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.display.drawing.figure import Figure
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import el, esc

if TYPE_CHECKING:
    from labsupport.course.delivery import Release
    from labsupport.course.replays import Replayed, Replays

__all__ = ["release_figure", "replays_figure"]

_LEFT, _ROOM, _TOP, _HIGH = 46.0, 560.0, 18.0, 120.0
_WIDE = _LEFT + _ROOM + 10
_LETTER = 6.6
# A colour and a sign for each verdict: neither says it alone.
_VERDICTS = {"passed": ("✓", "var(--ws-ok)"), "failed": ("✗", "var(--ws-ce)"), "inconclusive": ("?", "var(--ws-dim)")}
_ENDS = {"promoted": "var(--ws-ok)", "rolled back": "var(--ws-ce)", "paused": "var(--ws-dim)"}
_ROW, _NAMES, _BAR, _TOLD = 30.0, 190.0, 180.0, 290.0


def release_figure(release: Release) -> Figure:
    """The weight of each interval as a step, and below it what the checks said.

    Args:
        release: what there is so far.

    Returns:
        A static picture, with the events as a table.
    """
    count = len(release.looks)
    wide = _ROOM / max(count, 8)
    parts = [*_axis((weight / 100, f"{weight} %") for weight in (0, 50, 100))]
    for place, look in enumerate(release.looks):
        x, y = _LEFT + wide * place, _y(look.weight / 100)
        sign, colour = _VERDICTS[look.verdict]
        middle = {"x": x + wide / 2, "text_anchor": "middle"}
        parts.append(el("path", d=f"M{x:.1f} {_y(0):.1f}V{y:.1f}h{wide:.1f}V{_y(0):.1f}", fill="var(--ws-bar)"))
        parts.append(el("path", d=f"M{x:.1f} {y:.1f}h{wide:.1f}", stroke=colour, stroke_width=2.0, fill="none"))
        if wide > 5 * _LETTER:
            parts.append(el("text", f"{look.weight} %", y=y - 4, class_="d h", **middle))
            parts.append(el("text", f"{look.requests:,}", y=_y(0) + 34, class_="d", **middle))
        parts.append(el("text", sign, y=_y(0) + 17, class_="b", style=f"fill:{colour}", **middle))
    legend = "✓ passed, ✗ failed, ? inconclusive; below: requests that the new version answered"
    parts.append(el("text", esc(legend), x=0.0, y=_y(0) + 54, class_="d"))
    parts += [
        el("text", esc(event), x=0.0, y=_y(0) + 76 + 16 * line, class_="d" if line else "b")
        for line, event in enumerate(reversed(release.events[-4:]))
    ]
    numbers = table(["", "event"], [[f"{line}", esc(text)] for line, text in enumerate(release.events, 1)])
    subtitle = f"{release.end or 'under way'}, {words.plural(release.hurt, 'request')} hurt"
    tall = _y(0) + 84 + 16 * 3
    return Figure(f"Release of {release.canary}", subtitle, "".join(parts), _WIDE, tall, f"{release!r}", numbers)


def replays_figure(replays: Replays) -> Figure:
    """What became of each recorded version under each judge, with the share of mistakes and its interval.

    Args:
        replays: what was counted.

    Returns:
        A static picture with a table of its numbers.
    """
    wide = _NAMES + _BAR + _TOLD
    parts = [part for place, row in enumerate(replays.rows) for part in _replayed(row, 8 + _ROW * place, replays.times)]
    bottom = 8 + _ROW * len(replays.rows)
    legend = "bar: green promoted, striped rolled back, grey paused; dot and line: mistakes, with an interval of 95 %"
    parts.append(el("text", esc(legend), x=0.0, y=bottom + 18, class_="d"))
    heads = ["version", "judge", *_ENDS, "mistakes", "interval of 95 %", "requests hurt"]
    rows = [
        [
            *(esc(row.version), esc(row.judge), *(f"{row.ends.count(end)}" for end in _ENDS)),
            *(_mistakes(row), words.percent_range(*row.interval), _hurt(row)),
        ]
        for row in replays.rows
    ]
    numbers = table(heads, rows, numeric=frozenset({2, 3, 4}), caption="what became of each replay")
    subtitle = f"{words.plural(replays.times, 'replay')} of each"
    return Figure("Replays", subtitle, "".join(parts), wide, bottom + 26, f"{replays!r}", numbers)


def _replayed(row: Replayed, y: float, times: int) -> Iterable[str]:
    yield el("text", esc(f"{row.version}, {row.judge}"), x=0.0, y=y + 14, class_="b" if row.mistakes else "h")
    x = _NAMES
    for end, colour in _ENDS.items():
        part = _BAR * row.ends.count(end) / times
        if part:
            yield el("rect", x=x, y=y, width=part, height=12.0, fill=colour, opacity=".75")
            if end == "rolled back":
                stripes = "".join(f"M{x + at:.1f} {y:.1f}v12" for at in range(3, int(part), 6))
                yield el("path", d=stripes, stroke="var(--ws-bg)", stroke_width=1.5) if stripes else ""
        x += part
    low, high = (_NAMES + _BAR * bound for bound in row.interval)
    share = _NAMES + _BAR * row.mistakes / times
    yield el("path", d=f"M{low:.1f} {y + 18:.1f}H{high:.1f}", stroke="var(--ws-fg)", stroke_width=1.6)
    yield el("circle", cx=share, cy=y + 18, r=3.0, fill="var(--ws-fg)")
    told = f"{_mistakes(row)}, {words.percent_range(*row.interval)}; {_hurt(row)} hurt"
    yield el("text", esc(told), x=_NAMES + _BAR + 10, y=y + 14, class_="d")


def _mistakes(row: Replayed) -> str:
    return words.plural(row.mistakes, "false rollback") if row.mistake == "rolled back" else f"{row.mistakes} missed"


def _hurt(row: Replayed) -> str:
    return f"{row.mean_hurt:.1f}"


def _axis(ticks: Iterable[tuple[float, str]]) -> Iterable[str]:
    for value, name in ticks:
        y = _y(value)
        yield el("path", d=f"M{_LEFT} {y:.1f}h{_ROOM}", stroke="var(--ws-line)", stroke_width=1.0)
        yield el("text", esc(name), x=_LEFT - 8, y=y + 4, text_anchor="end", class_="d")


def _y(share: float) -> float:
    return _TOP + _HIGH * (1 - share)
