"""The course as a map: a node for each lesson, and a dot for each exercise."""

from __future__ import annotations

from pathlib import Path

import pytest
from display_samples import Page

from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, CheckOutcome
from labsupport.course import catalogue, progress
from labsupport.course.summary import CourseMap, ExerciseProgress, LessonProgress
from labsupport.display.html.course_map import course_map_html
from labsupport.display.html.outcomes import check_html

DONE = LessonProgress("00", "Start here", (ExerciseProgress("00.1", "Read the log", PASSED),))
BEGUN = LessonProgress(
    "01",
    "Canary by replicas",
    tuple(ExerciseProgress(f"01.{k}", "x", state) for k, state in enumerate((PASSED, FAILED, NOT_ATTEMPTED), 1)),
)


def test_each_lesson_says_in_words_how_far_it_is() -> None:
    page = Page(course_map_html(CourseMap((DONE, BEGUN), here="01")))
    told = [node.get("aria-label") for node in page.all("span") if node.get("role") == "img"]
    assert told == [
        "lesson 00 Start here: 1 of 1 exercise passed",
        "lesson 01 Canary by replicas: 1 of 3 exercises passed, you are here",
    ]


def test_a_lesson_is_done_without_its_extras() -> None:
    extra = ExerciseProgress("00.2", "More", NOT_ATTEMPTED, extra=True)
    with_extra = LessonProgress("00", "Start here", (*DONE.exercises, extra))
    page = Page(course_map_html(CourseMap((with_extra, BEGUN))))
    assert "lesson 00 Start here: 1 of 1 exercise passed, and 0 of 1 extra" in [
        node.get("aria-label") for node in page.all("span")
    ]
    assert with_extra.whole and not BEGUN.whole
    assert "00●+○" in page.text and "2 of 4 exercises passed, and 0 of 1 extra" in page.text
    assert "a lesson is done without them" in page.text
    assert "extras" not in course_map_html(CourseMap((DONE, BEGUN)))
    assert "✓+·" in repr(CourseMap((with_extra,)))


def test_a_dot_is_filled_once_its_exercise_has_passed() -> None:
    html = course_map_html(CourseMap((BEGUN,)))
    nodes = html.partition("passed  ")[0]
    assert [sign for sign in nodes if sign in "●◐○"][:3] == ["●", "◐", "○"]
    assert "1 of 3 exercises passed" in html


def test_what_cannot_be_kept_is_said() -> None:
    assert "read-only" in course_map_html(CourseMap((DONE,), problem="The folder is read-only."))


def test_the_outcome_of_an_exercise_has_the_map_and_that_of_another_check_has_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSHOP_STATE", str(tmp_path / "progress.json"))
    number, spec = next(iter(catalogue.every().items()))
    progress.record(number, PASSED)
    of_exercise = check_html(CheckOutcome(PASSED, spec.heading))
    assert "you are here" in of_exercise and of_exercise.count("●") == 1
    assert "you are here" not in check_html(CheckOutcome(PASSED, "not one request failed"))
