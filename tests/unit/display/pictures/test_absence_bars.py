"""Bars of pods that received nothing: where they stand, and what they say in the room that they have."""

from __future__ import annotations

import pytest
from display_samples import parsed, texts

from labsupport.display.pictures.absence_bars import absence_bars, absences_in_words
from labsupport.traffic.absences import Absence


def absence(began_s: float, ended_s: float | None, *, pod: str = "web-v2-a", errors: int = 0) -> Absence:
    return Absence(pod, "v2", (0.0,) * errors, began_s, ended_s, 50.0 if ended_s is None else ended_s)


def bars(*absences: Absence, scale: float = 10.0) -> str:
    return absence_bars(absences, lambda time_s: scale * time_s, left=0.0, right=500.0, top=0.0)


def places(markup: str) -> list[tuple[float, float]]:
    """Where each bar begins, and how wide it is; a bar has two frames."""
    frames = [node.attrib for node in parsed(markup).iter() if node.tag.endswith("}rect")]
    return [(float(frame["x"]), float(frame["width"])) for frame in frames[::2]]


def test_bars_stand_at_their_times_and_within_the_plot():
    markup = bars(absence(-5, 3), absence(10, 20, errors=3), absence(30, None))
    assert places(markup) == [(0.0, 30.0), (100.0, 100.0), (300.0, 200.0)]
    assert places(bars(absence(-9, -2), absence(60, 70))) == []
    assert bars() == ""


@pytest.mark.parametrize(
    ("scale", "told"),
    [(10.0, "v2 gets nothing, 20 s 12 errors"), (4.5, "v2, 20 s 12"), (2.5, "20 s 12"), (0.5, "")],
)
def test_what_is_said_fits(scale: float, told: str):
    assert texts(bars(absence(10, 30, errors=12), scale=scale)) == told


def test_pods_of_one_version_are_told_apart():
    markup = bars(absence(0, 30), absence(5, 40, pod="web-v2-b"))
    assert "v2 a gets nothing" in texts(markup) and "v2 b gets nothing" in texts(markup)
    many = [absence(0, 30, pod=f"web-v2-{number}") for number in range(5)]
    assert "+ 2 more pods" in texts(bars(*many))


def test_the_same_in_words():
    said = absences_in_words([absence(0, 3, errors=1), absence(10, None)])
    assert said == " v2 received nothing for 3.00 s after 1 error. v2 received nothing for 40 s until now."
    assert absences_in_words([]) == ""
