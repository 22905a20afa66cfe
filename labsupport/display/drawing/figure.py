"""A picture that stays: SVG with its words, shown by notebooks, kept by exports, saved to a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labsupport import words
from labsupport.display.drawing.text import el, esc, num
from labsupport.display.drawing.theme import page_style, style

__all__ = ["Figure", "panel", "svg"]


def svg(body: str, *, width: float, height: float, label: str, description: str = "") -> str:
    """An inline SVG image that scales down but never up.

    Args:
        body: its markup.
        width: width in pixels.
        height: height in pixels.
        label: short text alternative.
        description: longer text alternative.

    Returns:
        The ``<svg>`` element.
    """
    desc = el("desc", esc(description)) if description else ""
    return el(
        "svg",
        el("title", esc(label)) + desc + body,
        role="img",
        aria_label=label,
        viewBox=f"0 0 {num(width)} {num(height)}",
        width=float(width),
        height=float(height),
        style="max-width:100%;height:auto",
        xmlns="http://www.w3.org/2000/svg",
    )


def panel(title: str, *content: str, subtitle: str = "", frame: bool = True) -> str:
    """An output of ours: style sheet, title line, framed content.

    Args:
        title: title in plain text.
        content: markup.
        subtitle: dimmed continuation of the title, plain text.
        frame: whether to draw the panel's border.

    Returns:
        HTML.
    """
    sub = f' <span class="d">· {esc(subtitle)}</span>' if subtitle else ""
    head = f'<div class="ws-title">{esc(title)}{sub}</div>' if title else ""
    body = f'<div class="ws-panel">{"".join(content)}</div>' if frame else "".join(content)
    return f'{page_style()}<div class="ws">{head}{body}</div>'


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A static picture.

    Args:
        title: what it shows.
        subtitle: the circumstances.
        body: SVG markup.
        width: width of the SVG in pixels.
        height: height of the SVG in pixels.
        summary: the picture in words, for screen readers and plain front ends.
        table: an HTML table with the picture's numbers, behind a disclosure; empty for none.
        narrow: markup, width and height of the same picture for a place where ``width`` does not fit, so that its
            letters stay large enough to be read.
    """

    title: str
    subtitle: str
    body: str = field(repr=False)
    width: float
    height: float
    summary: str
    table: str = field(default="", repr=False)
    narrow: tuple[str, float, float] | None = field(default=None, repr=False)

    @words.shown
    def __repr__(self) -> str:
        return self.summary

    def _repr_html_(self) -> str:
        image = self._image(self.body, self.width, self.height)
        if self.narrow is not None:
            other = self._image(*self.narrow)
            image = el("div", el("div", image, class_="ws-big"), el("div", other, class_="ws-small"), class_="ws-fit")
        numbers = f"<details><summary>the numbers as a table</summary>{self.table}</details>" if self.table else ""
        return panel(self.title, image, numbers, subtitle=self.subtitle)

    def _image(self, body: str, width: float, height: float) -> str:
        label = f"{self.title}. {self.subtitle}"
        return svg(body, width=width, height=height, label=label, description=self.summary)

    def svg(self) -> str:
        """The picture as a standalone SVG document."""
        margin, head = 14.0, 30.0
        sub = f'<tspan class="d" font-weight="400"> · {esc(self.subtitle)}</tspan>' if self.subtitle else ""
        inner = (
            f"<style>{style()}</style>"
            + el("title", esc(f"{self.title}. {self.subtitle}"))
            + el("desc", esc(self.summary))
            + el("rect", width="100%", height="100%", fill="var(--ws-bg)")
            + el("text", esc(self.title) + sub, x=margin, y=20.0, class_="b", style="font-size:14px")
            + el("g", self.body, transform=f"translate({num(margin)} {num(head)})")
        )
        wide, high = self.width + 2 * margin, self.height + head + margin
        return el(
            "svg",
            inner,
            class_="ws",
            role="img",
            viewBox=f"0 0 {num(wide)} {num(high)}",
            width=wide,
            height=high,
            xmlns="http://www.w3.org/2000/svg",
        )

    def save(self, path: str | Path) -> Path:
        """Write the picture as an SVG file and return its path."""
        target = Path(path)
        target.write_text(self.svg(), encoding="utf-8")
        return target

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # HTML follows the theme; the SVG is for viewers that drop inline SVG (GitHub) and for Markdown export.
        return {"text/html": self._repr_html_(), "image/svg+xml": self.svg(), "text/plain": self.summary}
