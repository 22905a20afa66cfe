"""Who calls whom, counted from the access logs of all proxies; free of any drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from labsupport.display.hops import call_of
from labsupport.display.timeline import quantile
from labsupport.engine.base import AccessRecord, Pod

__all__ = ["Edge", "MeshGraph", "Node", "mesh_graph"]

GATEWAY = "gateway"


@dataclass(slots=True)
class Node:
    """A service, the gateway, or a client.

    Args:
        name: its name.
        versions: version to requests that it answered; versions with pods but without requests have 0.
        injected: whether all of its pods have a proxy.
        badges: rules in force on it, in words.
        layer: how many calls away from where requests come from.
    """

    name: str
    versions: dict[str, int] = field(default_factory=dict)
    injected: bool = True
    badges: tuple[str, ...] = ()
    layer: int = 0


@dataclass(slots=True)
class Edge:
    """Calls from one service to another.

    Args:
        source: who called.
        target: who was called.
        statuses: HTTP status to number; 0 for a broken connection.
        durations: in seconds, as the caller's proxy saw them.
        versions: version that answered to number.
        copies: mirror copies among the requests, which the caller's proxy does not log.
    """

    source: str
    target: str
    statuses: dict[int, int] = field(default_factory=dict)
    durations: list[float] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    copies: int = 0

    @property
    def count(self) -> int:
        """Number of requests, without mirror copies."""
        return len(self.durations)

    @property
    def errors(self) -> int:
        """Requests with a status of 400 and more, or none."""
        return sum(number for status, number in self.statuses.items() if status >= 400 or status == 0)

    @property
    def p95_s(self) -> float:
        """Duration that 95 % did not exceed, in seconds."""
        return quantile(self.durations, 0.95)


@dataclass(frozen=True, slots=True)
class MeshGraph:
    """Services and the calls between them.

    Args:
        nodes: by name, in the order of their layers.
        edges: in the order of their sources.
        span_s: length of the time that was looked at, in seconds.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    span_s: float


def mesh_graph(
    records: Iterable[AccessRecord],
    *,
    pods: Iterable[Pod] = (),
    badges: Mapping[str, tuple[str, ...]] | None = None,
    span_s: float,
) -> MeshGraph:
    """Count the calls between services.

    Args:
        records: access-log lines of all proxies, of the last ``span_s`` seconds.
        pods: all pods: services without traffic and pods without a sidecar are shown, too.
        badges: service to rules in words.
        span_s: length of that time, in seconds.

    Returns:
        The graph, with layers from left to right.
    """
    known = {pod.name: pod for pod in pods}
    nodes: dict[str, Node] = {}
    for pod in known.values():
        gateway = pod.concurrency > 0 and not pod.injected
        node = nodes.setdefault(GATEWAY if gateway else pod.service, Node(GATEWAY if gateway else pod.service))
        if not gateway:
            node.versions.setdefault(pod.version, 0)
            node.injected = node.injected and pod.injected
    edges: dict[tuple[str, str], Edge] = {}
    outbound: set[tuple[str, str]] = set()
    inbound: list[tuple[AccessRecord, str, str]] = []
    for record in records:
        caller, (service, version) = call_of(record, known)
        if record.direction == "inbound":
            inbound.append((record, service, version))
            continue
        source = GATEWAY if record.direction == "gateway" else caller[0]
        target = service or record.authority.split(":")[0] or "unknown"
        outbound.add((record.request_id, target))
        edge = edges.setdefault((source, target), Edge(source, target))
        _count(edge, record, version)
        _seen(nodes, source)
        _seen(nodes, target, version)
    for record, service, version in inbound:
        if record.mirrored:
            callers = [edge for edge in edges.values() if edge.target == service]
            for edge in callers[:1]:
                edge.copies += 1
            _seen(nodes, service, version)
        elif (record.request_id, service) not in outbound:
            # Only its own proxy knows of this request: the caller has none.
            edge = edges.setdefault(("no proxy", service), Edge("no proxy", service))
            _count(edge, record, version)
            _seen(nodes, "no proxy").injected = False
            _seen(nodes, service, version)
    for name, texts in (badges or {}).items():
        if name in nodes:
            nodes[name].badges = texts
    _layer(nodes, list(edges.values()))
    ordered = dict(sorted(nodes.items(), key=lambda item: (item[1].layer, item[0] != GATEWAY, item[0])))
    return MeshGraph(ordered, tuple(edges[key] for key in sorted(edges)), span_s)


def _seen(nodes: dict[str, Node], name: str, version: str = "") -> Node:
    node = nodes.setdefault(name, Node(name))
    if version:
        node.versions[version] = node.versions.get(version, 0) + 1
    return node


def _count(edge: Edge, record: AccessRecord, version: str) -> None:
    edge.durations.append(record.duration_s)
    edge.statuses[record.status] = edge.statuses.get(record.status, 0) + 1
    if version:
        edge.versions[version] = edge.versions.get(version, 0) + 1


def _layer(nodes: dict[str, Node], edges: list[Edge]) -> None:
    """Longest way from where requests come from; a cycle is cut where it closes."""
    called = {edge.target for edge in edges if edge.source != edge.target}
    below: dict[str, list[str]] = {}
    for edge in edges:
        below.setdefault(edge.source, []).append(edge.target)

    def walk(name: str, depth: int, way: frozenset[str]) -> None:
        node = nodes[name]
        node.layer = max(node.layer, depth)
        for target in below.get(name, []):
            if target not in way:
                walk(target, depth + 1, way | {target})

    roots = [name for name in nodes if name not in called and name in below] or sorted(below)[:1]
    for root in roots:
        walk(root, 0, frozenset({root}))
