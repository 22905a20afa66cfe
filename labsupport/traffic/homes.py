"""Where the requests of each user went, before a change and after it: who stayed, and why the others did not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from labsupport import words
from labsupport.records import Response
from labsupport.traffic.share import NONE, By, value_of

__all__ = ["FATES", "Fate", "Homes", "Visit", "homes_of", "visits_of"]

Fate = Literal["stayed", "left", "moved", "several"]
"""What became of a user: at home where it was; its pod is gone; moved although that is still there; many homes."""

FATES: tuple[Fate, ...] = get_args(Fate)

Visit = tuple[str, str]
"""A user and the place where one request of it went."""


@dataclass(frozen=True, slots=True)
class Homes:
    """The places that each user met, the last one last.

    Args:
        before: before the change; empty if there was none.
        after: since then.
    """

    before: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]

    @property
    def places(self) -> tuple[str, ...]:
        """All places of both sides, in natural order."""
        met = {place for side in (self.before, self.after) for places in side.values() for place in places}
        return tuple(sorted(met, key=lambda place: (place == NONE, words.natural_key(place))))

    @property
    def gone(self) -> frozenset[str]:
        """Places that nobody meets any more."""
        left = {place for places in self.after.values() for place in places}
        return frozenset(place for place in self.places if self.before and place not in left)

    def fates(self) -> dict[str, Fate]:
        """What became of each user that was seen after the change; one that is new, or wandered before, stayed."""
        gone = self.gone
        return {user: self._fate(user, gone) for user in self.after}

    def _fate(self, user: str, gone: frozenset[str]) -> Fate:
        was, now = self.before.get(user, ()), self.after[user]
        if len(now) > 1:
            return "several"
        if len(was) != 1 or was == now:
            return "stayed"
        return "left" if was[0] in gone else "moved"


def visits_of(
    responses: Iterable[Response], *, per: By = "user", to: By = "pod", service: str | None = None
) -> Iterator[Visit]:
    """The visits of users, in order; requests without a user are left out.

    Args:
        responses: what was seen.
        per: what makes requests belong together, as for ``Observations.share``.
        to: what they have in common.
        service: whose version or pod, as for ``Observations.share``.
    """
    for response in responses:
        user = value_of(response, per)
        if user != NONE:
            yield user, value_of(response, to, service)


def homes_of(visits: Iterable[Visit]) -> dict[str, tuple[str, ...]]:
    """User to the places that it met, each once, the last one last.

    Args:
        visits: in order of time.
    """
    met: dict[str, dict[str, None]] = {}
    for user, place in visits:
        places = met.setdefault(user, {})
        places.pop(place, None)
        places[place] = None
    return {user: tuple(places) for user, places in met.items()}
