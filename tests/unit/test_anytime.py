"""Always-valid statistics: values by hand, and error rates by simulation, looked at after every request."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from labsupport import Gain, false_alarms, sample_ratio
from labsupport.anytime import _beta_mixture, _Bets, side_of
from labsupport.errors import UsageError

ALPHA = 0.01


def pictures(random, count, *, better):
    """IoU of A and B on the same pictures; the differences are right-skewed, as GrabCut's.

    A better B: A is 0.80 +- 0.10, and B 0.076 above it. Else both have the same mean, exactly.
    """
    if better:
        a = random.beta(12, 3, count)
        return a, np.minimum(a + random.exponential(0.093, count), 1)
    a = 0.1 + 0.69 * random.beta(5, 2, count)
    return a, a + np.minimum(random.exponential(0.09, count), 0.29) - 0.09 * (1 - math.exp(-0.29 / 0.09))


def until_decided(design, worth, *, seed, at_most, better=True):
    """The answer, and after how many users it came."""
    random = np.random.default_rng(seed)
    gain = Gain(worth, alpha=ALPHA)
    in_b = random.random(at_most) < 0.5
    for user, (a, b) in enumerate(zip(*pictures(random, at_most, better=better), strict=True), 1):
        if design == "mirror":
            gain.mirror(a=a, b=b)
        else:
            gain.split("b" if in_b[user - 1] else "a", b if in_b[user - 1] else a)
        if gain.answer != "undecided":
            break
    return gain.answer, user


# By hand


def test_the_first_bet_is_none_and_the_second_follows_what_was_seen():
    bets = _Bets(np.zeros(1))
    bets.add(0.5)
    assert bets.capital == 0
    # Mean 0.5 / 2, variance (1 + 0.25 ** 2) / 2: a stake of 0.25 / (0.53125 + 0.0625) on a difference of 0.5.
    bets.add(0.5)
    assert bets.capital == pytest.approx(math.log(1 + 0.25 / 0.59375 * 0.5))


def test_no_bet_stakes_more_than_nine_tenths():
    bets = _Bets(np.zeros(1))
    for _ in range(200):
        bets.add(0.1)
    before = bets.capital
    bets.add(-1.0)
    assert bets.capital - before == pytest.approx(math.log(0.1))


def test_eleven_wins_in_a_row_are_ahead_at_one_per_cent():
    assert _beta_mixture(10, 0) == pytest.approx(math.log(2**10 / 11))
    gain = Gain(alpha=0.01)
    seen = []
    for _ in range(11):
        gain.mirror(a=0.8, b=0.81)
        seen.append(gain.ahead)
    assert seen == [None] * 10 + ["b"]
    assert gain.answer == "undecided"


def test_ties_are_for_nobody_and_who_is_ahead_stays_it():
    gain = Gain()
    for a, b, count in ((0.5, 0.5, 50), (0.9, 0.8, 11), (0.8, 0.9, 100)):
        for _ in range(count):
            gain.mirror(a=a, b=b)
    assert gain.ahead == "a"


def test_a_ratio_by_hand():
    # Beta-binomial with 10 and 10, or 5 and 15, against the binomial.
    assert sample_ratio({}, {"a": 1, "b": 1}) == 1
    assert sample_ratio({"a": 2, "b": 0}, {"a": 1, "b": 1}) == pytest.approx(0.25 / (10 * 11 / (20 * 21)))
    assert sample_ratio({"a": 2}, {"a": 1, "b": 3}) == pytest.approx(0.0625 / (5 * 6 / (20 * 21)))


def test_nobody_may_be_in_an_arm_without_weight():
    assert sample_ratio({"a": 5, "b": 1}, {"a": 1, "b": 0}) == 0
    assert sample_ratio({"a": 5}, {"a": 1, "b": 0}) == 1


def test_a_split_pairs_users_in_the_order_in_which_they_come():
    gain, means = Gain(), []
    for arm, value in (("a", 0.8), ("a", 0.7), ("b", 0.85), ("b", 0.9), ("b", 0.95), ("a", 0.6)):
        gain.split(arm, value)
        means.append(gain.mean)
    assert np.isnan(means[:2]).all()
    assert means[2:] == pytest.approx([0.05, 0.25 / 2, 0.25 / 2, 0.6 / 3])
    assert gain.differences == 3


def test_a_split_is_judged_as_its_pairs_are():
    random = np.random.default_rng(16)
    split, mirror = Gain(0.02), Gain(0.02)
    for a, b in zip(*pictures(random, 100, better=True), strict=True):
        for arm, value in random.permutation([("a", a), ("b", b)]):
            split.split(str(arm), float(value))
        mirror.mirror(a=a, b=b)
        assert split.interval == mirror.interval
    assert (split.answer, split.ahead) == (mirror.answer, mirror.ahead) == ("b is better", "b")


def test_a_user_counts_once():
    gain = Gain()
    for _ in range(100):
        gain.mirror(a=0.5, b=0.9, user="user-1")
        gain.split("a", 0.5, user="user-2")
        gain.split("b", 0.9, user="user-2")
    assert gain.differences == 1
    gain.split("b", 0.9, user="user-3")
    assert gain.differences == 2


def test_nothing_seen_is_undecided():
    gain = Gain(0.02)
    assert (gain.answer, gain.ahead, gain.interval) == ("undecided", None, (-1.0, 1.0))
    assert math.isnan(gain.mean)
    assert repr(gain) == "Gain(undecided: -1.000 to 1.000 after 0 differences)"


@pytest.mark.parametrize(
    ("a", "b", "worth", "answer"),
    [
        (0.6, 0.9, 0.1, "b is better"),
        (0.9, 0.6, 0.1, "a is better"),
        (0.8, 0.85, 0.1, "not by more than 0.1"),
        (0.8, 0.8, 0.0, "undecided"),
    ],
)
def test_answers(a, b, worth, answer):
    gain = Gain(worth)
    for _ in range(400):
        gain.mirror(a=a, b=b)
    assert gain.answer == answer
    assert gain.interval.holds(b - a)


def test_a_gain_that_does_not_stay_leaves_the_last_interval():
    gain = Gain()
    for a, b in ((0.2, 0.9), (0.9, 0.2)):
        before = gain.interval
        for _ in range(400):
            gain.mirror(a=a, b=b)
            assert gain.interval.low >= before.low and gain.interval.high <= before.high
            before = gain.interval
    assert gain.answer == "b is better"


# Error rates


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize(
    "draw",
    [
        lambda random, shape: random.beta(12, 3, shape) - random.beta(12, 3, shape),
        lambda random, shape: np.minimum(random.exponential(0.09, shape), 1) - 0.09 * (1 - math.exp(-1 / 0.09)),
        lambda random, shape: random.choice([-1.0, 1.0], shape),
        lambda random, shape: np.where(random.random(shape) < 0.05, -0.95, 0.05),
    ],
    ids=["two samples", "right-skewed", "all or nothing", "rare failures"],
)
def test_the_true_mean_is_rarely_rejected_at_any_look(draw, alpha):
    random = np.random.default_rng(16)
    bets, rejected = _Bets(np.zeros(2_000)), np.zeros(2_000, dtype=bool)
    for _ in range(1_000):
        bets.add(draw(random, 2_000))
        rejected |= bets.capital >= -math.log(alpha)
    assert 0 < rejected.mean() <= alpha


def test_the_interval_holds_the_true_gain_at_every_look():
    left_out = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        gain = Gain(0.02, alpha=0.1)
        for a, b in zip(random.beta(12, 3, 250), random.beta(12, 2, 250), strict=True):
            gain.mirror(a=a, b=b)
        # It never widens, so that the last one tells of all before.
        left_out += not gain.interval.holds(12 / 14 - 12 / 15)
    assert left_out <= 10


def crossing(bound, weight=0.5, users=400):
    """The exact probability that a fair walk ever meets what ``bound(hits, n)`` says: state by state."""
    chances, met = np.array([1.0]), 0.0
    for n in range(1, users + 1):
        chances = np.append(chances * (1 - weight), 0) + np.append(0, chances * weight)
        over = np.array([bound(hits, n) for hits in range(n + 1)])
        met += chances[over].sum()
        chances[over] = 0
    return met


def test_who_is_ahead_is_rarely_told_of_equals():
    alpha = 0.05
    assert alpha / 5 < crossing(lambda hits, n: _beta_mixture(hits, n - hits) >= -math.log(alpha)) <= alpha
    assert _beta_mixture(7, 5) == pytest.approx(special.betaln(8, 6) + 12 * math.log(2))


@pytest.mark.parametrize("weight", [0.5, 0.1])
def test_a_right_split_is_rarely_called_broken(weight):
    weights = {"a": 1 - weight, "b": weight}
    told = crossing(lambda b, n: sample_ratio({"a": n - b, "b": b}, weights) <= 0.05, weight, users=150)
    assert 0.05 / 10 < told <= 0.05


def test_a_split_of_three_by_simulation():
    random, told = np.random.default_rng(16), 0
    weights = {"a": 2, "b": 1, "c": 1}
    for _ in range(100):
        counts = np.cumsum(random.multinomial(1, [0.5, 0.25, 0.25], 200), axis=0)
        told += any(sample_ratio(dict(zip("abc", row.tolist(), strict=True)), weights) <= 0.05 for row in counts)
    assert 0 < told <= 5


def test_a_split_that_loses_every_fifth_user_of_one_arm_is_found():
    random, found = np.random.default_rng(16), []
    for _ in range(100):
        in_b = random.random(4_000) < 0.5
        seen_b = np.cumsum(in_b & (random.random(4_000) < 0.8))
        seen_a = np.cumsum(~in_b)
        looks = range(99, 4_000, 100)
        tells = [sample_ratio({"a": int(seen_a[i]), "b": int(seen_b[i])}, {"a": 1, "b": 1}) < 0.01 for i in looks]
        found.append(looks[tells.index(True)] if any(tells) else math.inf)
    assert max(found) < 4_000
    assert np.median(found) < 1_500


# What the lesson says


def test_the_pictures_of_these_tests_are_as_they_say():
    for better, gain in ((True, 0.076), (False, 0.0)):
        a, b = pictures(np.random.default_rng(16), 200_000, better=better)
        assert (b - a).mean() == pytest.approx(gain, abs=0.001)
        assert min(a.min(), b.min()) >= 0 and max(a.max(), b.max()) <= 1
        assert a.std() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(("design", "at_most"), [("mirror", 400), ("split", 900)])
def test_a_real_difference_is_decided_rightly(design, at_most):
    answers = [until_decided(design, 0.02, seed=seed, at_most=at_most)[0] for seed in range(100)]
    assert answers.count("b is better") >= 95
    assert "a is better" not in answers


@pytest.mark.parametrize("design", ["mirror", "split"])
def test_no_difference_is_decided_wrongly_once_in_a_hundred_at_most(design):
    answers = [until_decided(design, 0.0, seed=seed, at_most=300, better=False)[0] for seed in range(100)]
    assert sum(answer != "undecided" for answer in answers) <= 1


def test_a_mirror_needs_less_than_half_of_the_users():
    users = {
        design: np.median([until_decided(design, 0.02, seed=seed, at_most=2_000)[1] for seed in range(40)])
        for design in ("mirror", "split")
    }
    assert users["mirror"] < users["split"] / 2


def test_who_looks_after_each_request_is_wrong_nearly_every_second_time():
    alarms = false_alarms(np.random.default_rng(16).beta(12, 3, 300).tolist())
    assert len(alarms.peeking) == len(alarms.always_valid) == 3_000
    assert not alarms.peeking[:29].any()
    assert alarms.peeking[29] == pytest.approx(0.05, abs=0.03)
    assert alarms.peeking[-1] > 0.4
    assert 0 < alarms.always_valid[-1] <= 0.05
    assert all((np.diff(curve) >= 0).all() for curve in alarms)


def test_the_same_seed_gives_the_same_picture():
    once, again, other = (false_alarms([0.7, 0.9], requests=60, repetitions=50, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(once, again) and not np.array_equal(once, other)


def test_versions_that_always_answer_the_same_raise_no_alarm():
    assert not np.any(false_alarms([0.8], requests=50, repetitions=10))


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Gain(1), r"worth=1: give a gain from 0 to below 1"),
        (lambda: Gain(-0.1), r"worth=-0.1: give a gain"),
        (lambda: Gain("much"), r"worth='much': give a number"),
        (lambda: Gain(alpha=0), r"alpha=0: give a probability between 0 and 1"),
        (lambda: Gain().split("c", 0.5), r"arm='c': give 'a' or 'b'"),
        (lambda: Gain().split("a", 1.2), r"value=1.2: give a measure from 0 to 1"),
        (lambda: Gain().split("a", math.nan), r"value=nan: give a number"),
        (lambda: Gain().mirror(a=0.5, b=-0.1), r"b=-0.1: give a measure from 0 to 1"),
        (lambda: Gain().mirror(0.5, 0.6), r"Write gain.mirror\(\*, a, b"),
        (lambda: sample_ratio({"a": 1, "c": 2}, {"a": 1, "b": 1}), r"counts: 'c' has no weight; weights has 'a', 'b'"),
        (lambda: sample_ratio({"a": 1}, {"a": 1}), r"weights=\{'a': 1\}: give two arms at least"),
        (lambda: sample_ratio({"a": 1.5}, {"a": 1, "b": 1}), r"counts\['a'\]=1.5: give a whole number"),
        (lambda: sample_ratio({"a": -1}, {"a": 1, "b": 1}), r"counts\['a'\]=-1: give numbers from 0"),
        (lambda: sample_ratio({"a": 1}, {"a": 0, "b": 0}), r"weights are numbers from 0, and at least one"),
        (lambda: false_alarms([]), r"values: give measures of one version, at least one"),
        (lambda: false_alarms([0.5, 80]), r"values=80: give a measure from 0 to 1"),
        (lambda: false_alarms([0.5], requests=10), r"requests=10: a whole number from 30"),
        (lambda: false_alarms([0.5], repetitions=0), r"repetitions=0: a whole number from 1"),
        (lambda: false_alarms([0.5], alpha=1), r"alpha=1: give a probability"),
        (lambda: false_alarms([0.5], seed=-1), r"seed=-1: a whole number from 0"),
    ],
)
def test_a_wrong_argument_is_named_with_what_to_give(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_a_refused_observation_changes_nothing():
    gain = Gain()
    with pytest.raises(UsageError):
        gain.mirror(a=0.5, b=7, user="user-1")
    gain.mirror(a=0.5, b=0.7, user="user-1")
    assert gain.differences == 1


# A share beside a limit


def test_a_share_is_on_a_side_once_the_bet_has_won_enough():
    # With a prior of Beta(1, 99), nothing seen in n has won 99 / (99 + n) / 0.99 ** n.
    won = [99 / (99 + n) / 0.99**n for n in range(1000)]
    first = next(n for n, capital in enumerate(won) if capital >= 100)
    assert side_of(0.01, 0, first - 1) is None
    assert side_of(0.01, 0, first) == "below"
    assert side_of(0.01, 12, 200) == "above"
    assert side_of(0.0, 0, 10_000) is None and side_of(0.0, 1, 10) == "above"


@pytest.mark.parametrize(("share", "wrong"), [(0.01, "above"), (0.01, "below"), (0.007, "above"), (0.014, "below")])
def test_a_share_is_seldom_ever_called_to_be_on_the_wrong_side(share, wrong):
    random = np.random.default_rng(0)
    seen = np.cumsum(random.random((400, 2000)) < share, axis=1)
    alarms = sum(any(side_of(0.01, int(row[n]), n + 1) == wrong for n in range(9, 2000, 10)) for row in seen)
    # 1 % are allowed; more than 13 of 400 would come of that once in 10,000 times.
    assert alarms <= 13


@pytest.mark.parametrize(("share", "right"), [(0.03, "above"), (0.001, "below")])
def test_a_share_that_is_far_away_is_known_within_two_thousand(share, right):
    random = np.random.default_rng(1)
    seen = np.cumsum(random.random((200, 2000)) < share, axis=1)
    known = sum(any(side_of(0.01, int(row[n]), n + 1) == right for n in range(9, 2000, 10)) for row in seen)
    assert known >= 198
