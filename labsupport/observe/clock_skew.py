"""Clocks of different nodes, brought together by what must have happened inside of what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from labsupport.records import AccessRecord

__all__ = ["aligned"]

# Log lines are rounded to milliseconds, at their begin and in their duration.
_ROUNDED_S = 0.003


def aligned(records: Sequence[AccessRecord]) -> list[AccessRecord]:
    """The lines of one request with the times of servers moved into those of their callers.

    A request is served while its caller waits. Where only one line can be that of the server, by pod, method, path and
    status, and its time says otherwise, the two clocks differ; the middle of what is possible is taken for their
    difference, as the Network Time Protocol does.

    Args:
        records: all lines of one request.

    Returns:
        The same lines in the same order; equal ones where no clock is wrong.
    """
    shifts = _shifts(records)
    return [
        replace(record, time_s=record.time_s + shifts[record.pod]) if shifts.get(record.pod) else record
        for record in records
    ]


def _shifts(records: Iterable[AccessRecord]) -> dict[str, float]:
    calls: defaultdict[tuple[str, str, str, int], list[AccessRecord]] = defaultdict(list)
    served: defaultdict[tuple[str, str, str, int], list[AccessRecord]] = defaultdict(list)
    pods: dict[str, None] = {}
    for record in sorted(records, key=lambda line: line.time_s):
        if record.direction == "inbound":
            served[record.pod, record.method, record.path, record.status].append(record)
        elif record.upstream_pod:
            calls[record.upstream_pod, record.method, record.path, record.status].append(record)
            pods.setdefault(record.pod)
        pods.setdefault(record.pod)
    # How much a server's clock may be behind its caller's at least and at most.
    bounds: defaultdict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for key, callers in calls.items():
        if len(callers) != 1 or len(served[key]) != 1:
            continue
        (caller,), (server,) = callers, served[key]
        low = caller.time_s - server.time_s - _ROUNDED_S
        high = low + max(0.0, caller.duration_s - server.duration_s) + 2 * _ROUNDED_S
        known = bounds[caller.pod].get(server.pod, (low, high))
        both = max(low, known[0]), min(high, known[1])
        bounds[caller.pod][server.pod] = both
        bounds[server.pod][caller.pod] = -both[1], -both[0]
    shifts: dict[str, float] = {}
    for first in pods:
        if first in shifts:
            continue
        shifts[first] = 0.0
        waiting = [first]
        while waiting:
            here = waiting.pop(0)
            for there, (low, high) in bounds[here].items():
                if there not in shifts:
                    fits = low <= -shifts[here] <= high
                    shifts[there] = 0.0 if fits else shifts[here] + (low + high) / 2
                    waiting.append(there)
    return shifts
