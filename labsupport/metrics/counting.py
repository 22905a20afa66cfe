"""Istio's standard metrics, counted from access records.

``istio_requests_total`` and ``istio_request_duration_milliseconds`` have the names, labels and buckets that Istio's
sidecars give them (https://istio.io/latest/docs/reference/config/metrics/). A record lacks some of what Istio's own
proxies know of a request; what is not known is ``unknown``, as there:

* ``request_protocol`` is ``http`` for all, as a record has no content type, and so ``grpc_response_status`` is empty;
* ``connection_security_policy`` is ``unknown`` where nobody says that there is no mutual TLS;
* ``destination_service_namespace`` of a ServiceEntry's host is that of the pod that answered, if one did;
* there are no principals and clusters, and no metrics of bytes and of TCP;
* pods of a workload are counted together: a Prometheus tells them apart by labels of its own, such as ``instance``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from labsupport.metrics.series import NAME, Labels, labels_of
from labsupport.model.kinds.pods import CANONICAL_NAME, CANONICAL_REVISION
from labsupport.observe.spans import Call, Served, pair
from labsupport.observe.workloads import service_of
from labsupport.records import AccessRecord, Pod

__all__ = ["BUCKETS_MS", "DURATION", "REQUESTS", "Counters", "Histogram", "ServiceOf"]

REQUESTS = "istio_requests_total"
DURATION = "istio_request_duration_milliseconds"
BUCKETS_MS = (
    *(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000),
    3600000,
)
"""Upper bounds of Envoy's buckets, in milliseconds."""
_UNKNOWN = "unknown"
_NO_SERVICE = "InboundPassthroughCluster"
# A server's line is written before its caller's: how long that is waited for, and how long a request is remembered.
_SETTLED_S = 1.0
_REMEMBERED_S = 30.0

_Key = tuple[AccessRecord, int]
ServiceOf = Mapping[str, tuple[tuple[str, str], ...]]
"""By pod: name and namespace of each Service that it stands behind."""


@dataclass(slots=True)
class Histogram:
    """Durations, counted by bucket.

    Args:
        counts: observations in each bucket of ``BUCKETS_MS``, and behind the last.
        sum_ms: of all of them.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))
    sum_ms: float = 0.0

    def observe(self, value_ms: float) -> None:
        """Count a duration.

        Args:
            value_ms: in milliseconds.
        """
        self.counts[bisect_left(BUCKETS_MS, value_ms)] += 1
        self.sum_ms += value_ms

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts)

    def cumulated(self) -> Iterator[tuple[str, int]]:
        """Upper bound, as text, to the number of observations up to it."""
        up_to = 0
        for bound, count in zip((*BUCKETS_MS, None), self.counts, strict=True):
            up_to += count
            yield "+Inf" if bound is None else f"{bound:.16g}", up_to


@dataclass(slots=True)
class _Request:
    """The lines of a request that are known, and those of them that are not counted yet."""

    lines: dict[_Key, AccessRecord] = field(default_factory=dict)
    waiting: set[_Key] = field(default_factory=set)
    ended_s: float = 0.0


class Counters:
    """Counts each line of the access logs once.

    Args:
        policy: ``connection_security_policy`` as servers' proxies report it.
    """

    def __init__(self, *, policy: str = _UNKNOWN) -> None:
        self._policy = policy
        self._requests: dict[str, _Request] = {}
        self._pods: dict[str, Pod] = {}
        self.histograms: dict[Labels, Histogram] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._requests, self._pods, self.histograms = {}, {}, {}

    def add(self, records: Iterable[AccessRecord], pods: Iterable[Pod], services: ServiceOf, now_s: float) -> None:
        """Count what was not counted yet.

        Args:
            records: lines of all proxies; those that were given before may be among them.
            pods: the pods that there are.
            services: the Services of these pods.
            now_s: the time, in seconds since the epoch.
        """
        self._pods |= {pod.name: pod for pod in pods}
        # Times of a cluster's log are milliseconds: equal calls of one request may leave equal lines.
        equal: Counter[AccessRecord] = Counter()
        for record in records:
            # Connections without HTTP have metrics of their own in Istio.
            if record.request_id and record.protocol != "TCP":
                # Whether it is taken for a copy or a later try may change, as more lines come.
                line = replace(record, mirrored=False, attempt=1, upstream_pod="")
                equal[line] += 1
                self._take(record, (line, equal[line]))
        for name, request in list(self._requests.items()):
            if request.waiting:
                self._count(request, services, now_s)
            elif request.ended_s < now_s - _REMEMBERED_S:
                del self._requests[name]

    @property
    def waiting(self) -> bool:
        """Whether there are servers' lines whose caller is not known yet."""
        return any(request.waiting for request in self._requests.values())

    def _take(self, record: AccessRecord, key: _Key) -> None:
        request = self._requests.setdefault(record.request_id, _Request())
        if key not in request.lines:
            request.lines[key] = record
            request.waiting.add(key)
            request.ended_s = max(request.ended_s, record.time_s + record.duration_s)

    def _count(self, request: _Request, services: ServiceOf, now_s: float) -> None:
        arrivals = any(request.lines[key].direction == "inbound" for key in request.waiting)
        calls = dict(_calls(pair(request.lines.values(), self._pods))) if arrivals else {}
        for key in list(request.waiting):
            record = request.lines[key]
            if record.direction != "inbound":
                labels = self._as_source(record)
            else:
                call = calls.get(_same(record))
                if call is None and now_s < record.time_s + record.duration_s + _SETTLED_S:
                    continue
                labels = self._as_destination(record, call, services)
            request.waiting.discard(key)
            milliseconds = round(record.duration_s * 1000, 3)
            self.histograms.setdefault(labels, Histogram()).observe(milliseconds)

    # --- labels -------------------------------------------------------------------------------------------------

    def _as_source(self, record: AccessRecord) -> Labels:
        """What the caller's proxy says: who asked is certain, and who answered if somebody did."""
        host = record.cluster.split("|")[3] if record.cluster.count("|") == 3 else ""
        if host:
            name, space = service_of(record.cluster)[0], host.split(".")[1] if ".svc." in host else _UNKNOWN
        else:
            # Envoy knows no service: of a cluster for unknown hosts, or where no rule chose one. What it was called by
            # stands for it, but not at a gateway, where strangers may call anything.
            host = _UNKNOWN if record.direction == "gateway" else record.authority
            name, space = record.cluster or host, _UNKNOWN
        if space == _UNKNOWN and record.upstream_pod in self._pods:
            space = self._pods[record.upstream_pod].namespace
        return labels_of(
            {
                "reporter": "source",
                **self._peer("source", record.pod),
                **self._peer("destination", record.upstream_pod, endpoint=True),
                **_service(host, name, space),
                **_answer(record),
                "connection_security_policy": _UNKNOWN,
            }
        )

    def _as_destination(self, record: AccessRecord, call: AccessRecord | None, services: ServiceOf) -> Labels:
        """What the server's proxy says: a caller without a proxy is unknown to it."""
        asked = service_of(call.cluster)[0] if call is not None else record.authority.split(":")[0].split(".")[0]
        behind, own = services.get(record.pod, ()), self._peer("destination", record.pod)
        space, host = own["destination_workload_namespace"], own["destination_canonical_service"]
        name = next((known for known, _ in behind if known == asked), behind[0][0] if behind else _NO_SERVICE)
        host = f"{name}.{space}.svc.cluster.local" if behind else host
        return labels_of(
            {
                "reporter": "destination",
                **self._peer("source", call.pod if call is not None else ""),
                **own,
                **_service(host, name, space),
                **_answer(record),
                "connection_security_policy": self._policy,
            }
        )

    def _peer(self, side: str, name: str, *, endpoint: bool = False) -> dict[str, str]:
        """What a proxy knows of a pod: all that its proxy tells, and of an endpoint without one what istiod tells."""
        pod = self._pods.get(name)
        told = pod is not None and pod.has_proxy
        known = pod if told or endpoint else None
        labels = known.labels if known is not None else {}
        values = {
            "workload": known.workload if known is not None else "",
            "workload_namespace": known.namespace if known is not None else "",
            "app": labels.get("app", "") if told else "",
            "version": labels.get("version", "") if told else "",
            "canonical_service": _first(labels, CANONICAL_NAME) or (known.workload if known is not None else ""),
            "canonical_revision": _first(labels, CANONICAL_REVISION) or "latest",
        }
        return {f"{side}_{label}": value or _UNKNOWN for label, value in values.items()}

    # --- what is told -------------------------------------------------------------------------------------------

    def values(self) -> dict[Labels, float]:
        """Every series with its value now."""
        found: dict[Labels, float] = {}
        for labels, histogram in self.histograms.items():
            pairs = dict(labels)
            found[labels_of({NAME: REQUESTS, **pairs})] = float(histogram.count)
            found[labels_of({NAME: f"{DURATION}_count", **pairs})] = float(histogram.count)
            found[labels_of({NAME: f"{DURATION}_sum", **pairs})] = histogram.sum_ms
            for bound, count in histogram.cumulated():
                found[labels_of({NAME: f"{DURATION}_bucket", **pairs, "le": bound})] = float(count)
        return found


def _first(labels: Mapping[str, str], names: Iterable[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def _service(host: str, name: str, space: str) -> dict[str, str]:
    return {"destination_service": host, "destination_service_name": name, "destination_service_namespace": space}


def _answer(record: AccessRecord) -> dict[str, str]:
    return {
        "request_protocol": "http",
        "response_code": str(record.status),
        "response_flags": record.flags or "-",
        "grpc_response_status": "",
    }


_Same = tuple[str, str, int, float]


def _same(record: AccessRecord) -> _Same:
    """What tells a server's line from others of its request, though its time was moved to that of another clock."""
    return record.pod, record.path, record.status, record.duration_s


def _calls(spans: Iterable[Call | Served]) -> Iterator[tuple[_Same, AccessRecord]]:
    """By server's line: that of the caller's proxy."""
    for span in spans:
        if isinstance(span, Call):
            for served in (*span.tries, *span.copies):
                yield _same(served.record), span.record
                yield from _calls(served.calls)
        yield from _calls(span.calls)
