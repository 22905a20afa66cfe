"""Rows of shares: bar, exact interval and expected share of each version, the same in live and static pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labsupport import words
from labsupport.display.drawing.marks import mark
from labsupport.display.drawing.palette import NEUTRAL, Slot, order_key, slot_of
from labsupport.display.drawing.text import clip, el, esc, fitting, width
from labsupport.statistics import Interval, proportion_interval, proportions
from labsupport.traffic.share import NONE

__all__ = [
    "LEVEL",
    "ShareRow",
    "expected_shares",
    "label_width",
    "legend",
    "make_rows",
    "ring_legend",
    "rows_table",
    "share_row",
]

LEVEL = 0.999
"""Confidence of the intervals in pictures."""

# Right of "errors 100 %".
_RINGS = 130.0


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One version's share.

    Args:
        key: version, or another key of a ``Share``.
        count: requests that fell on it.
        total: requests in all.
        expected: expected share from 0 to 1; None if not known.
        slot: its look.
        choices: independent choices that fell on it, and all of them, where requests were not chosen one by one.
    """

    key: str
    count: int
    total: int
    expected: float | None
    slot: Slot
    choices: tuple[int, int] | None = None

    @property
    def share(self) -> float:
        """Seen share, from 0 to 1."""
        return self.count / self.total if self.total else 0.0

    @property
    def interval(self) -> Interval:
        """Exact interval of the share; it counts choices."""
        return proportion_interval(*(self.choices or (self.count, self.total)), level=LEVEL)

    @property
    def label(self) -> str:
        """The key in words."""
        return "no version" if self.key == NONE else self.key

    def in_words(self) -> str:
        """The row as a sentence part."""
        expected = "" if self.expected is None else f", expected {words.percent(self.expected)}"
        return f"{self.label} {words.percent(self.share)} (interval {words.percent_range(*self.interval)}{expected})"


def expected_shares(expected: Mapping[str, float] | None) -> dict[str, float]:
    """Weights as shares that add up to 1; nothing for weights that say nothing."""
    by_text = {str(key): weight for key, weight in (expected or {}).items()}
    return proportions(by_text) if sum(by_text.values()) > 0 else {}


def make_rows(
    counts: Mapping[str, int],
    total: int,
    expected: Mapping[str, float] | None = None,
    *,
    choices: Mapping[str, int] | None = None,
) -> list[ShareRow]:
    """Rows for every key that was seen or is expected, in the order of pictures, ``none`` last.

    Args:
        counts: requests by key.
        total: all requests.
        expected: relative weights by key.
        choices: independent choices by key, where requests were not chosen one by one.
    """
    chosen = sum((choices or {}).values())
    shares = expected_shares(expected)
    keys = sorted({*counts, *shares}, key=lambda key: (key == NONE, order_key(key)))
    return [
        ShareRow(
            key,
            counts.get(key, 0),
            total,
            shares.get(key) if key in shares else (0.0 if shares and key != NONE else None),
            NEUTRAL if key == NONE else slot_of(key),
            (choices.get(key, 0), chosen) if choices else None,
        )
        for key in keys
    ]


def label_width(rows: Sequence[ShareRow]) -> float:
    """Room for the names, the same in all rows."""
    return min(120.0, max([26.0, *(width(row.label, bold=True) for row in rows)]))


def share_row(row: ShareRow, y: float, *, wide: float, names: float) -> str:
    """One row, 46 pixels high.

    Args:
        row: the numbers.
        y: upper edge.
        wide: width of the whole row.
        names: room for the name.

    Returns:
        SVG markup.
    """
    x = 20 + names + 10
    room = wide - x - 6
    low, high = row.interval
    middle = y + 15.0
    parts = [
        mark(row.slot, 7.0, middle, 4.6),
        el("text", esc(clip(row.label, names, bold=True)), x=20.0, y=middle + 4.5, class_="b"),
        el("rect", x=x, y=middle - 7, width=room, height=14.0, rx=2.0, fill="var(--ws-track)"),
    ]
    if row.total:
        parts.append(
            el(
                "rect",
                x=x,
                y=middle - 7,
                width=room * row.share,
                height=14.0,
                rx=2.0,
                class_=f"ws-c{row.slot.key}",
                fill="currentColor",
            )
        )
        whisker = f"M{x + room * low:.1f} {middle:.1f}H{x + room * high:.1f}"
        ends = "".join(f"M{x + room * end:.1f} {middle - 3:.1f}v6" for end in (low, high))
        # A halo in the background's colour keeps the line readable on the bar and off it.
        parts.append(el("path", d=whisker + ends, stroke="var(--ws-bg)", stroke_width=3.6, fill="none", opacity=".75"))
        parts.append(el("path", d=whisker + ends, stroke="var(--ws-fg)", stroke_width=1.4, fill="none"))
    if row.expected is not None:
        parts.append(el("path", d=f"M{x + room * row.expected:.1f} {middle - 9:.1f}l-4.5-6.5h9z", fill="var(--ws-fg)"))
    value = words.percent(row.share) if row.total else "–"
    expected = (
        f"expected {words.percent(row.expected).removesuffix('.0 %').removesuffix(' %')}, "
        if row.expected is not None
        else ""
    )
    between = words.percent_range(low, high)
    forms = (f"{expected}interval {between}", f"{expected}{between}") if row.total else (expected.removesuffix(", "),)
    # Below the bar where there is room for it, else as far to the left as it takes.
    gap = width(value, bold=True) + 8
    detail = fitting(forms, wide - 22 - gap)
    left = max(20.0, min(x, wide - 2 - gap - width(detail)))
    parts.append(el("text", esc(value), x=left, y=middle + 22, class_="b"))
    parts.append(el("text", esc(detail), x=left + gap, y=middle + 22, class_="d"))
    return "".join(parts)


def legend(x: float, y: float, *, expected: bool) -> str:
    """What the triangle and the line with ends mean.

    Args:
        x: left edge.
        y: baseline of the text.
        expected: whether there are expected shares.

    Returns:
        SVG markup.
    """
    parts = []
    if expected:
        parts.append(el("path", d=f"M{x + 4.5:.1f} {y - 1:.1f}l-4.5-6.5h9z", fill="var(--ws-dim)"))
        parts.append(el("text", "expected share", x=x + 14, y=y, class_="d"))
        x += 14 + width("expected share") + 18
    line = f"M{x:.1f} {y - 4:.1f}h22M{x:.1f} {y - 7:.1f}v6M{x + 22:.1f} {y - 7:.1f}v6"
    parts.append(el("path", d=line, stroke="var(--ws-dim)", stroke_width=1.4, fill="none"))
    parts.append(el("text", f"{100 * LEVEL:g} % interval", x=x + 29, y=y, class_="d"))
    return "".join(parts)


def ring_legend(service: str, y: float, *, wide: float) -> str:
    """What a ring stands for, beside the share of errors.

    Args:
        service: whose versions are shown; empty for those of whoever answered.
        y: centre of the line.
        wide: width of the place.

    Returns:
        SVG markup.
    """
    said = clip(f"without {service or 'a version'}", wide - _RINGS - 12)
    return mark(NEUTRAL, _RINGS, y, 4.0) + el("text", esc(said), x=_RINGS + 12, y=y + 4.5, class_="d")


def rows_table(rows: Sequence[ShareRow]) -> str:
    """The rows as an HTML table."""
    compared = any(row.expected is not None for row in rows)
    heads = ["version", "requests", "share", "99.9 % interval"] + (["expected"] if compared else [])
    head = "".join(el("th", text, scope="col", class_="n" if place else None) for place, text in enumerate(heads))
    lines = []
    for row in rows:
        cells = [f"{row.count:,}", words.percent(row.share), words.percent_range(*row.interval)]
        if compared:
            cells.append("" if row.expected is None else words.percent(row.expected))
        lines.append(
            el("tr", el("th", esc(row.label), scope="row"), *(el("td", esc(cell), class_="n") for cell in cells))
        )
    return el("table", el("thead", el("tr", head)), el("tbody", *lines))
