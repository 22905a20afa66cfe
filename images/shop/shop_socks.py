"""What the shop sells, and how it looks: pictures are drawn from a pattern and two colours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["SOCKS", "picture"]


def _sock(name: str, price: float, pattern: str, colours: tuple[str, str], tags: str, text: str) -> dict[str, Any]:
    return {
        "id": name.lower().replace(" ", "-"),
        "name": name,
        "description": text,
        "price": price,
        "tag": tags.split(),
        "pattern": pattern,
        "colours": list(colours),
    }


SOCKS = (
    _sock("Harbour", 12.0, "stripes", ("#1d4e89", "#f4f1de"), "blue striped", "Broad stripes for cold quays."),
    _sock("Meadow", 9.5, "dots", ("#2d7d46", "#f6e7a1"), "green dotted", "Buttercups, all the way down to the toe."),
    _sock("Ember", 14.0, "zigzag", ("#a4243b", "#f2a65a"), "red", "Glows a little. Keeps warm a lot."),
    _sock("Night Train", 18.0, "stripes", ("#22223b", "#c9ada7"), "black striped", "Leaves on time, arrives in style."),
    _sock("Lagoon", 11.0, "zigzag", ("#0f7173", "#d8f3dc"), "blue green", "Small waves, no sharks."),
    _sock("Snow Day", 16.5, "dots", ("#6c7a89", "#ffffff"), "grey dotted", "It falls softly, and so will you."),
    _sock("Beetroot", 7.0, "plain", ("#7b2d4e", "#d9a5b3"), "red plain", "One colour, and it does not run."),
    _sock("Grand Tour", 99.0, "stripes", ("#b08900", "#3a2e00"), "yellow striped", "A week of socks, knitted by hand."),
)

_OUTLINE = "M42 8H76V60C76 67 80 71 87 75L101 83C113 90 110 112 94 112H72C63 112 56 108 50 101L44 94C42 91 42 88 42 84Z"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_PATTERNS = {
    "stripes": "".join(f'<path d="M0 {y}H120V{y + 7}H0Z"/>' for y in range(24, 120, 16)),
    "dots": "".join(
        f'<circle cx="{x + (y // 14 % 2) * 8}" cy="{y}" r="3"/>' for y in range(28, 120, 14) for x in range(36, 116, 16)
    ),
    "zigzag": "".join(f'<path d="M34 {y}{"l8 -8l8 8" * 6}v5{"l-8 -8l-8 8" * 6}Z"/>' for y in range(34, 124, 18)),
}


def picture(sock: Mapping[str, Any]) -> str:
    """Draw a sock.

    Args:
        sock: as the catalogue describes it; whatever it says, the picture is a picture.

    Returns:
        An SVG element.
    """
    wanted = [str(colour) for colour in sock.get("colours") or () if _COLOUR.fullmatch(str(colour))]
    ground, figure = wanted if len(wanted) == 2 else ("#777777", "#dddddd")
    name = escape(str(sock.get("name", "a sock")))
    cut = f"cut-{escape(str(sock.get('id', '')))}"
    return (
        f'<svg viewBox="0 0 120 120" role="img" aria-label="{name}"><defs><clipPath id="{cut}"><path d="{_OUTLINE}"/>'
        f'</clipPath></defs><g clip-path="url(#{cut})"><path fill="{ground}" d="M0 0H120V120H0Z"/>'
        f'<g fill="{figure}">{_PATTERNS.get(str(sock.get("pattern")), "")}<path d="M0 0H120V18H0Z"/></g></g>'
        f'<path d="{_OUTLINE}" fill="none" stroke="currentColor" stroke-width="2"/></svg>'
    )
