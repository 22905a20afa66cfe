"""Connection pools as rows of places: which are taken, how many there are, and how many requests found none."""

from __future__ import annotations

from collections.abc import Iterator

from labsupport.display.drawing.figure import Figure
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import clip, el, esc
from labsupport.observe.pools import Pool, Pools, places, said

__all__ = ["pools_body", "pools_figure"]

_WIDE = 560.0
_LABEL, _SLOT, _PITCH, _MOST = 150.0, 14.0, 18.0, 12
_SAYS = _LABEL + _MOST * _PITCH + 24
_ROW, _HEAD, _GAP = 24.0, 24.0, 14.0


def pools_figure(pools: Pools) -> Figure:
    """The pools of one proxy, each with its connections, requests and waiting places.

    Args:
        pools: what it counts, and its limits.

    Returns:
        A figure with a table of the numbers.
    """
    body, high = pools_body(pools)
    return Figure("Connection pools", f"in the proxy of {pools.pod}", body, _WIDE, high, f"{pools!r}", _numbers(pools))


def pools_body(pools: Pools) -> tuple[str, float]:
    """The picture's markup, and its height in pixels."""
    parts, y = [], 4.0
    for pool in pools.pools:
        parts.append(el("text", esc(clip(pool.title, _WIDE, bold=True)), x=0.0, y=y + 12, class_="b"))
        y += _HEAD
        for name, now, most in places(pool):
            parts.append(el("text", esc(name), x=0.0, y=y + 12))
            parts += _slots(now, most, y)
            full = most is not None and now >= most
            parts.append(el("text", esc(said(now, most)), x=_SAYS, y=y + 12, class_="b" if full else "d"))
            y += _ROW
        parts += _refused(pool, y)
        y += _ROW + _GAP
    if not pools.pools:
        parts.append(el("text", "no pool was used, and none has a limit", x=0.0, y=y + 12, class_="d"))
        y += _ROW
    return "".join(parts), y


def _slots(now: int, most: int | None, y: float) -> Iterator[str]:
    """A square for each place; taken ones are filled, and a row without a limit has no frame to fill."""
    drawn = min(now if most is None else max(now, most), _MOST)
    for place in range(drawn):
        taken = place < now
        yield el(
            "rect",
            x=_LABEL + place * _PITCH,
            y=y,
            width=_SLOT,
            height=_SLOT,
            rx=3.0,
            fill="var(--ws-c1)" if taken else "var(--ws-bg)",
            stroke="var(--ws-c1)" if taken else "var(--ws-dim)",
            stroke_dasharray=None if taken else "3 3",
        )
    if (now if most is None else max(now, most)) > drawn:
        yield el("text", "…", x=_LABEL + drawn * _PITCH + 1, y=y + 11, class_="d")


def _refused(pool: Pool, y: float) -> Iterator[str]:
    yield el("text", "refused so far", x=0.0, y=y + 12)
    for place in range(min(pool.refused, _MOST)):
        x = _LABEL + place * _PITCH + 2
        yield el("path", d=f"M{x:g} {y + 2:g}l10 10m0 -10l-10 10", stroke="var(--ws-ce)", stroke_width=2.0)
    if pool.refused > _MOST:
        yield el("text", "…", x=_LABEL + _MOST * _PITCH + 1, y=y + 11, class_="d")
    text = f"{pool.refused:,} answered 503, flag UO" if pool.refused else "none"
    yield el("text", esc(text), x=_SAYS, y=y + 12, class_="e" if pool.refused else "d")


def _numbers(pools: Pools) -> str:
    rows = [
        [esc(pool.title), *(esc(said(now, most)) for _, now, most in places(pool)), f"{pool.refused:,}"]
        for pool in pools.pools
    ]
    heads = ["pool", "connections", "requests under way", "requests waiting", "refused"]
    return table(heads, rows, caption="pools")
