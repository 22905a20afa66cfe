"""HTML and SVG elements with everything escaped, and how wide a text is without a browser."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

from labsupport import words

__all__ = ["breakable", "clip", "el", "esc", "fitting", "num", "width", "wrapped"]

_BREAK = re.compile(r"(?<=[|/.:-])(?=[^|/.:-])")
_VOID = frozenset({"br", "img", "input", "col", "wbr"})
# Advances of the printable ASCII characters in hundredths of an em, from DejaVu Sans and its bold: the widest of the
# fonts that pages are shown with, so that what fits here fits everywhere. Measured, because an estimate per class of
# characters is wrong by a tenth, and words of a picture leave their boxes.
_REGULAR = (
    *(32, 40, 46, 84, 64, 95, 78, 28, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34),
    *(84, 84, 84, 53, 100, 69, 69, 70, 77, 63, 58, 78, 75, 30, 30, 66, 56, 86, 75, 79, 60, 79, 70, 64, 61, 73, 69, 99),
    *(69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 64, 55, 64, 62, 35, 64, 63, 28, 28, 58, 28, 98, 63, 61, 64, 64, 41, 52),
    *(39, 63, 59, 82, 59, 59, 53, 64, 34, 64, 84),
)
_BOLD = (
    *(35, 46, 52, 84, 70, 100, 87, 31, 46, 46, 52, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 40, 40),
    *(84, 84, 84, 58, 100, 78, 76, 74, 83, 69, 68, 82, 84, 37),
    *(37, 78, 64, 100, 84, 85, 73, 85, 77, 72, 68, 82, 78, 110),
    *(77, 73, 73, 46, 37, 46, 84, 50, 50, 68, 72, 60, 72, 68, 44, 72, 72, 34, 34, 67, 34, 105, 72, 69, 72, 72, 49, 60),
    *(48, 72, 66, 92, 65, 66, 58, 71, 37, 71, 84),
)
_NARROW = frozenset("\u00a0·’‘")
_HALF = frozenset("–“”")
_SIGN = 100
"""Arrows, ticks, a long dash, what is written as two columns: a whole em."""


def esc(value: object) -> str:
    """Text as HTML or SVG content or attribute value."""
    return html.escape(words.visible(str(value)), quote=True)


def breakable(text: str) -> str:
    """Text as HTML that a narrow table may break after its separators."""
    return "<wbr>".join(esc(part) for part in _BREAK.split(text))


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
    return sum(_advance(char, bold) for char in words.visible(text)) * size / 100


def _advance(char: str, bold: bool) -> int:
    place = ord(char) - 32
    if 0 <= place < len(_REGULAR):
        return (_BOLD if bold else _REGULAR)[place]
    if char in _NARROW:
        return 38
    if char in _HALF:
        return 66
    # Letters with marks are as wide as most letters; signs and East Asian ones fill a square.
    return (72 if bold else 64) if char.isalpha() and unicodedata.east_asian_width(char) not in "WF" else _SIGN


def clip(text: str, room: float, size: float = 12.0, *, bold: bool = False) -> str:
    """The text, shortened with an ellipsis in its middle if it is wider than ``room`` pixels."""
    text = words.visible(text)
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


def fitting(forms: Sequence[str], room: float) -> str:
    """The first of several ways to say something that is not wider than ``room`` pixels; the last one, shortened."""
    return next((form for form in forms if width(form) <= room), clip(forms[-1], room))


def wrapped(text: str, room: float, *, bold: bool = False) -> list[str]:
    """A text in lines that are not wider than ``room`` pixels, broken between words, and long ones after separators."""
    lines = [""]
    for word in text.split():
        gap = " "
        for piece in [word] if width(word, bold=bold) <= room else _BREAK.split(word):
            longer = f"{lines[-1]}{gap}{piece}" if lines[-1] else piece
            if width(longer, bold=bold) > room and lines[-1]:
                lines.append(piece)
            else:
                lines[-1] = longer
            gap = ""
    return lines
