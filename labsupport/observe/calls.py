"""Who calls whom, counted from the access logs of all proxies and from what clients without a proxy saw."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from labsupport import words
from labsupport.model.kinds.gatewayapi.gateway import GATEWAY_NAME
from labsupport.observe.workloads import call_of, named, told_apart
from labsupport.records import AccessRecord, Pod, Response

__all__ = ["CLIENT", "GATEWAY", "ClientCall", "Edge", "MeshGraph", "Node", "mesh_graph"]

GATEWAY = "gateway"
CLIENT = "no proxy"


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

    @property
    def gateway(self) -> bool:
        """Whether it is the ingress gateway, or a Gateway of the Gateway API."""
        return self.name.partition("/")[0] == GATEWAY

    @property
    def title(self) -> str:
        """What the picture calls it."""
        return "a client" if self.name == CLIENT else self.name


@dataclass(slots=True)
class Edge:
    """Calls from one service to another.

    Args:
        source: who called.
        target: who was called.
        statuses: HTTP status to number; 0 for a broken connection.
        durations: in seconds, as the caller's proxy saw them.
        versions: version that answered to number.
        copies: mirror copies that were sent besides, which the caller's proxy does not log.
        logged: whether a proxy saw them; otherwise the client itself told.
    """

    source: str
    target: str
    statuses: dict[int, int] = field(default_factory=dict)
    durations: list[float] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    copies: int = 0
    logged: bool = True

    @property
    def count(self) -> int:
        """Number of requests, without mirror copies."""
        return len(self.durations)

    @property
    def idle(self) -> bool:
        """Whether nothing was sent in the time that was looked at."""
        return not self.durations and not self.copies

    @property
    def errors(self) -> int:
        """Requests with a status of 400 and more, or none."""
        return sum(number for status, number in self.statuses.items() if status >= 400 or status == 0)

    @property
    def p95_s(self) -> float:
        """Duration that 95 % did not exceed, in seconds; 0 without requests."""
        ordered = sorted(self.durations)
        return ordered[max(0, -(-95 * len(ordered) // 100) - 1)] if ordered else 0.0


@dataclass(frozen=True, slots=True)
class MeshGraph:
    """Services and the calls between them.

    Args:
        nodes: by name, in the order of their layers.
        edges: in the order of their sources.
        span_s: length of the time that was looked at, in seconds; 0 if requests are counted instead of rates.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    span_s: float

    def volume(self, edge: Edge) -> str:
        """How much an edge carries: requests per second, or requests."""
        if edge.idle:
            return "nothing now"
        if not edge.count:
            return words.plural(edge.copies, "mirror copy", "mirror copies")
        return words.rate(edge.count / self.span_s) if self.span_s else words.plural(edge.count, "request")

    def told(self, edge: Edge) -> str:
        """The numbers of an edge in words."""
        parts = [self.volume(edge)]
        if edge.errors:
            statuses = ", ".join(
                f"{status or 'broken'}: {count}"
                for status, count in sorted(edge.statuses.items())
                if status >= 400 or status == 0
            )
            parts.append(f"{words.percent(edge.errors / edge.count)} errors ({statuses})")
        if edge.count:
            parts.append(f"p95 {words.duration(edge.p95_s)}")
            answered = sorted((version, number) for version, number in edge.versions.items() if version)
            if len(answered) > 1:
                parts.append(", ".join(f"{version} {words.percent(count / edge.count)}" for version, count in answered))
            if edge.copies:
                parts.append(words.plural(edge.copies, "mirror copy", "mirror copies"))
            if not edge.logged:
                parts.append("told by the client, no proxy on the way")
        return ", ".join(parts)

    @property
    def summary(self) -> str:
        """The graph in words."""
        names = {name: node.title for name, node in self.nodes.items()}
        calls = "; ".join(f"{names[edge.source]} → {names[edge.target]}: {self.told(edge)}" for edge in self.edges)
        rules = "; ".join(f"{name}: {', '.join(node.badges)}" for name, node in self.nodes.items() if node.badges)
        without = words.join(name for name, node in self.nodes.items() if not node.injected and name != CLIENT)
        parts = [words.plural(len(self.nodes), "service"), calls or "No calls", f"Rules: {rules}" if rules else ""]
        return ". ".join(part for part in (*parts, f"Without sidecar: {without}" if without else "") if part) + "."


@dataclass(frozen=True, slots=True)
class ClientCall:
    """A request as its client saw it.

    Args:
        source: ``outside``, or the Deployment or pod that sent it.
        target: the service that was asked for; empty if unknown.
        response: what came back.
    """

    source: str
    target: str
    response: Response

    @property
    def answered_s(self) -> float:
        """When the response was there, in seconds since the epoch."""
        return self.response.started_s + self.response.duration_s


def mesh_graph(
    records: Iterable[AccessRecord],
    *,
    pods: Iterable[Pod] = (),
    badges: Mapping[str, tuple[str, ...]] | None = None,
    sent: Iterable[ClientCall] = (),
    former: Collection[tuple[str, str]] = (),
    span_s: float,
) -> MeshGraph:
    """Count the calls between services.

    Args:
        records: access-log lines of all proxies, of the last ``span_s`` seconds.
        pods: all pods: services without traffic and pods without a sidecar are shown, too.
        badges: service to rules in words.
        sent: what clients saw in the same time; counted where no proxy is on either side.
        former: calls that were seen before, as pairs of source and target: they stay, and carry nothing.
        span_s: length of that time, in seconds; 0 to count requests instead of rates.

    Returns:
        The graph, with layers from left to right.
    """
    known = {pod.name: pod for pod in told_apart(pods)}
    told = list(sent)
    count = _Count(known, {call.response.request_id: call.source for call in told})
    for pod in known.values():
        count.add_pod(pod)
    inbound = []
    for record in records:
        count.logged.add(record.request_id)
        if record.direction == "inbound":
            inbound.append(record)
        else:
            count.add_call(record)
    for record in inbound:
        count.add_served(record)
    for call in told:
        count.add_told(call)
    for source, target in former:
        if source in count.nodes and target in count.nodes:
            count.edge(source, target)
    for name, texts in (badges or {}).items():
        if name in count.nodes:
            count.nodes[name].badges = texts
    _layer(count.nodes, list(count.edges.values()))
    ordered = dict(sorted(count.nodes.items(), key=lambda item: (item[1].layer, not item[1].gateway, item[0])))
    return MeshGraph(ordered, tuple(count.edges[key] for key in sorted(count.edges)), span_s)


def _gateway(pod: Pod | None) -> str:
    """What a gateway is called, as where requests are sent to."""
    name = pod.labels.get(GATEWAY_NAME) if pod is not None else None
    if pod is None or name is None:
        return GATEWAY
    space = f".{pod.namespace}" if pod.service.endswith(f".{pod.namespace}") else ""
    return f"{GATEWAY}/{name}{space}"


class _Count:
    def __init__(self, pods: Mapping[str, Pod], senders: Mapping[str, str]) -> None:
        self.pods = pods
        self.senders = senders
        self.logged: set[str] = set()
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], Edge] = {}
        # By request: source, target and path of every call that a caller's proxy logged.
        self.calls: dict[str, list[tuple[str, str, str]]] = {}

    def add_pod(self, pod: Pod) -> None:
        gateway = pod.concurrency > 0 and not pod.injected
        node = self.node(_gateway(pod) if gateway else pod.service)
        if not gateway:
            node.versions.setdefault(pod.version, 0)
            node.injected = node.injected and pod.injected

    def node(self, name: str) -> Node:
        return self.nodes.setdefault(name, Node(name, injected=name != CLIENT))

    def edge(self, source: str, target: str) -> Edge:
        self.node(source)
        self.node(target)
        return self.edges.setdefault((source, target), Edge(source, target))

    def count(self, edge: Edge, status: int, duration_s: float, version: str) -> None:
        edge.durations.append(duration_s)
        edge.statuses[status] = edge.statuses.get(status, 0) + 1
        self.answered(edge.target, version)
        if version:
            edge.versions[version] = edge.versions.get(version, 0) + 1

    def answered(self, service: str, version: str) -> None:
        if version:
            versions = self.node(service).versions
            versions[version] = versions.get(version, 0) + 1

    def add_call(self, record: AccessRecord) -> None:
        caller, (service, version) = call_of(record, self.pods)
        source = _gateway(self.pods.get(record.pod)) if record.direction == "gateway" else caller[0]
        target = service or record.authority.split(":")[0] or "unknown"
        self.calls.setdefault(record.request_id, []).append((source, target, record.path))
        self.count(self.edge(source, target), record.status, record.duration_s, version)

    def add_served(self, record: AccessRecord) -> None:
        """A line of a server's proxy: of a call that is counted, of a mirror copy, or of a caller without a proxy."""
        service, version = named(record.pod, self.pods)
        calls = self.calls.get(record.request_id, ())
        if not record.mirrored and any(target == service for _, target, _ in calls):
            return
        # A copy has the path of its original, whose caller's proxy logs the original alone; who was asked and asks on
        # with the same path is no copy of that.
        originals = [source for source, _, path in calls if path == record.path and source != service]
        if record.mirrored or originals:
            others = [edge.source for edge in self.edges.values() if edge.target == service]
            for source in (originals or others)[:1]:
                self.edge(source, service).copies += 1
            if version:
                # Nobody gets the answer to a copy: it is no part of a version's share.
                self.node(service).versions.setdefault(version, 0)
            return
        source = self.sender(self.senders.get(record.request_id, ""))
        self.count(self.edge(source, service), record.status, record.duration_s, version)

    def sender(self, source: str) -> str:
        """The node of who sent a request: a pod without a proxy, or somebody outside."""
        pod = next((pod for pod in self.pods.values() if source in (pod.workload, pod.name)), None)
        return CLIENT if pod is None or pod.injected else pod.service

    def add_told(self, call: ClientCall) -> None:
        """What a client saw, if no proxy did."""
        if call.response.request_id and call.response.request_id in self.logged:
            return
        sender = next((pod for pod in self.pods.values() if call.source in (pod.workload, pod.name)), None)
        if sender is not None and sender.injected:
            return
        response = call.response
        hop = response.path[0] if response.path else None
        service = hop.service if hop is not None else call.target
        servers = [pod for pod in self.pods.values() if pod.service == service]
        server = self.pods.get(hop.pod) if hop is not None else next(iter(servers), None)
        if server is None or server.injected:
            return
        edge = self.edge(self.sender(call.source), service)
        edge.logged = False
        self.count(edge, response.status, response.duration_s, hop.version if hop is not None else "")


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
