"""Exercises with rungs: which were reached is told, kept and shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_engine import SmallEngine

from labsupport.check.result import FAILED, PASSED, TOO_LITTLE_DATA, CheckOutcome
from labsupport.course import progress
from labsupport.course.exercise import Exercise
from labsupport.course.judging import judged
from labsupport.course.ladder import Climbed, Rung
from labsupport.course.spec import ExerciseSpec
from labsupport.course.summary import ExerciseProgress, Summary
from labsupport.display.html.outcomes import check_html, exercise_html, progress_html
from labsupport.errors import UsageError
from labsupport.lab.lab import Lab

RUNGS = {"works": "It works.", "fault": "It works with a fault.", "budget": "It works within <three> tries."}
GOOD = CheckOutcome(PASSED, "good", ("Fine.",), alpha=1e-5)
BAD = CheckOutcome(FAILED, "bad", ("4 tries were made.", "✗ 3 at most"))


@pytest.fixture(autouse=True)
def progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "progress.json"
    monkeypatch.setenv("WORKSHOP_STATE", str(place))
    return place


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(SmallEngine()) as opened:
        yield opened


def outcome_of(lab: Lab, *parts: Any) -> CheckOutcome:
    return judged(lab, parts, {}, RUNGS)


def test_the_rungs_reached_are_told_with_what_blocks_the_next_one(lab: Lab) -> None:
    outcome = outcome_of(lab, GOOD, Rung("works"), GOOD, BAD, Rung("fault"), Rung("budget"))
    assert isinstance(outcome, Climbed) and (outcome.state, outcome.reached, outcome.rungs) == (FAILED, 1, 3)
    assert outcome.lines == (
        "1 of 3 rungs reached.",
        "✓ It works.",
        "✗ It works with a fault.",
        "  4 tries were made.",
        "  ✗ 3 at most",
        "○ It works within <three> tries.",
    )
    assert repr(outcome).startswith("FAILED bad\n  1 of 3 rungs reached.\n  ✓ It works.\n")


def test_on_top_every_rung_is_ticked_and_every_check_is_told(lab: Lab) -> None:
    outcome = outcome_of(lab, GOOD, Rung("works"), Rung("fault"), GOOD, Rung("budget"))
    assert isinstance(outcome, Climbed) and outcome.passed and outcome.reached == 3 and outcome.alpha == 2e-5
    # What two checks say alike is told once.
    assert outcome.lines[0] == "3 of 3 rungs reached." and outcome.lines.count("Fine.") == 1
    assert sum(line.startswith("✓") for line in outcome.lines) == 3


def test_a_rung_with_too_little_data_is_not_reached_and_not_failed(lab: Lab) -> None:
    outcome = outcome_of(lab, Rung("works"), CheckOutcome(TOO_LITTLE_DATA, "few", ("Send 40 more.",)))
    assert outcome.state is TOO_LITTLE_DATA and "◔ It works with a fault." in outcome.lines


def test_without_rungs_an_outcome_is_what_it_was(lab: Lab) -> None:
    assert judged(lab, [BAD], {}) is BAD


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ((GOOD, Rung("fault")), "'fault', but below .* the next one is 'works'"),
        ((GOOD, *map(Rung, RUNGS), Rung("works")), "the next one is none"),
        ((GOOD, Rung("works")), "ends without rung 'fault'"),
        ((GOOD,), "ends without rung 'works'"),
        (tuple(map(Rung, RUNGS)), "shows nothing"),
    ],
)
def test_a_judge_whose_rungs_are_not_those_of_the_texts_is_refused(
    lab: Lab, parts: Sequence[Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        outcome_of(lab, *parts)


def ladder(lab: Lab, *parts: Any) -> Exercise:
    hints = ("one", "two", "three")
    spec = ExerciseSpec("99.1", "Climb", "Do this.", "write", hints, lambda lab: parts, rungs=RUNGS)
    return Exercise(spec, lab)


def test_the_highest_rung_is_kept_and_shown(lab: Lab, progress_file: Path) -> None:
    ladder(lab, GOOD, Rung("works"), Rung("fault"), BAD).check()
    ladder(lab, GOOD, Rung("works"), BAD).check()
    assert json.loads(progress_file.read_text())["exercises"]["99.1"]["rungs"] == 2
    done = ExerciseProgress("99.1", "Climb", FAILED, 2, reached=2, rungs=3)
    card = Summary((done, replace(done, number="99.2", rungs=0)), None)
    assert "✗ 99.1 Climb (2 of 3 rungs, 2 checks)" in repr(card) and "✗ 99.2 Climb (2 checks)" in repr(card)
    assert progress_html(card).count("2 of 3 rungs") == 1


def test_an_exercise_without_rungs_keeps_none(progress_file: Path) -> None:
    progress.record("99.1", FAILED)
    assert "rungs" not in json.loads(progress_file.read_text())["exercises"]["99.1"]


def test_the_rungs_stand_in_the_task_and_on_the_card(lab: Lab) -> None:
    tried = ladder(lab, GOOD, Rung("works"), BAD)
    assert "  Rung 2: It works with a fault." in repr(tried)
    assert "within &lt;three&gt; tries" in exercise_html(tried)
    assert "✗" in check_html(tried.check()) and "&lt;three&gt;" in check_html(tried.check())
