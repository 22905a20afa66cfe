"""The style sheet of static pictures: JupyterLab's variables first, with fallbacks for pages that have none.

Every output carries it, because an exported notebook or a cleared neighbour must not take a figure's style away.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from labsupport.display.drawing.palette import ERROR, NEUTRAL, SLOTS, Slot

__all__ = ["STATIC", "page_style", "style"]

STATIC = Path(__file__).parents[1] / "static"
_LOOKS: tuple[Slot, ...] = (*SLOTS, NEUTRAL, ERROR)
# What differs in the dark besides the versions' colours.
_DARK = "--ws-bar:#6b757e;--ws-hl:rgba(240,180,41,.2);--ws-ok:#4fd1a5;"
# A page without JupyterLab's variables (a standalone SVG, a plain web page) follows the operating system; the site of
# ``workshop export`` does until its reader chooses (Furo's ``data-theme``).
_DARK_PAGE = "--ws-fg:#e6e9ec;--ws-dim:#a3acb5;--ws-bg:#171b20;--ws-line:#2f363d;"
_DARK_SELECTOR = (
    '[data-jp-theme-light="false"] .ws,[data-vscode-theme-kind*="dark"] .ws,html[theme="dark"] .ws,'
    'body[data-theme="dark"] .ws'
)
_MEDIA_SELECTOR = (
    'body:not([data-jp-theme-light],[data-vscode-theme-kind],[data-theme="light"],[data-theme="dark"]) .ws,svg.ws:root'
)


def _ink(colour: str) -> str:
    """Black or white, whichever is easier to read on a colour (WCAG relative luminance)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return "#10151a" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.19 else "#fff"


def _colours(theme: str) -> str:
    colours = ((slot.key, getattr(slot, theme)) for slot in _LOOKS)
    return "".join(f"--ws-c{key}:{colour};--ws-i{key}:{_ink(colour)};" for key, colour in colours)


@cache
def style() -> str:
    """The style sheet, without the ``<style>`` element."""
    dark = _colours("dark") + _DARK
    slots = "".join(f".ws .ws-c{slot.key},svg.ws .ws-c{slot.key}{{color:var(--ws-c{slot.key})}}" for slot in _LOOKS)
    text = (STATIC / "figures.css").read_text(encoding="utf-8")
    parts = {
        "@LIGHT@": _colours("light"),
        "@DARKSEL@": _DARK_SELECTOR,
        "@DARKPAGE@": _DARK_PAGE,
        "@DARK@": dark,
        "@MEDIASEL@": _MEDIA_SELECTOR,
        "@SLOTS@": slots,
    }
    for name, value in parts.items():
        text = text.replace(name, value)
    return text.replace("\n", "")


def page_style() -> str:
    """The style sheet as an element to put in front of an output."""
    return f"<style>{style()}</style>"
