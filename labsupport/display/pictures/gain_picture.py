"""What is known of a gain after each user: the interval that may be looked at, beside that of a z test."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.display.drawing.figure import Figure
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import el, esc

if TYPE_CHECKING:
    from labsupport.anytime import FalseAlarms
    from labsupport.course.predictions import Look, Looks

__all__ = ["alarms_figure", "gain_figure"]

_LEFT, _ROOM, _TOP, _HIGH = 52.0, 520.0, 14.0, 180.0
_WIDE, _TALL = _LEFT + _ROOM + 40, _TOP + _HIGH + 62
_MOST = 0.25
_POINTS = 260
_BAND, _DASH = "5 3", "2 3"


def gain_figure(looks: Looks) -> Figure:
    """The gain B minus A against the users who have been asked.

    Args:
        looks: one for each user.

    Returns:
        A static picture with a table of some of its numbers.
    """
    shown = _thinned(looks.looks)
    users = max(len(looks.looks), 2)

    def x(look: Look) -> float:
        return _LEFT + _ROOM * (look.users - 1) / (users - 1)

    upper = [(x(look), _y(look.high)) for look in shown]
    lower = [(x(look), _y(look.low)) for look in reversed(shown)]
    known = [look for look in shown if not math.isnan(look.mean)]
    tested = [look for look in known if not math.isnan(look.peeking)]
    parts = [
        *_axis([(value, f"{value:+.1f}" if value else "0") for value in (-0.2, -0.1, 0.0, 0.1, 0.2)], users),
        el("path", d=_way(upper + lower) + "Z", fill="var(--ws-bar)", opacity=".4") if shown else "",
        *(
            el("path", d=_way((x(look), _y(look.mean + sign * look.peeking)) for look in tested), **_line(_BAND))
            for sign in (1, -1)
            if tested
        ),
        el("path", d=_way((x(look), _y(look.mean)) for look in known), **_line(None)) if known else "",
        *(
            el("path", d=f"M{_LEFT} {_y(value):.1f}h{_ROOM}", **_line(_DASH))
            + el("text", f"{value:+g}", x=_LEFT + _ROOM + 4, y=_y(value) + 4, class_="d")
            for value in ((looks.worth, -looks.worth) if looks.worth else ())
        ),
    ]
    if looks.decided is not None:
        at = _LEFT + _ROOM * (looks.decided - 1) / (users - 1)
        parts.append(el("path", d=f"M{at:.1f} {_TOP}v{_HIGH}", stroke="var(--ws-ok)", stroke_width=1.8))
        known_after = f"known after {words.plural(looks.decided, 'user')}"
        parts.append(el("text", known_after, x=at, y=_TOP - 4, text_anchor="middle", class_="d"))
    level = f"{100 * (1 - looks.alpha):g} %"
    legend = f"grey: the interval that may be looked at, {level}; line: the mean; dashed: a z test, 95 %"
    parts.append(el("text", esc(legend), x=0.0, y=_TOP + _HIGH + 44, class_="d"))
    heads = ["users", "mean", "from", "to"]
    rows = [[f"{one.users}", *(f"{value:.3f}" for value in (one.mean, one.low, one.high))] for one in _some(shown)]
    numbers = table(heads, rows, numeric=frozenset({1, 2, 3}), caption="the gain after so many users")
    subtitle = f"B minus A in IoU, by {looks.design}: {looks.answer}"
    return Figure("Gain", subtitle, "".join(parts), _WIDE, _TALL, f"{looks!r}", numbers)


def alarms_figure(alarms: FalseAlarms) -> Figure:
    """How often two equal versions have been called different, up to each request.

    Args:
        alarms: the shares.

    Returns:
        A static picture.
    """
    requests = len(alarms.peeking)
    parts = [*_axis([(_height(value), f"{100 * value:g} %") for value in (0, 0.25, 0.5)], requests, "requests")]
    named = (
        ("z test", alarms.peeking, "var(--ws-ce)", _BAND),
        ("always valid", alarms.always_valid, "var(--ws-ok)", None),
    )
    step = max(1, requests // _POINTS)
    for name, shares, colour, dash in named:
        places = [*range(0, requests, step), requests - 1]
        way = _way((_LEFT + _ROOM * at / max(requests - 1, 1), _y(_height(shares[at]))) for at in places)
        parts.append(el("path", d=way, **{**_line(dash), "stroke": colour}))
        parts.append(
            el("text", name, x=_LEFT + _ROOM - 4, y=_y(_height(shares[-1])) - 6, text_anchor="end", class_="b h")
        )
    return Figure(
        "False alarms", "two equal versions, looked at after each request", "".join(parts), _WIDE, _TALL, f"{alarms!r}"
    )


def _axis(ticks: Iterable[tuple[float, str]], last: int, what: str = "users") -> Iterable[str]:
    for value, name in ticks:
        y = _y(value)
        yield el("path", d=f"M{_LEFT} {y:.1f}h{_ROOM}", stroke="var(--ws-line)", stroke_width=1.0)
        yield el("text", esc(name), x=_LEFT - 8, y=y + 4, text_anchor="end", class_="d")
    for part in (0.0, 0.5, 1.0):
        place = {"x": _LEFT + _ROOM * part, "y": _TOP + _HIGH + 18, "text_anchor": "middle", "class_": "d"}
        yield el("text", f"{1 + round((last - 1) * part):,}" + (f" {what}" if part == 1 else ""), **place)


def _line(dash: str | None) -> dict[str, object]:
    return {"fill": "none", "stroke": "var(--ws-fg)", "stroke_width": 1.4, "stroke_dasharray": dash}


def _way(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _height(share: float) -> float:
    """The gain at whose height a share is drawn: from 0 at the bottom to 0.6 at the top."""
    return _MOST * (share / 0.3 - 1)


def _y(gain: float) -> float:
    return _TOP + _HIGH * (_MOST - min(max(gain, -_MOST), _MOST)) / (2 * _MOST)


def _thinned(looks: tuple[Look, ...]) -> list[Look]:
    step = max(1, len(looks) // _POINTS)
    return [*looks[:-1:step], *looks[-1:]]


def _some(looks: list[Look]) -> list[Look]:
    step = max(1, len(looks) // 8)
    return [*looks[:-1:step], *looks[-1:]]
