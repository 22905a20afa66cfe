"""Pages of the shop as it made them, small and beside each other: what a canary looks like to those who come."""

from __future__ import annotations

from labsupport.course.shopping import Visits
from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.text import el, esc
from labsupport.display.pictures.causes import cause
from labsupport.records import Response

__all__ = ["visits_html"]

# A browser window of this size is drawn at a fifth, so that five stand beside each other in a window of 1280.
_WIDE, _HIGH, _PARTS = 800, 500, 5


def visits_html(visits: Visits) -> str:
    """Each page in a frame of its own, in which nothing runs and nothing can be pressed.

    Args:
        visits: the pages.
    """
    shown = "".join(_page(number, response) for number, response in enumerate(visits.seen, 1))
    return panel("The shop", el("div", shown, class_="ws-row"), subtitle=repr(visits))


def _page(number: int, response: Response) -> str:
    version = response.path[0].version if response.path else cause(response)
    frame = el(
        "iframe",
        srcdoc=response.body,
        title=f"page {number}, {version}",
        sandbox="",
        tabindex="-1",
        style=f"width:{_WIDE}px;height:{_HIGH}px;border:0;transform:scale({1 / _PARTS});transform-origin:0 0;"
        "pointer-events:none",
    )
    wide = f"width:{_WIDE // _PARTS}px"
    size = f"{wide};height:{_HIGH // _PARTS}px;overflow:hidden;border:1px solid var(--ws-line)"
    return el("div", el("div", frame, style=size), el("div", esc(f"{number} · {version}"), class_="d"), style=wide)
