"""Statistics: exactness against definitions, and the properties every verdict relies on."""

from __future__ import annotations

import math

import pytest

from labsupport import statistics
from labsupport.errors import UsageError


def test_interval_covers_the_truth_at_least_as_often_as_promised():
    for n, share in ((20, 0.1), (50, 0.03), (33, 0.5)):
        covered = sum(
            math.comb(n, seen) * share**seen * (1 - share) ** (n - seen)
            for seen in range(n + 1)
            if statistics.proportion_interval(seen, n, level=0.95).holds(share)
        )
        assert covered >= 0.95


def test_no_choice_leaves_everything_open():
    assert statistics.proportion_interval(0, 0) == (0.0, 1.0)
    assert statistics.binomial_test(0, 0, 0.3) == 1.0


@pytest.mark.parametrize(
    ("share", "seen", "n", "expected"), [(0, 0, 9, 1.0), (0, 1, 9, 0.0), (1, 9, 9, 1.0), (1, 8, 9, 0)]
)
def test_shares_of_none_and_all_leave_nothing_to_chance(share, seen, n, expected):
    assert statistics.binomial_test(seen, n, share) == expected


@pytest.mark.parametrize(
    ("share", "other", "planned"), [(0.1, 0.5, 60), (0.2, 0.5, 120), (0.1, 0.2, 600), (0.05, 0.1, 1300)]
)
def test_requests_needed_are_those_of_the_curriculum(share, other, planned):
    needed = statistics.requests_needed(share, other)
    assert needed == statistics.requests_needed(other, share)
    assert 0.9 * planned < needed <= planned


@pytest.mark.parametrize(("share", "other"), [(0.1, 0.5), (0.3, 0.6), (0.0, 0.2), (0.5, 1.0)])
def test_requests_needed_are_enough_from_there_on_and_not_before(share, other):
    needed = statistics.requests_needed(share, other)
    powers = {
        n: min(statistics.power(n, share, other), statistics.power(n, other, share))
        for n in range(max(1, needed - 1), needed + 60)
    }
    assert powers[needed - 1] < statistics.POWER
    assert all(value >= statistics.POWER for n, value in powers.items() if n >= needed)


def test_power_against_the_expected_share_itself_stays_below_alpha():
    for n in (50, 200, 1000):
        assert statistics.power(n, 0.1, 0.1, alpha=1e-3) <= 1e-3


def exact_multinomial(counts, shares):
    """The definition, term by term."""
    n = sum(counts)

    def chance(outcome):
        value = math.factorial(n)
        for count, share in zip(outcome, shares, strict=True):
            value = value / math.factorial(count) * share**count
        return value

    seen = chance(counts)
    return sum(
        chance((a, b, n - a - b))
        for a in range(n + 1)
        for b in range(n + 1 - a)
        if chance((a, b, n - a - b)) <= seen * (1 + 1e-7)
    )


@pytest.mark.parametrize("counts", [(1, 2, 9), (0, 0, 12), (4, 4, 4), (6, 5, 1)])
def test_multinomial_p_value_is_the_sum_over_all_outcomes_no_likelier(counts):
    fit = statistics.goodness_of_fit(counts, (10, 10, 80))
    assert fit.method == "multinomial"
    assert fit.p_value == pytest.approx(exact_multinomial(counts, (0.1, 0.1, 0.8)), rel=1e-9)


def test_many_requests_fall_back_to_a_bound_that_is_never_too_small():
    counts = (880, 920, 8200)
    fit = statistics.goodness_of_fit(counts, (10, 10, 80))
    smallest = min(statistics.binomial_test(c, 10_000, s) for c, s in zip(counts, (0.1, 0.1, 0.8), strict=True))
    assert fit.method == "bonferroni"
    assert fit.p_value == pytest.approx(3 * smallest)


def test_a_category_of_weight_zero_must_not_occur():
    assert statistics.goodness_of_fit((5, 5, 1), (1, 1, 0)).p_value == 0.0
    assert statistics.goodness_of_fit((5, 5, 0), (1, 1, 0)).p_value == 1.0
    assert statistics.goodness_of_fit((5, 0), (1, 0)).p_value == 1.0


def test_chi_square_is_pearsons_and_refuses_small_expected_counts():
    statistic, freedom, p_value = statistics.chi_square((30, 45, 25), (1, 1, 1))
    # With two degrees of freedom the chi-square distribution is an exponential one.
    assert (statistic, freedom, p_value) == (pytest.approx(6.5), 2, pytest.approx(math.exp(-6.5 / 2)))
    with pytest.raises(UsageError, match="at least 5"):
        statistics.chi_square((1, 2, 3), (1, 1, 1))


def test_compared_samples_use_fishers_exact_test():
    # The lady tasting tea: four of four cups right on each side, 2/70.
    assert statistics.compare_proportions(4, 4, 0, 4) == pytest.approx(2 / 70)
    assert statistics.compare_proportions(3, 10, 3, 10) == 1.0


def test_weights_are_relative():
    assert statistics.proportions({"v1": 1, "v2": 3}) == {"v1": 0.25, "v2": 0.75}


@pytest.mark.parametrize("weights", [{"v1": 0}, {}, {"v1": -1, "v2": 2}, {"v1": math.nan}])
def test_senseless_weights_are_refused(weights):
    with pytest.raises(UsageError, match="weights"):
        statistics.proportions(weights)


@pytest.mark.parametrize(
    "call",
    [
        lambda: statistics.proportion_interval(5, 4),
        lambda: statistics.proportion_interval(1, 4, level=1.0),
        lambda: statistics.binomial_test(1, 4, 1.2),
        lambda: statistics.requests_needed(0.1, 0.1),
        lambda: statistics.requests_needed(-0.1, 0.1),
        lambda: statistics.requests_needed(0.1, 0.2, alpha=0),
        lambda: statistics.goodness_of_fit((1, 2), (1, 1, 1)),
        lambda: statistics.goodness_of_fit((1, -2), (1, 1)),
    ],
)
def test_senseless_arguments_are_refused(call):
    with pytest.raises(UsageError):
        call()
