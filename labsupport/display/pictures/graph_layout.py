"""Where the services of a graph and their calls stand: side by side, or below each other in a narrow place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from labsupport.display.drawing.palette import order_key
from labsupport.display.drawing.text import num, width
from labsupport.observe.calls import Edge, MeshGraph, Node

__all__ = ["HEAD", "LINE", "Box", "Layout", "Way", "layout_of", "versions_of"]

HEAD, LINE = 24.0, 16.0
_LEAST, _MOST = 116.0, 196.0
_BETWEEN, _LANE = 30.0, 12.0
# Room between two layers: for words beside each other, or for two lines of words below each other.
_GAP, _WIDEST_GAP, _GAP_DOWN = 96.0, 190.0, 80.0
_ROUND = 34.0
_ARROW = 9.0
_CAPTION = 20.0
# What words of a call may need. A fixed size, so that words do not jump about when their numbers change.
_WORDS_WIDE, _WORDS_HIGH = 96.0, 34.0
# Where on its way a call's words may stand, the best place first.
_SPOTS = (0.5, 0.38, 0.62, 0.28, 0.72, 0.2, 0.8)

_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels."""

    x: float
    y: float
    wide: float
    high: float


@dataclass(frozen=True, slots=True)
class Way:
    """How a call is drawn.

    Args:
        path: SVG path from the caller to the one that is called.
        arrow: SVG path of its head.
        x: middle of its words.
        y: the same, vertically.
        room: how wide the words may be.
        across: whether the words stand on the line instead of above it.
    """

    path: str
    arrow: str
    x: float
    y: float
    room: float
    across: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A graph with places.

    Args:
        boxes: by name of the node.
        ways: by source and target.
        wide: width of the picture in pixels.
        high: its height in pixels.
        alone_y: where the services without calls begin; None if there are none, or nothing else.
    """

    boxes: Mapping[str, Box]
    ways: Mapping[tuple[str, str], Way]
    wide: float
    high: float
    alone_y: float | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """A rectangle along and across the direction of calls, whichever that is."""

    along: float
    across: float
    long: float
    broad: float

    @property
    def middle(self) -> float:
        return self.across + self.broad / 2


@dataclass(frozen=True, slots=True)
class _Item:
    """What takes room in a layer: a node, or a call that passes through."""

    key: str
    broad: float
    callers: tuple[str, ...]


def versions_of(node: Node) -> list[tuple[str, int]]:
    """Versions of a node with their requests, in the order in which they are listed."""
    return sorted(((v, n) for v, n in node.versions.items() if v), key=lambda item: order_key(item[0]))


def _size(node: Node) -> tuple[float, float]:
    lines = max(1, len(versions_of(node)) + (not node.injected))
    high = HEAD + LINE * lines + 6 + (LINE * len(node.badges) + 6 if node.badges else 0)
    texts = [width(node.title, bold=True) + 20, *(width(badge) + 34 for badge in node.badges)]
    texts += [width(f"{version}  99.9 %") + 44 for version, _ in versions_of(node)]
    return min(_MOST, max(_LEAST, *texts)), high


def layout_of(graph: MeshGraph, *, fits: float, down: bool) -> Layout:
    """Give every node and call its place.

    Args:
        graph: what to draw.
        fits: width that the picture should have, in pixels.
        down: calls lead down instead of to the right.
    """
    return _Layout(graph, fits, down).made()


class _Layout:
    def __init__(self, graph: MeshGraph, fits: float, down: bool) -> None:
        self.graph = graph
        self.fits = fits
        self.down = down
        self.sizes = {name: _size(node) for name, node in graph.nodes.items()}
        called = {name for edge in graph.edges for name in (edge.source, edge.target)}
        self.connected = [name for name in graph.nodes if name in called]
        self.alone = [name for name in graph.nodes if name not in called]
        # Layers without nodes would be empty room.
        used = sorted({graph.nodes[name].layer for name in self.connected})
        self.layer = {name: used.index(graph.nodes[name].layer) for name in self.connected}

    def made(self) -> Layout:
        places, long, broad = self.layers()
        if any(self.back(edge) for edge in self.graph.edges):
            broad += _ROUND + 22
        alone, alone_wide, alone_high = self.row_of_alone()
        if self.down and broad < alone_wide:
            # In the middle of the narrow picture.
            shift = (alone_wide - broad) / 2
            places = {name: replace(place, across=place.across + shift) for name, place in places.items()}
            broad = alone_wide
        boxes = {name: self.box(places[name]) for name in self.connected}
        wide, high = (broad, long) if self.down else (long, broad)
        begin = high + _CAPTION + 8 if self.connected else 4.0
        boxes |= {name: replace(box, y=box.y + begin) for name, box in alone.items()}
        ways = self.ways(places, boxes)
        return Layout(
            boxes,
            ways,
            max(wide, alone_wide, 260.0),
            begin + alone_high if alone else high,
            begin if alone and self.connected else None,
        )

    def row_of_alone(self) -> tuple[dict[str, Box], float, float]:
        """Services without calls, side by side; how wide and high they are together."""
        boxes: dict[str, Box] = {}
        x, y, row, wide = 2.0, 0.0, 0.0, 0.0
        for name in self.alone:
            own_wide, own_high = self.sizes[name]
            if x > 2 and x + own_wide > self.fits:
                x, y, row = 2.0, y + row + 14, 0.0
            boxes[name] = Box(x, y, own_wide, own_high)
            x, row, wide = x + own_wide + 14, max(row, own_high), max(wide, x + own_wide + 2)
        return boxes, wide, y + row + 4

    def back(self, edge: Edge) -> bool:
        return self.layer[edge.target] <= self.layer[edge.source]

    def extent(self, name: str) -> tuple[float, float]:
        """Size of a node along and across."""
        wide, high = self.sizes[name]
        return (high, wide) if self.down else (wide, high)

    def items(self) -> list[list[_Item]]:
        """Layers with their nodes, and a lane for each call that passes a layer on its way."""
        layers: list[list[_Item]] = [[] for _ in range(max(self.layer.values(), default=-1) + 1)]
        for name in self.connected:
            callers = []
            for edge in self.graph.edges:
                if edge.target == name and self.layer[edge.source] < self.layer[name]:
                    near = self.layer[edge.source] == self.layer[name] - 1
                    callers.append(edge.source if near else _lane(edge, self.layer[name] - 1))
            layers[self.layer[name]].append(_Item(name, self.extent(name)[1], tuple(callers)))
        for edge in self.graph.edges:
            first = self.layer[edge.source]
            for layer in range(first + 1, self.layer[edge.target]):
                caller = edge.source if layer == first + 1 else _lane(edge, layer - 1)
                layers[layer].append(_Item(_lane(edge, layer), _LANE, (caller,)))
        return layers

    def layers(self) -> tuple[dict[str, _Place], float, float]:
        """Places of all nodes and lanes; how long and broad they are together."""
        layers = self.items()
        longest = [
            max((self.extent(item.key)[0] for item in items if item.key in self.layer), default=0.0) for items in layers
        ]
        room = (self.fits - sum(longest)) / max(1, len(layers) - 1)
        gap = _GAP_DOWN if self.down else max(_GAP, min(_WIDEST_GAP, room))
        broadest = max((sum(item.broad + _BETWEEN for item in items) for items in layers), default=0.0)
        places: dict[str, _Place] = {}
        along = 2.0
        for items, long in zip(layers, longest, strict=True):
            # Beside who calls it, so that few lines cross; names decide between equals, so that nothing jumps about.
            near = {item.key: [places[caller].middle for caller in item.callers if caller in places] for item in items}
            items.sort(key=lambda i: (sum(near[i.key]) / len(near[i.key]) if near[i.key] else 1e9, i.key))
            across = _BETWEEN / 2 + (broadest - sum(item.broad + _BETWEEN for item in items)) / 2
            for item in items:
                own = self.extent(item.key)[0] if item.key in self.layer else long
                # Below each other, nodes hang from one line; beside each other, they stand on it.
                places[item.key] = _Place(along, across, own, item.broad)
                across += item.broad + _BETWEEN
            along += long + gap
        return places, along - gap + 2, broadest

    def box(self, place: _Place) -> Box:
        if self.down:
            return Box(place.across, place.along, place.broad, place.long)
        return Box(place.along, place.across, place.long, place.broad)

    def at(self, along: float, across: float) -> str:
        x, y = (across, along) if self.down else (along, across)
        return f"{num(x)} {num(y)}"

    def ways(self, places: Mapping[str, _Place], boxes: Mapping[str, Box]) -> dict[tuple[str, str], Way]:
        taken = list(boxes.values())
        made: dict[tuple[str, str], Way] = {}
        # Short calls have the fewest places for their words.
        for edge in sorted(self.graph.edges, key=lambda edge: self.layer[edge.target] - self.layer[edge.source]):
            lanes = range(self.layer[edge.source] + 1, self.layer[edge.target])
            stations = [places[edge.source], *(places[_lane(edge, layer)] for layer in lanes), places[edge.target]]
            forms = [self.round(stations[0], stations[-1])] if self.back(edge) else self.ahead(stations)
            way = next((form for form in forms if not any(_meet(_words(form), box) for box in taken)), forms[0])
            taken.append(_words(way))
            made[edge.source, edge.target] = way
        return made

    def ahead(self, stations: Sequence[_Place]) -> list[Way]:
        """A call to a later layer, with its words at every place where they may stand, the best first."""
        start, end = stations[0], stations[-1]
        path = f"M{self.at(start.along + start.long, start.middle)}"
        stretches: list[tuple[_Point, _Point]] = []
        for here, there in pairwise(stations):
            left, right = here.along + here.long, there.along - (_ARROW if there is end else 0)
            half = (left + right) / 2
            path += f"C{self.at(half, here.middle)} {self.at(half, there.middle)} {self.at(right, there.middle)}"
            stretches.append(((left, here.middle), (right, there.middle)))
            if there is not end:
                path += f"L{self.at(there.along + there.long, there.middle)}"
                stretches.append(((there.along, there.middle), (there.along + there.long, there.middle)))
        right = end.along - _ARROW
        tip = f"M{self.at(right, end.middle - 5)}L{self.at(end.along, end.middle)}L{self.at(right, end.middle + 5)}z"
        return [self.named(path, tip, *stretch, spot) for stretch in reversed(stretches) for spot in _SPOTS]

    def named(self, path: str, tip: str, begin: _Point, end: _Point, spot: float) -> Way:
        """A way with its words at one spot of a stretch, which leaves and arrives in the direction of calls."""
        rest = 1 - spot
        bend = 3 * rest * spot / 2
        along = rest**3 * begin[0] + bend * (begin[0] + end[0]) + spot**3 * end[0]
        across = (rest**3 + 3 * rest**2 * spot) * begin[1] + (spot**3 + 3 * rest * spot**2) * end[1]
        if self.down:
            return Way(path, tip, across, along, 150.0, True)
        steep = abs(end[1] - begin[1]) > 10
        return Way(path, tip, along, across, end[0] - begin[0] + 4, steep)

    def round(self, start: _Place, end: _Place) -> Way:
        """A call back to an earlier layer, or to its own service, goes round beside all others."""
        left, right = start.along + start.long - 20, end.along + min(30.0, end.long / 3)
        edge = max(start.across + start.broad, end.across + end.broad)
        far, foot = edge + _ROUND * 1.3, end.across + end.broad + _ARROW
        path = (
            f"M{self.at(left, start.across + start.broad)}"
            f"C{self.at(left, far)} {self.at(right, far)} {self.at(right, foot)}"
        )
        tip = f"M{self.at(right - 5, foot)}L{self.at(right, foot - _ARROW)}L{self.at(right + 5, foot)}z"
        half, low = (left + right) / 2, edge + _ROUND
        x, y = (low, half) if self.down else (half, low)
        return Way(path, tip, x, y, 150.0, True)


def _words(way: Way) -> Box:
    top = way.y - _WORDS_HIGH / 2 if way.across else way.y - _WORDS_HIGH - 5
    return Box(way.x - _WORDS_WIDE / 2, top, _WORDS_WIDE, _WORDS_HIGH)


def _meet(box: Box, other: Box) -> bool:
    beside = box.x + box.wide <= other.x or other.x + other.wide <= box.x
    return not beside and box.y < other.y + other.high and other.y < box.y + box.high


def _lane(edge: Edge, layer: int) -> str:
    return f"{edge.source}>{edge.target}@{layer}"
