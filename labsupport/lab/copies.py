"""Access logs with the copies that mirror rules make: nobody waits for a copy, so that its line may come late."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from labsupport.model.writing.written import written
from labsupport.observe.tables import AccessLog
from labsupport.records import AccessRecord

if TYPE_CHECKING:
    from labsupport.explain import Explanation
    from labsupport.model.schema.base import Resource

__all__ = ["copies_arrived", "mirroring"]

# Where a rule copies a share, nothing tells how many lines are to come.
_QUIET_S = 0.4
# A copy that is told for sure may be answered slowly, or may never have been sent: of headers, the log says nothing.
_PATIENCE_S = 2.0
_POLL_S = 0.02
_LONGEST_S = 10.0


def mirroring(rules: Iterable[Resource]) -> bool:
    """Whether any rule copies requests.

    Args:
        rules: VirtualServices and HTTPRoutes.
    """
    for resource in rules:
        spec = written(resource).get("spec") or {}
        for rule in [*(spec.get("http") or ()), *(spec.get("rules") or ())]:
            kinds = {entry.get("type") for entry in rule.get("filters") or ()}
            if rule.get("mirror") or rule.get("mirrors") or "RequestMirror" in kinds:
                return True
    return False


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
    told: dict[tuple[str, ...], int | None] = {}

    def copies_of(call: AccessRecord) -> int | None:
        """How many copies are made of it for sure; None where chance, or a header, has a part in it."""
        key = (call.pod, call.method, call.authority, call.path)
        if key not in told:
            why, writing = explain(call), set(sidecars())
            sure = why is not None and all(to.share == 1 for to in why.mirrors) and bool(why.mirrors)
            told[key] = sum(bool(writing.intersection(to.pods)) for to in why.mirrors) if why and sure else None
        return told[key]

    began = last = time.monotonic()
    while True:
        calls = [line for line in log if line.direction != "inbound" and line.upstream_pod]
        made = {id(call): copies_of(call) for call in calls}
        lacking = Counter[str]()
        for call in calls:
            lacking[call.request_id] += made[id(call)] or 0
        lacking.subtract(line.request_id for line in log if line.mirrored)
        quiet_s = _PATIENCE_S if any(count > 0 for count in lacking.values()) else 0.0
        if not quiet_s and (None in made.values() or not calls):
            quiet_s = _QUIET_S
        now = time.monotonic()
        if now - last >= quiet_s or now - began > _LONGEST_S:
            return log
        time.sleep(_POLL_S)
        again = read()
        if len(again) > len(log):
            last = time.monotonic()
        log = again
