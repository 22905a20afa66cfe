"""A release interval by interval: when it goes on, stays, goes back or waits for a person, and in which words."""

from __future__ import annotations

import pytest
from canary_samples import DURATION, FAILING, GOOD, SLOW, SUCCESS, SURELY, always_valid, canary

from labsupport.course.canary_analysis import Analysis, Met
from labsupport.errors import UsageError

FINE, BROKEN = Met(False, 0.005), Met(True, 0.005)


def test_a_version_that_passes_every_check_goes_through_the_steps_and_is_promoted() -> None:
    analysis = Analysis(canary(), per_minute=100)
    weights = []
    while analysis.end is None:
        weights.append(analysis.weight)
        analysis.look([FINE] * 10)
    assert weights == [1, 5, 25, 50, 100]
    assert analysis.end == "promoted"
    assert analysis.events[2] == "Advance web.default canary weight 1"
    assert analysis.events[-3:] == [
        "Copying web.default template spec to web-primary.default",
        "Routing all traffic to primary",
        "Promotion completed! Scaling down web.default",
    ]


def test_failed_checks_add_up_over_the_steps_and_the_last_one_rolls_back() -> None:
    analysis = Analysis(canary(threshold=2), per_minute=100)
    assert analysis.look([FINE, BROKEN]).verdict == "failed"
    assert (analysis.weight, analysis.end) == (1, None)
    analysis.look([FINE])
    assert analysis.weight == 5
    analysis.look([FINE, BROKEN, BROKEN])
    assert analysis.end == "rolled back"
    assert analysis.events[-3:] == [
        "Halt web.default advancement success rate 33.33% < 99%",
        "Rolling back web.default failed checks threshold reached 2",
        "Canary failed! Scaling down web.default",
    ]


def test_no_data_is_a_failed_check() -> None:
    analysis = Analysis(canary(threshold=1), per_minute=100)
    look = analysis.look([])
    assert (look.verdict, analysis.end) == ("failed", "rolled back")
    assert look.event == (
        "Halt advancement no values found for istio metric request-success-rate probably web.default "
        "is not receiving traffic"
    )


def test_without_metrics_nothing_is_ever_wrong() -> None:
    analysis = Analysis(canary(metrics=[], stepWeights=[50]), per_minute=100)
    analysis.look([BROKEN] * 10)
    assert analysis.end == "promoted"


@pytest.mark.parametrize(("slow", "verdict"), [(1, "passed"), (2, "failed")])
def test_a_duration_is_that_of_the_99th_of_100_requests(slow: int, verdict: str) -> None:
    analysis = Analysis(canary(), per_minute=100)
    look = analysis.look([Met(False, 0.7)] * slow + [FINE] * (100 - slow))
    assert (look.verdict, look.hurt) == (verdict, slow)
    assert verdict == "passed" or look.event == "Halt web.default advancement request duration 700ms > 500ms"


@pytest.mark.parametrize(
    ("interval", "verdicts"),
    [
        ("30s", ["failed", "failed"]),  # the second half of the interval, where nobody answered well
        ("1m", ["passed", "passed"]),
        ("2m", ["passed", "passed"]),
    ],
)
def test_a_metric_looks_back_as_far_as_its_own_interval(interval: str, verdicts: list[str]) -> None:
    metric = SUCCESS | {"interval": interval, "thresholdRange": {"min": 50}}
    analysis = Analysis(canary(metrics=[metric]), per_minute=100)
    assert [analysis.look([FINE] * 10 + [BROKEN] * 10).verdict for _ in range(2)] == verdicts


def test_a_longer_window_remembers_former_intervals() -> None:
    metric = SUCCESS | {"interval": "2m", "thresholdRange": {"min": 80}}
    analysis = Analysis(canary(metrics=[metric]), per_minute=100)
    verdicts = [analysis.look(met).verdict for met in ([BROKEN] * 10, [FINE] * 10, [FINE] * 10)]
    assert verdicts == ["failed", "failed", "passed"]


@pytest.mark.parametrize(("interval", "requests"), [("1m", 600), ("10s", 100), ("1ms", 1)])
def test_an_interval_is_counted_in_requests(interval: str, requests: int) -> None:
    assert Analysis(canary(interval=interval), per_minute=600).requests == requests


def test_an_interval_that_nobody_waits_for_is_refused() -> None:
    with pytest.raises(UsageError, match="24h holds 144,000 requests, and the lab counts 10,000 at most"):
        Analysis(canary(interval="24h"), per_minute=100)


def test_what_is_surely_bad_goes_back_at_once() -> None:
    analysis = Analysis(always_valid(), per_minute=100)
    assert [analysis.look(SLOW[:3]).verdict for _ in range(2)] == ["inconclusive", "failed"]
    assert analysis.end == "rolled back"
    assert analysis.events[-2] == "Rolling back web.default surely out of range"


def test_undecided_goes_on_up_to_the_last_weight_and_there_waits_for_a_person() -> None:
    analysis = Analysis(always_valid(threshold=2, stepWeights=[1, 5]), per_minute=100)
    for _ in range(3):
        assert analysis.end is None
        assert analysis.look([FINE] * 10).verdict == "inconclusive"
    assert (analysis.weight, analysis.end) == (5, "paused")
    assert "a person decides" in analysis.events[-1]


def test_one_metric_may_be_sure_and_another_fixed() -> None:
    analysis = Analysis(canary(metrics=[SUCCESS | SURELY, DURATION], threshold=1), per_minute=100)
    assert analysis.look(GOOD[:20]).verdict == "inconclusive"
    assert analysis.look(SLOW[:20]).event.startswith("Halt web.default advancement request duration 600ms")


def test_hurt_are_those_who_failed_or_waited_too_long() -> None:
    assert Analysis(canary(), per_minute=100).hurt([*FAILING[:100], *SLOW[:7]]) == 10
    assert Analysis(canary(metrics=[SUCCESS]), per_minute=100).hurt([*FAILING[:100], *SLOW[:7]]) == 3
