"""The service graph of a lab: what is looked at, and when; how it is drawn is the display's matter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from labsupport import words
from labsupport.arguments import checked
from labsupport.model.schema.base import Resource
from labsupport.observe.calls import ClientCall, MeshGraph, mesh_graph
from labsupport.observe.rule_badges import badges_of
from labsupport.records import AccessRecord, Pod, TrafficSpec
from labsupport.traffic.observations import Observations
from labsupport.traffic.recording import TrafficSnapshot

__all__ = ["CountedTraffic", "Mesh", "ServiceGraph", "asked_for", "complete", "ended_s"]

# A line is written when its request ends, the caller's after the server's: a call is looked at when both are there.
SETTLE_S = 2.0
# A graph asked for after the traffic shows its end, however long the learner has read meanwhile.
_LOOK_BACK_S = 900.0


class CountedTraffic(Protocol):
    """What the graph needs of traffic in the background."""

    @property
    def spec(self) -> TrafficSpec:
        """What is sent."""
        ...

    def snapshot(self, since: int = 0) -> TrafficSnapshot:
        """Responses since a sequence number; never raises."""
        ...


class Mesh(Protocol):
    """What the graph looks at: the side of a lab that it needs."""

    def access_log(self, of: Any = None, *, since_s: float | None = None) -> Iterable[AccessRecord]:
        """Access-log lines of all proxies, of some requests or since a time."""
        ...

    def pods(self) -> Iterable[Pod]:
        """All pods."""
        ...

    def get(self, kind: str) -> Iterable[Resource]:
        """Objects of a kind, of all namespaces."""
        ...

    def traffic(self, *, running: bool = True) -> Iterable[CountedTraffic]:
        """Background traffic."""
        ...

    def when_closed(self, act: Callable[[], None]) -> None:
        """Have a function called when the mesh is about to end."""
        ...


def ended_s(record: AccessRecord) -> float:
    """When a line was written: at the end of its request, in seconds since the epoch."""
    return record.time_s + record.duration_s


def complete(lines: Iterable[AccessRecord], until_s: float) -> Iterator[AccessRecord]:
    """Lines up to a moment, without those of servers whose callers' lines were written after it.

    A server's line comes a little before its caller's: alone it would look like a call of somebody without a proxy.

    Args:
        lines: as many as there are.
        until_s: the moment, in seconds since the epoch.
    """
    known = list(lines)
    later = {record.request_id for record in known if record.direction != "inbound" and ended_s(record) > until_s}
    for record in known:
        if ended_s(record) <= until_s and (record.direction != "inbound" or record.request_id not in later):
            yield record


def asked_for(url: str) -> str:
    """The service in ``nodeport:web/`` or ``http://web:8080/``; empty for the gateway."""
    scheme, _, rest = url.partition(":")
    if scheme.partition("/")[0] == "gateway":
        return ""
    host = rest.lstrip("/").partition("/")[0].partition(":")[0]
    return host.partition(".")[0]


@checked
class ServiceGraph:
    """Who calls whom: shown as a picture, live while traffic runs.

    Args:
        mesh: what to look at.
        of: responses whose calls are to be shown, or None for what happened last.
        span_s: without ``of``: how many seconds are looked at.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        mesh: Mesh,
        *,
        of: Observations | None = None,
        span_s: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.mesh = mesh
        self.span_s = span_s
        self._of = of
        self._clock = clock
        self._what = ""

    @property
    def live(self) -> bool:
        """Whether traffic runs whose numbers change."""
        return self._of is None and any(True for _ in self.mesh.traffic())

    @property
    def what(self) -> str:
        """The time or the requests that were looked at last, in words."""
        return self._what

    def now(self) -> MeshGraph:
        """Look at the mesh, and count."""
        if self._of is not None:
            lines = list(self.mesh.access_log([response for response in self._of if response.request_id]))
            sent = [ClientCall("outside", "", response) for response in self._of]
            self._what = words.plural(len(self._of), "request")
            graph = self._graph(lines, sent, 0.0)
            # These requests are the matter, not the mesh.
            met = {name for edge in graph.edges for name in (edge.source, edge.target)}
            return replace(graph, nodes={name: node for name, node in graph.nodes.items() if name in met})
        # While requests are under way, the lines of some of their hops are still to come.
        now = self._clock() - (SETTLE_S if self.live else 0.0)
        lines = list(complete(self.mesh.access_log(since_s=now - self.span_s), now))
        sent = [call for call in self._sent(now - self.span_s) if call.answered_s <= now]
        self._what = f"last {self.span_s:g} s"
        if not lines and not sent:
            lines, sent = list(self.mesh.access_log(since_s=now - _LOOK_BACK_S)), list(self._sent(now - _LOOK_BACK_S))
            last = max([ended_s(line) for line in lines] + [call.answered_s for call in sent], default=now)
            begin = last - self.span_s
            lines = [line for line in lines if ended_s(line) > begin]
            sent = [call for call in sent if call.answered_s > begin]
            if lines or sent:
                self._what = f"{self.span_s:g} s until {time.strftime('%H:%M:%S', time.localtime(last))}"
        return self._graph(lines, sent, self.span_s)

    def _graph(self, lines: list[AccessRecord], sent: list[ClientCall], span_s: float) -> MeshGraph:
        rules = badges_of(self.mesh.get("all"))
        return mesh_graph(lines, pods=self.mesh.pods(), badges=rules, sent=sent, span_s=span_s)

    def _sent(self, since_s: float) -> Iterator[ClientCall]:
        for traffic in self.mesh.traffic(running=False):
            spec = traffic.spec
            for response in traffic.snapshot().responses:
                call = ClientCall(spec.source, asked_for(spec.url), response)
                if call.answered_s >= since_s:
                    yield call

    @words.shown
    def __repr__(self) -> str:
        return self.text(self.now())

    @words.shown
    def text(self, graph: MeshGraph) -> str:
        """What was counted, as plain text."""
        lines = [f"service graph, {self._what}"]
        names: Mapping[str, str] = {name: node.title for name, node in graph.nodes.items()}
        heads = [f"{names[edge.source]} → {names[edge.target]}" for edge in graph.edges]
        wide = max(map(len, heads), default=0)
        told = (graph.told(edge) for edge in graph.edges)
        lines += [f"  {head:{wide}}  {text}" for head, text in zip(heads, told, strict=True)] or ["  no calls"]
        for name, node in graph.nodes.items():
            versions = ", ".join(version for version in sorted(node.versions) if version)
            about = [versions, *node.badges, *([] if node.injected else ["without proxy"])]
            # A caller's pods may have no label version.
            nobody = "pods without a version" if node.versions else "no pods"
            if not node.gateway or node.badges:
                lines.append(f"  {names[name]}: {'; '.join(part for part in about if part) or nobody}")
        return "\n".join(lines)
