"""HTML and SVG elements with everything escaped, and how wide a text is without a browser."""

from __future__ import annotations

import html
import unicodedata

__all__ = ["clip", "el", "esc", "num", "width"]

_VOID = frozenset({"br", "input", "col", "wbr"})
# Widths at 12 px of a typical UI font, generous by a few per cent: a label may get a little more room than it needs.
_NARROW = frozenset("iljtfrI.,:;'|!()[]{}/ \u00a0·")
_WIDE = frozenset("mwMW%@→—…")


def esc(value: object) -> str:
    """Text as HTML or SVG content or attribute value."""
    return html.escape(str(value), quote=True)


def num(value: float) -> str:
    """A coordinate: at most one decimal, no trailing zero, no sign on zero."""
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def el(tag: str, *children: str, **attributes: object) -> str:
    """One element from escaped children and raw attribute values.

    Args:
        tag: element name.
        children: markup, already escaped.
        attributes: a trailing underscore is dropped and others become hyphens; None leaves the attribute out, True
            writes it without a value, floats are written as coordinates.

    Returns:
        The markup.
    """
    parts = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        key = name.rstrip("_").replace("_", "-") if name not in {"viewBox", "preserveAspectRatio"} else name
        if value is True:
            parts.append(key)
        else:
            parts.append(f'{key}="{num(value) if isinstance(value, float) else esc(value)}"')
    head = " ".join(parts)
    return f"<{head}>" if tag in _VOID else f"<{head}>{''.join(children)}</{tag}>"


def width(text: str, size: float = 12.0, *, bold: bool = False) -> float:
    """About how wide a text is, in pixels; for placing labels without a browser."""
    total = 0.0
    for char in text:
        if char in _NARROW:
            total += 0.32
        elif char in _WIDE or unicodedata.east_asian_width(char) in "WF":
            total += 0.95
        elif char.isupper():
            total += 0.68
        else:
            total += 0.56
    return total * size * (1.06 if bold else 1.0)


def clip(text: str, room: float, size: float = 12.0, *, bold: bool = False) -> str:
    """The text, shortened with an ellipsis in its middle if it is wider than ``room`` pixels."""
    if width(text, size, bold=bold) <= room:
        return text
    keep = len(text)
    while keep > 2:
        keep -= 1
        head = (keep + 1) // 2
        short = f"{text[:head]}…{text[len(text) - (keep - head) :]}"
        if width(short, size, bold=bold) <= room:
            return short
    return text[:1] + "…"
