"""``workshop export``: what it refuses, what it keeps, and what a reader without a kernel gets to see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from packaging.requirements import Requirement

from labsupport.cli import export as command
from labsupport.cli import site, workshop
from labsupport.errors import EngineError
from labsupport.setup.requirements import unsatisfied

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own with two lessons."""
    root = tmp_path / "repository"
    for folder in ("manifests", "images", "notebooks"):
        (root / folder).mkdir(parents=True)
    (root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for name in ("00-start", "01-next"):
        (root / "notebooks" / f"{name}.ipynb").write_text(json.dumps(notebook()))
    monkeypatch.setenv("WORKSHOP_ROOT", str(root))
    return root


def notebook(*sources: str) -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "id": f"cell{at}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for at, source in enumerate(sources)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"language_info": {"name": "python"}}, "cells": cells}


def showing(source: str, *html: str, **data: str) -> dict[str, Any]:
    made = notebook(source)
    bundles = [{"text/html": text} for text in html] + ([data] if data else [])
    made["cells"][0]["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": data} for data in bundles]
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(workshop, ["export", *arguments])


def test_lessons_are_named_by_number_or_file_and_come_in_their_order(root: Path):
    named = ("notebooks/01-next.ipynb", "00")
    assert [file.name for file in command._chosen(root, named)] == ["00-start.ipynb", "01-next.ipynb"]
    assert command._chosen(root, ()) == command._chosen(root, named)


def test_a_lesson_that_is_not_there_is_named(root: Path):
    said = run("07")
    assert said.exit_code == 2 and "no lesson '07'" in said.output


def test_a_folder_with_something_else_in_it_is_left_alone(root: Path, tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    said = run("--output", str(tmp_path / "thesis"))
    assert said.exit_code == 2 and "Name another folder" in said.output
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_without_sphinx_the_remedy_is_told(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(command, "unsatisfied", lambda root, extras: [Requirement("sphinx>=8")])
    said = run("00")
    assert said.exit_code == 2 and "sphinx>=8" in said.output and "workshop extra export" in said.output


def test_the_tests_have_what_a_site_takes():
    assert unsatisfied(ROOT, extras=("export",)) == []


def test_a_notebook_runs_once_as_long_as_nothing_changes_and_is_not_written_to(root: Path):
    file = root / "notebooks" / "00-start.ipynb"
    file.write_text(json.dumps(notebook("import time; time.time_ns()")))
    before = file.read_text()
    first, second = site.executed(root, file), site.executed(root, file)
    assert first["cells"][0]["outputs"] == second["cells"][0]["outputs"] != []
    (root / "manifests" / "new.yaml").write_text("a: 1")
    assert site.executed(root, file)["cells"][0]["outputs"] != first["cells"][0]["outputs"]
    assert file.read_text() == before
    assert len(list((root / ".workshop" / "export").iterdir())) == 1


def test_a_notebook_that_does_not_run_is_named_and_not_kept(root: Path):
    file = root / "notebooks" / "00-start.ipynb"
    file.write_text(json.dumps(notebook("1 / 0")))
    with pytest.raises(EngineError, match=r"00-start\.ipynb.*ZeroDivisionError"):
        site.executed(root, file)
    assert list((root / ".workshop").glob("export/*")) == []


def test_a_widget_gives_way_to_its_static_form():
    widget = {"application/vnd.jupyter.widget-view+json": "model", "text/plain": "x"}
    made = showing("live", "<div class='ws-still'>a picture</div>", '<span class="ws-gone"></span>', **widget)
    (only,) = site.shown(made)["cells"][0]["outputs"]
    assert "a picture" in only["data"]["text/html"]


def test_addresses_of_the_mesh_are_no_links_and_manifests_are_text():
    page = '<a href="http://127.0.0.1:1/x" target="_blank">the page</a>, <a href="../manifests/apps/web/a.yaml">a</a>'
    (output,) = site.shown(showing("lab", page))["cells"][0]["outputs"]
    assert output["data"]["text/html"] == 'the page, <a href="../manifests/apps/web/a.yaml.txt">a</a>'


def test_hints_and_an_answer_stand_below_the_last_cell_of_an_exercise():
    cells = site.shown(notebook('exercise("02.3").ask()', 'exercise("02.3").check()', "lab.close()"))["cells"]
    assert [cell["cell_type"] for cell in cells] == ["code", "code", "markdown", "code"]
    answer = (ROOT / "manifests" / "02-canary-by-weight" / "exercises" / "02.3" / "solution.yaml").read_text()
    assert "<b>Hints</b>" in cells[2]["source"] and answer.strip() in cells[2]["source"]
