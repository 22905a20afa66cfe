"""Functions of PromQL, with Prometheus' rules: what it extrapolates, where it gives up, what it makes of resets.

Source: ``promql/functions.go`` and ``promql/quantile.go`` of Prometheus 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from labsupport.errors import UsageError

__all__ = ["AGGREGATIONS", "BINARY", "COMPARISONS", "OVER_RANGE", "Window", "bucket_quantile", "lacking", "rounded"]

_SMALL_DELTA = 1e-12
_SMALLEST_NORMAL = 2.2250738585072014e-308


class Window:
    """Samples of a series within a range.

    Args:
        times_ms: when they were taken.
        values: what was read.
        begin_ms: begin of the range, which is not part of it.
        end_ms: its end.
    """

    def __init__(self, times_ms: Sequence[int], values: Sequence[float], begin_ms: int, end_ms: int) -> None:
        self.times_ms = times_ms
        self.values = values
        self.begin_ms = begin_ms
        self.end_ms = end_ms


def increase(window: Window) -> float | None:
    """By how much a counter grew in the range, extrapolated to its ends; None with fewer than two samples.

    Args:
        window: the samples.
    """
    times, values = window.times_ms, window.values
    if len(values) < 2:
        return None
    grown = values[-1] - values[0] + sum(before for before, now in pairwise(values) if now < before)
    sampled = (times[-1] - times[0]) / 1000
    to_start, to_end = (times[0] - window.begin_ms) / 1000, (window.end_ms - times[-1]) / 1000
    average = sampled / (len(values) - 1)
    # A sample that would be due, and is not there, means that the series begins or ends within the range.
    threshold = average * 1.1
    if to_start >= threshold:
        to_start = average / 2
    if grown > 0 and values[0] >= 0:
        # A counter was never below zero.
        to_start = min(to_start, sampled * (values[0] / grown))
    if to_end >= threshold:
        to_end = average / 2
    return grown * ((sampled + to_start + to_end) / sampled)


def rate(window: Window) -> float | None:
    """``increase`` per second of the range.

    Args:
        window: the samples.
    """
    grown = increase(window)
    return None if grown is None else grown / ((window.end_ms - window.begin_ms) / 1000)


def irate(window: Window) -> float | None:
    """The rate between the last two samples of the range; None with fewer than two.

    Args:
        window: the samples.
    """
    if len(window.values) < 2:
        return None
    before, now = window.values[-2:]
    seconds = (window.times_ms[-1] - window.times_ms[-2]) / 1000
    return (now if now < before else now - before) / seconds


def _almost_equal(one: float, other: float) -> bool:
    if one == other:
        return True
    together, apart = abs(one) + abs(other), abs(one - other)
    if one == 0 or other == 0 or together < _SMALLEST_NORMAL:
        return apart < _SMALL_DELTA * _SMALLEST_NORMAL
    return apart / min(together, math.inf) < _SMALL_DELTA


def bucket_quantile(share: float, buckets: Mapping[float, float]) -> float:
    """A quantile of a histogram: where it would lie if requests were spread evenly within each bucket.

    Args:
        share: such as 0.9.
        buckets: upper bound to the number of observations up to it.
    """
    if math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    bounds = sorted(buckets)
    if len(bounds) < 2 or bounds[-1] != math.inf:
        return math.nan
    counts = [buckets[bounds[0]]]
    for bound in bounds[1:]:
        count = buckets[bound]
        # Counts of sums of rates may fall by what a computer rounds; counts that fall for other reasons are held, too.
        counts.append(counts[-1] if count < counts[-1] or _almost_equal(count, counts[-1]) else count)
    if not counts[-1] > 0:
        return math.nan
    rank = share * counts[-1]
    place = next((number for number, count in enumerate(counts[:-1]) if count >= rank), len(bounds) - 1)
    if place == len(bounds) - 1:
        return bounds[-2]
    if place == 0 and bounds[0] <= 0:
        return bounds[0]
    begin, below = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
    within = counts[place] - below
    return begin + (bounds[place] - begin) * ((rank - below) / within) if within else math.nan


def rounded(value: float, to: float = 1.0) -> float:
    """A value rounded to the nearest multiple, halves upwards.

    Args:
        value: any value.
        to: of what a multiple.
    """
    if not math.isfinite(value) or not to:
        return value if to else math.nan
    inverse = 1 / to
    return math.floor(value * inverse + 0.5) / inverse


def _divided(one: float, other: float) -> float:
    if other:
        return one / other
    if not one or math.isnan(one) or math.isnan(other):
        return math.nan
    return math.copysign(math.inf, one) * math.copysign(1.0, other)


def _modulo(one: float, other: float) -> float:
    return math.nan if not other or math.isinf(one) else math.fmod(one, other)


def _power(one: float, other: float) -> float:
    try:
        return math.pow(one, other)
    except OverflowError:
        return -math.inf if one < 0 and other % 2 == 1 else math.inf
    except ValueError:
        # Zero to a negative power, or a root of a negative number.
        return math.inf if not one else math.nan


def _extreme(better: Callable[[float, float], bool]) -> Callable[[Sequence[float]], float]:
    def chosen(values: Sequence[float]) -> float:
        best = values[0]
        for value in values[1:]:
            if better(value, best) or math.isnan(best):
                best = value
        return best

    return chosen


def _sum(values: Sequence[float]) -> float:
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "==": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    ">": lambda one, other: one > other,
    "<": lambda one, other: one < other,
    ">=": lambda one, other: one >= other,
    "<=": lambda one, other: one <= other,
}
BINARY: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": _divided,
    "%": _modulo,
    "^": _power,
}
AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": _sum,
    "avg": lambda values: _sum(values) / len(values),
    "max": _extreme(lambda value, best: value > best),
    "min": _extreme(lambda value, best: value < best),
    "count": lambda values: float(len(values)),
}
OVER_RANGE: Mapping[str, Callable[[Window], float | None]] = {"rate": rate, "irate": irate, "increase": increase}


def lacking(what: str) -> UsageError:
    """The error for what Prometheus knows, and this evaluator does not.

    Args:
        what: by its name.
    """
    known = ", ".join([*OVER_RANGE, "histogram_quantile", "round", "vector", "scalar", *AGGREGATIONS])
    return UsageError(f"{what} is not known here, but to Prometheus. There are: {known}, and operators.")
