"""The traffic picture as SVG fragments by name: a live view sends what changed, a figure joins all.

Geometry in pixels: the plot is 610 x 310, so that its letters are still 10 high in a place of 540; the shares beside it
are 300 x 310. A bin's marks stand at ``bin * step``, whatever the time; only the group around all bins moves, so that a
bin is drawn again only when its counts change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labsupport import words
from labsupport.display.drawing.figure import Figure
from labsupport.display.drawing.marks import column, mark, torn
from labsupport.display.drawing.palette import ERROR, slot_of
from labsupport.display.drawing.part import Part
from labsupport.display.drawing.text import clip, el, esc, fitting, num, width
from labsupport.display.pictures.absence_bars import absence_bars, absences_in_words
from labsupport.display.pictures.copies import copies_part, copies_table, copies_told
from labsupport.display.pictures.phases import Phase, phases_summary, phases_table
from labsupport.display.pictures.share_rows import label_width, legend, make_rows, ring_legend, rows_table, share_row
from labsupport.display.pictures.timeline import Shares, Timeline, ago, nice_scale, reach
from labsupport.traffic.absences import Absence

__all__ = [
    "HEIGHT",
    "LEFT",
    "NOTES_HEIGHT",
    "PLOT_WIDTH",
    "SHARES_WIDTH",
    "SPAN",
    "Change",
    "TrafficPicture",
    "traffic_figure",
]

PLOT_WIDTH, SHARES_WIDTH, HEIGHT = 610.0, 300.0, 310.0
LEFT, SPAN = 12.0, 588.0
_TOP, _BASE, _ROOM = 54.0, 226.0, 169.0
_PITCHES, _RADIUS = (7.0, 5.6), 2.5
_STRIP_BASE, _STRIP_HIGH = 286.0, 34.0
_LABEL_ROWS = (12.0, 27.0, 42.0)
# Labels are as long as they like, and shortened to this where otherwise older ones had no room.
_SHORT_LABEL = 250.0
# Room for "+ 999 more changes".
_MORE = 130.0
_ROW, _ROWS = 46.0, 4
_SCALES = (1, 2, 3, 5)
# The lines below the legend: the share of errors, and causes.
_NOTES, _CAUSES = 46.0, 5
NOTES_HEIGHT = _NOTES + 18 + 17 * _CAUSES
_TICKS = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


def _capacity(per_mark: int, pitch: float) -> int:
    return per_mark * int(_ROOM / pitch)


def _scale_for(tallest: int) -> tuple[int, float]:
    """Requests per mark, and distance of marks, for a column of so many requests: rather close than several in one."""
    for pitch in _PITCHES:
        if tallest <= _capacity(1, pitch):
            return 1, pitch
    return nice_scale(tallest * _PITCHES[0] / _ROOM, _SCALES), _PITCHES[0]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the mesh, as the picture marks it.

    Args:
        time_s: when it was begun, seconds since the epoch.
        label: in a few words, such as ``apply 90/10``.
        in_force_s: how long it took to be in force; None for a mark that is no change of a rule.
        detail: what to say instead of the time in force.
    """

    time_s: float
    label: str
    in_force_s: float | None = None
    detail: str = ""

    @property
    def words(self) -> str:
        """What came of it."""
        return self.detail if self.in_force_s is None else f"in force after {words.duration(self.in_force_s)}"


def _labels(
    placed: Sequence[tuple[float, Change]], *, longest: float, reserved: float = 0.0
) -> tuple[list[str], list[Change]]:
    """Labels of changes, the newest first where there is not room for all.

    Args:
        placed: the changes from left to right, each with where its line is.
        longest: a label longer than this is shortened.
        reserved: room that is kept free at the left of the lowest row.

    Returns:
        Markup, and the changes that have no label.
    """
    labels: list[str] = []
    unnamed: list[Change] = []
    # Each row is free up to where its newer labels begin.
    free = [LEFT + SPAN] * len(_LABEL_ROWS)
    for x, change in reversed(placed):
        # Of many changes only the newest says more than its name.
        told = len(placed) <= len(_LABEL_ROWS) or change is placed[-1][1]
        detail = f" · {change.words}" if change.words and told else ""
        name = clip(change.label, longest - width(detail))
        wide = width(name) + width(detail)
        # The label slides along the right edge until its line has come far enough, then moves with the line.
        start = max(LEFT, min(x + 5, LEFT + SPAN - wide))
        begins = [LEFT] * (len(_LABEL_ROWS) - 1) + [LEFT + reserved]
        fits = (row for row, end in enumerate(free) if begins[row] <= start and start + wide <= end)
        row = next(fits, None)
        if row is None:
            unnamed.insert(0, change)
            continue
        free[row] = start - 10
        text = esc(name) + el("tspan", esc(detail), class_="d")
        labels.append(el("text", text, x=start, y=_LABEL_ROWS[row], class_="h"))
        if row < len(_LABEL_ROWS) - 1 and x >= start - 5:
            way = f"M{num(x)} {num(_LABEL_ROWS[row] + 4)}V{num(_TOP - 7)}"
            labels.insert(0, el("path", d=way, stroke="var(--ws-fg)", opacity=".45"))
    return labels, unnamed


class TrafficPicture:
    """Draws a timeline, with ``absences`` above it; remembers scales, so that they change only when they must.

    Args:
        timeline: the counts.
    """

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.step = SPAN / timeline.size
        self.per_mark, self.pitch = 1, _PITCHES[0]
        self.latency_top_s, self.latency_worst_s = 0.01, 0.0
        self.absences: Sequence[Absence] = ()

    def fragments(self, now_s: float, changes: Sequence[Change] = (), *, full: bool = False) -> dict[str, str]:
        """Everything that may have changed.

        Args:
            now_s: the present, seconds since the epoch.
            changes: changes of the mesh, oldest first.
            full: draw all bins, not only those with new counts.

        Returns:
            Fragment name to SVG markup: ``b<bin>`` for a bin, ``marks`` (bars of absences, lines of the changes) and
            ``scale``; a bin left of the picture is simply not mentioned any more.
        """
        line = self.timeline
        line.advance(now_s)
        changed = line.take_changed()
        if self._rescale() or full:
            changed = {index for index, _ in line.bins()}
        columns = line.columns(self.per_mark) if changed else {}
        # Marks stand for several requests each: what one bin has left over moves into those after it.
        dirty = {index for index in columns if self.per_mark > 1 and index >= min(changed)} | changed
        parts = {f"b{index}": self._bin(index, columns[index].served, columns[index].failed) for index in sorted(dirty)}
        bars = absence_bars(self.absences, self.x_of, left=LEFT, right=LEFT + SPAN, top=_TOP)
        parts["marks"] = bars + self._changes(changes)
        parts["scale"] = self._scale()
        return parts

    @property
    def shift(self) -> float:
        """How far the bins' group is to be moved, in pixels."""
        return LEFT + SPAN - (self.timeline.last + 1) * self.step

    def x_of(self, time_s: float) -> float:
        """Where a time stands, in pixels."""
        return (time_s - self.timeline.origin_s) / self.timeline.bin_s * self.step + self.shift

    def _rescale(self) -> bool:
        tallest, moved = self.timeline.tallest(), False
        now, needed = (self.per_mark, self.pitch), _scale_for(tallest)
        # A scale is left again only when the next finer one has room to spare: no flicker at the border.
        if needed != now and (tallest > _capacity(*now) or tallest <= 0.85 * _capacity(*needed)):
            self.per_mark, self.pitch = needed
            moved = True
        usual, self.latency_worst_s = self.timeline.latency()
        to_s = reach(usual, self.latency_worst_s)
        top = nice_scale(max(to_s, 0.002) * 1000) / 1000
        if top > self.latency_top_s or (to_s < 0.3 * self.latency_top_s and top < self.latency_top_s):
            moved = moved or top != self.latency_top_s
            self.latency_top_s = top
        return moved

    def _bin(self, index: int, served: Sequence[tuple[str, int]], failed: int) -> str:
        x = (index + 0.5) * self.step
        y, parts = _BASE - self.pitch / 2, []
        for version, count in served:
            parts.append(column(slot_of(version), x, y, count, self.pitch, _RADIUS))
            y -= count * self.pitch
        parts.append(column(ERROR, x, y, failed, self.pitch, _RADIUS))
        kept = self.timeline.bin(index)
        p95 = kept.p95_s
        high = max(1.0, _STRIP_HIGH * min(1.0, p95 / self.latency_top_s))
        bar = el(
            "rect",
            x=index * self.step + 1.5,
            y=_STRIP_BASE - high,
            width=self.step - 3,
            height=high,
            fill="var(--ws-bar)",
        )
        if p95 > self.latency_top_s:
            tear = torn(index * self.step, _STRIP_BASE - _STRIP_HIGH + 7, self.step)
            bar += el("path", d=tear, stroke="var(--ws-bg)", stroke_width=2.0)
        tip = ", ".join(
            [f"{version or 'no version'} {count}" for version, count in sorted(kept.served.items())]
            + [f"{why}: {count}" for why, count in kept.failed.items()]
            + [f"p95 {words.duration(p95)}"]
        )
        target = el("rect", x=index * self.step, y=_TOP, width=self.step, height=_STRIP_BASE - _TOP, fill="transparent")
        return el("title", esc(tip)) + target + "".join(parts) + bar

    def _changes(self, changes: Sequence[Change]) -> str:
        line, parts, placed = self.timeline, list[str](), list[tuple[float, Change]]()
        for change in changes:
            if (x := min(self.x_of(change.time_s), LEFT + SPAN)) < LEFT:
                continue
            placed.append((x, change))
            way = f"M{num(x)} {num(_TOP - 7)}V{num(_STRIP_BASE)}"
            parts.append(el("path", d=way, stroke="var(--ws-fg)", stroke_dasharray="3 3", fill="none"))
            until = (change.in_force_s or 0.0) / line.bin_s * self.step
            if until > self.step / 2:
                frame = {"x": x, "y": _TOP, "width": min(until, LEFT + SPAN - x), "height": _STRIP_BASE - _TOP}
                parts.append(el("rect", **frame, fill="var(--ws-fg)", opacity=".07"))
        labels, unnamed = _labels(placed, longest=SPAN)
        if unnamed:
            labels, unnamed = _labels(placed, longest=_SHORT_LABEL)
        if unnamed:
            # Room for their number is made before the others are placed: it may cost one of them its name.
            labels, unnamed = _labels(placed, longest=_SHORT_LABEL, reserved=_MORE)
            told = f"+ {words.plural(len(unnamed), 'more change')}"
            names = el("title", esc(", ".join(change.label for change in unnamed)))
            labels.append(el("text", names + told, x=LEFT, y=_LABEL_ROWS[-1], class_="d h"))
        # The outline of the letters hides lines of older changes behind them.
        return "".join(parts + labels)

    def _scale(self) -> str:
        cut = self.latency_worst_s > self.latency_top_s
        longest = f", torn ones to {words.duration(self.latency_worst_s)}" if cut else ""
        return el(
            "text",
            "latency p95",
            el("tspan", f" · scale to {words.duration(self.latency_top_s)}{longest}", class_="d"),
            x=LEFT,
            y=_BASE + 18,
            class_="d h",
        )

    def frame(self, end: str = "now") -> str:
        """What never changes: grid and time axis, whose right edge is called ``end``."""
        parts = []
        seconds = round(self.timeline.size * self.timeline.bin_s)
        step = next((step for step in _TICKS if seconds / step <= 9), nice_scale(seconds / 9))
        for back in reversed(range(0, seconds + 1, step)):
            x = LEFT + SPAN * (1 - back / seconds)
            # A label in the middle of the leftmost tick would stand out of the picture.
            anchor = "end" if back == 0 else "start" if x < LEFT + 20 else "middle"
            said = f"−{ago(back, step)}" if back else end
            parts.append(el("path", d=f"M{num(x)} {_TOP}V{num(_STRIP_BASE)}", stroke="var(--ws-line)"))
            parts.append(el("text", said, x=x, y=_STRIP_BASE + 17, class_="d", text_anchor=anchor))
        parts.append(el("path", d=f"M{LEFT} {num(_STRIP_BASE)}h{num(SPAN)}", stroke="var(--ws-line)"))
        return "".join(parts)

    def shares(self, shares: Shares, expected: Mapping[str, float] | None, *, now_s: float) -> tuple[str, float]:
        """The rows of versions beside the plot, and their height in pixels."""
        rows = make_rows(shares.versions, shares.requests, expected, choices=shares.choices)
        names = label_width(rows)
        span = now_s - shares.since_s
        chosen = sum(shares.choices.values())
        count = f" · {words.plural(chosen, 'connection') if chosen else words.plural(shares.requests, 'request')}"
        long = span >= self.timeline.recent_s - 0.5
        since = f"share of the last {span:.0f} s" if long else f"share since the change, {max(span, 0.0):.0f} s"
        said = fitting((since, since.removeprefix("share ")), SHARES_WIDTH - width(count))
        parts = [el("text", said, el("tspan", count, class_="d"), x=0.0, y=14.0)]
        for place, row in enumerate(rows[:_ROWS]):
            parts.append(share_row(row, 26.0 + _ROW * place, wide=SHARES_WIDTH, names=names))
        height = 28.0 + _ROW * min(max(len(rows), 1), _ROWS)
        if len(rows) > _ROWS:
            rest = ", ".join(f"{row.label} {words.percent(row.share)}" for row in rows[_ROWS:])
            parts.append(el("text", esc(clip(rest, SHARES_WIDTH)), x=0.0, y=height + 8, class_="d"))
            height += 14
        copies, more = copies_part(shares, height, wide=SHARES_WIDTH, room=_ROWS - 1 - len(rows))
        return "".join(parts) + copies, height + more

    def notes(self, shares: Shares, expected: Mapping[str, float] | None, height: float) -> str:
        """The legend, and the errors with their causes below it, where more of them move nothing else."""
        unit = "one mark = one request" if self.per_mark == 1 else f"one mark = {self.per_mark} requests"
        if self.timeline.bin_s != 0.5:
            unit += f", one column = {self.timeline.bin_s:g} s"
        elif self.per_mark > 1:
            unit += " (errors: the first counts)"
        parts = [el("text", unit, x=0.0, y=16.0, class_="d"), legend(0.0, 34.0, expected=bool(expected))]
        y = _NOTES + 5
        if "" in self.timeline.versions:
            parts.append(ring_legend(self.timeline.service, y, wide=SHARES_WIDTH))
        if not shares.requests:
            return "".join(parts)
        ranked = sorted(shares.causes.items(), key=lambda item: -item[1])
        space = max(1, min(_CAUSES, int((height - y - 10) // 17)))
        shown = ranked if len(ranked) <= space else ranked[: space - 1]
        part = el("tspan", words.percent(shares.errors / shares.requests), class_="b")
        if shares.errors:
            parts.append(mark(ERROR, 7.0, y, 4.0))
        x = 20.0 if shares.errors else 0.0
        parts.append(el("text", "errors ", part, x=x, y=y + 4.5, class_=None if shares.errors else "d"))
        lines = [f"{why}: {count:,}" for why, count in shown]
        if len(shown) < len(ranked):
            rest = sum(count for _, count in ranked[len(shown) :])
            lines.append(f"{words.plural(len(ranked) - len(shown), 'other cause')}: {rest:,}")
        for line in lines:
            y += 17
            parts.append(el("text", esc(clip(line, SHARES_WIDTH - 20)), x=20.0, y=y + 4.5, class_="d"))
        return "".join(parts)

    def summary(self, shares: Shares, expected: Mapping[str, float] | None) -> str:
        """The picture in words, for screen readers and plain front ends."""
        if not shares.requests:
            return "No requests yet."
        rows = make_rows(shares.versions, shares.requests, expected, choices=shares.choices)
        said = "; ".join(row.in_words() for row in rows)
        failed = ", ".join(f"{why}: {count}" for why, count in sorted(shares.causes.items(), key=lambda item: -item[1]))
        errors = f"{words.percent(shares.errors / shares.requests)} errors ({failed})" if failed else "no errors"
        errors += copies_told(shares)
        sent = words.plural(shares.requests, "request")
        return f"{sent} in the last seconds: {said}; {errors}." if said else f"{sent}: {errors}."


def traffic_figure(
    picture: TrafficPicture,
    *,
    now_s: float,
    changes: Sequence[Change] = (),
    expected: Mapping[str, float] | None = None,
    subtitle: str = "",
    phases: Sequence[Phase] = (),
    below: Sequence[Part] = (),
    logged_s: float = math.inf,
) -> Figure:
    """The whole picture as a static figure.

    Args:
        picture: the picture, whose timeline has the requests.
        now_s: right edge of the time axis, seconds since the epoch.
        changes: changes of the mesh, oldest first.
        expected: expected weights by version.
        subtitle: what was sent where.
        phases: what was seen between the changes, oldest first.
        below: parts below the plot, as wide as it is.
        logged_s: copies are counted of what was sent before, seconds since the epoch.

    Returns:
        A figure of 930 x 310 pixels, higher with parts below, and a narrow one of the plot's width.
    """
    parts = picture.fragments(now_s, changes, full=True)
    since = max(
        (change.time_s + (change.in_force_s or 0.0) for change in changes if change.time_s <= now_s), default=0.0
    )
    shares = picture.timeline.shares(now_s, since_s=since, logged_s=logged_s)
    rows, high = picture.shares(shares, expected, now_s=now_s)

    def beside(x: float, y: float, markup: str) -> str:
        return el("g", markup, transform=f"translate({num(x)} {num(y)})")

    plot = (
        picture.frame("end")
        + beside(picture.shift, 0, "".join(el("g", m) for n, m in parts.items() if n.startswith("b")))
        + parts["marks"]
        + parts["scale"]
    )
    side, low = PLOT_WIDTH + 20, max(high, NOTES_HEIGHT)
    wide = beside(side, 0, rows) + beside(side, high, picture.notes(shares, expected, HEIGHT - high))
    stacked = beside(0, HEIGHT, rows) + beside(PLOT_WIDTH - SHARES_WIDTH, HEIGHT, picture.notes(shares, expected, low))
    table = rows_table(make_rows(shares.versions, shares.requests, expected, choices=shares.choices))
    table += copies_table(shares)
    summary = picture.summary(shares, expected)
    if len(phases) > 1:
        table = phases_table(phases) + table
        summary += " " + phases_summary(phases)
    summary += absences_in_words(picture.absences)
    high, deep = HEIGHT, HEIGHT + low
    for part in below:
        wide, stacked = wide + beside(0, high + 8, part.body), stacked + beside(0, deep + 8, part.body)
        high, deep = high + 8 + part.height, deep + 8 + part.height
        table, summary = table + part.table, f"{summary} {part.told}."
    narrow = (plot + stacked, PLOT_WIDTH, deep)
    return Figure("Traffic", subtitle, plot + wide, side + SHARES_WIDTH, high, summary, table, narrow)
