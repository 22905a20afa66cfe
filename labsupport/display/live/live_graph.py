"""The live service graph: looks at the access logs once a second, and draws what the last seconds show."""

from __future__ import annotations

import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from labsupport.display.drawing.figure import Figure
from labsupport.display.live.live_view import LiveView
from labsupport.display.pictures.graph_picture import graph_figure, graph_parts
from labsupport.errors import LabError
from labsupport.observe.calls import ClientCall, MeshGraph, mesh_graph
from labsupport.observe.graph import SETTLE_S, CountedTraffic, Mesh, ServiceGraph, asked_for, complete, ended_s
from labsupport.observe.rule_badges import badges_of
from labsupport.records import AccessRecord, Pod

__all__ = ["LiveGraph", "live_graph_of"]

_LOOK_S = 1.0
# A line may appear in the log this much after its request ended.
_LATE_S = 5.0
# A proxy that tries again logs one line at the end: until then, failed tries alone are no calls of their own.
_TRIES_S = 15.0
# A call that carries nothing any more is drawn faded for this long, then it goes.
_FADED_S = 45.0

_Key = tuple[str, str, str, float]


class LiveGraph(LiveView):
    """The service graph of a mesh, live; a call selected by click or keyboard shows its numbers below.

    Args:
        mesh: what to look at.
        span_s: the numbers are those of the last so many seconds.
        clock: seconds since the epoch.
    """

    def __init__(self, mesh: Mesh, *, span_s: float = 10.0, clock: Callable[[], float] = time.time) -> None:
        self._mesh = mesh
        self._span_s = span_s
        self._clock = clock
        self._lines: deque[AccessRecord] = deque()
        self._known: set[_Key] = set()
        self._calls: deque[ClientCall] = deque()
        self._read: weakref.WeakKeyDictionary[CountedTraffic, int] = weakref.WeakKeyDictionary()
        self._carried: dict[tuple[str, str], float] = {}
        self._last: tuple[MeshGraph, float] | None = None
        self._looked_s = clock() - span_s
        self._problem = ""
        self._pods: tuple[Pod, ...] = ()
        # The rules as they were at the last looks, and by service as they were when it was last called.
        self._rules: deque[tuple[float, Mapping[str, tuple[str, ...]]]] = deque()
        self._obeyed: dict[str, tuple[str, ...]] = {}
        super().__init__(
            {"kind": "graph", "title": "Service graph", "plotLabel": "Services and the calls between them"},
            interval_s=_LOOK_S,
        )
        mesh.when_closed(self.freeze)

    def snapshot(self) -> Figure:
        """The graph as it is now, or as it was when it last carried something, as a figure that stays in an export."""
        self._raise_stored()
        with self._draw:
            self._look()
            graph = self._graph()
            if self._last is None or any(not edge.idle for edge in graph.edges):
                return graph_figure(graph, what=self._what)
            former, end = self._last
            until = time.strftime("%H:%M:%S", time.localtime(end))
            return graph_figure(former, what=f"{self._span_s:g} s until {until}")

    @property
    def _what(self) -> str:
        return f"last {self._span_s:g} s"

    def __repr__(self) -> str:
        return f"<LiveGraph of the last {self._span_s:g} s>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        made = super()._repr_mimebundle_(**kwargs)
        bundle, more = made if isinstance(made, tuple) else (made, {})
        with self._draw:
            graph = self._graph()
            # Where there is no kernel (an exported notebook, a page on the Web), this is what is left of the picture.
            bundle = {
                **bundle,
                "image/svg+xml": graph_figure(graph, what=self._what).svg(),
                "text/plain": graph.summary,
            }
        return bundle, more

    def _look(self) -> None:
        now = self._clock()
        try:
            # Lines are found by the time at which they were written, so that the longest call is not missed.
            lines = list(self._mesh.access_log(since_s=min(self._looked_s, now) - SETTLE_S - _LATE_S))
            self._pods = tuple(self._mesh.pods())
            rules = badges_of(self._mesh.get("all"))
            calls = [call for traffic in self._mesh.traffic(running=False) for call in self._new(traffic)]
            self._problem = ""
        except LabError as error:
            # A lab that was closed leaves its last picture.
            self._problem = str(error)
            return
        self._looked_s = now
        oldest = now - SETTLE_S - self._span_s - _TRIES_S
        new = [
            line
            for line in complete(lines, now - SETTLE_S)
            if _key(line) not in self._known and oldest <= ended_s(line)
        ]
        self._known.update(map(_key, new))
        self._lines.extend(new)
        self._rules.append((now, rules))
        while len(self._rules) > 1 and self._rules[1][0] <= oldest:
            self._rules.popleft()
        newest = max([*map(ended_s, new), *map(_answered_s, calls)], default=0.0)
        then = next((read for read_s, read in reversed(self._rules) if read_s <= newest), self._rules[0][1])
        for edge in mesh_graph(new, pods=self._pods, sent=calls, span_s=self._span_s).edges:
            self._obeyed[edge.target] = then.get(edge.target, ())
        kept = [line for line in self._lines if ended_s(line) >= oldest]
        if len(kept) < len(self._lines):
            self._lines = deque(kept)
            self._known = {_key(line) for line in kept}
        self._calls.extend(calls)
        while self._calls and _answered_s(self._calls[0]) < now - SETTLE_S - self._span_s:
            self._calls.popleft()

    def _new(self, traffic: CountedTraffic) -> Iterable[ClientCall]:
        seen = traffic.snapshot(self._read.get(traffic, 0))
        self._read[traffic] = seen.next
        target = asked_for(traffic.spec.url)
        return [ClientCall(traffic.spec.source, target, response) for response in seen.responses]

    def _graph(self) -> MeshGraph:
        # As of the last look: a lab that is gone leaves the picture that it had.
        end = self._looked_s - SETTLE_S
        begin = end - self._span_s
        explained = {line.request_id for line in self._lines if line.direction != "inbound"}
        counted = [
            line
            for line in self._lines
            if ended_s(line) >= begin and (line.request_id in explained or not _may_be_tried_again(line, end))
        ]
        self._carried = {key: last for key, last in self._carried.items() if last >= end - _FADED_S}
        graph = mesh_graph(
            counted,
            pods=self._pods,
            badges={**(self._rules[-1][1] if self._rules else {}), **self._obeyed},
            sent=[call for call in self._calls if begin <= _answered_s(call) <= end],
            former=self._carried,
            span_s=self._span_s,
        )
        shown = {edge.target for edge in graph.edges}
        self._obeyed = {service: badges for service, badges in self._obeyed.items() if service in shown}
        busy = [edge for edge in graph.edges if not edge.idle]
        for edge in busy:
            self._carried[edge.source, edge.target] = end
        # The end of traffic, when less and less of it is in the time that is shown, is not what is to be kept.
        if busy and (self._last is None or len(busy) >= len(self._last[0].edges) or end - self._last[1] > self._span_s):
            self._last = graph, end
        return graph

    def _is_busy(self) -> bool:
        return not self._problem

    def _message(self, *, full: bool) -> dict[str, Any]:
        self._look()
        graph = self._graph()
        wide, *wide_size = graph_parts(graph)
        narrow, *narrow_size = graph_parts(graph, narrow=True)
        order = list(wide)
        # Both pictures are sent: which one fits is known to the browser alone, and may differ between two views.
        parts = {f"w/{name}": text for name, text in wide.items()} | {
            f"n/{name}": text for name, text in narrow.items()
        }
        names = {name: node.title for name, node in graph.nodes.items()}
        state = {
            "what": self._what,
            "error": self._problem,
            "sizes": {"w": [round(length) for length in wide_size], "n": [round(length) for length in narrow_size]},
            "order": order,
            "details": {
                f"edge:{edge.source}>{edge.target}": (
                    f"{names[edge.source]} → {names[edge.target]}: {graph.told(edge)}"
                )
                for edge in graph.edges
            },
        }
        # A call that comes back after it was gone has to be sent again, although nothing about it is new.
        self._sent = {name: text for name, text in self._sent.items() if name in parts}
        return self._compose(parts, state, graph.summary, full=full)


def _key(line: AccessRecord) -> _Key:
    return line.request_id, line.pod, line.direction, line.time_s


def _answered_s(call: ClientCall) -> float:
    return call.response.started_s + call.response.duration_s


def _may_be_tried_again(line: AccessRecord, now_s: float) -> bool:
    failed = line.status == 0 or line.status >= 500
    return line.direction == "inbound" and failed and ended_s(line) > now_s - _TRIES_S


_graphs: weakref.WeakKeyDictionary[Mesh, dict[float, LiveGraph]] = weakref.WeakKeyDictionary()


def live_graph_of(graph: ServiceGraph) -> LiveGraph:
    """The live picture of a graph: one for a lab and a span, however often a cell is run again."""
    views = _graphs.setdefault(graph.mesh, {})
    if graph.span_s not in views:
        views[graph.span_s] = LiveGraph(graph.mesh, span_s=graph.span_s)
    return views[graph.span_s]
