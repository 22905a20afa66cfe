from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, CheckState
from labsupport.course import catalogue, progress
from labsupport.course.outline import Outline, outlines
from labsupport.course.summary import CourseMap, ExerciseProgress, LessonProgress, as_json, course_map, summary
from labsupport.course.summary import progress as progress_of
from labsupport.errors import NotFoundError

FIRST = next(iter(catalogue.every()))


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "state" / "progress.json"
    monkeypatch.setenv("WORKSHOP_STATE", str(place))
    return place


def first() -> ExerciseProgress:
    return summary().exercises[0]


def test_nothing_is_done_at_first_and_looking_writes_nothing(file: Path) -> None:
    seen = summary()
    assert seen.passed == 0
    assert seen.problem == ""
    assert [done.number for done in seen.exercises] == list(catalogue.every())
    assert not file.parent.exists()


def test_outcomes_checks_and_hints_are_kept(file: Path) -> None:
    progress.record(FIRST, FAILED, hints=1)
    assert (first().state, first().checks, first().hints, first().passed_s) == (FAILED, 1, 1, 0.0)
    progress.record(FIRST, PASSED, hints=2)
    assert (first().state, first().checks, first().hints) == (PASSED, 2, 2)
    assert first().passed_s > 0
    assert f"✓ {FIRST}" in repr(summary())


def test_a_lesson_has_its_own_exercises() -> None:
    progress.record(FIRST, PASSED)
    card = progress_of(FIRST[:2])
    assert card.passed == 1
    assert {done.number[:2] for done in card.exercises} == {FIRST[:2]}
    assert progress_of(FIRST[1:2]).exercises == card.exercises
    with pytest.raises(NotFoundError, match="There are: 00, 01"):
        progress_of("77")


def test_what_has_passed_stays_passed(file: Path) -> None:
    progress.record(FIRST, PASSED)
    progress.record(FIRST, FAILED)
    assert first().state is PASSED


def test_an_untouched_exercise_counts_as_no_check(file: Path) -> None:
    progress.record(FIRST, NOT_ATTEMPTED)
    assert (first().state, first().checks) == (NOT_ATTEMPTED, 0)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"exercises": 3}', '{"exercises": {"00.1": 3}}', "\x00\xff"], ids=range(7)
)
def test_a_damaged_file_counts_as_empty_and_is_replaced(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_bytes(text.encode("latin-1"))
    assert "damaged" in summary().problem
    assert progress.record(FIRST, PASSED)
    assert summary().problem == ""
    assert first().state is PASSED


def test_values_that_make_no_sense_are_left_out(file: Path) -> None:
    file.parent.mkdir()
    entry = {"state": "GREAT", "checks": -1, "hints": "two", "passed_s": []}
    file.write_text(json.dumps({"exercises": {FIRST: entry}}))
    assert (first().state, first().checks, first().hints, first().passed_s) == (NOT_ATTEMPTED, 0, 0, 0.0)
    assert progress.record(FIRST, FAILED)


def test_what_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file where a folder is needed: this fails for every user, root included.
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("WORKSHOP_STATE", str(blocked / "progress.json"))
    assert progress.record(FIRST, PASSED) is False
    assert "cannot be" in summary().problem


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(file: Path) -> None:
    file.parent.mkdir(mode=0o500)
    assert progress.record(FIRST, PASSED) is False
    assert "read-only" in summary().problem


def test_reset_forgets(file: Path) -> None:
    progress.record(FIRST, PASSED)
    progress.reset()
    progress.reset()
    assert summary().passed == 0


def test_the_map_has_every_lesson_with_its_exercises_and_says_where_one_is() -> None:
    progress.record(FIRST, PASSED)
    course = course_map("02")
    assert [done for lesson in course.lessons for done in lesson.exercises] == [*summary().exercises]
    assert course.lessons[0].passed == 1 and sum(lesson.passed for lesson in course.lessons) == 1
    main = sum(not done.extra for done in summary().exercises)
    assert f"1 of {main} exercises passed" in repr(course)
    assert "  00 Start here" in repr(course) and "> 02 Canary by weight" in repr(course)
    assert repr(course).splitlines()[2].split()[-1].startswith("✓")
    assert isinstance(progress_of(), CourseMap) and progress_of().here == ""


def test_a_map_without_lessons_is_no_error() -> None:
    assert "0 of 0 exercises" in repr(CourseMap(()))


def test_programs_get_all_that_is_known(file: Path) -> None:
    progress.record(FIRST, PASSED, hints=2)
    told = json.loads(json.dumps(as_json(summary())))
    assert told["passed"] == 1 and told["file"] == str(file) and told["problem"] == ""
    assert told["exercises"][0]["number"] == FIRST
    assert (told["exercises"][0]["state"], told["exercises"][0]["hints"]) == ("PASSED", 2)


NEEDY = """
# 03 · Routing by header
**Time** 40 minutes, and 15 more with the extras. **You need** lessons [02](02-canary-by-weight.ipynb) and
[01](01-canary-by-replicas.ipynb), or the idea of [02](02-canary-by-weight.ipynb).
"""


def test_the_map_tells_what_a_lesson_needs_and_what_is_left_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("manifests", "notebooks"):
        (tmp_path / folder).mkdir()
    cells = {"cells": [{"source": NEEDY.lstrip().splitlines(keepends=True)}]}
    (tmp_path / "notebooks" / "03-routing-by-header.ipynb").write_text(json.dumps(cells))
    (tmp_path / "notebooks" / "04-broken.ipynb").write_text("{")
    monkeypatch.setenv("WORKSHOP_ROOT", str(tmp_path))
    assert outlines() == {"03": Outline("Routing by header", 40, ("02", "01"))}

    def lesson(number: str, *states: CheckState, needs: tuple[str, ...] = ()) -> LessonProgress:
        exercises = tuple(ExerciseProgress(f"{number}.{k}", "x", state) for k, state in enumerate(states, 1))
        return LessonProgress(number, "A lesson", exercises, Outline("", 40, needs))

    first = lesson("01", PASSED, NOT_ATTEMPTED, needs=("00",))
    course = CourseMap((lesson("00", PASSED), first, lesson("02", NOT_ATTEMPTED, needs=("01",))))
    assert [entry.minutes_left for entry in course.lessons] == [0, 20, 40]
    assert "1 hour left" in course.told and course.next is first
    assert "next: 01 A lesson" in repr(course)
    assert CourseMap((lesson("00", PASSED),)).next is None
