"""The lines of the proxies' access logs, and which of a request's lines are still to come.

An Envoy writes a line when a request is over. Which proxies a request passed is told by the lines themselves: a line
names the upstream that answered, and where a sidecar listens there, that sidecar has a line too. So whoever has seen
the outermost line knows whom to wait for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from labsupport.records import AccessRecord, is_traced_id, untraced_id

__all__ = [
    "KEPT",
    "NEVER_SENT",
    "Line",
    "Owners",
    "ProxyLog",
    "ended_s",
    "field_text",
    "parse_line",
    "unwritten",
    "with_mirrors",
]

Owners = Mapping[int, tuple[str, bool]]
"""By the number of an upstream (here its local port): its pod, and whether a sidecar listens there."""
# How many records of one proxy are kept in memory; older ones have been read, or never asked for.
KEPT = 50_000


@dataclass(frozen=True, slots=True)
class Line:
    """A record, the local port of the upstream that was tried last, and how many tries there were."""

    record: AccessRecord
    upstream: int
    tries: int


def ended_s(line: Line) -> float:
    """When the request was over, which is when its line was written."""
    return line.record.time_s + line.record.duration_s


def _port(address: Any) -> int:
    port = str(address or "").rpartition(":")[2]
    return int(port) if port.isdigit() else 0


def field_text(value: Any) -> str:
    """A field of a line of the access log as text; empty where Envoy wrote nothing or a hyphen."""
    return "" if value in (None, "-") else str(value)


def parse_line(text: str, pod: str, owners: Owners) -> Line | None:
    """Read one line of a proxy's access log; None if it is not (yet) a complete one."""
    try:
        raw = json.loads(text)
        status, time_s = int(raw["status"] or 0), float(raw["time"])
        duration_s = int(raw["us"]) / 1e6 if raw["us"] else int(raw.get("ms") or 0) / 1e3
    except (ValueError, KeyError, TypeError):
        return None
    upstream = _port(raw["upstream"])
    inbound = raw["direction"] == "inbound"
    attempt = str(raw.get("attempt") or "")
    owner = owners.get(upstream, ("", False))[0]
    record = AccessRecord(
        request_id=untraced_id(field_text(raw["id"])),
        time_s=time_s,
        pod=pod,
        direction=raw["direction"],
        method=field_text(raw["method"]),
        authority=field_text(raw["authority"]),
        path=field_text(raw["path"]),
        status=status,
        flags=field_text(raw["flags"]),
        details=field_text(raw["details"]),
        route=field_text(raw["route"]),
        cluster=field_text(raw["cluster"]),
        upstream_pod=owner or (pod if inbound and upstream else ""),
        duration_s=duration_s,
        # Towards its own upstreams a proxy counts in the same header, so only what it received is an attempt.
        attempt=int(attempt) if inbound and attempt.isdigit() else 1,
        protocol=field_text(raw["protocol"]),
        # The first proxy of a trace decides for all, whatever a later one drew.
        sampled=is_traced_id(field_text(raw["id"])) and not field_text(raw.get("traceparent")).endswith("-00"),
    )
    tries = str(raw.get("tries") or "")
    return Line(record, upstream, int(tries) if tries.isdigit() else 0)


class _Accounts:
    """What the callers' lines say about lines that servers' sidecars must or may have written.

    Envoy names the upstream of a request's last try only. Of the tries before, the number is known, and each server
    writes the number of the try that it received.
    """

    def __init__(self, lines: Iterable[Line], owners: Owners) -> None:
        self.last: Counter[tuple[str, str, int]] = Counter()
        self.earlier: Counter[tuple[str, int]] = Counter()
        self._workloads: dict[str, set[str]] = {}
        for line in lines:
            pod, sidecar = owners.get(line.upstream, ("", False))
            if line.record.direction == "inbound" or not sidecar:
                continue
            request, tries = line.record.request_id, max(1, line.tries)
            if not NEVER_SENT & set(line.record.flags.split(",")):
                self.last[request, pod, tries] += 1
            self._workloads.setdefault(request, set()).add(_workload(pod))
            self.earlier.update((request, number) for number in range(1, tries))

    def copies(self, arrivals: Iterable[Line]) -> set[int]:
        """The identities of the inbound lines that no caller accounts for: they were made by a mirror rule.

        A mirrored request keeps its id, and the proxy that copied it writes no line for the copy.
        """
        last, earlier = self.last.copy(), self.earlier.copy()
        unsure: list[Line] = []
        for line in arrivals:
            record = line.record
            key = (record.request_id, record.pod, record.attempt)
            if last[key] > 0:
                last[key] -= 1
            elif record.attempt == 1:
                # A copy is made of the first try, so whatever has a higher number is no copy.
                unsure.append(line)
        unsure.sort(key=lambda line: _workload(line.record.pod) not in self._workloads.get(line.record.request_id, ()))
        copied = set()
        for line in unsure:
            if earlier[line.record.request_id, 1] > 0:
                earlier[line.record.request_id, 1] -= 1
            else:
                copied.add(id(line))
        return copied


# Envoy names the upstream that it chose even if a limit (UO) or a refused connection (UF) kept the request from it.
NEVER_SENT = frozenset({"UO", "UF"})


def _workload(pod: str) -> str:
    return pod.rsplit("-", 2)[0]


def unwritten(lines: Iterable[Line], wanted: Iterable[str], owners: Owners) -> tuple[set[str], set[str]]:
    """Which requests may still get lines, and which must.

    Returns:
        Requests without any line yet, or without that of an earlier try (which may have failed on its way) or of who
        sent them (who may have no sidecar); and those that lack the line of a sidecar that they passed.
    """
    lines, wanted = list(lines), set(wanted)
    accounts = _Accounts(lines, owners)
    arrivals = [line.record for line in lines if line.record.direction == "inbound" and not line.record.mirrored]
    last = Counter((record.request_id, record.pod, record.attempt) for record in arrivals)
    tries = Counter((record.request_id, record.attempt) for record in arrivals)
    known = {line.record.request_id for line in lines}
    # The outermost line comes last of a request, so without one the request is still being written.
    outer = {line.record.request_id for line in lines if line.record.direction != "inbound"}
    lacking = {key[0] for key, count in accounts.last.items() if last[key] < count}
    unsure = {key[0] for key, count in accounts.earlier.items() if tries[key] < count}
    # What came first is logged last. If that is a server's line, its caller's is still to come, if it has a sidecar: a
    # mirror copy may be over before its original is.
    first: dict[str, AccessRecord] = {}
    for line in lines:
        record = line.record
        if record.request_id not in first or record.time_s < first[record.request_id].time_s:
            first[record.request_id] = record
    unsure |= {request for request, record in first.items() if record.direction == "inbound" and request in outer}
    return (wanted - known) | (unsure & wanted), (lacking | (known - outer)) & wanted


def with_mirrors(lines: Iterable[Line], owners: Owners) -> list[AccessRecord]:
    """The records in order of time, copies marked; those that are marked already are not looked at."""
    # Of two that arrived in the same instant of a coarse clock, the one that took longer is the outer one.
    lines = sorted(lines, key=lambda line: (line.record.time_s, -line.record.duration_s))
    received = {(line.record.request_id, line.record.pod) for line in lines if line.record.direction == "inbound"}
    # Whoever sends a request without having received it begins it, also where a coarse clock, or that of another node,
    # has a copy arrive in the same instant or before; and a copy may take longer than its original.
    begun = {
        line.record.request_id
        for line in lines
        if line.record.direction != "inbound" and (line.record.request_id, line.record.pod) not in received
    }
    # Whoever makes a copy logs the original, which has the same path: what else nobody accounts for, somebody without a
    # sidecar has sent.
    originals = {(line.record.request_id, line.record.path) for line in lines if line.record.direction != "inbound"}
    arrivals = []
    for line in lines:
        record = line.record
        if record.direction == "inbound":
            copied = not record.mirrored and (record.request_id, record.path) in originals
            # What a request begins with else was sent by somebody without a sidecar, and is no copy of anything.
            if record.request_id in begun and copied:
                arrivals.append(line)
            begun.add(record.request_id)
    copies = _Accounts(lines, owners).copies(arrivals)
    return [replace(line.record, mirrored=True) if id(line) in copies else line.record for line in lines]


@dataclass(kw_only=True)
class ProxyLog:
    """The lines of one proxy's log that are kept, in order of completion and by request."""

    lines: list[Line] = field(default_factory=list)
    by_request: dict[str, list[Line]] = field(default_factory=dict)

    def of(self, requests: Iterable[str]) -> Iterator[Line]:
        """Lines of some requests."""
        for request in requests:
            yield from self.by_request.get(request, ())

    def since(self, time_s: float) -> Iterator[Line]:
        """Lines written at or after a time: of requests that ended then, however long ago they arrived."""
        for line in reversed(self.lines):
            # Lines are in order of completion.
            if ended_s(line) < time_s:
                return
            yield line

    def add(self, lines: Iterable[Line]) -> None:
        """Take in new lines, and drop the oldest when there are too many."""
        for line in lines:
            self.lines.append(line)
            self.by_request.setdefault(line.record.request_id, []).append(line)
        if len(self.lines) > 2 * KEPT:
            kept, self.lines, self.by_request = self.lines[-KEPT:], [], {}
            self.add(kept)
