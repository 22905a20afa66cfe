"""The service graph as a picture: services with their versions, calls with rate, errors and latency, rules as badges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labsupport import words
from labsupport.display.changes import table
from labsupport.display.figure import Figure
from labsupport.display.marks import mark
from labsupport.display.mesh_graph import Edge, MeshGraph, Node, mesh_graph
from labsupport.display.palette import NEUTRAL, slot_of
from labsupport.display.text import clip, el, esc, num, width
from labsupport.engine.base import AccessRecord, Pod

__all__ = ["edge_words", "graph_figure", "graph_parts"]

_WIDE = 960.0
_NODE = 136.0
_GAP = 96.0
_HEAD, _LINE, _BADGE, _BETWEEN = 24.0, 16.0, 16.0, 30.0


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    wide: float
    high: float

    @property
    def middle(self) -> float:
        return self.y + self.high / 2


def _height(node: Node) -> float:
    return _HEAD + _LINE * max(1, len(_versions(node)) + (not node.injected)) + 6


def _versions(node: Node) -> list[tuple[str, int]]:
    return sorted(((v, n) for v, n in node.versions.items() if v), key=lambda item: words.natural_key(item[0]))


def _layout(graph: MeshGraph) -> tuple[dict[str, _Box], float, float]:
    """Places of all nodes, and the size of the picture."""
    layers: dict[int, list[Node]] = {}
    for node in graph.nodes.values():
        layers.setdefault(node.layer, []).append(node)
    count = max(layers, default=0) + 1
    gap = max(_GAP, min(190.0, (_WIDE - count * _NODE) / max(1, count - 1)))
    heights = {name: _height(node) + _BADGE * len(node.badges) for name, node in graph.nodes.items()}
    tallest = max((sum(heights[n.name] + _BETWEEN for n in nodes) for nodes in layers.values()), default=60.0)
    boxes: dict[str, _Box] = {}
    for layer in sorted(layers):
        nodes = layers[layer]
        # Below who calls it, so that few lines cross; names decide between equals, so that nothing jumps about.
        callers = {
            node.name: [boxes[e.source].middle for e in graph.edges if e.target == node.name and e.source in boxes]
            for node in nodes
        }
        nodes.sort(key=lambda n: (sum(callers[n.name]) / len(callers[n.name]) if callers[n.name] else 1e9, n.name))
        y = 22 + (tallest - sum(heights[node.name] + _BETWEEN for node in nodes)) / 2
        for node in nodes:
            boxes[node.name] = _Box(2 + layer * (_NODE + gap), y, _NODE, _height(node))
            y += heights[node.name] + _BETWEEN
    return boxes, 4 + count * _NODE + (count - 1) * gap, tallest + 24


def edge_words(edge: Edge, span_s: float) -> str:
    """The numbers of an edge in words."""
    parts = [f"{words.rate(edge.count / span_s)}"]
    if edge.errors:
        statuses = ", ".join(f"{s or 'broken'}: {n}" for s, n in sorted(edge.statuses.items()) if s >= 400 or s == 0)
        parts.append(f"{words.percent(edge.errors / edge.count)} errors ({statuses})")
    parts.append(f"p95 {words.duration(edge.p95_s)}")
    if edge.copies:
        parts.append(f"{words.plural(edge.copies, 'mirror copy', 'mirror copies')}")
    return ", ".join(parts)


def _edge(edge: Edge, start: _Box, end: _Box, span_s: float, most: int) -> str:
    x1, y1, x2, y2 = start.x + start.wide, start.middle, end.x - 9, end.middle
    back = x2 <= x1
    if back:
        # A call back to an earlier layer goes round below.
        low = max(start.y + start.high, end.y + end.high) + 34
        way = f"M{num(x1 - 20)} {num(start.y + start.high)}C{num(x1)} {num(low)} {num(x2)} {num(low)} {num(x2 + 30)} {num(end.y + end.high + 8)}"
        label_x, label_y = (x1 + x2) / 2, low - 4
    else:
        middle = (x1 + x2) / 2
        way = f"M{num(x1)} {num(y1)}C{num(middle)} {num(y1)} {num(middle)} {num(y2)} {num(x2)} {num(y2)}"
        label_x, label_y = (x1 + x2) / 2, (y1 + 3 * y2) / 4 - 9
    colour = "var(--ws-ce)" if edge.errors else "var(--ws-bar)"
    thick = 1.6 + 3.4 * (edge.count / most if most else 0)
    parts = [
        el("title", esc(f"{edge.source} → {edge.target}: {edge_words(edge, span_s)}")),
        el("path", d=way, fill="none", stroke="transparent", stroke_width=14.0),
        el("path", d=way, fill="none", stroke=colour, stroke_width=thick, class_="ws-way"),
    ]
    if not back:
        parts.append(el("path", d=f"M{num(x2)} {num(y2 - 5)}l9 5l-9 5z", fill=colour))
    first = words.rate(edge.count / span_s)
    second = f"{words.percent(edge.errors / edge.count)} errors" if edge.errors else f"p95 {words.duration(edge.p95_s)}"
    room = max(60.0, x2 - x1 + 10)
    text = f"{first} · {second}"
    look = "e h" if edge.errors else "d h"
    if width(text) <= room:
        parts.append(el("text", esc(text), x=label_x, y=label_y, text_anchor="middle", class_=look))
    else:
        parts.append(el("text", esc(first), x=label_x, y=label_y - 14, text_anchor="middle", class_=look))
        parts.append(el("text", esc(second), x=label_x, y=label_y, text_anchor="middle", class_=look))
    return "".join(parts)


def _node(node: Node, box: _Box) -> str:
    plain = node.name == "no proxy"
    parts = [
        el(
            "rect",
            x=box.x,
            y=box.y,
            width=box.wide,
            height=box.high,
            rx=6.0,
            fill="var(--ws-bg)",
            stroke="var(--ws-dim)",
            stroke_dasharray=None if node.injected else "5 4",
        ),
        el(
            "text",
            esc(clip("client" if plain else node.name, box.wide - 12, bold=True)),
            x=box.x + box.wide / 2,
            y=box.y + 17,
            text_anchor="middle",
            class_="b",
        ),
    ]
    y = box.y + _HEAD + 10
    total = sum(node.versions.values())
    versions = _versions(node)
    for version, count in versions:
        share = f"  {words.percent(count / total)}" if total and len(versions) > 1 else ""
        parts.append(mark(slot_of(version) if version else NEUTRAL, box.x + 18, y - 4, 4.2))
        label = clip(version, box.wide - 40 - width(share))
        parts.append(el("text", esc(label), el("tspan", esc(share), class_="d"), x=box.x + 30, y=y))
        y += _LINE
    if not node.injected:
        text = "no proxy: no rule applies" if plain else "no sidecar"
        parts.append(
            el("text", esc(clip(text, box.wide - 8)), x=box.x + box.wide / 2, y=y, text_anchor="middle", class_="d")
        )
    for place, badge in enumerate(node.badges):
        at = box.y + box.high + 15 + _BADGE * place
        parts.append(el("text", esc(clip(badge, box.wide + 70)), x=box.x, y=at, class_="d h"))
    return "".join(parts)


def graph_parts(graph: MeshGraph) -> tuple[dict[str, str], float, float]:
    """The picture by parts, for a live view.

    Args:
        graph: what to draw.

    Returns:
        ``edge:<source>><target>`` and ``node:<name>`` to SVG markup; width and height in pixels.
    """
    boxes, wide, high = _layout(graph)
    most = max((edge.count for edge in graph.edges), default=0)
    parts = {
        f"edge:{edge.source}>{edge.target}": _edge(edge, boxes[edge.source], boxes[edge.target], graph.span_s, most)
        for edge in graph.edges
    }
    parts |= {f"node:{name}": _node(node, boxes[name]) for name, node in graph.nodes.items()}
    return parts, wide, high


def edges_table(graph: MeshGraph) -> str:
    """All edges as an HTML table."""
    rows = [
        [
            esc(f"{edge.source} → {edge.target}"),
            words.rate(edge.count / graph.span_s),
            words.percent(edge.errors / edge.count) if edge.count else "–",
            words.duration(edge.p95_s),
            esc(", ".join(f"{v} {words.percent(n / edge.count)}" for v, n in sorted(edge.versions.items()))),
        ]
        for edge in graph.edges
    ]
    heads = ["call", "rate", "errors", "p95", "answered by"]
    return table(heads, rows, numeric=frozenset({1, 2, 3}), caption="calls between services")


def graph_summary(graph: MeshGraph) -> str:
    """The graph in words."""
    calls = "; ".join(f"{edge.source} → {edge.target}: {edge_words(edge, graph.span_s)}" for edge in graph.edges)
    rules = "; ".join(f"{name}: {', '.join(node.badges)}" for name, node in graph.nodes.items() if node.badges)
    without = words.join(name for name, node in graph.nodes.items() if not node.injected)
    parts = [f"{words.plural(len(graph.nodes), 'service')}", calls or "no calls", f"rules: {rules}" if rules else ""]
    return ". ".join(part for part in (*parts, f"without sidecar: {without}" if without else "") if part) + "."


def graph_figure(
    records: Iterable[AccessRecord],
    *,
    pods: Iterable[Pod] = (),
    badges: Mapping[str, tuple[str, ...]] | None = None,
    span_s: float = 10.0,
) -> Figure:
    """The service graph as a static figure.

    Args:
        records: access-log lines of all proxies, of the last ``span_s`` seconds.
        pods: all pods.
        badges: service to rules in words, from ``badges_of``.
        span_s: length of that time, in seconds.

    Returns:
        A figure with a table of all calls.
    """
    graph = mesh_graph(records, pods=pods, badges=badges, span_s=span_s)
    parts, wide, high = graph_parts(graph)
    body = "".join(el("g", markup) for markup in parts.values())
    return Figure(
        "Service graph", f"last {span_s:g} s", body, max(wide, 300.0), high, graph_summary(graph), edges_table(graph)
    )
