"""The one form of all HTML tables."""

from __future__ import annotations

from labsupport.display.drawing.text import el, esc

__all__ = ["table"]


def table(heads: list[str], rows: list[list[str]], *, numeric: frozenset[int] = frozenset(), caption: str = "") -> str:
    """An HTML table whose first column names its rows.

    Args:
        heads: column headings, plain text; without any word there is no heading.
        rows: cells as markup, already escaped.
        numeric: columns that are aligned to the right.
        caption: what it is about, for screen readers.

    Returns:
        The ``<table>`` element.
    """

    def side(place: int) -> str | None:
        return "n" if place in numeric else None

    head = "".join(el("th", esc(text), scope="col", class_=side(place)) for place, text in enumerate(heads))
    lines = [
        el(
            "tr",
            el("th", row[0], scope="row"),
            *(el("td", cell, class_=side(place)) for place, cell in enumerate(row[1:], start=1)),
        )
        for row in rows
    ]
    words_for_readers = el("caption", esc(caption), class_="ws-hide") if caption else ""
    top = el("thead", el("tr", head)) if any(heads) else ""
    return el("table", words_for_readers, top, el("tbody", *lines))
