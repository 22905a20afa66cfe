"""Stretches in which a pod received nothing although others did: what an ejection looks like to a client."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from labsupport.records import Response
from labsupport.traffic.share import hop_of

__all__ = ["Absence", "absences_of"]

# A pod that is chosen by lot goes without a request for so long once in ten thousand times.
_BY_CHANCE = 1e-4
# How many requests that shows where no second pod is known.
_ALONE = 5


@dataclass(frozen=True, slots=True)
class Absence:
    """A stretch in which a pod received nothing, although requests enough were sent to meet it.

    Args:
        pod: its name.
        version: its version.
        errors: when its last requests before that were sent, as far as all of them failed.
        began_s: when the last one was sent.
        ended_s: when the next one was sent; None if none was.
        seen_s: when the last request of all was sent.
    """

    pod: str
    version: str
    errors: tuple[float, ...]
    began_s: float
    ended_s: float | None
    seen_s: float

    @property
    def last_s(self) -> float:
        """When it ended, or how far it was seen."""
        return self.seen_s if self.ended_s is None else self.ended_s


@dataclass(slots=True)
class _Pod:
    version: str
    met_s: float
    passed: int = 0
    errors: list[float] = field(default_factory=list)


def absences_of(
    responses: Iterable[Response], *, service: str = "", changes_s: Iterable[float] = ()
) -> tuple[Absence, ...]:
    """Find them.

    Args:
        responses: what the client saw.
        service: look at the pods of this service on the way; empty: at whoever answered the client.
        changes_s: when the mesh was changed: what a pod received before such a moment says nothing of what follows.

    Returns:
        Absences in the order in which they began. A pod that never answered is not known, and so has none.
    """
    ordered = sorted(responses, key=lambda response: response.started_s)
    hops = [hop_of(response, service or None) for response in ordered]
    known = len({hop.pod for hop in hops if hop is not None and hop.pod})
    enough = math.ceil(math.log(_BY_CHANCE) / math.log(1 - 1 / known)) if known > 1 else _ALONE
    changes = sorted(changes_s, reverse=True)
    pods: dict[str, _Pod] = {}
    absences: list[Absence] = []
    for response, hop in zip(ordered, hops, strict=True):
        now_s = response.started_s
        while changes and changes[-1] <= now_s:
            absences += _away(pods, enough, changes.pop())
            pods.clear()
        name = hop.pod if hop is not None else ""
        for pod in pods.values():
            pod.passed += 1
        if not name or hop is None:
            continue
        pod = pods.setdefault(name, _Pod(hop.version, now_s))
        if pod.passed > enough:
            absences.append(Absence(name, pod.version, tuple(pod.errors), pod.met_s, now_s, now_s))
            pod.errors.clear()
        pod.met_s, pod.passed = now_s, 0
        pod.errors = [*pod.errors, now_s] if response.outcome != "ok" else []
    seen_s = ordered[-1].started_s if ordered else 0.0
    absences += _away(pods, enough, seen_s)
    return tuple(sorted(absences, key=lambda absence: absence.began_s))


def _away(pods: dict[str, _Pod], enough: int, seen_s: float) -> list[Absence]:
    """Those that have not ended yet."""
    return [
        Absence(name, pod.version, tuple(pod.errors), pod.met_s, None, seen_s)
        for name, pod in pods.items()
        if pod.passed >= enough
    ]
