"""Every notebook of the course keeps every rule.

That its cells run is tested by nbval: ``pytest --nbval-lax notebooks``.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import notebook_rules as rules
import pytest

from labsupport.course import catalogue

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RULES = (*rules.RULES, rules.names_only_files_that_exist(ROOT))


def load(path: Path) -> rules.Notebook:
    notebook: rules.Notebook = json.loads(path.read_text(encoding="utf-8"))
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_the_rules(path: Path):
    broken = [breach for rule in RULES for breach in rule(load(path), path.name)]
    assert broken == [], "\n".join([path.name, *broken])


def test_notebooks_are_numbered_from_00_without_a_gap():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(len(NOTEBOOKS))]
    assert NOTEBOOKS, "there is no notebook"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_sets_the_exercises_that_are_defined_for_it(path: Path):
    defined = {number for number in catalogue.every() if number.startswith(f"{path.name[:2]}.")}
    assert rules.exercises_of(load(path)) == defined
    kinds = {catalogue.find(number).kind for number in defined}
    assert kinds & {"write", "diagnose"}, "at least one exercise is to write or to diagnose something"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_headings_of_exercises_say_what_their_cards_say(path: Path):
    shown = rules.exercise_headings(load(path))
    assert shown == {number: catalogue.find(number).heading for number in rules.exercises_of(load(path))}


@pytest.mark.parametrize(("path", "following"), [*itertools.pairwise(NOTEBOOKS)], ids=lambda path: path.stem)
def test_a_notebook_leads_to_the_next(path: Path, following: Path):
    last = [rules.source(cell) for _, cell in rules.cells(load(path), "markdown")][-3:]
    assert any(text.startswith("**Next:**") and f"]({following.name})" in text for text in last)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_fold_says_how_the_same_is_done_at_work(path: Path):
    folds = [rules.source(cell) for _, cell in rules.cells(load(path), "markdown") if "<details>" in rules.source(cell)]
    at_work = [text for text in folds if "<b>At work</b>" in text]
    assert len(at_work) >= 5
    for text in folds:
        # Markdown inside HTML is Markdown only between empty lines.
        assert "</summary>\n\n" in text and text.rstrip().endswith("\n\n</details>")
    for text in at_work:
        assert re.search(r"^(kubectl|istioctl) ", text, re.MULTILINE)


def test_every_exercise_belongs_to_a_notebook():
    lessons = {path.name[:2] for path in NOTEBOOKS}
    assert {number[:2] for number in catalogue.every()} <= lessons
