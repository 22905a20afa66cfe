"""The seam between the course and a mesh: one protocol; the records that cross it are in ``records``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from labsupport.model import Resource
from labsupport.records import (
    AccessRecord,
    ApplyResult,
    EnvoyConfig,
    Json,
    Leftovers,
    Pod,
    Ref,
    Response,
    RuleStatus,
    Sample,
    Span,
    TrafficSpec,
)

__all__ = ["Engine", "Sending"]


class Sending(Protocol):
    """A running batch of requests: iterate over the responses as they complete."""

    def __iter__(self) -> Iterator[Response]:
        """Yield responses in order of completion until the batch ends."""
        ...

    def set_rate(self, rate: float) -> None:
        """Change the rate of a batch that is under way, in requests per second; 0 pauses it. Any thread may."""
        ...

    def taken(self) -> Set[int]:
        """Of a batch that holds its requests: numbers of those that an application has, as far as it has told."""
        ...

    def release(self) -> None:
        """Let go of the requests that are held. Any thread may."""
        ...

    def stop(self) -> None:
        """Send no more; requests under way still complete and are yielded. Any thread may, at any time."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A mesh that the course can run on.

    Every call may raise an ``EngineError``; ``apply`` and ``patch`` raise ``ManifestError`` for what is refused,
    and then have changed nothing. ``timeout_s`` bounds the wait for things to be in force.

    Attributes:
        name: ``embedded`` or ``cluster``.
        namespace: the lab's namespace.
        captures_all_traffic: whether sidecars see the addresses that their pods call, and may pass on to them what
            nobody knows; else they see names.
        counts_tries: whether access records say which try a request was.
        default_export_to: ``exportTo`` of rules and ServiceEntries that have none; Istio's default if empty.
    """

    name: str
    namespace: str
    captures_all_traffic: bool
    counts_tries: bool
    default_export_to: Sequence[str]

    def apply(self, objects: Sequence[Resource], *, timeout_s: float = 60.0) -> ApplyResult:
        """Create or change objects; returns when they are in force in every proxy concerned."""
        ...

    def delete(self, refs: Iterable[Ref], *, timeout_s: float = 60.0) -> ApplyResult:
        """Delete objects; ``NotFoundError`` if one does not exist, and then nothing is deleted."""
        ...

    def patch(self, ref: Ref, patch: Mapping[str, Any], *, timeout_s: float = 60.0) -> ApplyResult:
        """Change an object by a JSON merge patch (RFC 7386)."""
        ...

    def scale(self, ref: Ref, replicas: int, *, timeout_s: float = 60.0) -> ApplyResult:
        """Set the number of replicas of a Deployment."""
        ...

    def when_changed(self, hear: Callable[[str, ApplyResult, Sequence[Resource]], None]) -> None:
        """Have a function called with the verb, the outcome and the objects of each change that others make.

        An engine that is not told of them never calls it. It is called in a thread of its own.
        """
        ...

    def get(self, kind: str, name: str | None = None, *, namespace: str = "") -> list[Resource]:
        """Objects of a kind in a namespace (the lab's own by default), oldest first; all kinds for ``*``.

        The namespace ``*`` is every one that the engine works in. An engine that works in one only refuses another one
        with a ``UsageError``.
        """
        ...

    def built_in(self) -> list[Resource]:
        """Objects of the mesh itself, which nobody applied and ``get`` leaves out; Services of gateways above all."""
        ...

    def pods(self) -> list[Pod]:
        """All pods, the ingress gateway included."""
        ...

    def rules(self) -> list[RuleStatus]:
        """Every VirtualService, DestinationRule, Gateway ... with when it came into force."""
        ...

    def send(self, spec: TrafficSpec) -> Sending:
        """Send requests; a failure of a request is a record, never an exception."""
        ...

    def access_records(
        self, *, request_ids: Iterable[str] | None = None, since_s: float | None = None, timeout_s: float = 5.0
    ) -> list[AccessRecord]:
        """Access-log lines in order of time; with request ids, waits (bounded) until all their hops are written.

        ``since_s`` asks for lines written from then on, that is of requests that ended then.
        """
        ...

    def spans(self, *, request_ids: Iterable[str], timeout_s: float = 5.0) -> list[Span]:
        """Spans of all traces that some requests are part of, in order of time.

        It waits (bounded) until there is one for each proxy that made one. There is none if ``spans_elsewhere`` says
        where they are.
        """
        ...

    def spans_elsewhere(self) -> str:
        """Where spans go if the lab does not take them, and how to look at them there; empty if it does."""
        ...

    def proxy_config(self, pod: str) -> EnvoyConfig:
        """The configuration a proxy holds now.

        Args:
            pod: its pod, or the Deployment of it.

        Raises:
            NotFoundError: there is no such pod, or it has no proxy.
        """
        ...

    def metrics(self) -> list[Sample]:
        """Statistics of all proxies."""
        ...

    def start_prometheus(self, url: Callable[[], str], every_s: float) -> bool:
        """Begin to have what is counted here scraped by a Prometheus, where the mesh brings none and one is installed.

        What one knows that was started before is forgotten.

        Args:
            url: tells where it is counted.
            every_s: seconds from one scrape to the next.

        Returns:
            Whether one is started; a cluster's own scrapes the proxies themselves.
        """
        ...

    def prometheus(self, query: str, *, since_s: float = 0.0) -> Json | None:
        """What the mesh's own Prometheus answers to a query, as its HTTP API tells it; None if the mesh has none.

        Args:
            query: in PromQL.
            since_s: one that was started here is asked about a scrape that is later than this, in seconds since the
                epoch; a cluster's about what it has.

        Raises:
            UsageError: Prometheus refuses the query.
            EngineError: it was started, but does not answer.
        """
        ...

    def dashboards(self) -> tuple[str, ...]:
        """Which programs to look at a mesh with run beside it, as ``istioctl dashboard`` calls them."""
        ...

    def logs(self, pod: str, *, container: Literal["app", "proxy"] = "app", lines: int = 200) -> str:
        """The last lines of the log of a pod's program or of its Envoy.

        Args:
            pod: the pod, or its Deployment.
            container: ``app`` is the program, ``proxy`` its Envoy.
            lines: how many.

        Raises:
            NotFoundError: there is no such pod, or it has no such container.
            UsageError: no such container.
        """
        ...

    def urls(self) -> Mapping[str, str]:
        """Addresses for a person's browser: the name of each way in to a URL.

        Names are ``gateway`` and ``gateway:<port>``, the same with ``gateway/<name>``, and ``nodeport:<service>``.
        """
        ...

    def kubeconfig(self) -> Path:
        """The kubeconfig file with which kubectl works on this mesh.

        Raises:
            UsageError: this engine makes none, as there is one already.
        """
        ...

    def reset(self) -> Leftovers:
        """Remove everything of the lab but the engine itself."""
        ...

    def close(self) -> Leftovers:
        """Stop the engine; idempotent."""
        ...
