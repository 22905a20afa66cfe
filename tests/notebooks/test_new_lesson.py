"""A lesson that was just begun keeps the rules of notebooks, and its exercises can be read."""

from __future__ import annotations

import json
from pathlib import Path

import notebook_rules as rules
import pytest
from click.testing import CliRunner, Result

from labsupport.cli import workshop
from labsupport.cli.lesson import unwritten
from labsupport.course.reading import FILE, read_exercise
from labsupport.errors import UsageError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for app in ("client", "web"):
        (tmp_path / "manifests" / "apps" / app).mkdir(parents=True)
    monkeypatch.setenv("WORKSHOP_ROOT", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(workshop, ["lesson", *arguments])


def test_a_new_lesson_keeps_the_rules_and_says_what_is_left(root: Path):
    result = run("new", "03", "header-routing")
    assert result.exit_code == 0, result.output
    path = root / "notebooks" / "03-header-routing.ipynb"
    notebook = json.loads(path.read_text())
    every_rule = (*rules.RULES, rules.names_only_files_that_exist(root))
    assert [breach for rule in every_rule for breach in rule(notebook, path.name)] == []
    assert rules.exercises_of(notebook) == {"03.1", "03.2"}
    cells = {argument: text.strip() for _, argument, text in rules.manifest_cells(notebook)}
    for number in ("03.1", "03.2"):
        folder = root / "manifests" / "03-header-routing" / "exercises" / number
        spec = read_exercise(folder, root / "manifests", judge=lambda lab: ())
        assert cells[number] == spec.start.strip()
        assert len(spec.wrong) == 2
    compile((root / "labsupport" / "course" / "lessons" / "header_routing.py").read_text(), "judges", "exec")
    assert any("exercise.toml" in place for place in unwritten(root, "03"))


@pytest.mark.parametrize("arguments", [("3", "header"), ("03", "Header"), ("03", "../header"), ("xx", "header")])
def test_what_is_no_lesson_makes_nothing(root: Path, arguments: tuple[str, str]):
    assert run("new", *arguments).exit_code == 2
    assert not (root / "notebooks").exists()


def test_a_lesson_is_not_begun_twice_and_not_checked_before_it_is_begun(root: Path):
    assert run("check", "03").exit_code == 2
    run("new", "03", "header")
    again = run("new", "03", "other")
    assert again.exit_code == 2 and "03-header" in again.output


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('kind = "write"', 'kind = "wirte"', "kind: 'wirte' is none"),
        ("needs", "neads", "neads: no such field"),
        ("apps/web", "apps/wbe", "needs: there is no manifests/apps/wbe"),
        ("[en]", "[ja]", r"\[en\]: is missing"),
        ("title =", "titel =", "en.titel: no such field"),
        ('"WRITE another one", ', "", "en.hints: 2 hints"),
        ("[en]", "[en", "no TOML"),
    ],
)
def test_a_mistake_in_an_exercise_is_told_with_file_and_field(root: Path, old: str, new: str, told: str):
    run("new", "03", "header")
    folder = root / "manifests" / "03-header" / "exercises" / "03.1"
    file = folder / FILE
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(UsageError, match=f"exercises/03.1/exercise.toml: .*{told}"):
        read_exercise(folder, root / "manifests", judge=lambda lab: ())


def test_a_language_that_lacks_a_text_borrows_it(root: Path, monkeypatch: pytest.MonkeyPatch):
    run("new", "03", "header")
    folder = root / "manifests" / "03-header" / "exercises" / "03.1"
    with open(folder / FILE, "a", encoding="utf-8") as file:
        file.write('\n[ja]\ntitle = "題"\n')
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "ja")
    spec = read_exercise(folder, root / "manifests", judge=lambda lab: ())
    assert (spec.title, spec.task.split()[0]) == ("題", "WRITE")
