"""The plain records that cross the seam between the course and a mesh.

Records name pods, never addresses, so that a notebook cannot tell one engine from the other.
All times are seconds: ``*_s`` fields are durations except ``started_s`` and ``time_s``, which are
seconds since the epoch (``time.time()``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from labsupport import words

__all__ = [
    "AccessRecord",
    "Action",
    "ApplyResult",
    "Direction",
    "EnvoyConfig",
    "Hop",
    "Json",
    "JsonObject",
    "Leftovers",
    "ObjectChange",
    "Outcome",
    "Pod",
    "ProxyChange",
    "Ref",
    "Response",
    "RuleStatus",
    "Sample",
    "Span",
    "TlsOptions",
    "TrafficSpec",
    "received_by",
]

Json = Any
"""A value as YAML or JSON gives it."""

JsonObject = dict[str, Json]
"""A mapping as YAML or JSON gives it."""

Action = Literal["created", "changed", "unchanged", "deleted"]
Direction = Literal["outbound", "inbound", "gateway"]
Outcome = Literal["ok", "http_error", "timeout", "connection", "unknown_destination"]


@dataclass(frozen=True, slots=True)
class Ref:
    """Names one object, as ``kubectl`` does: kind, name, namespace (empty: the lab's own)."""

    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What an apply did to one object.

    Args:
        ref: the object.
        action: created, changed, unchanged or deleted.
        details: for a change, one line per field, such as ``spec.http[0].route[0].weight: 100 -> 90``.
        source: ``file:line`` it came from; empty when unknown.
    """

    ref: Ref
    action: Action
    details: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class ProxyChange:
    """One proxy that had to learn of a change.

    Args:
        proxy: pod name.
        in_force_s: seconds from the start of the apply to this proxy's last acknowledgement.
        types: xDS types pushed, for instance ``("CDS", "RDS")``.
    """

    proxy: str
    in_force_s: float
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """The outcome of apply, delete, patch or scale: it is in force when this is returned.

    Args:
        changes: one per object, in the order given.
        proxies: the proxies concerned.
        in_force_s: seconds from the start until the change was acknowledged by every proxy concerned
            (pods that had to start included).
        started_s: when it began.
        warnings: istiod's admission warnings.
        notes: what else is worth knowing: fields without effect on this engine, cross-object analysis.
    """

    changes: tuple[ObjectChange, ...]
    proxies: tuple[ProxyChange, ...] = ()
    in_force_s: float = 0.0
    started_s: float = 0.0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @words.shown
    def __repr__(self) -> str:
        lines = [f"{change.ref} {change.action}" for change in self.changes] or ["nothing to do"]
        lines += [f"warning: {text}" for text in self.warnings] + [f"note: {text}" for text in self.notes]
        if any(change.action != "unchanged" for change in self.changes):
            count = len(self.proxies)
            proxies = f"in {words.plural(count, 'proxy', 'proxies')} " if count else ""
            lines.append(f"in force {proxies}after {self.in_force_s * 1000:.0f} ms")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod: a replica of a Deployment, or the ingress gateway.

    Args:
        name: pod name, such as ``web-safe-6f9c-x7k2p``.
        namespace: its namespace.
        workload: name of the Deployment.
        labels: the pod's labels.
        injected: whether it has a sidecar.
        ready: whether it takes traffic.
        restarts: how often its program or its Envoy was started again.
        last_words: last line of the log of whatever crashed last; empty if nothing did.
        image: the image its program runs.
        concurrency: worker threads of its Envoy; 0 without one.
        listens: ports on which its programs listen; None where nobody knows.
    """

    name: str
    namespace: str
    workload: str
    labels: Mapping[str, str] = field(default_factory=dict)
    injected: bool = False
    ready: bool = False
    restarts: int = 0
    last_words: str = ""
    image: str = ""
    concurrency: int = 0
    listens: tuple[int, ...] | None = None

    @property
    def version(self) -> str:
        """The ``version`` label, or an empty text."""
        return self.labels.get("version", "")

    @property
    def service(self) -> str:
        """The ``app`` label, or the workload's name."""
        return self.labels.get("app", self.workload)

    @property
    def has_proxy(self) -> bool:
        """Whether it has an Envoy: the gateway, and every pod with a sidecar."""
        return self.injected or self.concurrency > 0


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """How a client outside speaks TLS. A ``repr`` shows no certificate and no key.

    Args:
        ca: certificates (PEM) of the authorities that the client trusts; empty for a client that trusts every server
            (``curl -k``), but still says what certificate it was shown.
        certificate: the client's own certificate, and those between it and its authority (PEM); empty for none.
        key: its private key (PEM).
        version: ``"1.0"`` to ``"1.3"`` for a client that speaks this version of TLS only; empty for 1.2 and 1.3.
    """

    ca: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    version: str = ""


@dataclass(frozen=True, slots=True)
class TrafficSpec:
    """What to send.

    Args:
        url: ``gateway:/path``, ``gateway:<port>/path``, ``https://<host>[:port]/path``, ``tcp://gateway:<port>``,
            ``tls://<host>[:port]``, ``nodeport:<service>/path``, ``loadbalancer:<service>/path`` or
            ``http://<service>[:port]/path``.
        source: ``outside``, or the name of a Deployment or pod that runs the load client.
        method: HTTP method.
        body: request body. Over ``tcp`` and ``tls`` it is what is sent, each line ended; as many lines are read.
        headers: request headers; ``{user}`` in a value is replaced by the user's name and ``{index}`` by the
            request's index. A ``Host`` header becomes the request's authority, with the URL's port kept; the server
            name of TLS stays the URL's host.
        cookies: cookies sent with every request; the same placeholders.
        users: 0, or how many users the requests are dealt to in turn; each (``user-0`` ...) keeps its own cookie jar.
        count: how many requests; either this or ``duration_s``.
        duration_s: for how long to send.
        rate: requests per second; None is as fast as ``concurrency`` allows.
        concurrency: requests under way at most.
        simultaneous: start all ``count`` requests at the same moment.
        hold: with ``simultaneous``: keep each under way until the batch is released.
        reuse_connections: False opens a connection for each request.
        timeout_s: the client gives up after this long.
        keep_headers: response headers to keep in the record (lower case), besides the course's own.
        keep_body: keep the response body, up to 64 KiB.
        tls: for ``https`` and ``tls``: what the client trusts and shows; None for a client that trusts every server.
    """

    url: str
    source: str = "outside"
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    users: int = 0
    count: int | None = None
    duration_s: float | None = None
    rate: float | None = None
    concurrency: int = 8
    simultaneous: bool = False
    hold: bool = False
    reuse_connections: bool = False
    timeout_s: float = 15.0
    keep_headers: tuple[str, ...] = ()
    keep_body: bool = False
    tls: TlsOptions | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """One application that took part in a response, as its reply reports itself."""

    service: str
    version: str
    pod: str

    def __str__(self) -> str:
        return f"{self.service} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Response:
    """What the client saw of one request.

    Args:
        index: number of the request, from 0.
        started_s: when it was sent.
        duration_s: until the last byte, or until it failed.
        outcome: ``ok`` (status < 400), ``http_error``, ``timeout`` (the client gave up), ``connection`` (refused or
            broken) or ``unknown_destination`` (no such host or port in the mesh).
        status: HTTP status; 0 without one, as over ``tcp``.
        request_id: the x-request-id it was sent with; a made-up id over ``tcp``, which carries none.
        path: applications that took part, callers first; ``path[0]`` answered the client. Over ``tcp`` an echo that
            puts one word before the line (Istio's ``tcp-echo`` does) is known by that word as its version.
        headers: response headers that were asked for (lower case).
        body: response body when asked for, and always the first 200 characters of an error.
        error: client-side failure in words; empty otherwise.
        user: name of the user; empty without users.
        connection: number of the client's connection, from 0; -1 if none was made.
        tls: with TLS, what was agreed on and what certificate the server showed: ``version``, ``cipher``, ``alpn``,
            ``server_name``, ``subject``, ``issuer``, ``names`` (of the certificate), ``not_after``, ``fingerprint``
            (SHA-256).
    """

    index: int
    started_s: float
    duration_s: float
    outcome: Outcome
    status: int = 0
    request_id: str = ""
    path: tuple[Hop, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    error: str = ""
    user: str = ""
    connection: int = -1
    tls: Mapping[str, str] = field(default_factory=dict)


def is_traced_id(request_id: str) -> bool:
    """Whether an x-request-id carries Envoy's mark of tracing; see `untraced_id`."""
    return len(request_id) == 36 and request_id[14] in "9ab"


def untraced_id(request_id: str) -> str:
    """An x-request-id without the mark that Envoy leaves in it when it samples a request for tracing.

    Envoy writes the reason into the 15th character of an id of 36: ``9`` (sampled), ``a`` (asked for by the service) or
    ``b`` (by the client) where a random UUID has its version, ``4``. From that proxy on the request goes by the changed
    id, in every log. Source: ``UUIDRequestIDExtension::setTraceReason``.
    """
    if is_traced_id(request_id):
        return f"{request_id[:14]}4{request_id[15:]}"
    return request_id


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """One line of one proxy's access log.

    A connection that is not HTTP (protocol ``TCP``: ``tcp`` rules, TLS that is passed on, a server name that nobody
    serves) has a line too, when it ends: its authority is the server name, and it has no request id and no status.

    Args:
        request_id: x-request-id as the client sent it: without Envoy's mark of tracing (see `untraced_id`).
        time_s: when the request arrived at the proxy.
        pod: the proxy's pod.
        direction: outbound (a sidecar as client), inbound (a sidecar as server) or gateway.
        method, authority, path: of the request.
        status: status sent downstream; 0 if the connection broke first.
        flags: Envoy response flags such as ``UH``; empty for none.
        details: Envoy response code details.
        route: route name; empty for none.
        cluster: upstream cluster; empty for none.
        upstream_pod: pod that answered; empty for none.
        duration_s: until the last byte was sent downstream.
        attempt: ``x-envoy-attempt-count`` of the request as this proxy received it; 1 without one.
        mirrored: whether it is a copy made by a mirror rule.
        protocol: such as ``HTTP/1.1``.
        sampled: whether it was drawn to be traced, as far as the log tells.
    """

    request_id: str
    time_s: float
    pod: str
    direction: Direction
    method: str = ""
    authority: str = ""
    path: str = ""
    status: int = 0
    flags: str = ""
    details: str = ""
    route: str = ""
    cluster: str = ""
    upstream_pod: str = ""
    duration_s: float = 0.0
    attempt: int = 1
    mirrored: bool = False
    protocol: str = ""
    sampled: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """What one proxy tells of one request that is traced.

    Args:
        trace_id: the same for all spans of a trace, in hexadecimal digits.
        span_id: its own.
        parent_id: of the span that it is a part of; empty for the first one.
        name: ``host:port/path`` of the route that it took.
        kind: ``server`` (a request that the pod got), ``client`` (one that it made); empty if it is neither.
        pod: the proxy's pod.
        service: the proxy's ``service.name``, such as ``web.default``.
        start_s: when it began, in seconds since the epoch.
        duration_s: until it ended.
        request_id: x-request-id as the client sent it.
        tags: what else is told, such as ``http.status_code`` and ``response_flags``.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    pod: str
    service: str
    start_s: float
    duration_s: float
    request_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def received_by(record: AccessRecord, pod: str) -> bool:
    """Whether a record is about a request that the sidecar of a pod took in for it.

    Args:
        record: a line of an access log.
        pod: the pod's name, or that of its Deployment.
    """
    return record.direction == "inbound" and pod in (record.pod, record.pod.rsplit("-", 2)[0])


@dataclass(frozen=True, slots=True)
class EnvoyConfig:
    """What one Envoy holds, as proto JSON with proto field names, by resource name.

    Args:
        pod: the proxy's pod.
        versions: xDS type (``CDS`` ...) to the version in force.
    """

    pod: str
    clusters: Mapping[str, Mapping[str, Any]]
    listeners: Mapping[str, Mapping[str, Any]]
    routes: Mapping[str, Mapping[str, Any]]
    endpoints: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one proxy's statistics (Envoy's Prometheus names)."""

    pod: str
    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """When a rule came into force, and where.

    Args:
        ref: the object.
        in_force_since_s: when the last concerned proxy acknowledged it; 0 if it never did.
        in_force_after_s: how long that took.
        proxies: the proxies that hold something of it.
        conditions: of a route or Gateway of the Gateway API, what is in its status, as ``Accepted: True (Accepted)``.
    """

    ref: Ref
    in_force_since_s: float = 0.0
    in_force_after_s: float = 0.0
    proxies: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()

    @property
    def wrong(self) -> tuple[str, ...]:
        """The conditions that do not hold."""
        return tuple(text for text in self.conditions if ": False" in text)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What a reset removed, and proof of what is left.

    Args:
        removed: objects that were removed.
        remaining: everything of ours that is still there (processes, ports, folders, objects); empty is the proof.
    """

    removed: tuple[Ref, ...]
    remaining: tuple[str, ...] = ()

    @words.shown
    def __repr__(self) -> str:
        left = f"still there: {', '.join(self.remaining)}" if self.remaining else "nothing is left"
        return f"{words.plural(len(self.removed), 'object')} removed, {left}"
