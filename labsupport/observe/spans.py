"""Which line of a caller's proxy and which lines of servers' proxies are about the same call.

Istio's default access log has neither attempt counts nor span ids: all lines of one request carry the same
``x-request-id``, and nothing else joins them. What does join them is used here in the order of its weight: the pod that
a caller's proxy names as the one that answered, the method and path (Envoy logs the original path on both sides of a
rewrite), the cluster's service and subset, the count in ``x-envoy-attempt-count`` where a log has it, and only then
time: the last try ends when the call ends, an earlier one ends before the next begins, and a call is made while its
maker is busy. Of several ways to join equal calls, the one in which their times fit best as a whole is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from labsupport.engine.accesslog import NEVER_SENT
from labsupport.observe.clock_skew import aligned
from labsupport.observe.workloads import named, place_of, service_of
from labsupport.records import AccessRecord, Pod

__all__ = ["Call", "Served", "pair"]

# Log lines are rounded to milliseconds; what found nothing is tried again, as some clocks cannot be brought together.
_SLACKS_S = (0.003, 0.05)
# A proxy learns a little later than its caller that a try was given up.
_LINGER_S = 0.02
# Flags with which a proxy answers itself, whatever the server says.
_OWN_ANSWER = frozenset({"UT", "UC", "UR", "DC", "URX", "DT", "SI", "UPE"})
_IMPOSSIBLE = 1e12


@dataclass(eq=False)
class Call:
    """A call as the caller's proxy logged it.

    Args:
        record: the caller's line.
        tries: what servers' proxies logged about it, in order; empty if it reached none that has a proxy.
        copies: what servers' proxies logged about mirror copies of it.
        calls: what was called meanwhile by a server without a proxy.
        unsure: whether the logs would also fit if an equal call at the same time had its maker, a try or a copy of it.
    """

    record: AccessRecord
    tries: list[Served] = field(default_factory=list)
    copies: list[Served] = field(default_factory=list)
    calls: list[Call | Served] = field(default_factory=list)
    unsure: bool = False


@dataclass(eq=False)
class Served:
    """A request as the server's proxy logged it.

    Args:
        record: the server's line.
        calls: calls that its application made meanwhile.
    """

    record: AccessRecord
    calls: list[Call] = field(default_factory=list)


def pair(
    records: Iterable[AccessRecord],
    pods: Mapping[str, Pod],
    subsets: Mapping[tuple[str, str], Mapping[str, str]] | None = None,
) -> list[Call | Served]:
    """Join the lines of one request to call trees.

    Args:
        records: all access-log lines with its x-request-id, in any order.
        pods: pods by name.
        subsets: labels of the subsets, from ``workloads.subset_labels``.

    Returns:
        The outermost calls in order of time; a ``Served`` is a request whose caller has no proxy. Each line is in
        exactly one place; times of nodes whose clocks differ are moved.
    """
    ordered = sorted(
        aligned(list(records)), key=lambda record: (record.time_s, record.direction == "inbound", record.pod)
    )
    first = _Pairing(ordered, pods, subsets)
    roots = first.build()
    if not first.lacking():
        return roots
    # Numbers of tries and marks of copies may be guesses of who read the log: if calls are left over, it goes without.
    second = _Pairing([replace(record, attempt=1, mirrored=False) for record in ordered], pods, subsets)
    others = second.build()
    return others if second.lacking() < first.lacking() else roots


def _end(record: AccessRecord) -> float:
    return record.time_s + record.duration_s


def _flags(record: AccessRecord) -> set[str]:
    return set(record.flags.split(","))


def _given_up(record: AccessRecord) -> bool:
    """Whether a server's proxy saw its caller go away."""
    return record.status == 0 or "DC" in _flags(record)


def _failed(record: AccessRecord) -> bool:
    return record.status == 0 or record.status >= 500


class _Pairing:
    def __init__(
        self,
        records: Sequence[AccessRecord],
        pods: Mapping[str, Pod],
        subsets: Mapping[tuple[str, str], Mapping[str, str]] | None,
    ) -> None:
        self.pods, self.subsets = pods, subsets or {}
        self.calls = [Call(record) for record in records if record.direction != "inbound"]
        self.free = [Served(record) for record in records if record.direction == "inbound"]
        self.awaited: dict[int, float] = {}
        # A log without attempt counts has 1 everywhere, as has a request that was never tried again.
        self.counted = any(served.record.attempt > 1 for served in self.free)

    def build(self) -> list[Call | Served]:
        # What can be told best comes first, whatever the clocks.
        for join in (self.join_last_tries, self.join_earlier_tries, self.join_copies):
            for slack in _SLACKS_S:
                join(slack)
        self.awaited = {id(served): _end(call.record) for call in self.calls for served in call.tries}
        roots: list[Call | Served] = []
        for call in self.calls:
            makers = self.makers(call)
            if not makers:
                roots.append(call)
                continue
            best = min(makers, key=lambda maker: self.strangeness(maker, call))
            call.unsure = sum(self.fits(maker, call) for maker in makers) > 1
            best.calls.append(call)
        for served in self.free:
            behind = self.behind(served)
            (roots if behind is None else behind.calls).append(served)
        for call in self.calls:
            rivals = [other for other in self.calls if other is not call and self.alike(call.record, other.record)]
            call.unsure |= any(len(rival.tries) > 1 or rival.copies for rival in (call, *rivals)) and bool(rivals)
        # A call back to its own maker would be a tree without a root: its lines are shown, though joined to nothing.
        reached = set(map(id, _walk(roots)))
        roots += [call for call in self.calls if id(call) not in reached]
        return sorted(roots, key=lambda served: served.record.time_s)

    def lacking(self) -> int:
        """How many calls were answered by a pod with a proxy, and have no line of it."""
        return sum(
            not call.tries
            and not NEVER_SENT & _flags(call.record)
            and (pod := self.pods.get(call.record.upstream_pod)) is not None
            and pod.injected
            for call in self.calls
        )

    # --- a call and who served it -------------------------------------------------------------------------------

    def same(self, call: AccessRecord, served: AccessRecord) -> bool:
        return (call.method, call.path) == (served.method, served.path)

    def alike(self, record: AccessRecord, other: AccessRecord) -> bool:
        """Whether two calls ask for the same at the same time."""
        together = record.time_s <= _end(other) and other.time_s <= _end(record)
        return together and self.same(record, other) and service_of(record.cluster) == service_of(other.cluster)

    def join_last_tries(self, slack: float) -> None:
        """Give each call the line of the pod that its proxy names."""

        def cost(call: Call, served: Served) -> float:
            sent, received = call.record, served.record
            if received.mirrored or received.pod != sent.upstream_pod or not self.same(sent, received):
                return _IMPOSSIBLE
            if not sent.time_s - slack <= received.time_s <= _end(sent) + slack:
                return _IMPOSSIBLE
            own = bool(_OWN_ANSWER & _flags(sent))
            if not own and sent.status != received.status:
                return _IMPOSSIBLE
            # What was answered ends before its caller's line does; only what was given up may linger.
            if not own and _end(received) > _end(sent) + slack + (_LINGER_S if _given_up(received) else 0.0):
                return _IMPOSSIBLE
            return (1000 * (_end(sent) - _end(received))) ** 2

        calls = [call for call in self.calls if not call.tries and not NEVER_SENT & _flags(call.record)]
        for call, served in _best(calls, self.free, cost):
            call.tries.append(served)
            self.free.remove(served)

    def join_earlier_tries(self, slack: float) -> None:
        """Put before each call's first known try what fits there, from the last to the first."""

        def cost(call: Call, served: Served) -> float:
            sent, received = call.record, served.record
            # What was answered well is not tried again.
            if (
                received.mirrored
                or 0 < received.status < 400
                or not self.same(sent, received)
                or not self.in_cluster(call, received)
            ):
                return _IMPOSSIBLE
            following = call.tries[0].record if call.tries else None
            limit = following.time_s if following is not None else _end(sent)
            late = _LINGER_S if _given_up(received) else 0.0
            if (
                received.time_s < sent.time_s - slack
                or received.time_s > limit + slack
                or _end(received) > limit + slack + late
            ):
                return _IMPOSSIBLE
            missing = 0
            if self.counted and following is not None:
                missing = following.attempt - 1 - received.attempt
                if missing < 0:
                    return _IMPOSSIBLE
            return missing * 1e6 + (1000 * (limit - _end(received))) ** 2

        while pairs := _best(self.calls, self.free, cost):
            for call, served in pairs:
                call.tries.insert(0, served)
                self.free.remove(served)

    def in_cluster(self, call: Call, served: AccessRecord) -> bool:
        """Whether a server's pod can be one of the cluster that was called."""
        service, version = named(served.pod, self.pods)
        wanted, subset = service_of(call.record.cluster)
        answered = call.record.upstream_pod
        if answered:
            known, same_version = named(answered, self.pods)
            labels, pod = self.subsets.get(place_of(call.record.cluster)), self.pods.get(served.pod)
            if labels is not None and pod is not None:
                return service == known and labels.items() <= pod.labels.items()
            # Most subsets are those of a version, so that pods which were tried before are of the same one.
            return service == known and (not subset or version == same_version)
        return service == wanted

    def join_copies(self, slack: float) -> None:
        """Give mirror copies, which are sent when a request is and which no caller logs, to the call they are of."""

        def cost(call: Call, served: Served) -> float:
            sent, received = call.record, served.record
            if not self.same(sent, received) or not sent.time_s - slack <= received.time_s <= _end(sent) + slack:
                return _IMPOSSIBLE
            # Who asks another service for the path that it was itself asked for is no copy of its own call.
            if received.pod == sent.pod and not received.mirrored:
                return _IMPOSSIBLE
            first = call.tries[0].record.time_s if call.tries else sent.time_s
            # Most mirrors are another subset of the service that was asked for.
            elsewhere = service_of(sent.cluster)[0] != named(received.pod, self.pods)[0]
            return elsewhere * 1e6 + (1000 * (received.time_s - first)) ** 2

        while pairs := _best(self.calls, self.free, cost):
            for call, served in pairs:
                call.copies.append(served)
                self.free.remove(served)

    # --- a call and who made it ---------------------------------------------------------------------------------

    def makers(self, call: Call) -> list[Served]:
        """What the caller's application was busy with, or had been until its own caller gave up."""
        sent = call.record
        if sent.direction != "outbound":
            return []
        joined = [served for other in self.calls if other is not call for served in (*other.tries, *other.copies)]
        mine = [served for served in (*joined, *self.free) if served.record.pod == sent.pod]
        for slack in _SLACKS_S:
            makers = [
                served
                for served in mine
                if served.record.time_s - slack <= sent.time_s
                and (sent.time_s <= _end(served.record) + slack or _given_up(served.record))
            ]
            if makers:
                return makers
        return []

    def fits(self, maker: Served, call: Call) -> bool:
        """Whether a call was over before the answer that it was made for, while somebody still waited for that."""
        until = min(_end(maker.record), self.awaited.get(id(maker), _end(maker.record)))
        return _end(call.record) <= until + _SLACKS_S[0]

    def strangeness(self, maker: Served, call: Call) -> tuple[int, int, float]:
        """How much speaks against ``maker``: less is better, and the one that was asked first is taken of equals."""
        alike = [
            made.record
            for made in maker.calls
            if made.record.cluster == call.record.cluster and self.same(made.record, call.record)
        ]
        # An application asks again for what failed, but seldom for what it has, and not for what it still waits for.
        again = sum(not _failed(record) or _end(record) > call.record.time_s for record in alike)
        return 2 * again + (not self.fits(maker, call)), len(alike), maker.record.time_s

    def behind(self, served: Served) -> Call | None:
        """The call to a pod without a proxy that a request of unknown origin may have come from."""
        received = served.record
        calls = [
            call
            for call in self.calls
            if (pod := self.pods.get(call.record.upstream_pod)) is not None
            and not pod.injected
            # By its own clock, what a pod was asked before it called is no consequence of the call.
            and not (call.record.pod == received.pod and received.time_s <= call.record.time_s)
            and call.record.time_s - _SLACKS_S[0] <= received.time_s <= _end(call.record) + _SLACKS_S[0]
        ]
        return max(calls, key=lambda call: call.record.time_s, default=None)


def _walk(roots: Iterable[Call | Served]) -> Iterable[Call | Served]:
    for span in roots:
        yield span
        if isinstance(span, Call):
            yield from _walk([*span.tries, *span.copies])
        yield from _walk(span.calls)


def _best(
    calls: Sequence[Call], served: Sequence[Served], cost: Callable[[Call, Served], float]
) -> list[tuple[Call, Served]]:
    """Pairs of a call and a server's line, each in one pair at most: as many as possible, at the least cost."""
    costs = [[cost(call, candidate) for candidate in served] for call in calls]
    rows = [place for place, row in enumerate(costs) if min(row, default=_IMPOSSIBLE) < _IMPOSSIBLE]
    columns = [place for place in range(len(served)) if any(costs[row][place] < _IMPOSSIBLE for row in rows)]
    if not rows:
        return []
    if len(rows) == 1:
        return [(calls[rows[0]], served[min(columns, key=lambda place: costs[rows[0]][place])])]
    choices = [[place for place in columns if costs[row][place] < _IMPOSSIBLE] for row in rows]
    if all(len(places) == 1 for places in choices) and len({places[0] for places in choices}) == len(rows):
        return [(calls[row], served[places[0]]) for row, places in zip(rows, choices, strict=True)]
    # Only where calls compete: importing SciPy takes longer than everything else here.
    from scipy.optimize import linear_sum_assignment

    chosen = linear_sum_assignment([[costs[row][place] for place in columns] for row in rows])
    pairs = [(rows[row], columns[place]) for row, place in zip(*map(list, chosen), strict=True)]
    return [(calls[row], served[place]) for row, place in pairs if costs[row][place] < _IMPOSSIBLE]
