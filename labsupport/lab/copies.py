"""Access logs with the copies that mirror rules make: nobody waits for a copy, so that its line may come late."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from labsupport.observe.tables import AccessLog
from labsupport.records import AccessRecord

if TYPE_CHECKING:
    from labsupport.explain import Explanation

__all__ = ["copies_arrived"]

Targets = list[set[str]]
"""For each mirror, the pods that may receive its copies, as far as they write lines."""

# Where a rule copies a share, nothing tells how many lines are to come.
_QUIET_S = 0.4
# A copy that is told for sure may be answered slowly, or may never have been sent: of headers, the log says nothing.
_PATIENCE_S = 3.0
# Of what a receiver of copies calls in its turn, nobody tells that it is to come.
_SETTLED_S = 0.1
_POLL_S = 0.02
_LONGEST_S = 10.0


def copies_arrived(
    read: Callable[[], AccessLog],
    log: AccessLog,
    explain: Callable[[AccessRecord], Explanation | None],
    sidecars: Callable[[], Iterable[str]],
) -> AccessLog:
    """Read a log until the copies that rules make of its requests are there, or nothing more comes.

    Args:
        read: reads the lines that there are now.
        log: the lines so far.
        explain: what the rules say of a call; None where that is not known.
        sidecars: names of the pods that write lines.
    """
    told: dict[tuple[str, ...], Targets | None] = {}

    def targets(call: AccessRecord) -> Targets | None:
        """Who receives the copies of it that are made for sure; None where chance, or a header, has a part in it."""
        key = (call.pod, call.method, call.authority, call.path)
        if key not in told:
            why = explain(call)
            mirrors = () if why is None else why.mirrors
            told[key] = None
            if mirrors and all(to.share == 1 for to in mirrors):
                # All pods are listed for it: not for calls that nobody copies.
                writing = set(sidecars())
                told[key] = [writing.intersection(to.pods) for to in mirrors]
        return told[key]

    began = last = time.monotonic()
    while True:
        calls = [line for line in log if line.direction != "inbound" and line.upstream_pod]
        made = [targets(call) for call in calls]
        now = time.monotonic()
        if now - last >= _quiet_s(log, calls, made) or now - began > _LONGEST_S:
            return log
        time.sleep(_POLL_S)
        again = read()
        if len(again) > len(log):
            last = time.monotonic()
        log = again


def _quiet_s(log: AccessLog, calls: Sequence[AccessRecord], made: Sequence[Targets | None]) -> float:
    """How long nothing new must have come for the log to be whole."""
    lacking = Counter[str]()
    receivers = set[str]()
    for call, targets in zip(calls, made, strict=True):
        for pods in targets or ():
            lacking[call.request_id] += bool(pods)
            receivers |= pods
    lacking.subtract(line.request_id for line in log if line.mirrored and line.pod in receivers)
    if any(count > 0 for count in lacking.values()):
        return _PATIENCE_S
    return _QUIET_S if None in made or not calls else _SETTLED_S
