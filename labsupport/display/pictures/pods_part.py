"""What each pod receives in the course of time, and how long that takes: a part below the picture of traffic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labsupport import words
from labsupport.display.drawing.marks import mark, torn
from labsupport.display.drawing.palette import order_key, slot_of
from labsupport.display.drawing.part import Part
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import clip, el, esc, num, width
from labsupport.display.pictures.timeline import Timeline, nice_scale, quantile, reach
from labsupport.display.pictures.traffic_picture import LEFT, SPAN, Change, TrafficPicture
from labsupport.display.pictures.users_part import short_names
from labsupport.records import Hop

__all__ = ["pods_part"]

_HEAD, _ROW, _ROWS = 22.0, 60.0, 6
_BASE, _UP, _DOWN = 36.0, 18.0, 16.0
_NAMES = 150.0
_SCALES = (1, 2, 3, 5)


def pods_part(picture: TrafficPicture, changes: Sequence[Change], *, now_s: float) -> Part | None:
    """A row for each pod, on the time axis of the plot: its requests upward, their latency downward.

    Args:
        picture: the picture, whose timeline has the requests.
        changes: changes of the mesh, oldest first.
        now_s: right edge of the time axis, seconds since the epoch.

    Returns:
        The part; None if no pod was met.
    """
    line = picture.timeline
    line.advance(now_s)
    pods = _pods(line)
    if not pods:
        return None
    most = nice_scale(max(len(kept.pods[pod]) for _, kept in line.bins() for pod in kept.pods), _SCALES)
    # Of each pod, those columns in which it has requests: none is a latency of 0.
    p95s = [[quantile(kept.pods[pod], 0.95) for _, kept in line.bins() if pod in kept.pods] for pod in pods]
    worst_s = max(map(max, p95s))
    top_s = nice_scale(1000 * max(reach(max(quantile(own, 0.9) for own in p95s), worst_s), 0.002), _SCALES) / 1000
    since_s = _since(line, changes, now_s)
    recent = line.pods(now_s, since_s=since_s)
    names = short_names(pod.pod for pod in pods)
    rows, told = list[list[str]](), list[str]()
    total = sum(map(len, recent.values()))
    said = f" · scale to {words.plural(most, 'request')} and to {words.duration(top_s)}"
    said += f", torn ones to {words.duration(worst_s)}" if worst_s > top_s else ""
    scale = el("tspan", said, class_="d")
    head = el("text", "each pod: requests upward, latency p95 downward", scale, x=LEFT, y=12.0)
    height = _HEAD + _ROW * min(len(pods), _ROWS)
    parts = [head]
    for change in changes:
        if LEFT <= (x := picture.x_of(change.time_s)) <= LEFT + SPAN:
            way = f"M{num(x)} {_HEAD}V{num(height)}"
            parts.append(el("path", d=way, stroke="var(--ws-fg)", stroke_dasharray="3 3", fill="none"))
    for place, pod in enumerate(pods):
        times = recent.get(pod, [])
        p50, p95 = (words.duration(quantile(times, q)) if times else "–" for q in (0.5, 0.95))
        share = words.percent(len(times) / total) if total else "–"
        rows.append([esc(pod.pod), f"{len(times):,}", share, p50, p95])
        told.append(f"{names[pod.pod]} {share}, latency p95 {p95}")
        if place < _ROWS:
            said = f"{share} of requests" + (f" · latency p50 {p50}, p95 {p95}" if times else "")
            row = _name(pod, names[pod.pod], said) + _strip(line, pod, most, top_s, picture.step)
            parts.append(el("g", row, transform=f"translate(0 {num(_HEAD + _ROW * place)})"))
    if len(pods) > _ROWS:
        parts.append(el("text", f"+ {words.plural(len(pods) - _ROWS, 'more pod')}", x=LEFT, y=height + 10, class_="d"))
        height += 16
    numbers = table(
        ["pod", "requests", "share", "p50", "p95"],
        rows,
        numeric=frozenset({1, 2, 3, 4}),
        caption=f"pods in the last {max(now_s - since_s, 0.0):.0f} s",
    )
    return Part("".join(parts), height, f"By pod: {'; '.join(told)}", numbers)


def _pods(line: Timeline) -> list[Hop]:
    met = {pod for _, kept in line.bins() for pod in kept.pods}
    return sorted(met, key=lambda pod: (order_key(pod.version), words.natural_key(pod.pod)))


def _since(line: Timeline, changes: Iterable[Change], now_s: float) -> float:
    """From when on numbers are told: since the last change was in force, but not for longer than shares are."""
    in_force_s = (change.time_s + (change.in_force_s or 0.0) for change in changes if change.time_s <= now_s)
    return max(now_s - line.recent_s, max(in_force_s, default=0.0))


def _name(pod: Hop, name: str, said: str) -> str:
    short = clip(name, _NAMES, bold=True)
    label = el("text", el("title", esc(pod.pod)), esc(short), x=LEFT + 16, y=11.0, class_="b h")
    detail = el("text", esc(said), x=LEFT + 16 + width(short, bold=True) + 10, y=11.0, class_="d h")
    return mark(slot_of(pod.version), LEFT + 6, 7.0, 4.0) + label + detail


def _strip(line: Timeline, pod: Hop, most: int, top_s: float, step: float) -> str:
    """Three paths, however many columns there are."""
    upward, downward, tears = [], [], []
    for index, kept in line.bins():
        if times := kept.pods.get(pod):
            x = LEFT + SPAN - (line.last + 1 - index) * step + 1.0
            bar = f"M{num(x)} {_BASE}h{num(step - 2)}v"
            upward.append(f"{bar}{num(-max(1.0, _UP * len(times) / most))}h{num(2 - step)}z")
            took = quantile(times, 0.95) / top_s
            downward.append(f"{bar}{num(max(1.5, _DOWN * min(1.0, took)))}h{num(2 - step)}z")
            if took > 1:
                tears.append(torn(x - 1, _BASE + _DOWN - 4, step))
    colour = f"var(--ws-c{slot_of(pod.version).key})"
    return (
        el("path", d=f"M{LEFT} {_BASE}h{num(SPAN)}", stroke="var(--ws-line)")
        + el("path", d="".join(upward), fill=colour)
        + el("path", d="".join(downward), fill="var(--ws-bar)")
        + (el("path", d="".join(tears), stroke="var(--ws-bg)", stroke_width=2.0) if tears else "")
    )
