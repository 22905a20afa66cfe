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
from labsupport.engine.embedded.pods.programs import find_programs

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


def test_notebooks_have_a_number_each_and_begin_with_00():
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert numbers[0] == "00"
    assert all(number.isdecimal() for number in numbers) and len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_sets_the_exercises_that_are_defined_for_it(path: Path):
    specs = {number: spec for number, spec in catalogue.every().items() if number.startswith(f"{path.name[:2]}.")}
    assert [*rules.sets_exercises(specs)(load(path), path.name)] == []


def extras_of(path: Path) -> list[str]:
    """The extras that images in the manifests of a notebook need: its own, and the applications that it names."""
    named = set(re.findall(r"\bapps/[a-z-]+", path.read_text(encoding="utf-8")))
    folders = [ROOT / "manifests" / folder for folder in (path.stem, *sorted(named))]
    texts = [file.read_text(encoding="utf-8") for folder in folders for file in folder.rglob("*.yaml")]
    programs = find_programs()
    names = {programs.name(image) for text in texts for image in re.findall(r"\bimage: *[\"']?([^\s\"']+)", text)}
    return sorted({programs.extra(name) for name in names if name} - {""})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_asks_for_the_extras_that_its_programs_need(path: Path):
    assert [*rules.asks_for(extras_of(path))(load(path), path.name)] == []


@pytest.mark.parametrize(("path", "following"), [*itertools.pairwise(NOTEBOOKS)], ids=lambda path: path.stem)
def test_a_notebook_leads_to_the_next(path: Path, following: Path):
    assert [*rules.leads_to(following.name)(load(path), path.name)] == []


def test_every_exercise_belongs_to_a_notebook():
    lessons = {path.name[:2] for path in NOTEBOOKS}
    assert {number[:2] for number in catalogue.every()} <= lessons
