"""Stretches in which a pod received nothing although others did: what an ejection looks like to a client."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from labsupport.records import Response
from labsupport.traffic.share import hop_of

__all__ = ["Absence", "Absences"]

# A pod that is chosen by lot goes without a request for so long once in ten thousand times.
_BY_CHANCE = 1e-4
# How many requests show it where there is hardly another pod.
_FEWEST = 5
# How many are kept.
_KEPT = 200


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


class Absences:
    """Finds absences in responses as they come; a pod that never answered is not known, and so has none.

    Args:
        service: look at the pods of this service on the way; empty: at whoever answered the client.
    """

    def __init__(self, service: str = "") -> None:
        self._service = service
        self._pods: dict[str, _Pod] = {}
        self._ended: list[Absence] = []
        self._seen_s = 0.0

    def add(self, responses: Iterable[Response], shares: Mapping[str, float] | None = None) -> Absences:
        """Look at more responses.

        Args:
            responses: those that completed since the last time.
            shares: pods that are looked at, with the share of the requests that each is to get, from 0 to 1; by
                default all that answered, with equal shares.

        Returns:
            This object.
        """
        for response in sorted(responses, key=lambda response: response.started_s):
            now_s = self._seen_s = max(self._seen_s, response.started_s)
            hop = hop_of(response, self._service or None)
            for pod in self._pods.values():
                pod.passed += 1
            if hop is None or not hop.pod:
                continue
            pod = self._pods.setdefault(hop.pod, _Pod(hop.version, now_s))
            if self._is_away(hop.pod, pod.passed - 1, shares):
                self._ended.append(Absence(hop.pod, pod.version, tuple(pod.errors), pod.met_s, now_s, now_s))
                pod.errors.clear()
            pod.met_s, pod.passed = now_s, 0
            pod.errors = [*pod.errors, now_s] if response.outcome != "ok" else []
        self._ended = self._ended[-_KEPT:]
        return self

    def found(self, shares: Mapping[str, float] | None = None) -> tuple[Absence, ...]:
        """Absences in the order in which they began, those that have not ended last.

        Args:
            shares: as for ``add``; absences of other pods are left out.
        """
        lasting = (
            Absence(name, pod.version, tuple(pod.errors), pod.met_s, None, self._seen_s)
            for name, pod in self._pods.items()
            if self._is_away(name, pod.passed, shares)
        )
        absences = sorted((*self._ended, *lasting), key=lambda absence: absence.began_s)
        return tuple(absence for absence in absences if shares is None or absence.pod in shares)

    def _is_away(self, name: str, passed: int, shares: Mapping[str, float] | None) -> bool:
        """Whether so many requests that others got show that a pod gets none."""
        share = 1 / len(self._pods) if shares is None else shares.get(name, 0.0)
        return passed >= _FEWEST and share > 0 and (share >= 1 or passed * math.log(1 - share) <= math.log(_BY_CHANCE))
