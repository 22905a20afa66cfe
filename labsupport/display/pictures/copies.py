"""What mirrors received beside the answers of users, as a part of the traffic picture."""

from __future__ import annotations

from labsupport import words
from labsupport.display.drawing.palette import order_key, slot_of
from labsupport.display.drawing.text import clip, el, esc
from labsupport.display.pictures.share_rows import ShareRow, label_width, rows_table, share_row
from labsupport.display.pictures.timeline import Shares

__all__ = ["copies_part", "copies_table", "copies_told"]

_ROW = 46.0


def _rows(shares: Shares) -> list[ShareRow]:
    # Who is sent two copies of each request has a full bar.
    total = shares.copied_of
    return [
        ShareRow(version, min(shares.copies[version], total), total, None, slot_of(version))
        for version in sorted(shares.copies, key=order_key)
    ]


def copies_part(shares: Shares, y: float, *, wide: float, room: int) -> tuple[str, float]:
    """A row for each version that received copies, or a line where there is no room for rows.

    Args:
        shares: the counts.
        y: upper edge.
        wide: width of the whole part.
        room: for how many rows there is room.

    Returns:
        SVG markup and its height in pixels; nothing where no copies were looked for.
    """
    if not shares.copied_of:
        return "", 0.0
    rows = _rows(shares)
    of = f" · of {words.plural(shares.copied_of, 'request')}"
    if len(rows) > room:
        told = ", ".join(f"{row.label} {words.percent(row.share)}" for row in rows)
        markup = el("text", "copies ", el("tspan", esc(clip(told + of, wide - 50)), class_="d"), x=0.0, y=y + 14)
        return markup, 18.0
    head = "mirror copies" if rows else "no mirror copies"
    parts = [el("text", head, el("tspan", of, class_="d"), x=0.0, y=y + 14)]
    for place, row in enumerate(rows):
        parts.append(share_row(row, y + 26 + _ROW * place, wide=wide, names=label_width(rows)))
    return "".join(parts), 28.0 + _ROW * len(rows)


def copies_told(shares: Shares) -> str:
    """The same in words; empty where no copies were looked for."""
    if not shares.copied_of:
        return ""
    told = "; ".join(row.in_words() for row in _rows(shares)) or "none"
    return f"; mirror copies of {words.plural(shares.copied_of, 'request')}: {told}"


def copies_table(shares: Shares) -> str:
    """The same as an HTML table; empty where no copies were looked for."""
    if not shares.copied_of:
        return ""
    return el("div", f"mirror copies of {words.plural(shares.copied_of, 'request')}", class_="d") + rows_table(
        _rows(shares)
    )
