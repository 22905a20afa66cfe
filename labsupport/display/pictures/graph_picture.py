"""The service graph as a picture: services with their versions, calls with their numbers, rules as badges."""

from __future__ import annotations

from labsupport import words
from labsupport.display.drawing.figure import Figure
from labsupport.display.drawing.marks import mark
from labsupport.display.drawing.palette import NEUTRAL, slot_of
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import clip, el, esc, width
from labsupport.display.pictures.graph_layout import HEAD, LINE, Box, Way, layout_of, versions_of
from labsupport.observe.calls import CLIENT, Edge, MeshGraph, Node

__all__ = ["NARROW", "WIDE", "graph_figure", "graph_parts"]

WIDE, NARROW = 920.0, 640.0
# What a rule does as a small picture, by a word of its badge: drawn, because few fonts have such signs.
_ICONS = {
    "weights": "M0 5h3q2 0 3-3l1-1h3M3 5q2 0 3 3l1 1h3",
    "delay": "M5 1a4 4 0 1 0 .1 0zM5 3v2.4h2",
    "timeout": "M5 1a4 4 0 1 0 .1 0zM5 3v2.4h2",
    "abort": "M1.5 1.5l7 7M8.5 1.5l-7 7",
    "retr": "M8.5 3a4 4 0 1 0 .5 3M9 .5v3H6",
    "mirror": "M1 1h5.5v5.5H1zM3.5 8.5h5.5V3",
    "redirect": "M1 9V4h7M5.5 1.5L8 4 5.5 6.5",
    "rewrite": "M1 9l.6-2.6L7 1l2 2-5.4 5.4z",
}
_ICON = "M1 5h8M5 1v8"


def _edge(graph: MeshGraph, edge: Edge, way: Way, most: int) -> str:
    colour = "var(--ws-ce)" if edge.errors else "var(--ws-bar)"
    thick = 1.6 + 3.4 * (edge.count / most if most else 0)
    # What carries nothing fades before it goes; copies and what no proxy saw are other kinds of lines.
    dash = "2 5" if edge.idle else "7 4" if not edge.count or not edge.logged else None
    names = f"{graph.nodes[edge.source].title} → {graph.nodes[edge.target].title}"
    return el(
        "g",
        el("title", esc(f"{names}: {graph.told(edge)}")),
        el("path", d=way.path, fill="none", stroke="transparent", stroke_width=14.0),
        el("path", d=way.path, fill="none", stroke=colour, stroke_width=thick, stroke_dasharray=dash, class_="ws-way"),
        el("path", d=way.arrow, fill=colour),
        opacity=".45" if edge.idle else None,
    )


def _edge_label(graph: MeshGraph, edge: Edge, way: Way) -> str:
    if edge.idle:
        return ""
    first = graph.volume(edge)
    second = f"{words.percent(edge.errors / edge.count)} errors" if edge.errors else f"p95 {words.duration(edge.p95_s)}"
    if not edge.count:
        lines = [first]
    elif way.across or width(f"{first} · {second}") > 0.8 * way.room:
        lines = [first, second]
    else:
        lines = [f"{first} · {second}"]
    if edge.count and edge.copies:
        lines.append(f"+ {words.plural(edge.copies, 'copy', 'copies')}")
    wide, high = max(map(width, lines)) + 6, 15.0 * len(lines) + 1
    top = way.y - high / 2 if way.across else way.y - high - 5
    # A plate, because the outline of letters would let the line through between words.
    plate = {"x": way.x - wide / 2, "y": top, "width": wide, "height": high, "rx": 3.0}
    look = "e" if edge.errors else "d"
    return el("rect", **plate, fill="var(--ws-bg)", opacity=".9") + "".join(
        el("text", esc(line), x=way.x, y=top + 12 + 15.0 * place, text_anchor="middle", class_=look)
        for place, line in enumerate(lines)
    )


def _node(node: Node, box: Box) -> str:
    middle = box.x + box.wide / 2
    frame = {"x": box.x, "y": box.y, "width": box.wide, "height": box.high, "rx": 6.0}
    dash = None if node.injected else "5 4"
    parts = [
        el("rect", **frame, fill="var(--ws-bg)", stroke="var(--ws-dim)", stroke_dasharray=dash),
        el(
            "text",
            esc(clip(node.title, box.wide - 12, bold=True)),
            x=middle,
            y=box.y + 17,
            text_anchor="middle",
            class_="b",
        ),
    ]
    y = box.y + HEAD + 10
    total = sum(node.versions.values())
    versions = versions_of(node)
    for version, count in versions:
        share = f"  {words.percent(count / total)}" if total and len(versions) > 1 else ""
        parts.append(mark(slot_of(version) if version else NEUTRAL, box.x + 18, y - 4, 4.2))
        label = clip(version, box.wide - 40 - width(share))
        parts.append(el("text", esc(label), el("tspan", esc(share), class_="d"), x=box.x + 30, y=y))
        y += LINE
    kind = "ingress" if node.gateway else "without proxy" if node.name == CLIENT else "no sidecar"
    if node.gateway or not node.injected:
        look = {"x": box.x + 30, "text_anchor": "start"} if versions else {"x": middle, "text_anchor": "middle"}
        parts.append(el("text", kind, y=y, class_="d", **look))
    if node.badges:
        y = box.y + box.high - LINE * len(node.badges) - 8
        parts.append(el("path", d=f"M{box.x + 8:.1f} {y:.1f}h{box.wide - 16:.1f}", stroke="var(--ws-line)"))
        for place, badge in enumerate(node.badges, start=1):
            base = y + LINE * place - 1
            said = el("text", esc(clip(badge, box.wide - 32)), x=box.x + 24, y=base, class_="d")
            icon = next((way for word, way in _ICONS.items() if word in badge), _ICON)
            moved = f"translate({box.x + 9:.1f} {base - 9:.1f})"
            drawn = el("path", d=icon, transform=moved, fill="none", stroke="var(--ws-dim)", stroke_width=1.3)
            parts.append(el("g", el("title", esc(badge)), drawn, said))
    return "".join(parts)


def graph_parts(graph: MeshGraph, *, narrow: bool = False) -> tuple[dict[str, str], float, float]:
    """The picture by parts, for a live view.

    Args:
        graph: what to draw.
        narrow: calls lead down, for a place of less than 760 pixels.

    Returns:
        ``edge:<source>><target>``, ``node:<name>`` and ``label:<source>><target>`` to SVG markup, in the order in which
        they are painted; width and height in pixels.
    """
    made = layout_of(graph, fits=NARROW if narrow else WIDE, down=narrow)
    most = max((edge.count for edge in graph.edges), default=0)
    ways = [(edge, made.ways[edge.source, edge.target]) for edge in graph.edges]
    parts = {f"edge:{edge.source}>{edge.target}": _edge(graph, edge, way, most) for edge, way in ways}
    parts |= {f"node:{name}": _node(node, made.boxes[name]) for name, node in graph.nodes.items()}
    # On top of all lines, so that none crosses out a number.
    parts |= {f"label:{edge.source}>{edge.target}": _edge_label(graph, edge, way) for edge, way in ways}
    if made.alone_y is not None:
        parts["alone"] = el("text", "no calls", x=2.0, y=made.alone_y - 8, class_="d")
    return parts, made.wide, made.high


def _edges_table(graph: MeshGraph) -> str:
    """All edges as an HTML table."""
    rows = [
        [
            esc(f"{graph.nodes[edge.source].title} → {graph.nodes[edge.target].title}"),
            graph.volume(edge),
            words.percent(edge.errors / edge.count) if edge.count else "–",
            words.duration(edge.p95_s) if edge.count else "–",
            esc(", ".join(f"{v} {words.percent(n / edge.count)}" for v, n in sorted(edge.versions.items()))),
            str(edge.copies or ""),
        ]
        for edge in graph.edges
    ]
    heads = ["call", "rate" if graph.span_s else "requests", "errors", "p95", "answered by", "mirror copies"]
    if not any(edge.copies for edge in graph.edges):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    return table(heads, rows, numeric=frozenset({1, 2, 3}), caption="calls between services")


def graph_figure(graph: MeshGraph, *, what: str = "") -> Figure:
    """The service graph as a static figure.

    Args:
        graph: services and calls.
        what: the time or the requests that it is about.

    Returns:
        A figure with a table of all calls.
    """
    parts, wide, high = graph_parts(graph)
    small, small_wide, small_high = graph_parts(graph, narrow=True)
    numbers = _edges_table(graph) if graph.edges else ""
    narrow = (_joined(small), small_wide, small_high)
    return Figure("Service graph", what, _joined(parts), wide, high, graph.summary, numbers, narrow)


def _joined(parts: dict[str, str]) -> str:
    return "".join(el("g", markup) for markup in parts.values())
