"""The properties that every verdict relies on, against independent computations."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from labsupport import statistics

PER_CENT = st.integers(1, 99).map(lambda percent: percent / 100)


def binomial_tails(seen: int, n: int, share: Fraction) -> tuple[Fraction, Fraction]:
    """P(X <= seen) and P(X >= seen) in exact rational arithmetic."""
    chances = [math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    return sum(chances[: seen + 1]), sum(chances[seen:])


@given(n=st.integers(1, 60), data=st.data(), percent=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_binomial_test_is_twice_the_smaller_exact_tail(n, data, percent):
    seen = data.draw(st.integers(0, n))
    share = Fraction(percent, 100)
    expected = min(1.0, 2 * float(min(binomial_tails(seen, n, share))))
    assert statistics.binomial_test(seen, n, float(share)) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(n=st.integers(1, 5000), data=st.data(), share=PER_CENT, alpha=st.sampled_from([0.05, 1e-3, 1e-5]))
@settings(max_examples=200, deadline=None)
def test_test_rejects_exactly_what_lies_outside_the_interval(n, data, share, alpha):
    seen = data.draw(st.integers(0, n))
    p_value = statistics.binomial_test(seen, n, share)
    assume(abs(p_value / alpha - 1) > 1e-6)
    inside = statistics.proportion_interval(seen, n, level=1 - alpha).holds(share)
    assert inside == (p_value > alpha)


@given(n=st.integers(1, 40), expected=PER_CENT, actual=PER_CENT)
@settings(max_examples=60, deadline=None)
def test_power_is_the_chance_of_the_rejected_counts(n, expected, actual):
    alpha = 0.01
    chance = sum(
        math.comb(n, seen) * actual**seen * (1 - actual) ** (n - seen)
        for seen in range(n + 1)
        if statistics.binomial_test(seen, n, expected) <= alpha
    )
    assert statistics.power(n, expected, actual, alpha=alpha) == pytest.approx(chance, abs=1e-9)


@given(n=st.integers(1, 2000), data=st.data(), level=st.sampled_from([0.9, 0.999]))
@settings(max_examples=50, deadline=None)
def test_interval_is_that_of_clopper_and_pearson(n, data, level):
    seen = data.draw(st.integers(0, n))
    reference = stats.binomtest(seen, n).proportion_ci(level, method="exact")
    interval = statistics.proportion_interval(seen, n, level=level)
    assert interval == pytest.approx((reference.low, reference.high), rel=1e-9)


@given(n_a=st.integers(0, 3000), n_b=st.integers(0, 3000), data=st.data())
@settings(max_examples=100, deadline=None)
def test_compared_samples_have_the_p_value_of_fishers_exact_test(n_a, n_b, data):
    seen_a, seen_b = data.draw(st.integers(0, n_a)), data.draw(st.integers(0, n_b))
    reference = stats.fisher_exact([[seen_a, n_a - seen_a], [seen_b, n_b - seen_b]])
    p_value = statistics.compare_proportions(seen_a, n_a, seen_b, n_b)
    assert p_value == pytest.approx(float(reference.pvalue), rel=1e-5, abs=1e-300)
