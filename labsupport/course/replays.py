"""The judge is judged: recorded traffic is released again and again, and it is counted what became of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.arguments import a_kind, checked, whole
from labsupport.course.canary_analysis import Analysis, End, Met
from labsupport.course.delivery import as_met
from labsupport.errors import UsageError
from labsupport.lab.sources import Source, read
from labsupport.model.kinds.canary import Canary
from labsupport.statistics import Interval, proportion_interval
from labsupport.traffic.observations import Observations

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Replayed", "Replays", "replayed", "replays"]

_LEVEL = 0.95
GOOD = "good"
"""The name of what is to be promoted; whatever else is recorded is not."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One recorded version under one judge.

    Args:
        version: what was recorded.
        judge: name of the Canary.
        ends: what became of it, in each replay.
        hurt: requests that were hurt, in each replay.
    """

    version: str
    judge: str
    ends: tuple[End, ...]
    hurt: tuple[int, ...]

    @property
    def mistake(self) -> End:
        """What must not become of it."""
        return "rolled back" if self.version == GOOD else "promoted"

    @property
    def mistakes(self) -> int:
        """How often that happened: false rollbacks of a good version, or a bad one that was missed."""
        return self.ends.count(self.mistake)

    @property
    def interval(self) -> Interval:
        """Where the true share of mistakes lies, at 95 %."""
        return proportion_interval(self.mistakes, len(self.ends), level=_LEVEL)

    @property
    def mean_hurt(self) -> float:
        """Requests that were hurt in a replay, on average."""
        return statistics.fmean(self.hurt)

    @words.shown
    def __repr__(self) -> str:
        kind = "false rollbacks" if self.version == GOOD else "missed"
        counted = ", ".join(f"{self.ends.count(end)} {end}" for end in ("promoted", "rolled back", "paused"))
        between = words.percent_range(*self.interval)
        return f"{self.version}, {self.judge}: {counted}; {kind} {between}; {self.mean_hurt:.1f} requests hurt"


@checked
@dataclass(frozen=True, slots=True, repr=False)
class Replays:
    """All recorded versions under all judges.

    Args:
        times: how often each was released.
        rows: one for each version and judge.
    """

    times: int
    rows: tuple[Replayed, ...]

    def of(self, version: str, judge: str) -> Replayed:
        """One version under one judge.

        Args:
            version: what was recorded.
            judge: name of the Canary.

        Raises:
            UsageError: there is no such row.
        """
        for row in self.rows:
            if (row.version, row.judge) == (version, judge):
                return row
        known = words.join(f"{row.version!r} under {row.judge!r}" for row in self.rows)
        raise UsageError(f"There is no {version!r} under {judge!r}. There is {known}.")

    @words.shown
    def __repr__(self) -> str:
        return "\n".join((f"{words.plural(self.times, 'replay')} of each, intervals of 95 %", *map(repr, self.rows)))


@checked
def replays(
    recorded: Mapping[str, Observations],
    judges: Mapping[str, Source],
    *,
    per_minute: int = 100,
    times: int = 200,
    seed: int = 0,
) -> Replays:
    """Release recorded traffic again and again, and count what became of it under several judges.

    In each interval the weight throws requests to the new version by chance, and each meets one of the recorded
    answers, drawn by lot.

    Args:
        recorded: what versions answered, by name; ``good`` is the one that is to be promoted.
        judges: Canaries by name, as for ``lab.apply``.
        per_minute: how many requests make a minute.
        times: how often each version is released under each judge.
        seed: of the random numbers.

    Raises:
        ManifestError: something is wrong with a Canary.
        UsageError: an argument is out of its range, nothing was recorded, or a judge is no Canary, or waits too long.
    """
    whole("per_minute", per_minute, 1, 10_000)
    whole("times", times, 1, 10_000)
    whole("seed", seed, 0, 2**32)
    rows = []
    for name, source in judges.items():
        canaries = read([source], name=name)
        if len(canaries) != 1 or not isinstance(canaries[0], Canary):
            held = words.join(resource.kind for resource in canaries)
            raise UsageError(f"judges: {name!r} holds {held}. Give one Canary.")
        for version, seen in recorded.items():
            if not isinstance(seen, Observations) or not seen:
                what = "no responses" if isinstance(seen, Observations) else a_kind(type(seen))
                raise UsageError(f"recorded: {version!r} has {what}. Give what lab.send(...) returned.")
            answers = [as_met(response) for response in seen]
            rows.append(replayed(version, answers, name, canaries[0], per_minute=per_minute, times=times, seed=seed))
    return Replays(times, tuple(rows))


def replayed(
    version: str, answers: list[Met], judge: str, canary: Canary, *, per_minute: int, times: int, seed: int
) -> Replayed:
    """One version under one judge; arguments as for ``replays``.

    Args:
        version: its name.
        answers: what it answered.
        judge: name of the Canary.
        canary: the Canary.
        per_minute: how many requests make a minute.
        times: how often it is released.
        seed: of the random numbers.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    ended = [_ended(random, answers, canary, per_minute) for _ in range(times)]
    ends = tuple(end for end, _ in ended)
    return Replayed(version, judge, ends, tuple(hurt for _, hurt in ended))


def _ended(random: np.random.Generator, answers: list[Met], canary: Canary, per_minute: int) -> tuple[End, int]:
    analysis = Analysis(canary, per_minute=per_minute)
    while analysis.end is None:
        count = random.binomial(analysis.requests, analysis.weight / 100)
        analysis.look([answers[place] for place in random.integers(0, len(answers), count)])
    return analysis.end, sum(look.hurt for look in analysis.looks)
