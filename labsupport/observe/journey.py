"""One request over all hops, put together from the access logs of all proxies and from what the client saw."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.observe.fan_out import FanOut, fan_out
from labsupport.observe.flags import flag_words
from labsupport.observe.spans import Call, Served, pair
from labsupport.observe.tables import AccessLog
from labsupport.observe.workloads import asked_of, named, told_apart
from labsupport.records import AccessRecord, Pod, Response

if TYPE_CHECKING:
    from labsupport.observe.limits import Limit

__all__ = ["HopRow", "Journey", "hop_rows", "journey_of", "settled"]

_QUIET_S = 0.3
_SETTLED_AT_MOST_S = 3.0

_CLOSED = flag_words("DC").partition(" (")[0]
_SHADOW = re.compile(r"-shadow(:\d+)?$")


@dataclass(frozen=True, slots=True)
class HopRow:
    """One bar of a journey.

    Args:
        caller: who called: ``client``, ``gateway`` or a service with its version.
        callee: who was called.
        version: version that answered; empty if unknown.
        depth: how deep in the call tree, from 0.
        record: the caller's log line; for a single try or a copy, the server's.
        start_s: when it began, in seconds since the journey began.
        served_s: when the server's proxy saw it, in the same seconds; None if it never did.
        kind: ``client`` (what the client itself saw), ``call``, ``try`` (one of several), ``copy`` (made by a mirror
            rule).
        number: which try, from 1.
        tries: how many tries the call had.
        unsure: whether equal calls were under way at the same time, so that the logs would fit another order as well.
        waited_s: of a try, how long after the end of the one before it began; None for the first and for other rows.
        limits: how long its caller is ready to wait.
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
    unsure: bool = False
    waited_s: float | None = None
    limits: tuple[Limit, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the caller got an error."""
        return self.record.status >= 400 or self.record.status == 0

    @property
    def injected_s(self) -> float:
        """How long a fault rule held it, in seconds; 0 without an injected delay."""
        if "DI" not in self.record.flags.split(","):
            return 0.0
        if self.served_s is None:
            return self.record.duration_s
        return min(max(0.0, self.served_s - self.start_s), self.record.duration_s)

    @property
    def label(self) -> str:
        """Who called whom, in words; ``~`` if not for sure."""
        if self.kind == "try":
            return f"try {self.number} → {self.callee}"
        if self.kind == "copy":
            return f"mirror copy → {self.callee}"
        return f"{'~ ' if self.unsure else ''}{self.caller} → {self.callee}"

    @property
    def route(self) -> str:
        """The name of the route that was taken; empty for none and for Envoy's placeholders."""
        return self.record.route if self.record.route not in ("", "default", "-") else ""

    @property
    def cluster(self) -> str:
        """The cluster without the part that all Services share; empty for the server's own."""
        return "" if self.record.direction == "inbound" else words.cluster(self.record.cluster)

    @property
    def remark(self) -> str:
        """Response flags in words, injected delay, tries, and what a mirror copy is."""
        return self.remarks[0]

    @property
    def remarks(self) -> tuple[str, ...]:
        """The remark, and the same in fewer words, for less room: at last the response flags are letters."""
        flags = [flag for flag in self.record.flags.split(",") if flag and flag != "-"]
        if self.kind == "client" and self.record.details:
            return (self._remark([self.record.details]),)
        told = [self._in_words(flag) for flag in flags]
        letters = [f"{flag} {words.duration(self.injected_s)}" if flag == "DI" else flag for flag in flags]
        forms = self._remark(told), self._remark([*letters[:-1], *told[-1:]]), self._remark(letters, brief=True)
        return tuple(dict.fromkeys(forms))

    def _in_words(self, flag: str) -> str:
        told = flag_words(flag)
        if flag == "DC" and self.record.direction == "inbound":
            # To a server's proxy, its client is the proxy that called.
            decided = self.kind == "try" and self.failed and self.record.status
            # Envoy decides by the status, and does not read on.
            return told.replace(_CLOSED, "its caller went on" if decided else "its caller gave up")
        if flag == "DI" and self.injected_s:
            return told.replace("delay injected", f"delay {words.duration(self.injected_s)} injected")
        return told

    def _remark(self, flags: list[str], *, brief: bool = False) -> str:
        wait = "after" if brief else "after a wait of"
        parts = [f"{self.tries} tries" if self.tries > 1 and self.kind == "call" else ""]
        parts += [f"{wait} {words.duration(self.waited_s)}" if self.waited_s is not None else "", *flags]
        parts.append("its response is thrown away" if self.kind == "copy" else "")
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, repr=False)
class Journey:
    """One request over all hops.

    Args:
        request_id: its x-request-id.
        hops: calls in the order of a call tree; a call that was tried more than once is followed by its tries.
        response: what the client saw; None if unknown.
        note: what else is worth knowing, such as why there is no hop.
    """

    request_id: str
    hops: tuple[HopRow, ...] = ()
    response: Response | None = None
    note: str = ""

    @property
    def duration_s(self) -> float:
        """From the begin of the first hop to the end of the last one."""
        return max((hop.start_s + hop.record.duration_s for hop in self.hops), default=0.0)

    @property
    def fan_out(self) -> FanOut | None:
        """Every request that every service received because of this one; None where that is not sure."""
        return fan_out(self.hops)

    @property
    def title(self) -> str:
        """The request in a few words."""
        known = [hop.record for hop in self.hops if hop.record.method]
        asked = f", {known[0].method} {known[0].authority}{known[0].path}" if known else ""
        first = f", {words.duration(self.hops[0].record.duration_s)}" if self.hops else ""
        shown = self.request_id if len(self.request_id) <= 12 else f"{self.request_id[:8]}…"
        return f"x-request-id {shown or 'unknown'}{asked}{first}"

    @words.shown
    def __repr__(self) -> str:
        lines = [f"journey of {self.title}"]
        if self.hops:
            names = ["  " * hop.depth + hop.label for hop in self.hops]
            wide = max(map(len, names))
            lines += [f"  {name:{wide}}  {told(hop)}" for name, hop in zip(names, self.hops, strict=True)]
        if self.fan_out is not None and self.fan_out.multiplied:
            lines.append(f"{self.fan_out}.")
        return "\n".join([*lines, self.note] if self.note else lines)


def told(hop: HopRow) -> str:
    """How a hop went, in one line: when, how long, status, and what is remarkable about it."""
    status = str(hop.record.status or "no status")
    way = " ".join(part for part in (hop.route and f"route {hop.route}", hop.cluster) if part)
    times = f"at {words.duration(hop.start_s)} for {words.duration(hop.record.duration_s)}"
    waits = [f"{limit}{' (over)' if limit.cut(hop.record) else ''}" for limit in hop.limits]
    return ", ".join(part for part in (status, times, hop.remark, *waits, way if hop.kind != "client" else "") if part)


@dataclass
class _Rows:
    """Rows of call trees, in order."""

    pods: Mapping[str, Pod]
    zero: float
    rows: list[HopRow] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def label(self, pod: str) -> str:
        return " ".join(part for part in named(pod, self.pods) if part)

    def add(self, span: Call | Served, depth: int, caller: str = "client") -> None:
        if id(span) in self.seen:
            return
        self.seen.add(id(span))
        if isinstance(span, Served):
            self.add_served(span, caller, depth, "call", 1, 1)
            for inner in span.calls:
                self.add(inner, depth + 1)
            return
        record = span.record
        caller = "gateway" if record.direction == "gateway" else self.label(record.pod)
        answered = record.upstream_pod or (span.tries[-1].record.pod if len(span.tries) == 1 else "")
        service, version = named(answered, self.pods) if answered else asked_of(record.cluster, self.pods)
        callee = " ".join(part for part in (service, version) if part) or record.authority
        first = span.tries[0].record.time_s - self.zero if span.tries else None
        several = len(span.tries) > 1
        # A try that reached no server leaves no line there, but the next one carries its number.
        tries = max([len(span.tries), *(served.record.attempt for served in span.tries)], default=1)
        row = HopRow(caller, callee, version, depth, record, record.time_s - self.zero, first)
        self.rows.append(replace(row, tries=max(1, tries), unsure=span.unsure))
        ended_s = None
        for number, served in enumerate(span.tries, start=1):
            if several:
                self.add_served(served, caller, depth + 1, "try", max(number, served.record.attempt), tries, ended_s)
                ended_s = served.record.time_s + served.record.duration_s
            for inner in served.calls:
                self.add(inner, depth + (2 if several else 1))
        for served in span.copies:
            self.add_served(served, caller, depth + 1, "copy", 1, 1)
            for inner in served.calls:
                self.add(inner, depth + 2)
        for behind in span.calls:
            self.add(behind, depth + 1, callee)

    def add_served(
        self,
        served: Served,
        caller: str,
        depth: int,
        kind: str,
        number: int,
        tries: int,
        before_s: float | None = None,
    ) -> None:
        record = served.record
        version = named(record.pod, self.pods)[1]
        start = record.time_s - self.zero
        row = HopRow(caller, self.label(record.pod), version, depth, record, start, start, kind, number, tries)
        # The clocks of two pods may differ by more than a wait.
        waited_s = None if before_s is None else max(0.0, record.time_s - before_s)
        self.rows.append(replace(row, waited_s=waited_s))


def hop_rows(
    records: Iterable[AccessRecord],
    pods: Iterable[Pod] = (),
    subsets: Mapping[tuple[str, str], Mapping[str, str]] | None = None,
) -> list[HopRow]:
    """The calls of one request in the order of a call tree.

    Args:
        records: all access-log lines with its x-request-id.
        pods: pods, for the names of services and versions.
        subsets: labels of the subsets, from ``workloads.subset_labels``, which tell tries from mirror copies.

    Returns:
        Rows; a call that was tried more than once is followed by its tries.
    """
    lines = list(records)
    if not lines:
        return []
    listed = list(pods)
    known = {pod.name: pod for pod in listed}
    made = _Rows({pod.name: pod for pod in told_apart(listed)}, min(record.time_s for record in lines))
    for root in pair(lines, known, subsets):
        made.add(root, 0)
    return made.rows


def journey_of(
    records: Iterable[AccessRecord],
    *,
    pods: Iterable[Pod] = (),
    request_id: str | None = None,
    response: Response | None = None,
    subsets: Mapping[tuple[str, str], Mapping[str, str]] | None = None,
    counted: bool = True,
    limits: Callable[[AccessRecord], tuple[Limit, ...]] | None = None,
) -> Journey:
    """Put one request together.

    Args:
        records: access-log lines of all proxies; of several requests, the first is taken.
        pods: pods, for the names of services and versions.
        request_id: which request, if not the first.
        subsets: labels of the subsets, as for ``hop_rows``.
        response: what its client saw, which tells of the way to the first proxy, and of a client that gave up.
        counted: whether the log has numbers of tries and tells copies from originals. Istio's default format has not;
            what a reader of one line after another made of it is put aside then, for all lines together tell more.
        limits: tells how long the caller of a call waits, by the line of its proxy; None if nobody knows.
    """
    lines = [record if counted else _as_logged(record) for record in records]
    given = request_id or (response.request_id if response is not None else "")
    chosen = given or next((record.request_id for record in lines if record.request_id), "")
    rows = hop_rows((record for record in lines if record.request_id == chosen), pods, subsets)
    if limits is not None:
        rows = [replace(row, limits=limits(row.record)) if row.kind == "call" else row for row in rows]
    note = ""
    if not rows:
        note = "No proxy wrote about this request: it passed none, or its caller and server have no sidecar."
    if any(row.unsure for row in rows):
        note = (
            "Equal calls overlap here, and access logs do not say which line belongs to which of them: "
            "those marked ~ are put together as their times fit best."
        )
    if response is not None and (not rows or rows[0].caller == "gateway"):
        rows = _with_client(rows, response)
    return Journey(chosen, tuple(rows), response, note)


def _as_logged(record: AccessRecord) -> AccessRecord:
    # Envoy marked copies in the Host header before Istio 1.28.
    return replace(record, attempt=1, mirrored=bool(_SHADOW.search(record.authority)))


def _with_client(rows: Sequence[HopRow], response: Response) -> list[HopRow]:
    """Put the client's own view around what the proxies saw."""
    first = rows[0] if rows else None
    lead = 0.0
    if first is not None:
        # The client's clock may be another machine's: its wait is laid around the first proxy's.
        lead = min(max(0.0, response.duration_s - first.record.duration_s) / 2, response.duration_s)
    by = response.path[0] if response.path else None
    callee = "gateway" if first is not None else str(by) if by else "nobody"
    said = {
        "timeout": "the client gave up",
        "connection": response.error or "refused or broken connection",
        "unknown_destination": "no such host or port in the mesh",
    }.get(response.outcome, "")
    record = AccessRecord(
        response.request_id,
        0.0,
        "",
        "outbound",
        first.record.method if first is not None else "",
        first.record.authority if first is not None else "",
        first.record.path if first is not None else "",
        response.status,
        details=said,
        duration_s=response.duration_s,
    )
    version = by.version if first is None and by else ""
    whole = HopRow("client", callee, version, 0, record, 0.0, lead, "client")
    moved = (
        replace(
            row,
            depth=row.depth + 1,
            start_s=row.start_s + lead,
            served_s=None if row.served_s is None else row.served_s + lead,
        )
        for row in rows
    )
    return [whole, *moved]


def settled(read: Callable[[], AccessLog]) -> AccessLog:
    """Read a log until nothing is added to it for a moment.

    Mirror copies, and what an application goes on with although nobody waits for it any more, are logged after the
    request itself, and nothing tells how many lines there will be.

    Args:
        read: reads the lines that there are now.
    """
    lines = read()
    deadline = time.monotonic() + _SETTLED_AT_MOST_S
    since = time.monotonic()
    while time.monotonic() < min(since + _QUIET_S, deadline):
        time.sleep(0.05)
        now = read()
        if len(now) > len(lines):
            lines, since = now, time.monotonic()
    return lines
