"""The live service graph: looks at the access logs once a second, and draws what the last seconds show."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from labsupport.display.badges import badges_of
from labsupport.display.figure import Figure
from labsupport.display.graph_picture import edge_words, graph_figure, graph_parts, graph_summary
from labsupport.display.live_view import LiveView
from labsupport.display.mesh_graph import mesh_graph
from labsupport.engine.base import AccessRecord, Pod
from labsupport.errors import LabError
from labsupport.model.base import Resource

__all__ = ["LiveGraph", "Mesh"]

_LOOK_S = 1.0
# A line is written when its request ends, the caller's after the server's: a call is looked at when both are there.
_SETTLE_S = 2.0
_LATE_S = 5.0


class Mesh(Protocol):
    """What the graph looks at; a ``Lab`` is one."""

    def access_log(self, *, since_s: float) -> Iterable[AccessRecord]:
        """Access-log lines of all proxies since a time."""
        ...

    def pods(self) -> Iterable[Pod]:
        """All pods."""
        ...

    def get(self, kind: str) -> Iterable[Resource]:
        """Objects of a kind."""
        ...


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
        self._known: set[tuple[str, str, str, float]] = set()
        self._looked_s = clock() - span_s
        self._problem = ""
        self._pods: tuple[Pod, ...] = ()
        self._rules: Mapping[str, tuple[str, ...]] = {}
        super().__init__(
            {"kind": "graph", "title": "Service graph", "plotLabel": "Services and the calls between them"},
            interval_s=_LOOK_S,
        )

    def snapshot(self) -> Figure:
        """The graph as it is now, as a static figure that stays in an exported notebook."""
        self._raise_stored()
        with self._draw:
            self._look()
            return graph_figure(self._lines, pods=self._pods, badges=self._rules, span_s=self._span_s)

    def __repr__(self) -> str:
        return f"<LiveGraph of the last {self._span_s:g} s>"

    def _look(self) -> None:
        now = self._clock()
        try:
            lines = list(self._mesh.access_log(since_s=min(self._looked_s, now) - _SETTLE_S - _LATE_S))
            self._pods = tuple(self._mesh.pods())
            self._rules = badges_of(self._mesh.get("all"))
            self._problem = ""
        except LabError as error:
            # A lab that was closed leaves its last picture.
            self._problem = str(error)
            return
        self._looked_s = now
        oldest = now - _SETTLE_S - self._span_s
        for line in lines:
            key = (line.request_id, line.pod, line.direction, line.time_s)
            if key not in self._known and oldest <= line.time_s <= now - _SETTLE_S:
                self._known.add(key)
                self._lines.append(line)
        kept = [line for line in self._lines if line.time_s >= oldest]
        if len(kept) < len(self._lines):
            self._lines = deque(kept)
            self._known = {(line.request_id, line.pod, line.direction, line.time_s) for line in kept}

    def _is_busy(self) -> bool:
        return True

    def _message(self, *, full: bool) -> dict[str, Any]:
        self._look()
        graph = mesh_graph(self._lines, pods=self._pods, badges=self._rules, span_s=self._span_s)
        parts, wide, high = graph_parts(graph)
        state = {
            "what": f"last {self._span_s:g} s",
            "error": self._problem,
            "width": round(wide),
            "height": round(high),
            "order": list(parts),
            "details": {
                f"edge:{edge.source}>{edge.target}": f"{edge.source} → {edge.target}: {edge_words(edge, graph.span_s)}"
                for edge in graph.edges
            },
        }
        # A call that comes back after it was gone has to be sent again, although nothing about it is new.
        self._sent = {name: text for name, text in self._sent.items() if name in parts}
        return self._compose(parts, state, graph_summary(graph), full=full)
