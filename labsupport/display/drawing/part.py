"""What pictures are made of: a part that stands below others, with its words and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a picture, drawn.

    Args:
        body: SVG markup.
        height: in pixels.
        told: what it shows, in words.
        table: the numbers in HTML.
    """

    body: str
    height: float
    told: str
    table: str
