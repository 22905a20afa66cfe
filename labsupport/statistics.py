"""Exact statistics of shares: intervals, tests and the number of requests they need.

Everything random in the course is judged here, and the same way: a share is compared with its exact
(Clopper-Pearson) interval. The two-sided p-value is twice the smaller tail, so that it is below ``alpha`` exactly when
the tested share lies outside the interval of level ``1 - alpha``: a learner never sees a verdict that contradicts the
interval shown beside it. No approximation and no simulation takes part in a verdict, because a normal or chi-square
approximation is off by a factor of up to ten at the small ``alpha`` of the course.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

from labsupport.errors import UsageError

__all__ = [
    "ALPHA",
    "COURSE_ALPHA",
    "POWER",
    "Fit",
    "Interval",
    "binomial_test",
    "chi_square",
    "compare_proportions",
    "goodness_of_fit",
    "power",
    "proportion_interval",
    "proportions",
    "requests_needed",
    "turned_round",
]

ALPHA = 1e-5
"""Probability that one random check rejects a correct mesh."""

COURSE_ALPHA = 1e-3
"""Bound for the sum of ``ALPHA`` over all random checks of the course."""

POWER = 0.99
"""Probability with which a planned number of requests tells two shares apart."""

# Enumerating this many outcomes of a multinomial takes about a tenth of a second.
_MAX_OUTCOMES = 300_000
# Outcomes whose probabilities differ by less than rounding count as equally likely, as R and scipy do.
_TIE = 1 + 1e-7

K = TypeVar("K")


class Interval(NamedTuple):
    """A closed interval; ``holds`` tells whether a value lies in it."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether ``low <= value <= high``."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Fit:
    """How well counts fit expected shares.

    Args:
        p_value: probability of a deviation at least this large if the shares are right.
        method: ``binomial`` (two categories), ``multinomial`` (all outcomes enumerated) or ``bonferroni`` (the smallest
            of the categories' exact binomial p-values, times their number): all exact or on the safe side.
    """

    p_value: float
    method: Literal["binomial", "multinomial", "bonferroni"]


def proportion_interval(seen: int, n: int, *, level: float = 0.999) -> Interval:
    """Exact interval for a share (Clopper and Pearson, 1934).

    Args:
        seen: how many of the ``n`` independent choices fell on it.
        n: number of independent choices.
        level: confidence level between 0 and 1.

    Returns:
        Bounds between 0 and 1; (0, 1) without any choice.

    Raises:
        UsageError: if ``seen`` is not between 0 and ``n``, or ``level`` not between 0 and 1.
    """
    _check_counts(seen, n)
    if not 0 < level < 1:
        raise UsageError(f"level={level!r}: a confidence level lies between 0 and 1, such as 0.999")
    if n == 0:
        return Interval(0.0, 1.0)
    from scipy import special

    tail = (1 - level) / 2
    low = 0.0 if seen == 0 else float(special.betaincinv(seen, n - seen + 1, tail))
    high = 1.0 if seen == n else float(special.betainccinv(seen + 1, n - seen, tail))
    return Interval(low, high)


def binomial_test(seen: int, n: int, share: float) -> float:
    """Exact two-sided p-value for a share: twice the smaller tail, at most 1.

    Args:
        seen: how many of the ``n`` independent choices fell on it.
        n: number of independent choices.
        share: the share to test, from 0 to 1.

    Returns:
        The p-value; it is below ``alpha`` exactly if ``share`` is outside ``proportion_interval(level=1 - alpha)``.

    Raises:
        UsageError: if ``seen`` is not between 0 and ``n``, or ``share`` not between 0 and 1.
    """
    _check_counts(seen, n)
    if not 0 <= share <= 1:
        raise UsageError(f"share={share!r}: a share lies between 0 and 1")
    from scipy import special

    # P(X <= seen) and P(X >= seen) through the incomplete beta function, exact far into the tails.
    at_most = 1.0 if seen == n else float(special.betaincc(seen + 1, n - seen, share))
    at_least = 1.0 if seen == 0 else float(special.betainc(seen, n - seen + 1, share))
    return min(1.0, 2 * min(at_most, at_least))


def power(n: int, expected: float, actual: float, *, alpha: float = ALPHA) -> float:
    """Probability that ``n`` requests reject the expected share when another one is true.

    Args:
        n: number of independent choices.
        expected: the tested share.
        actual: the true share.
        alpha: level of the two-sided exact test.

    Returns:
        A probability; 0 for ``n=0``.
    """
    if n == 0:
        return 0.0
    from scipy import special

    # The accepted counts are one run around n * expected; both its ends are found by bisection.
    middle = min(n, max(0, round(n * expected)))
    low, high = _first_accepted(n, expected, alpha, middle), n - _first_accepted(n, 1 - expected, alpha, n - middle)
    below = 0.0 if low == 0 else float(special.betaincc(low, n - low + 1, actual))
    above = 0.0 if high == n else float(special.betainc(high + 1, n - high, actual))
    return min(1.0, below + above)


@lru_cache(maxsize=256)
def requests_needed(share: float, other: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """How many requests tell two shares apart, whichever of the two is the true one.

    Args:
        share: one share, from 0 to 1.
        other: another share.
        alpha: level of the two-sided exact test.
        power: probability with which the wrong share must be rejected.

    Returns:
        The smallest number from which on every larger one is enough too (the power of an exact test is a saw-tooth);
        above 4,000 to about one part in a thousand.

    Raises:
        UsageError: if the shares are equal, or an argument is out of range.
    """
    for name, value in (("share", share), ("other", other)):
        if not 0 <= value <= 1:
            raise UsageError(f"{name}={value!r}: a share lies between 0 and 1")
    if not 0 < alpha < 1 or not 0 < power < 1:
        raise UsageError(f"alpha={alpha!r}, power={power!r}: both lie between 0 and 1")
    if share == other:
        raise UsageError(f"{share!r} and {other!r} are the same share: no number of requests tells them apart")
    return max(_enough(share, other, alpha, power), _enough(other, share, alpha, power))


def proportions(weights: Mapping[K, float]) -> dict[K, float]:
    """Relative weights as shares that add up to 1.

    Raises:
        UsageError: if a weight is negative or not finite, or all of them are 0.
    """
    total = math.fsum(weights.values())
    if any(weight < 0 or not math.isfinite(weight) for weight in weights.values()) or not total > 0:
        raise UsageError(f"{dict(weights)!r}: weights are numbers from 0, and at least one of them is above 0")
    return {key: weight / total for key, weight in weights.items()}


def turned_round(shares: Mapping[K, float]) -> dict[K, float]:
    """The same shares in the opposite order: what came out where somebody took the keys the wrong way round."""
    return dict(zip(shares, reversed([*shares.values()]), strict=True))


def goodness_of_fit(counts: Sequence[int], weights: Sequence[float]) -> Fit:
    """Test whether counts fit expected shares, for any number of requests.

    Two categories are tested by the binomial test. More are tested by the exact multinomial test (the probability of
    all outcomes that are no likelier than the one seen) while all outcomes can be listed; beyond that, by the smallest
    exact binomial p-value times the number of categories, which is never too small. Small expected counts need
    no care in any of the three.

    Args:
        counts: how often each category was seen.
        weights: relative expected weights; a category of weight 0 must not occur at all.

    Returns:
        The p-value, with the method used.

    Raises:
        UsageError: if the lengths differ, or an argument is out of range.
    """
    if len(counts) != len(weights) or len(counts) < 2:
        raise UsageError(f"counts: {len(counts)}, weights: {len(weights)}; give as many of each, and at least two")
    if any(count < 0 for count in counts):
        raise UsageError(f"{list(counts)!r}: counts are whole numbers from 0")
    shares = proportions(dict(enumerate(weights)))
    pairs = [(count, shares[i]) for i, count in enumerate(counts) if shares[i] > 0]
    n = sum(counts)
    if sum(count for count, _ in pairs) < n:
        return Fit(0.0, "binomial" if len(counts) == 2 else "multinomial")
    if len(pairs) == 1:
        return Fit(1.0, "binomial")
    if len(pairs) == 2:
        return Fit(binomial_test(pairs[0][0], n, pairs[0][1]), "binomial")
    if math.comb(n + len(pairs) - 1, len(pairs) - 1) <= _MAX_OUTCOMES:
        return Fit(_multinomial_test(pairs, n), "multinomial")
    smallest = min(binomial_test(count, n, share) for count, share in pairs)
    return Fit(min(1.0, len(pairs) * smallest), "bonferroni")


def chi_square(counts: Sequence[int], weights: Sequence[float]) -> tuple[float, int, float]:
    """Pearson's chi-square statistic, for showing beside an exact test; verdicts use ``goodness_of_fit``.

    Args:
        counts: how often each category was seen.
        weights: relative expected weights, all above 0.

    Returns:
        The statistic, its degrees of freedom and the approximate p-value. Near 1e-5 the true probability is up to ten
        times as large when an expected count is below 100 and the weights are uneven.

    Raises:
        UsageError: if an expected count is below 5, where the approximation says nothing.
    """
    if len(counts) != len(weights) or len(counts) < 2:
        raise UsageError(f"counts: {len(counts)}, weights: {len(weights)}; give as many of each, and at least two")
    n = sum(counts)
    expected = [n * share for share in proportions(dict(enumerate(weights))).values()]
    if min(expected) < 5:
        raise UsageError(f"an expected count is {min(expected):.1f}: chi-square needs at least 5, use goodness_of_fit")
    from scipy import special

    statistic = math.fsum((count - mean) ** 2 / mean for count, mean in zip(counts, expected, strict=True))
    return statistic, len(counts) - 1, float(special.chdtrc(len(counts) - 1, statistic))


def compare_proportions(seen_a: int, n_a: int, seen_b: int, n_b: int) -> float:
    """Fisher's exact two-sided p-value that two samples have the same share.

    Args:
        seen_a: hits in the first sample.
        n_a: size of the first sample.
        seen_b: hits in the second sample.
        n_b: size of the second sample.

    Returns:
        The p-value (all tables with the same margins that are no likelier than the one seen).

    Raises:
        UsageError: if a number of hits is not between 0 and its sample's size.
    """
    _check_counts(seen_a, n_a)
    _check_counts(seen_b, n_b)
    import numpy as np
    from scipy import special

    # Not scipy.stats.fisher_exact: importing that package takes longer than everything else that a check does.
    hits = seen_a + seen_b
    possible = np.arange(max(0, hits - n_b), min(hits, n_a) + 1)
    cells = (possible, n_a - possible, hits - possible, n_b - hits + possible)
    logs = -sum(special.gammaln(cell + 1) for cell in cells)
    chances = np.exp(logs - logs.max())
    seen = chances[seen_a - possible[0]]
    return min(1.0, float(chances[chances <= seen * _TIE].sum() / chances.sum()))


def _check_counts(seen: int, n: int) -> None:
    if not 0 <= seen <= n:
        raise UsageError(f"{seen!r} of {n!r}: give whole numbers with 0 <= seen <= n")


def _first_accepted(n: int, share: float, alpha: float, middle: int) -> int:
    """Smallest count up to ``middle`` that does not reject ``share``; ``middle + 1`` if all of them do."""
    low, high = 0, middle + 1
    while low < high:
        half = (low + high) // 2
        if binomial_test(half, n, share) > alpha:
            high = half
        else:
            low = half + 1
    return low


def _enough(expected: float, actual: float, alpha: float, wanted: float) -> int:
    """Smallest n from which on the power against ``actual`` stays at the wanted one."""
    high = 1
    while power(high, expected, actual, alpha=alpha) < wanted:
        high *= 2
        if high > 100_000_000:
            raise UsageError(f"{expected!r} and {actual!r} are too close: more than {high:,} requests would be needed")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if power(middle, expected, actual, alpha=alpha) < wanted:
            low = middle
        else:
            high = middle
    # One crossing is found; teeth are a few per cent wide here, so that the last one is looked for from above.
    n = high + high // 8 + 40
    step = max(1, high // 4000)
    while n > 1 and power(n - 1, expected, actual, alpha=alpha) >= wanted:
        n -= step if n > step else 1
    return n


def _multinomial_test(pairs: Sequence[tuple[int, float]], n: int) -> float:
    import numpy as np
    from scipy import special

    # Log-probabilities of all outcomes, category by category: 'left' holds the requests not yet given out.
    left = np.array([n])
    logs = np.array([float(special.gammaln(n + 1))])
    observed = float(special.gammaln(n + 1))
    for count, share in pairs[:-1]:
        repeats = left + 1
        starts = np.repeat(np.cumsum(repeats) - repeats, repeats)
        given = np.arange(repeats.sum()) - starts
        logs = np.repeat(logs, repeats) + given * math.log(share) - special.gammaln(given + 1)
        left = np.repeat(left, repeats) - given
        observed += count * math.log(share) - math.lgamma(count + 1)
    count, share = pairs[-1]
    logs = logs + left * math.log(share) - special.gammaln(left + 1)
    observed += count * math.log(share) - math.lgamma(count + 1)
    chances = np.exp(logs)
    return min(1.0, float(chances[chances <= math.exp(observed) * _TIE].sum()))
