from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from labsupport.errors import NotFoundError, StorageError
from labsupport.setup.workingcopy import WorkingCopy

NOTEBOOK = "notebooks/02-weights.ipynb"
RULE = "manifests/02-weights/rule.yaml"
ROOT = Path(__file__).resolve().parents[3]


def notebook(*cells: str, outputs: bool = False) -> str:
    shown = [{"output_type": "stream", "name": "stdout", "text": "seen"}] if outputs else []
    made = [{"cell_type": "code", "source": [cell], "outputs": shown, "metadata": {}} for cell in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def course(tmp_path: Path) -> Path:
    course = tmp_path / "course"
    for name, text in ((NOTEBOOK, notebook("a = 1")), (RULE, "a: 1"), ("manifests/apps/web/app.yaml", "b: 1")):
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).write_text(text)
    (course / "notebooks" / ".ipynb_checkpoints").mkdir()
    (course / "notebooks" / ".ipynb_checkpoints" / "x.ipynb").touch()
    return course


@pytest.fixture
def copy(course: Path, tmp_path: Path) -> WorkingCopy:
    copy = WorkingCopy(course, tmp_path / "work")
    copy.refresh()
    return copy


def texts(copy: WorkingCopy) -> dict[str, str]:
    files = [path for path in copy.folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(copy.folder)): path.read_text() for path in files}


def test_the_first_time_all_is_copied_and_the_second_time_nothing(copy: WorkingCopy) -> None:
    assert texts(copy) == {NOTEBOOK: notebook("a = 1"), RULE: "a: 1", "manifests/apps/web/app.yaml": "b: 1"}
    done = copy.refresh()
    assert (done.added, done.updated, done.removed, done.differing, done.kept) == ([], [], [], [], None)


def test_a_copy_of_a_read_only_clone_can_be_written(course: Path, tmp_path: Path) -> None:
    (course / RULE).chmod(0o444)
    copy = WorkingCopy(course, tmp_path / "work")
    copy.refresh()
    assert (copy.folder / RULE).stat().st_mode & 0o200


def test_what_the_learner_has_not_changed_is_updated(copy: WorkingCopy) -> None:
    (copy.course / RULE).write_text("a: 2")
    (copy.course / "manifests" / "new.yaml").write_text("c: 1")
    done = copy.refresh()
    assert (done.updated, done.added, done.kept) == ([RULE], ["manifests/new.yaml"], None)
    assert texts(copy)[RULE] == "a: 2"


def test_what_the_learner_has_changed_stays_and_is_told_once_for_each_change_of_the_course(copy: WorkingCopy) -> None:
    (copy.folder / RULE).write_text("mine: 1")
    assert copy.refresh().differing == []
    for version in (2, 3):
        (copy.course / RULE).write_text(f"a: {version}")
        assert copy.refresh().differing == [RULE]
        assert copy.refresh().differing == []
    assert texts(copy)[RULE] == "mine: 1"


def test_a_notebook_that_was_only_run_is_updated_and_its_outputs_are_kept(copy: WorkingCopy) -> None:
    run = notebook("a = 1", outputs=True)
    (copy.folder / NOTEBOOK).write_text(run)
    assert copy.refresh().kept is None
    (copy.course / NOTEBOOK).write_text(notebook("a = 2"))
    done = copy.refresh()
    assert done.updated == [NOTEBOOK] and done.kept is not None
    assert (done.kept / NOTEBOOK).read_text() == run
    assert texts(copy)[NOTEBOOK] == notebook("a = 2")


def test_a_notebook_with_a_cell_of_the_learner_stays(copy: WorkingCopy) -> None:
    mine = notebook("a = 1", "mine = 2")
    (copy.folder / NOTEBOOK).write_text(mine)
    (copy.course / NOTEBOOK).write_text(notebook("a = 2"))
    assert copy.refresh().differing == [NOTEBOOK]
    assert texts(copy)[NOTEBOOK] == mine


def test_what_is_gone_is_copied_again(copy: WorkingCopy) -> None:
    (copy.folder / NOTEBOOK).unlink()
    assert copy.refresh().added == [NOTEBOOK]
    assert texts(copy)[NOTEBOOK] == notebook("a = 1")


def test_what_the_course_drops_goes_unless_the_learner_has_changed_it(copy: WorkingCopy) -> None:
    other = "manifests/apps/web/app.yaml"
    for name in (RULE, other):
        (copy.course / name).unlink()
    (copy.folder / other).write_text("mine: 1")
    (copy.folder / "manifests" / "own.yaml").write_text("own: 1")
    assert copy.refresh().removed == [RULE]
    assert texts(copy) == {NOTEBOOK: notebook("a = 1"), other: "mine: 1", "manifests/own.yaml": "own: 1"}


@pytest.mark.parametrize("record", [None, "", "[1]", "{"])
def test_without_a_record_of_what_was_copied_nothing_is_lost(copy: WorkingCopy, record: str | None) -> None:
    file = copy.folder / ".course.json"
    file.unlink() if record is None else file.write_text(record)
    (copy.folder / RULE).write_text("mine: 1")
    (copy.course / NOTEBOOK).write_text(notebook("a = 2"))
    assert sorted(copy.refresh().differing) == [RULE, NOTEBOOK]
    assert texts(copy)[RULE] == "mine: 1" and texts(copy)[NOTEBOOK] == notebook("a = 1")


@pytest.mark.parametrize(("lesson", "replaced"), [("02", {NOTEBOOK, RULE}), ("", {NOTEBOOK, RULE, "manifests/x.yaml"})])
def test_a_lesson_or_all_begins_afresh_and_what_was_there_is_kept(
    copy: WorkingCopy, lesson: str, replaced: set[str]
) -> None:
    (copy.course / "manifests" / "x.yaml").write_text("x: 1")
    copy.refresh()
    for name in (NOTEBOOK, RULE, "manifests/x.yaml", "manifests/own.yaml"):
        (copy.folder / name).write_text("mine")
    first = copy.start_afresh(lesson)
    assert set(first.updated) == replaced and first.kept is not None
    assert {name: (first.kept / name).read_text() for name in replaced} == dict.fromkeys(replaced, "mine")
    assert texts(copy)[RULE] == "a: 1" and texts(copy)["manifests/own.yaml"] == "mine"
    assert copy.start_afresh(lesson).updated == []
    (copy.folder / RULE).write_text("again")
    second = copy.start_afresh(lesson)
    assert second.kept is not None and second.kept != first.kept
    assert (second.kept / RULE).read_text() == "again"
    (copy.course / RULE).write_text("a: 2")
    assert RULE in copy.refresh().updated, "afresh means not changed"


def test_a_lesson_that_is_not_there(copy: WorkingCopy) -> None:
    with pytest.raises(NotFoundError, match="no lesson '07'"):
        copy.start_afresh("07")


def test_a_folder_that_cannot_be_written_is_told_with_another_way(course: Path, tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file")
    with pytest.raises(StorageError, match="WORKSHOP_WORK"):
        WorkingCopy(course, tmp_path / "work").refresh()
    copy = WorkingCopy(course, tmp_path / "other")
    (copy.folder / RULE).mkdir(parents=True)
    with pytest.raises(StorageError, match=r"rule\.yaml"):
        copy.refresh()


def test_git_does_not_see_it() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    done = subprocess.run(["git", "check-ignore", "work/notebooks/00.ipynb", ".workshop/x"], cwd=ROOT, check=False)
    assert done.returncode == 0
