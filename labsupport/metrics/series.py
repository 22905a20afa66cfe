"""Time series as Prometheus keeps them: a name with labels, and samples at the times of scrapes."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["NAME", "Labels", "Series", "Store", "braced", "labels_of"]

NAME = "__name__"
"""The label that holds the name of a metric."""

Labels = tuple[tuple[str, str], ...]
"""Labels in the order of their names; an empty value is the same as none."""


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """Labels of a series.

    Args:
        pairs: label to value; an empty value is left out.
    """
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def braced(labels: Labels) -> str:
    """Labels as Prometheus writes them: ``up{job="a"}``.

    Args:
        labels: the labels, with the metric's name if there is one.
    """
    named = dict(labels).get(NAME, "")
    parts = [f'{name}="{_escaped(value)}"' for name, value in labels if name != NAME]
    return f"{named}{{{', '.join(parts)}}}" if parts or not named else named


def _escaped(value: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", value).replace("\n", r"\n")


@dataclass(slots=True)
class Series:
    """The values of one series.

    Args:
        labels: its labels, the metric's name among them.
        start: number of the scrape in which it was first seen.
        values: a value for each scrape from then on.
    """

    labels: Labels
    start: int
    values: array[float] = field(default_factory=lambda: array("d"))


class Store:
    """Series and the times of their scrapes; a ring that forgets the oldest scrapes.

    A series that was seen once has a value in every later scrape, as a counter has.

    Args:
        keep: how many scrapes are kept at least; twice as many at most.
    """

    def __init__(self, keep: int = 900) -> None:
        self._keep = keep
        self._times: list[int] = []
        self._series: dict[Labels, Series] = {}

    @property
    def times_ms(self) -> Sequence[int]:
        """When the scrapes were, in milliseconds."""
        return self._times

    def __len__(self) -> int:
        return len(self._series)

    def scrape(self, time_ms: int, values: Mapping[Labels, float]) -> None:
        """Take in a value of every series.

        Args:
            time_ms: when; later than all before.
            values: labels to value; a series that is missing keeps its last value.
        """
        number = len(self._times)
        self._times.append(time_ms)
        for labels, value in values.items():
            known = self._series.get(labels)
            if known is None:
                known = self._series[labels] = Series(labels, number)
            known.values.append(value)
        for known in self._series.values():
            if known.start + len(known.values) <= number:
                known.values.append(known.values[-1])
        if len(self._times) > 2 * self._keep:
            self._forget(len(self._times) - self._keep)

    def _forget(self, count: int) -> None:
        del self._times[:count]
        for series in self._series.values():
            del series.values[: max(0, count - series.start)]
            series.start = max(0, series.start - count)

    def clear(self) -> None:
        """Forget everything."""
        self._times, self._series = [], {}

    def __iter__(self) -> Iterator[Series]:
        return iter(self._series.values())

    def within(self, series: Series, after_ms: int, until_ms: int) -> tuple[Sequence[int], Sequence[float]]:
        """Times and values of a series, later than one time and not later than another.

        Args:
            series: one of this store.
            after_ms: the time before the first.
            until_ms: the time of the last at most.
        """
        begin = max(bisect_right(self._times, after_ms), series.start)
        end = bisect_right(self._times, until_ms)
        if begin >= end:
            return (), ()
        return self._times[begin:end], series.values[begin - series.start : end - series.start]
