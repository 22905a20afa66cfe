"""Requests counted per half second: what the traffic picture draws, free of any drawing."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from labsupport.display.drawing.palette import order_key
from labsupport.display.pictures.causes import cause
from labsupport.records import Hop, Response
from labsupport.traffic.share import NONE, Choice, hop_of

__all__ = ["Bin", "Column", "Shares", "Timeline", "ago", "nice_scale", "quantile", "reach"]

# A bin that is slower than the usual ones by more than this factor is cut.
_CUT = 2.5


def ago(back: int, step: int) -> str:
    """A time back, in seconds, in the largest unit that all ticks of a time axis are whole numbers of.

    Args:
        back: how long ago.
        step: from one tick to the next.
    """
    for seconds, unit in ((3600, "h"), (60, "min")):
        if step % seconds == 0:
            return f"{back // seconds} {unit}"
    return f"{back} s"


def nice_scale(value: float, steps: tuple[int, ...] = (1, 2, 5)) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 ... that is at least ``value``."""
    power = 1
    while True:
        for step in steps:
            if step * power >= value:
                return step * power
        power *= 10


def quantile(values: Iterable[float], q: float) -> float:
    """The smallest value that at least the share ``q`` of the values does not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else 0.0


def reach(usual_s: float, worst_s: float) -> float:
    """What a scale of latencies goes to, in seconds: a few slow columns must not press all others flat, and are cut.

    Args:
        usual_s: what nine of ten columns do not exceed.
        worst_s: the slowest column.
    """
    return worst_s if worst_s <= _CUT * usual_s else usual_s


@dataclass(slots=True)
class Bin:
    """What started within one half second.

    Args:
        served: successful requests by version.
        failed: failed requests by cause.
        durations: of all of them, in seconds.
        pods: of those that met a pod, in seconds, too.
    """

    served: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    durations: list[float] = field(default_factory=list)
    pods: dict[Hop, list[float]] = field(default_factory=dict)
    _p95: tuple[int, float] = (0, 0.0)

    @property
    def p95_s(self) -> float:
        """Duration that 95 % of them did not exceed, in seconds."""
        if self._p95[0] != self.total:
            self._p95 = (self.total, quantile(self.durations, 0.95))
        return self._p95[1]

    @property
    def total(self) -> int:
        """How many requests."""
        return len(self.durations)


@dataclass(frozen=True, slots=True)
class Column:
    """Marks to draw for one bin: versions in their order, then errors."""

    served: tuple[tuple[str, int], ...]
    failed: int


@dataclass(frozen=True, slots=True)
class Shares:
    """Counts of a stretch of time.

    Args:
        requests: all requests.
        versions: requests by version that answered, whatever the status.
        causes: failed requests by cause.
        since_s: begin of the stretch, seconds since the epoch.
        choices: connections by version that answered on them, where these were chosen and carried several requests.
        copies: mirror copies by version that received them.
        copied_of: requests whose copies are counted: the newest may not have been logged.
    """

    requests: int
    versions: dict[str, int]
    causes: dict[str, int]
    since_s: float
    choices: Mapping[str, int] = field(default_factory=dict)
    copies: Mapping[str, int] = field(default_factory=dict)
    copied_of: int = 0

    @property
    def errors(self) -> int:
        """Failed requests."""
        return sum(self.causes.values())


class _Recent(NamedTuple):
    """A request that is counted to the moment, with the pod that it is counted for and the cause of its failure."""

    response: Response
    hop: Hop | None
    why: str


class Timeline:
    """Keeps the last stretch of traffic, in memory that does not grow.

    A request belongs to the half second in which it was sent: what stands right of a change was sent after it.

    Args:
        origin_s: begin of bin 0, seconds since the epoch.
        service: count the versions of this service on the way; empty: of whoever answered the client.
        bin_s: width of a bin in seconds.
        bins: how many bins are kept.
        recent_s: how far back shares can be asked for, in seconds.
        per: what is chosen at a time.
    """

    def __init__(
        self,
        *,
        origin_s: float,
        service: str = "",
        bin_s: float = 0.5,
        bins: int = 60,
        recent_s: float = 10.0,
        per: Choice = "request",
    ) -> None:
        self.per = per
        self.origin_s = origin_s
        self.service = service
        self.bin_s = bin_s
        self.size = bins
        self.recent_s = recent_s
        self.versions: list[str] = []
        self._bins: dict[int, Bin] = {}
        self._changed: set[int] = set()
        self._last = 0
        # Marks stand for k requests each: what a bin had left over is carried on, so that no version loses any.
        self._carry: dict[str, int] = {}
        self._newest_s = 0.0
        self._recent: deque[_Recent] = deque()
        # By request, the versions that received a copy of it; only of recent requests.
        self._copies: dict[str, tuple[str, ...]] = {}

    def index(self, time_s: float) -> int:
        """The bin that a time falls into."""
        return math.floor((time_s - self.origin_s) / self.bin_s)

    @property
    def last(self) -> int:
        """The newest bin."""
        return self._last

    @property
    def first(self) -> int:
        """The oldest bin that is kept."""
        return max(0, self._last - self.size + 1)

    def add(self, responses: Iterable[Response]) -> None:
        """Count responses; those older than the kept stretch are left out."""
        for response in responses:
            index = self.index(response.started_s)
            hop = hop_of(response, self.service or None)
            version = hop.version if hop else None
            why = cause(response)
            self._recent.append(_Recent(response, hop, why))
            self._newest_s = max(self._newest_s, response.started_s)
            if index > self._last:
                self.advance(response.started_s)
            if index < self.first:
                continue
            kept = self._bins.setdefault(index, Bin())
            self._changed.add(index)
            kept.durations.append(response.duration_s)
            if hop:
                kept.pods.setdefault(hop, []).append(response.duration_s)
            if why:
                kept.failed[why] = kept.failed.get(why, 0) + 1
            else:
                kept.served[version or ""] = kept.served.get(version or "", 0) + 1
            if version is not None and version not in self.versions:
                self.versions.append(version)
                self.versions.sort(key=order_key)
            elif version is None and not why and "" not in self.versions:
                self.versions.insert(0, "")

    def add_copies(self, copies: Iterable[tuple[str, str]]) -> None:
        """Take in the mirror copies that were made lately; those of other requests are left out.

        Args:
            copies: id of the request, and version that received the copy.
        """
        known: dict[str, tuple[str, ...]] = {entry.response.request_id: () for entry in self._recent}
        for request, version in copies:
            if request in known:
                known[request] += (version,)
        # What was read before and is not in the lines of today was made earlier.
        self._copies = {request: made or self._copies.get(request, ()) for request, made in known.items()}

    def advance(self, now_s: float) -> None:
        """Move on to the present and forget what is too old."""
        self._last = max(self._last, self.index(now_s))
        for index in sorted(index for index in self._bins if index < self.first):
            gone = self._bins.pop(index)
            self._changed.discard(index)
            for key, count in self._keyed(gone):
                self._carry[key] = self._carry.get(key, 0) + count
        while self._recent and self._recent[0].response.started_s < now_s - 2 * self.recent_s:
            self._recent.popleft()

    @staticmethod
    def _keyed(kept: Bin) -> Iterator[tuple[str, int]]:
        yield from (("v" + version, count) for version, count in kept.served.items())
        if kept.failed:
            yield "e", sum(kept.failed.values())

    def bins(self) -> Iterator[tuple[int, Bin]]:
        """Kept bins that have any request, oldest first."""
        return ((index, self._bins[index]) for index in sorted(self._bins))

    def bin(self, index: int) -> Bin:
        """One bin; an empty one where nothing was sent."""
        return self._bins.get(index) or Bin()

    @property
    def newest_s(self) -> float:
        """When the newest request was sent; 0 without requests."""
        return self._newest_s

    def take_changed(self) -> set[int]:
        """Bins that changed since this was last asked."""
        changed, self._changed = self._changed, set()
        return changed

    def tallest(self) -> int:
        """Requests of the fullest bin."""
        return max((kept.total for kept in self._bins.values()), default=0)

    def latency(self) -> tuple[float, float]:
        """The p95 that nine of ten bins do not exceed, and the longest one, in seconds; 0 without requests."""
        p95s = [kept.p95_s for kept in self._bins.values()]
        return quantile(p95s, 0.9), max(p95s, default=0.0)

    def columns(self, per_mark: int) -> dict[int, Column]:
        """Marks of every bin, when each stands for ``per_mark`` requests.

        The first of each k errors draws a mark, the last of each k successes does: an error is never hidden by scale.
        """
        before = dict(self._carry)
        columns = {}
        for index, kept in self.bins():
            marks: dict[str, int] = {}
            for key, count in self._keyed(kept):
                old = before.get(key, 0)
                before[key] = old + count
                up = per_mark - 1 if key == "e" else 0
                marks[key] = (old + count + up) // per_mark - (old + up) // per_mark
            served = tuple((version, marks.get("v" + version, 0)) for version in self.versions)
            columns[index] = Column(tuple(pair for pair in served if pair[1]), marks.get("e", 0))
        return columns

    def shares(self, now_s: float, *, since_s: float = 0.0, logged_s: float = math.inf) -> Shares:
        """Counts of the last ``recent_s`` seconds, but of nothing sent before ``since_s``.

        Copies are counted of what was sent before ``logged_s``.
        """
        start = max(now_s - self.recent_s, since_s)
        requests, versions, causes = 0, dict.fromkeys((v for v in self.versions if v), 0), dict[str, int]()
        connections: dict[int, str] = {}
        copies, copied_of = Counter[str](), 0
        for place, (response, hop, why) in enumerate(self._recent, start=1):
            if response.started_s < start:
                continue
            version, connection = hop.version if hop else None, response.connection
            # Nothing ties requests on unknown connections together.
            connections.setdefault(connection if connection >= 0 else -place, version or NONE)
            requests += 1
            if response.request_id in self._copies and response.started_s < logged_s:
                copied_of += 1
                copies.update(self._copies[response.request_id])
            if version is not None:
                versions[version] = versions.get(version, 0) + 1
            if why:
                causes[why] = causes.get(why, 0) + 1
        fewer = self.per == "connection" and len(connections) < requests
        choices = Counter(connections.values()) if fewer else {}
        return Shares(requests, versions, causes, start, choices, copies, copied_of)

    def pods(self, now_s: float, *, since_s: float = 0.0) -> dict[Hop, list[float]]:
        """Durations by pod, in seconds, of the stretch that ``shares`` counts."""
        start, met = max(now_s - self.recent_s, since_s), dict[Hop, list[float]]()
        for response, hop, _ in self._recent:
            if hop and response.started_s >= start:
                met.setdefault(hop, []).append(response.duration_s)
        return met
