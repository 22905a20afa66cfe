"""What is left of responses that are not kept any more: counts, by short stretches of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from labsupport.records import Response
from labsupport.traffic.share import value_of

__all__ = ["Lost", "LostErrors"]


@dataclass(slots=True)
class LostErrors:
    """Errors of one status.

    Args:
        first_s: when the first of these requests was sent, in seconds since the epoch.
        last_s: when the last one was.
        count: how many there were.
    """

    first_s: float
    last_s: float
    count: int = 1


@dataclass(slots=True)
class Lost:
    """Counts of the requests that were sent in a second or less.

    Args:
        first_s: when the first one was sent, in seconds since the epoch.
        last_s: when the last one was.
        count: how many there were.
        errors: those that failed, by status (the outcome's name without one).
        answered: by service and version, of each service that a request met first; the empty name is whoever answered.
    """

    first_s: float
    last_s: float
    count: int = 0
    errors: dict[str, LostErrors] = field(default_factory=dict)
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, response: Response) -> None:
        """Count a response."""
        at_s = response.started_s
        self.first_s, self.last_s = min(self.first_s, at_s), max(self.last_s, at_s)
        self.count += 1
        self.answered.update(_met(response).items())
        if response.outcome == "ok":
            return
        known = self.errors.get(status := value_of(response, "status"))
        if known is None:
            self.errors[status] = LostErrors(at_s, at_s)
        else:
            known.first_s, known.last_s = min(known.first_s, at_s), max(known.last_s, at_s)
            known.count += 1

    def copy(self) -> Lost:
        """The same counts, which do not change any more."""
        errors = {status: replace(known) for status, known in self.errors.items()}
        return replace(self, errors=errors, answered=self.answered.copy())

    def overlaps(self, begin_s: float, end_s: float) -> bool:
        """Whether it reaches into a stretch of time, of which the end is exclusive."""
        return self.last_s >= begin_s and self.first_s < end_s

    def failed(self, begin_s: float, end_s: float) -> Iterator[tuple[str, int]]:
        """Statuses of errors that reach into a stretch of time, with their numbers."""
        for status, errors in self.errors.items():
            if errors.last_s >= begin_s and errors.first_s < end_s:
                yield status, errors.count

    def versions(self, service: str = "") -> Mapping[str, int]:
        """Requests by version of a service; of whoever answered without one."""
        return {version: count for (name, version), count in self.answered.items() if name == service}


def _met(response: Response) -> dict[str, str]:
    """The version of each service, as the first hop of it tells."""
    versions = {hop.service: hop.version for hop in reversed(response.path)}
    return {**versions, "": response.path[0].version} if response.path else versions
