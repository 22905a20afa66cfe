"""A prediction and what was seen, in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labsupport import words
from labsupport.display.drawing.figure import Figure
from labsupport.display.drawing.text import el, esc

if TYPE_CHECKING:
    from labsupport.course.questions import Compared

__all__ = ["prediction_figure"]

_WIDE = 460.0
_LEFT, _ROOM = 84.0, 300.0


def prediction_figure(compared: Compared) -> Figure:
    """The predicted share above the one that was seen, on one scale.

    Args:
        compared: what was predicted and seen.

    Returns:
        A static picture; it says so where there is no prediction, where it came late and where it was kept.
    """
    share = compared.seen["seen"] / compared.n
    predicted = compared.predicted
    skipped = predicted is None
    said = "skipped" if predicted is None else words.percent(predicted)
    parts = [
        el("text", "predicted", x=6.0, y=27.0, class_="b"),
        el("text", "seen", x=6.0, y=61.0, class_="b"),
        *(el("rect", x=_LEFT, y=y, width=_ROOM, height=14.0, rx=2.0, fill="var(--ws-track)") for y in (16.0, 50.0)),
        el("rect", x=_LEFT, y=50.0, width=_ROOM * share, height=14.0, rx=2.0, fill="var(--ws-bar)"),
        el("text", esc(said), x=_LEFT + _ROOM + 8, y=27.0, class_="d" if skipped else "b"),
        el("text", words.percent(share), x=_LEFT + _ROOM + 8, y=61.0, class_="b"),
    ]
    told, height = "", 72.0
    # What is exact has no interval.
    if "seen" in compared.interval:
        low, high = compared.interval["seen"]
        whisker = f"M{_x(low):.1f} 57H{_x(high):.1f}" + "".join(f"M{_x(end):.1f} 53v8" for end in (low, high))
        chance = f"by chance, {words.percent_range(low, high)} can look like this"
        parts += [
            el("path", d=whisker, stroke="var(--ws-bg)", stroke_width=3.6, fill="none", opacity=".75"),
            el("path", d=whisker, stroke="var(--ws-fg)", stroke_width=1.4, fill="none"),
            el("text", chance, x=_LEFT, y=80.0, class_="d"),
        ]
        told, height = f" ({chance})", 88.0
    if predicted is not None:
        x = _x(predicted)
        parts.append(el("path", d=f"M{x:.1f} 16V64", stroke="var(--ws-fg)", stroke_width=1.6, stroke_dasharray="4 3"))
        # A head that is not filled: what came late is no prediction any more.
        head = {"fill": "none", "stroke": "var(--ws-fg)"} if compared.late else {"fill": "var(--ws-fg)"}
        parts.append(el("path", d=f"M{x:.1f} 16l-5-8h10z", **head))
        if compared.mark:
            # On the side that the line leaves free.
            place = (_LEFT + _ROOM, "end") if predicted < 0.5 else (_LEFT, "start")
            parts.append(el("text", esc(compared.mark), x=place[0], y=43.0, text_anchor=place[1], class_="d"))
    said += f" ({compared.mark})" if compared.mark else ""
    summary = f"Predicted: {said}. Seen: {words.percent(share)} of {compared.n:,}{told}."
    return Figure("Prediction and result", compared.title, "".join(parts), _WIDE, height, summary)


def _x(share: float) -> float:
    return _LEFT + _ROOM * min(1.0, share)
