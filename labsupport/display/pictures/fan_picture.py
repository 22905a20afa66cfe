"""How one request becomes many, hop by hop: a column per distance, a mark per request that was received."""

from __future__ import annotations

from labsupport import words
from labsupport.display.drawing.palette import NEUTRAL, slot_of
from labsupport.display.drawing.text import clip, el, esc, fitting, num
from labsupport.observe.fan_out import FanOut, Received

__all__ = ["fan"]

_HEAD, _STEP, _LEAST, _MARK = 44.0, 13.0, 3.0, 4.2
_HIGHEST = 320.0


def fan(tree: FanOut, wide: float, top: float) -> tuple[str, float]:
    """Draw it below something else.

    Args:
        tree: the requests.
        wide: how wide the picture is.
        top: where it begins.

    Returns:
        The drawing, and where it ends.
    """
    most = max(map(len, tree.levels))
    step = max(_LEAST, min(_STEP, _HIGHEST / most))
    column = wide / len(tree.levels)
    places = _places(tree.root, step, column, top + _HEAD)
    lines, marks = [], []
    for received, (x, y) in places.values():
        for made in received.made:
            to = places[id(made)][1]
            bend = (to[0] - x) / 2
            way = f"M{num(x)} {num(y)}c{num(bend)} 0 {num(bend)} {num(to[1] - y)} {num(to[0] - x)} {num(to[1] - y)}"
            lines.append(el("path", d=way, fill="none", stroke="var(--ws-line)", stroke_width=1.2))
        marks.append(_mark(received, x, y, min(_MARK, step / 2)))
    heads = [_head(tree, distance, column, top) for distance in range(len(tree.levels))]
    return "".join([*heads, *lines, *marks]), top + _HEAD + step * most


def _places(root: Received, step: float, column: float, top: float) -> dict[int, tuple[Received, tuple[float, float]]]:
    """Where each request is drawn: one that made none below the one before, any other amid what it made."""
    places: dict[int, tuple[Received, tuple[float, float]]] = {}
    leaves = 0

    def place(received: Received, distance: int) -> float:
        nonlocal leaves
        if received.made:
            below = [place(made, distance + 1) for made in received.made]
            y = (below[0] + below[-1]) / 2
        else:
            y = top + step * (leaves + 0.5)
            leaves += 1
        places[id(received)] = received, (column * distance + 6, y)
        return y

    place(root, 0)
    return places


def _mark(received: Received, x: float, y: float, size: float) -> str:
    if received.failed:
        return el("circle", cx=x, cy=y, r=size, fill="var(--ws-bg)", stroke="var(--ws-ce)", stroke_width=1.6)
    slot = slot_of(received.version) if received.version else NEUTRAL
    return el("circle", cx=x, cy=y, r=size, class_=f"ws-c{slot.key}", fill="currentColor")


def _head(tree: FanOut, distance: int, column: float, top: float) -> str:
    level = tree.levels[distance]
    names = dict.fromkeys(received.name for received in level)
    # A list that is cut in its middle names nobody.
    name = fitting((words.join(names), f"{len(names)} workloads")[: len(names)], column - 12)
    count = "1 request" if not distance else f"received {len(level)}"
    x = column * distance
    return "".join(
        (
            el("text", esc(name), x=x, y=top + 16, class_="b"),
            el("text", esc(clip(count, column - 12)), x=x, y=top + 32, class_="d"),
        )
    )
