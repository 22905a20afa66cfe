"""The marks of the pictures: one shape per version, drawn without ids, so that any number of figures share a page."""

from __future__ import annotations

from labsupport.display.drawing.palette import Shape, Slot, slot_of
from labsupport.display.drawing.text import el, esc, num

__all__ = ["column", "mark", "torn", "version_mark"]

# Circles and squares are dots of a thick line with round or square ends: six characters each in a long column.
_STROKED: dict[Shape, str] = {"circle": "round", "square": "square"}


def _outline(shape: Shape, r: float) -> str:
    """Path of one mark around the current point, ending where it began."""
    if shape == "triangle":
        return f"m0-{num(1.3 * r)}l{num(1.25 * r)} {num(2.3 * r)}h-{num(2.5 * r)}zm0 {num(1.3 * r)}"
    if shape == "wedge":
        return f"m0 {num(1.3 * r)}l{num(1.25 * r)}-{num(2.3 * r)}h-{num(2.5 * r)}zm0-{num(1.3 * r)}"
    if shape == "diamond":
        d = num(1.35 * r)
        return f"m0-{d}l{d} {d}l-{d} {d}l-{d}-{d}zm0 {d}"
    if shape == "bar":
        wide, high = 1.3 * r, 0.55 * r
        return f"m-{num(wide)}-{num(high)}h{num(2 * wide)}v{num(2 * high)}h-{num(2 * wide)}zm{num(wide)} {num(high)}"
    if shape == "plus":
        return f"m-{num(1.2 * r)} 0h{num(2.4 * r)}m-{num(1.2 * r)}-{num(1.2 * r)}v{num(2.4 * r)}m0-{num(1.2 * r)}"
    if shape == "cross":
        return (
            f"m-{num(r)}-{num(r)}l{num(2 * r)} {num(2 * r)}m0-{num(2 * r)}l-{num(2 * r)} {num(2 * r)}m{num(r)}-{num(r)}"
        )
    return f"m-{num(r)} 0a{num(r)} {num(r)} 0 1 0 {num(2 * r)} 0a{num(r)} {num(r)} 0 1 0-{num(2 * r)} 0zm{num(r)} 0"


def _attributes(slot: Slot, r: float) -> dict[str, object]:
    common: dict[str, object] = {"class_": f"ws-c{slot.key}"}
    if slot.shape in _STROKED:
        size = 2 * r if slot.shape == "circle" else 1.85 * r
        return common | {
            "fill": "none",
            "stroke": "currentColor",
            "stroke_linecap": _STROKED[slot.shape],
            "stroke_width": size,
        }
    if slot.shape in {"ring", "plus", "cross"}:
        return common | {"fill": "none", "stroke": "currentColor", "stroke_width": max(1.3, 0.65 * r)}
    return common | {"fill": "currentColor"}


def column(slot: Slot, x: float, y: float, count: int, pitch: float, r: float) -> str:
    """A column of equal marks.

    Args:
        slot: the look.
        x: centre of the column in pixels.
        y: centre of its lowest mark.
        count: how many marks.
        pitch: distance of the marks, upwards.
        r: half the size of a mark.

    Returns:
        One SVG path element; an empty text for no marks.
    """
    if count <= 0:
        return ""
    outline = "h.01" if slot.shape in _STROKED else _outline(slot.shape, r)
    back = "-.01" if slot.shape in _STROKED else "0"
    return el("path", d=f"M{num(x)} {num(y)}" + f"m{back}-{num(pitch)}".join([outline] * count), **_attributes(slot, r))


def mark(slot: Slot, x: float, y: float, r: float = 4.5) -> str:
    """One mark, as in a legend."""
    return column(slot, x, y, 1, 0.0, r)


def version_mark(version: str) -> str:
    """A version with its shape and colour, inline in HTML."""
    if not version:
        return el("span", "–", class_="d")
    image = el("svg", mark(slot_of(version), 6.0, 7.0, 4.2), width=12.0, height=14.0, aria_hidden="true")
    return el("span", image.replace("<svg ", '<svg style="display:inline;vertical-align:-2px" ', 1), " ", esc(version))


def torn(x: float, y: float, wide: float) -> str:
    """The way of a tear through a bar that is cut.

    Args:
        x: left edge of its column.
        y: height of the tear there.
        wide: width of the column.
    """
    return f"M{num(x)} {num(y)}l{num(wide)}-3"
