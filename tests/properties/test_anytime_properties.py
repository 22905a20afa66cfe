"""Properties of the always-valid statistics."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from labsupport import Gain, sample_ratio

MEASURES = st.floats(0, 1)
PAIRS = st.lists(st.tuples(MEASURES, MEASURES), max_size=40)
WORTH = st.floats(0, 0.5)
COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 10_000))
WEIGHTS = st.fixed_dictionaries({arm: st.floats(0.01, 100) for arm in "abcd"})
OTHER = {"a is better": "b is better", "b is better": "a is better", "a": "b", "b": "a"}


@given(PAIRS, WORTH)
def test_versions_that_change_places_change_the_sign(pairs, worth):
    gain, other = Gain(worth), Gain(worth)
    for a, b in pairs:
        gain.mirror(a=a, b=b)
        other.mirror(a=b, b=a)
    assert gain.interval == (-other.interval.high, -other.interval.low)
    assert gain.answer == OTHER.get(other.answer, other.answer)
    assert gain.ahead == OTHER.get(str(other.ahead))


@given(st.lists(st.tuples(st.sampled_from("ab"), MEASURES), max_size=60))
def test_the_interval_never_widens_and_a_split_counts_its_smaller_arm(users):
    gain = Gain()
    before = gain.interval
    for arm, value in users:
        gain.split(arm, value)
        now = gain.interval
        assert -1 <= before.low <= now.low < now.high <= before.high <= 1
        before = now
    arms = [arm for arm, _ in users]
    assert gain.differences == min(arms.count("a"), arms.count("b"))


@given(PAIRS, WORTH)
def test_an_answer_stays_and_agrees_with_the_interval(pairs, worth):
    gain = Gain(worth, alpha=0.5)
    before = "undecided"
    for a, b in pairs:
        gain.mirror(a=a, b=b)
        assert before in ("undecided", gain.answer)
        before = gain.answer
    low, high = gain.interval
    assert (gain.answer == "b is better") == (low >= worth)
    assert (gain.answer == "a is better") == (high <= -worth)


@given(COUNTS, WEIGHTS, st.floats(0.1, 10))
def test_only_the_ratio_of_the_weights_counts(counts, weights, factor):
    p_value = sample_ratio(counts, weights)
    assert 0 <= p_value <= 1
    scaled = sample_ratio(counts, {arm: weight * factor for arm, weight in weights.items()})
    assert abs(scaled - p_value) <= 1e-6 * max(p_value, 1e-12) + 1e-12
