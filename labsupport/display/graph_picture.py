"""The service graph as a picture: services with their versions, calls with their numbers, rules as badges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from labsupport import words
from labsupport.display.changes import table
from labsupport.display.figure import Figure
from labsupport.display.marks import mark
from labsupport.display.mesh_graph import Edge, MeshGraph, Node, mesh_graph
from labsupport.display.palette import NEUTRAL, order_key, slot_of
from labsupport.display.text import clip, el, esc, num, width
from labsupport.engine.base import AccessRecord, Pod

__all__ = ["edge_words", "graph_figure", "graph_parts"]

_WIDE = 920.0
_NODE = 136.0
_GAP = 96.0
_HEAD, _LINE, _BADGE, _BETWEEN, _LANE = 24.0, 16.0, 16.0, 30.0, 12.0


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
    return sorted(((v, n) for v, n in node.versions.items() if v), key=lambda item: order_key(item[0]))


@dataclass(frozen=True, slots=True)
class _Item:
    """What takes room in a layer: a node, or a call that passes through."""

    key: str
    high: float
    callers: tuple[str, ...]


def _through(edge: Edge, layer: int) -> str:
    return f"{edge.source}>{edge.target}@{layer}"


def _items(graph: MeshGraph, heights: Mapping[str, float]) -> dict[int, list[_Item]]:
    """Layers with their nodes, and a lane for each call that passes a layer on its way."""
    layers: dict[int, list[_Item]] = {}
    for name, node in graph.nodes.items():
        callers = []
        for edge in graph.edges:
            source = graph.nodes[edge.source].layer
            if edge.target == name and source < node.layer:
                callers.append(edge.source if source == node.layer - 1 else _through(edge, node.layer - 1))
        layers.setdefault(node.layer, []).append(_Item(name, heights[name], tuple(callers)))
    for edge in graph.edges:
        first = graph.nodes[edge.source].layer
        for layer in range(first + 1, graph.nodes[edge.target].layer):
            caller = edge.source if layer == first + 1 else _through(edge, layer - 1)
            layers.setdefault(layer, []).append(_Item(_through(edge, layer), _LANE, (caller,)))
    return layers


def _layout(graph: MeshGraph) -> tuple[dict[str, _Box], float, float]:
    """Places of all nodes and lanes, and the size of the picture."""
    badges = {name: _BADGE * len(node.badges) for name, node in graph.nodes.items()}
    heights = {name: _height(node) + badges[name] for name, node in graph.nodes.items()}
    layers = _items(graph, heights)
    count = max(layers, default=0) + 1
    gap = max(_GAP, min(190.0, (_WIDE - count * _NODE) / max(1, count - 1)))
    tallest = max((sum(item.high + _BETWEEN for item in items) for items in layers.values()), default=60.0)
    boxes: dict[str, _Box] = {}
    for layer in sorted(layers):
        items = layers[layer]
        # Beside who calls it, so that few lines cross; names decide between equals, so that nothing jumps about.
        places = {item.key: [boxes[c].middle for c in item.callers if c in boxes] for item in items}
        items.sort(key=lambda i: (sum(places[i.key]) / len(places[i.key]) if places[i.key] else 1e9, i.key))
        y = 22 + (tallest - sum(item.high + _BETWEEN for item in items)) / 2
        for item in items:
            high = item.high - badges.get(item.key, 0.0)
            boxes[item.key] = _Box(2 + layer * (_NODE + gap), y, _NODE, high)
            y += item.high + _BETWEEN
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


def _way(stations: Sequence[_Box]) -> tuple[str, float, float, float]:
    """Path from the first box to the last, with the middle of its last stretch and the room for a label there."""
    start, end = stations[0], stations[-1]
    x1, x2 = start.x + start.wide, end.x - 9
    if x2 <= x1:
        # A call back to an earlier layer goes round below.
        low = max(start.y + start.high, end.y + end.high) + 34
        bottom = end.y + end.high + 9
        way = f"M{num(x1 - 20)} {num(start.y + start.high)}C{num(x1)} {num(low)} {num(x2)} {num(low)} "
        return f"{way}{num(end.x + 30)} {num(bottom)}", (x1 + x2) / 2, low - 4, 200.0
    way = f"M{num(x1)} {num(start.middle)}"
    for here, there in pairwise(stations):
        left, right = here.x + here.wide, there.x - (9 if there is end else 0)
        middle = (left + right) / 2
        way += f"C{num(middle)} {num(here.middle)} {num(middle)} {num(there.middle)} {num(right)} {num(there.middle)}"
        if there is not end:
            way += f"h{num(there.wide)}"
    drop = abs(there.middle - here.middle)
    # Above a flat line, across a steep one.
    y = (here.middle + there.middle) / 2 + (4 if drop > 10 else -8)
    return way, middle, y, right - left + 4


def _edge(edge: Edge, stations: Sequence[_Box], span_s: float, most: int) -> str:
    way = _way(stations)[0]
    end = stations[-1]
    back = end.x - 9 <= stations[0].x + stations[0].wide
    x2, y2 = end.x - 9, end.middle
    colour = "var(--ws-ce)" if edge.errors else "var(--ws-bar)"
    thick = 1.6 + 3.4 * (edge.count / most if most else 0)
    parts = [
        el("title", esc(f"{edge.source} → {edge.target}: {edge_words(edge, span_s)}")),
        el("path", d=way, fill="none", stroke="transparent", stroke_width=14.0),
        el("path", d=way, fill="none", stroke=colour, stroke_width=thick, class_="ws-way"),
    ]
    if not back:
        parts.append(el("path", d=f"M{num(x2)} {num(y2 - 5)}l9 5l-9 5z", fill=colour))
    return "".join(parts)


def _edge_label(edge: Edge, stations: Sequence[_Box], span_s: float) -> str:
    _, label_x, label_y, room = _way(stations)
    first = words.rate(edge.count / span_s)
    second = f"{words.percent(edge.errors / edge.count)} errors" if edge.errors else f"p95 {words.duration(edge.p95_s)}"
    text = f"{first} · {second}"
    lines = [text] if width(text) <= 0.72 * room else [first, second]
    wide = max(map(width, lines)) + 6
    flat = abs(stations[-1].middle - stations[-2].middle) <= 10
    top = label_y - 12 - 15 * (len(lines) - 1) * (1 if flat else 0.5)
    # A plate, because the outline of letters would let the line through between words.
    plate = el(
        "rect",
        x=label_x - wide / 2,
        y=top,
        width=wide,
        height=15.0 * len(lines) + 1,
        rx=3.0,
        fill="var(--ws-bg)",
        opacity=".88",
    )
    return plate + "".join(
        el(
            "text",
            esc(line),
            x=label_x,
            y=top + 12 + 15 * place,
            text_anchor="middle",
            class_="e" if edge.errors else "d",
        )
        for place, line in enumerate(lines)
    )


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
        text = "without proxy" if plain else "no sidecar"
        parts.append(
            el("text", esc(clip(text, box.wide - 8)), x=box.x + box.wide / 2, y=y, text_anchor="middle", class_="d")
        )
    for place, badge in enumerate(node.badges):
        at = box.y + box.high + 15 + _BADGE * place
        parts.append(el("text", esc(clip(badge, box.wide + 70)), x=box.x, y=at, class_="d h"))
    return "".join(parts)


def _stations(graph: MeshGraph, edge: Edge, boxes: Mapping[str, _Box]) -> list[_Box]:
    first, last = graph.nodes[edge.source].layer, graph.nodes[edge.target].layer
    lanes = [boxes[_through(edge, layer)] for layer in range(first + 1, last)]
    return [boxes[edge.source], *lanes, boxes[edge.target]]


def graph_parts(graph: MeshGraph) -> tuple[dict[str, str], float, float]:
    """The picture by parts, for a live view.

    Args:
        graph: what to draw.

    Returns:
        ``edge:<source>><target>``, ``node:<name>`` and ``label:<source>><target>`` to SVG markup, in the order in which
        they are painted; width and height in pixels.
    """
    boxes, wide, high = _layout(graph)
    most = max((edge.count for edge in graph.edges), default=0)
    parts = {
        f"edge:{edge.source}>{edge.target}": _edge(edge, _stations(graph, edge, boxes), graph.span_s, most)
        for edge in graph.edges
    }
    parts |= {f"node:{name}": _node(node, boxes[name]) for name, node in graph.nodes.items()}
    # On top of all lines, so that none crosses out a number.
    parts |= {
        f"label:{edge.source}>{edge.target}": _edge_label(edge, _stations(graph, edge, boxes), graph.span_s)
        for edge in graph.edges
    }
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
        "Service graph", f"last {span_s:.0f} s", body, max(wide, 300.0), high, graph_summary(graph), edges_table(graph)
    )
