"""The judge is judged: false rollbacks and missed versions over replays of recorded traffic."""

from __future__ import annotations

import pytest
from canary_samples import FAILING, GOOD, SLOW, always_valid, canary, manifest

from labsupport.course.canary_analysis import Met
from labsupport.course.replays import Replayed, replayed, replays
from labsupport.errors import UsageError
from labsupport.model.kinds.canary import Canary
from labsupport.records import Response
from labsupport.traffic.observations import Observations

TIMES = 200


def of(version: str, answers: list[Met], judge: Canary, *, per_minute: int = 100, seed: int = 0) -> Replayed:
    return replayed(version, answers, "judge", judge, per_minute=per_minute, times=TIMES, seed=seed)


@pytest.mark.parametrize(("per_minute", "seed"), [(100, 0), (100, 1), (400, 2)])
def test_the_always_valid_judge_rolls_back_no_good_one_and_misses_no_bad_one(per_minute: int, seed: int) -> None:
    judge = always_valid()
    good = of("good", GOOD, judge, per_minute=per_minute, seed=seed)
    assert good.mistakes <= TIMES / 100
    assert good.ends.count("promoted") >= 0.95 * TIMES
    assert good.interval.high < 0.04
    for version, answers in (("slow", SLOW), ("failing", FAILING)):
        bad = of(version, answers, judge, per_minute=per_minute, seed=seed)
        assert bad.mistakes <= TIMES / 20
        assert bad.ends.count("rolled back") >= 0.95 * TIMES


def test_the_always_valid_judge_is_as_seldom_wrong_as_it_says_at_its_limit() -> None:
    """A version that fails in exactly 1 of 100 requests is within the limit, and the hardest to tell."""
    on_the_edge = [Met(number % 100 == 0, 0.005) for number in range(1000)]
    assert of("good", on_the_edge, always_valid(threshold=20)).mistakes <= 0.03 * TIMES


def test_a_fixed_threshold_is_false_to_good_ones_or_misses_bad_ones() -> None:
    strict, patient = canary(threshold=1), canary(threshold=5)
    assert of("good", GOOD, strict).interval.low > 0.2
    assert of("failing", FAILING, patient).interval.low > 0.1
    assert of("good", GOOD, patient).mistakes <= TIMES / 50


def test_with_more_traffic_the_three_canaries_of_the_lesson_end_as_they_must() -> None:
    judge = canary()
    for version, answers, end in (("good", GOOD, "promoted"), ("slow", SLOW, "rolled back")):
        assert set(of(version, answers, judge, per_minute=1000).ends) == {end}
    assert set(of("failing", FAILING, judge, per_minute=1000).ends) == {"rolled back"}


def test_replays_come_out_alike_and_tell_shares_with_intervals() -> None:
    recorded = {"failing": Observations(Response(n, 0.0, 0.005, "ok", 500 if n < 3 else 200) for n in range(100))}
    first = replays(recorded, {"patient": manifest()}, times=50)
    assert first == replays(recorded, {"patient": manifest()}, times=50)
    row = first.of("failing", "patient")
    assert sum(row.ends.count(end) for end in ("promoted", "rolled back", "paused")) == 50
    assert f"{row.mistakes} promoted" in repr(first) and "missed" in repr(first)
    assert row.interval.low < row.mistakes / 50 < row.interval.high


def test_what_cannot_be_replayed_is_refused() -> None:
    with pytest.raises(UsageError, match="'good' has no responses"):
        replays({"good": Observations()}, {"judge": manifest()})
    rule = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}}
    with pytest.raises(UsageError, match="holds Namespace"):
        replays({"good": Observations()}, {"judge": rule})
    seen = Observations([Response(0, 0.0, 0.1, "ok", 200)])
    with pytest.raises(UsageError, match="There is 'good' under 'judge'"):
        replays({"good": seen}, {"judge": manifest()}, times=1).of("bad", "judge")
