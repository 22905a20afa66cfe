"""Statistics that may be looked at after each request: is version B better than A, and is the split what it should be?

A test at a level ``alpha`` keeps it for one look, at a number of requests fixed beforehand. Who looks again and again
and stops at the first difference is wrong far more often: ``false_alarms`` shows it. What is here keeps ``alpha`` over
all looks together. Somebody bets against a claim at fair odds: if it is true, the probability that the capital ever
grows by a factor of ``1 / alpha`` is ``alpha`` at most (Ville's inequality).

Sources: I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting" (JRSS B, 2024), for
means: the bets are their aGRAPA, appendix B. H. Robbins, "Statistical methods related to the law of the iterated
logarithm" (1970), for shares: the beta mixture. M. Lindon and A. Malek, "Anytime-valid inference for multinomial
count data" (NeurIPS 2022), for the ratio of a split.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from labsupport import statistics, words
from labsupport.arguments import checked, shown, whole
from labsupport.errors import UsageError
from labsupport.statistics import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FalseAlarms", "Gain", "false_alarms", "sample_ratio", "side_of"]

# Means that are bet against lie this far apart: an interval is never narrower than two steps.
_STEP = 0.002
# The part of the capital that a bet may lose at most: with all of it, one failure of a version ends the game.
_STAKE = 0.9
# Textbooks want so many observations before a z test.
_FIRST_LOOK = 30
# The users that the expected ratio stands for beforehand: the more, the sooner a ratio that is off by little is found.
_RATIO_PRIOR = 20.0


class FalseAlarms(NamedTuple):
    """How often two equal versions were called different, up to each request: what ``false_alarms`` returns.

    Args:
        peeking: by the z test.
        always_valid: by the test of ``Gain``.
    """

    peeking: NDArray[np.float64]
    always_valid: NDArray[np.float64]

    @words.shown
    def __repr__(self) -> str:
        peeking, always_valid = (words.percent(float(shares[-1])) for shares in self)
        return f"False alarms in {len(self.peeking):,} requests: z test {peeking}, always valid {always_valid}."


@checked
class Gain:
    """By how much version B is better than A, in a measure from 0 to 1: may be looked at after each observation.

    The first observation of a user counts. A sticky user's requests resemble each other, so that they are one
    observation: give the mean of a user's requests, or let the first stand for all. Two designs feed it: ``split``,
    where users meet A or B, and ``mirror``, where both versions answer the same request. The true gain is the mean of
    all differences B minus A that may come; users come independently of each other, and it stays what it is.

    Args:
        worth: the smallest gain that matters, from 0 to below 1.
        alpha: probability that the interval ever leaves out the true gain, over all looks together; ``ahead`` has the
            same for itself.

    Raises:
        UsageError: an argument is out of its range.
    """

    def __init__(self, worth: float = 0.0, *, alpha: float = 0.01) -> None:
        if not 0 <= worth < 1:
            raise UsageError(f"worth={worth!r}: give a gain from 0 to below 1, such as 0.02")
        _check_alpha(alpha)
        import numpy as np

        self._worth, self._bound = worth, -math.log(alpha)
        means = np.arange(_STEP - 1, 1 - _STEP / 2, _STEP)
        self._means = np.union1d(means.round(6), (-worth, worth))
        self._bets = _Bets(self._means)
        self._left = np.full(self._means.shape, True)
        self._users: set[str] = set()
        self._waiting: dict[str, deque[float]] = {"a": deque(), "b": deque()}
        self._wins, self._losses, self._total = 0, 0, 0.0
        self._ahead: Literal["a", "b"] | None = None

    def split(self, arm: Literal["a", "b"], value: float, *, user: str | None = None) -> None:
        """Add what a user of one arm met.

        It waits for one of the other arm, and the two make a difference: a split is as fast as its smaller arm.

        Args:
            arm: the arm that the user is in.
            value: the measure, from 0 to 1.
            user: a name; only the first value under it counts. None is a user of its own.

        Raises:
            UsageError: the value is no number from 0 to 1.
        """
        _check_measure("value", value)
        if self._is_known(user):
            return
        waiting = self._waiting["b" if arm == "a" else "a"]
        if not waiting:
            self._waiting[arm].append(value)
            return
        met = waiting.popleft()
        self._add(value - met if arm == "b" else met - value)

    def mirror(self, *, a: float, b: float, user: str | None = None) -> None:
        """Add what both versions answered to the same request.

        Args:
            a: the measure of A, from 0 to 1.
            b: the measure of B.
            user: a name; only the first pair under it counts. None is a user of its own.

        Raises:
            UsageError: a value is no number from 0 to 1.
        """
        _check_measure("a", a)
        _check_measure("b", b)
        if self._is_known(user):
            return
        self._add(b - a)

    @property
    def differences(self) -> int:
        """How many differences B minus A were seen."""
        return self._bets.count

    @property
    def mean(self) -> float:
        """The mean of the differences seen; nan before the first."""
        return self._total / self.differences if self.differences else math.nan

    @property
    def interval(self) -> Interval:
        """Where the true gain B minus A lies, to 0.002: from -1 to 1 at first, and never wider than before."""
        inside = self._left.nonzero()[0]
        low, high = int(inside[0]) - 1, int(inside[-1]) + 1
        return Interval(
            float(self._means[low]) if low >= 0 else -1.0,
            float(self._means[high]) if high < len(self._means) else 1.0,
        )

    @property
    def answer(self) -> str:
        """``b is better`` or ``a is better`` (by ``worth`` at least), ``not by more than ...``, or ``undecided``.

        All three are final.
        """
        low, high = self.interval
        if low >= self._worth:
            return "b is better"
        if high <= -self._worth:
            return "a is better"
        if -self._worth <= low and high <= self._worth:
            return f"not by more than {self._worth:g}"
        return "undecided"

    @property
    def ahead(self) -> Literal["a", "b"] | None:
        """Who is ahead in more than half of the comparisons that are no tie, by whatever much; None is undecided.

        This needs fewer users than the gain, and says less: who is ahead often by little may lose much now and then.
        """
        return self._ahead

    def __repr__(self) -> str:
        low, high = self.interval
        return f"Gain({self.answer}: {low:.3f} to {high:.3f} after {words.plural(self.differences, 'difference')})"

    def _is_known(self, user: str | None) -> bool:
        known = user in self._users
        if user is not None:
            self._users.add(user)
        return known

    def _add(self, difference: float) -> None:
        self._total += difference
        self._bets.add(difference)
        left = self._left & (self._bets.capital < self._bound)
        # Nothing is left if the gain is no longer what it was, or narrower than a step: then the last interval stays.
        if left.any():
            self._left = left
        self._wins += difference > 0
        self._losses += difference < 0
        if self._ahead is None and _beta_mixture(self._wins, self._losses) >= self._bound:
            self._ahead = "b" if self._wins > self._losses else "a"


@checked
def sample_ratio(counts: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """Whether a split has the ratio that it should have: a test that may be repeated after each user.

    A split is broken where users of one arm get no answer, change the arm or are counted twice. Then the users of B are
    others than those of A, and no comparison of the two is worth anything. The counts tell it.

    Args:
        counts: users by arm; users and not requests, where users are sticky.
        weights: relative weights by arm, such as ``{"a": 1, "b": 1}``.

    Returns:
        A p-value. With a right split it is ever below alpha with a probability of at most alpha, over all looks.

    Raises:
        UsageError: an arm has no weight, or there are not two at least, or a weight is no number from 0.
    """
    if unknown := [arm for arm in counts if arm not in weights]:
        raise UsageError(f"counts: {unknown[0]!r} has no weight; weights has {', '.join(map(repr, weights)) or 'none'}")
    if len(weights) < 2:
        raise UsageError(f"weights={dict(weights)!r}: give two arms at least, such as {{'a': 1, 'b': 1}}")
    shares = statistics.proportions(weights)
    if any(count and not shares[arm] for arm, count in counts.items()):
        return 0.0
    n = sum(counts.values())
    capital = math.lgamma(_RATIO_PRIOR) - math.lgamma(_RATIO_PRIOR + n)
    for arm, share in shares.items():
        if share:
            count, prior = counts.get(arm, 0), _RATIO_PRIOR * share
            capital += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(share)
    return math.exp(min(0.0, -capital))


def side_of(limit: float, seen: int, n: int, *, alpha: float = 0.01) -> Literal["above", "below"] | None:
    """On which side of a limit a share surely lies: a test that may be repeated after each request.

    The bet is a beta mixture, as if one of ``1 / limit`` had been seen beforehand. If the share is not above the limit,
    the probability that it is ever called so is ``alpha`` at most: for a share below, the bet against the share itself
    has won at least as much as that against the limit.

    Args:
        limit: a share, from 0 to below 1.
        seen: how many of the ``n`` independent requests fell on it.
        n: how many there were.
        alpha: probability that the answer is ever wrong, over all looks together.

    Returns:
        The side; None as long as it is not known.
    """
    if not limit:
        return "above" if seen else None
    prior = 1.0, 1 / limit - 1
    won = _log_beta(prior[0] + seen, prior[1] + n - seen) - _log_beta(*prior)
    if won - seen * math.log(limit) - (n - seen) * math.log1p(-limit) < -math.log(alpha):
        return None
    return "above" if seen > limit * n else "below"


@checked
def false_alarms(
    values: Sequence[float], *, requests: int = 3_000, repetitions: int = 1_000, alpha: float = 0.05, seed: int = 0
) -> FalseAlarms:
    """How often two equal versions are called different by who looks after each request: z test and ``Gain``.

    Args:
        values: measures from 0 to 1 of one version; both answers to a request are drawn from them.
        requests: how many requests each repetition has, 30 at least: before the 30th the z test is not asked.
        repetitions: how many times the experiment is repeated.
        alpha: level of both tests.
        seed: of the random numbers.

    Returns:
        Two arrays of shape ``(requests,)``, ``peeking`` (z test) and ``always_valid``: item ``i`` is the share of
        repetitions with an alarm in the first ``i + 1`` requests, for the z test from the 30th on. 1,000 repetitions of
        3,000 requests take a second or two.

    Raises:
        UsageError: an argument is out of its range.
    """
    if not values:
        raise UsageError("values: give measures of one version, at least one")
    for value in values:
        _check_measure("values", value)
    whole("requests", requests, _FIRST_LOOK, 100_000)
    whole("repetitions", repetitions, 1, 10_000)
    whole("seed", seed, 0, 2**32)
    _check_alpha(alpha)
    import numpy as np
    from scipy import special

    random, measures = np.random.default_rng(seed), np.array(values)
    critical = float(special.ndtri(1 - alpha / 2))
    bets, count = _Bets(np.zeros(repetitions)), 0
    total, squares = np.zeros(repetitions), np.zeros(repetitions)
    alarmed = np.zeros((2, repetitions), dtype=bool)
    shares = np.zeros((2, requests))
    for request in range(requests):
        answers = random.choice(measures, (2, repetitions))
        difference = answers[1] - answers[0]
        total, squares, count = total + difference, squares + difference**2, count + 1
        bets.add(difference)
        if count >= _FIRST_LOOK:
            # abs(mean) > critical * standard error, without dividing by a variance of 0.
            alarmed[0] |= total**2 > critical**2 * np.maximum(0, squares - total**2 / count) * count / (count - 1)
        alarmed[1] |= bets.capital >= -math.log(alpha)
        shares[:, request] = alarmed.mean(axis=1)
    return FalseAlarms(*shares)


class _Bets:
    """The logarithm of what a bet of 1 has become against each of some means of differences from -1 to 1.

    If a mean is the true one, its capital is a nonnegative martingale. The stakes, of aGRAPA, are those with which the
    capital would grow fastest, about, if mean and variance were as seen so far.

    Args:
        means: the means, each between -1 and 1; observations broadcast against them.
    """

    def __init__(self, means: NDArray[np.float64]) -> None:
        self.count, self.capital = 0, 0.0 * means
        self._means = means
        self._lowest, self._highest = -_STAKE / (1 - means), _STAKE / (1 + means)
        # As if one observation, the middle with the largest variance, had been seen before.
        self._total: Any = 0.0
        self._squares: Any = 1.0

    def add(self, difference: Any) -> None:
        """Add an observation, or an array of them.

        Args:
            difference: from -1 to 1.
        """
        import numpy as np

        lead = self._total / (self.count + 1) - self._means
        stake = lead / (self._squares / (self.count + 1) + lead**2)
        stake = np.minimum(np.maximum(stake, self._lowest), self._highest)
        self.capital = self.capital + np.log1p(stake * (difference - self._means))
        self.count += 1
        self._total = self._total + difference
        self._squares = self._squares + (difference - self._total / (self.count + 1)) ** 2


def _beta_mixture(wins: int, losses: int) -> float:
    """The logarithm of what a bet of 1 against a fair coin has become: the mean over all coins, each as likely."""
    return _log_beta(wins + 1, losses + 1) + (wins + losses) * math.log(2)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _check_measure(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(f"{shown(name, value)}: give a measure from 0 to 1, such as an IoU or a share")


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise UsageError(f"alpha={alpha!r}: give a probability between 0 and 1, such as 0.01")
