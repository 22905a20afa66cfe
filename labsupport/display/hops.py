"""One request over all hops, put together from the access logs of all proxies; free of any drawing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from labsupport.engine.base import AccessRecord, Pod

__all__ = ["HopRow", "call_of", "hop_rows"]

# Clocks of pods on one machine agree; log lines are rounded to milliseconds.
_SLACK_S = 0.002


@dataclass(frozen=True, slots=True)
class HopRow:
    """One bar of a journey.

    Args:
        caller: who called: ``client``, ``gateway`` or a service with its version.
        callee: who was called.
        version: version that answered; empty if unknown.
        depth: how deep in the call tree, from 0.
        record: the caller's log line; for a single try, the server's.
        start_s: when it began, in seconds since the journey began.
        served_s: when the server's proxy saw it, in the same seconds; None if it never did.
        kind: ``call``, ``try`` (one of several), ``copy`` (made by a mirror rule).
        number: which try, from 1.
        tries: how many tries the call had.
    """

    caller: str
    callee: str
    version: str
    depth: int
    record: AccessRecord
    start_s: float
    served_s: float | None = None
    kind: str = "call"
    number: int = 1
    tries: int = 1

    @property
    def failed(self) -> bool:
        """Whether the caller got an error."""
        return self.record.status >= 400 or self.record.status == 0

    @property
    def injected_s(self) -> float:
        """How long a fault rule held it, in seconds; 0 without an injected delay."""
        if "DI" not in self.record.flags.split(","):
            return 0.0
        end = self.start_s + self.record.duration_s
        return (self.served_s if self.served_s is not None else end) - self.start_s


def _service_of(cluster: str) -> tuple[str, str]:
    """Service and subset of ``outbound|9080|v1|reviews.default.svc.cluster.local``."""
    parts = cluster.split("|")
    if len(parts) != 4:
        return "", ""
    return re.sub(r"\..*", "", parts[3]), parts[2]


def _named(pod: str, pods: Mapping[str, Pod]) -> tuple[str, str]:
    """Service and version of a pod."""
    known = pods.get(pod)
    if known is not None:
        return known.service, known.version
    # Without the list of pods: deployments of the course are called <service>-<version>.
    found = re.match(r"(?P<service>[a-z0-9-]+?)(?:-(?P<version>v\d+|safe|risk))?(?:-[a-z0-9]+){1,2}$", pod)
    return (found["service"], found["version"] or "") if found else (pod, "")


def call_of(record: AccessRecord, pods: Mapping[str, Pod]) -> tuple[tuple[str, str], tuple[str, str]]:
    """Who a log line is about.

    Args:
        record: the line.
        pods: pods by name.

    Returns:
        Service and version of the proxy's pod, and of who answered; for an inbound line, both are the same. Without an
        answer, the second is the service that was asked for, without a version.
    """
    own = _named(record.pod, pods)
    if record.direction == "inbound":
        return own, own
    if record.upstream_pod:
        return own, _named(record.upstream_pod, pods)
    return own, (_service_of(record.cluster)[0], "")


class _Journey:
    def __init__(self, records: Sequence[AccessRecord], pods: Mapping[str, Pod]) -> None:
        self.records = records
        self.pods = pods
        self.zero = min(record.time_s for record in records)
        self.inbound = [record for record in records if record.direction == "inbound"]
        self.calls = [record for record in records if record.direction != "inbound"]
        self.taken: set[int] = set()
        self.rows: list[HopRow] = []

    def name(self, pod: str) -> tuple[str, str]:
        return _named(pod, self.pods)

    def label(self, pod: str) -> str:
        service, version = self.name(pod)
        return f"{service} {version}".strip()

    def served(self, call: AccessRecord) -> list[AccessRecord]:
        """Lines of servers' proxies that belong to a call: its tries, and mirror copies."""
        end = call.time_s + call.duration_s + _SLACK_S
        service, _ = _service_of(call.cluster)
        found = []
        for record in self.inbound:
            if id(record) in self.taken or not call.time_s - _SLACK_S <= record.time_s <= end:
                continue
            same = record.pod == call.upstream_pod or self.name(record.pod)[0] == service
            if same or (record.mirrored and record.path == call.path):
                found.append(record)
        self.taken.update(map(id, found))
        return found

    def owner(self, call: AccessRecord) -> AccessRecord | None:
        """The request that an application served when it made a call: the one that reached it last."""
        serving = [
            record
            for record in self.inbound
            if record.pod == call.pod
            and record.time_s - _SLACK_S <= call.time_s <= record.time_s + record.duration_s + _SLACK_S
        ]
        return max(serving, key=lambda record: record.time_s, default=None)

    def below(self, record: AccessRecord) -> list[AccessRecord]:
        """Calls that an application made while it served ``record``."""
        return [
            call
            for call in self.calls
            if call.direction == "outbound" and id(call) not in self.taken and self.owner(call) is record
        ]

    def add_call(self, call: AccessRecord, depth: int) -> None:
        self.taken.add(id(call))
        gateway = call.direction == "gateway"
        caller = "gateway" if gateway else self.label(call.pod)
        served = self.served(call)
        tries = [record for record in served if not record.mirrored]
        answered = call.upstream_pod or (tries[-1].pod if len(tries) == 1 else "")
        service, version = self.name(answered) if answered else _service_of(call.cluster)
        callee = f"{service} {version}".strip() if service else call.authority
        start = call.time_s - self.zero
        first = tries[0].time_s - self.zero if tries else None
        self.rows.append(HopRow(caller, callee, version, depth, call, start, first, tries=max(1, len(tries))))
        for number, record in enumerate(tries, start=1):
            if len(tries) > 1:
                row = self.server_row(record, caller, depth + 1, "try", max(number, record.attempt), len(tries))
                self.rows.append(row)
            for inner in self.below(record):
                self.add_call(inner, depth + (2 if len(tries) > 1 else 1))
        for record in served:
            if record.mirrored:
                self.rows.append(self.server_row(record, caller, depth + 1, "copy", 1, 1))
                for inner in self.below(record):
                    self.add_call(inner, depth + 2)

    def server_row(self, record: AccessRecord, caller: str, depth: int, kind: str, number: int, tries: int) -> HopRow:
        start = record.time_s - self.zero
        version = self.name(record.pod)[1]
        return HopRow(caller, self.label(record.pod), version, depth, record, start, start, kind, number, tries)

    def build(self) -> list[HopRow]:
        for call in self.calls:
            if id(call) not in self.taken and self.owner(call) is None:
                self.add_call(call, 0)
        # A server whose caller has no proxy is shown all the same, and so is a call that fits nowhere.
        for record in self.inbound:
            if id(record) not in self.taken:
                self.taken.add(id(record))
                self.rows.append(self.server_row(record, "client", 0, "call", 1, 1))
                for inner in self.below(record):
                    self.add_call(inner, 1)
        for call in self.calls:
            if id(call) not in self.taken:
                self.add_call(call, 0)
        return self.rows


def hop_rows(records: Iterable[AccessRecord], pods: Iterable[Pod] = ()) -> list[HopRow]:
    """The calls of one request in the order of a call tree.

    Args:
        records: all access-log lines with its x-request-id.
        pods: pods, for the names of services and versions.

    Returns:
        Rows; a call that was tried more than once is followed by its tries.
    """
    ordered = sorted(records, key=lambda record: (record.time_s, record.direction == "inbound"))
    return _Journey(ordered, {pod.name: pod for pod in pods}).build() if ordered else []
