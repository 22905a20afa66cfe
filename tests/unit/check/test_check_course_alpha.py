"""How often the whole course fails for a correct mesh: every random check in notebooks and exercises, added up."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from labsupport import check
from labsupport.statistics import ALPHA, COURSE_ALPHA

ROOT = Path(__file__).resolve().parents[3]
MOST_RANDOM_CHECKS = 90


def alphas(source: str) -> list[float]:
    """The ``alpha`` of each random check that a piece of code calls, whether or not its weights leave it to chance."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "labsupport.check"
        for alias in node.names
        if alias.name in check.RANDOM_CHECKS
    }
    seen = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        named = isinstance(function, ast.Attribute) and function.attr in check.RANDOM_CHECKS
        if (named and ast.unparse(function.value).split(".")[-1] == "check") or (
            isinstance(function, ast.Name) and function.id in imported
        ):
            given = [keyword.value for keyword in node.keywords if keyword.arg == "alpha"]
            seen.append(float(ast.literal_eval(given[0])) if given else ALPHA)
    return seen


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return "\n".join(text for text in code if not text.lstrip().startswith("%%"))


def test_random_checks_are_found_however_they_are_called():
    assert alphas("check.share(obs, w)\nlabsupport.check.share(obs, w, alpha=1e-6)") == [ALPHA, 1e-6]
    assert alphas("from labsupport.check import share as expect\nexpect(obs, w)") == [ALPHA]
    assert alphas("obs.share()\ncheck.only(obs)\nshare(obs)") == []


def test_the_whole_course_fails_falsely_less_than_once_in_a_thousand_runs():
    spent = []
    for path in sorted((ROOT / "labsupport" / "course" / "lessons").rglob("*.py")):
        spent += alphas(path.read_text(encoding="utf-8"))
    assert spent, "no judge has a random check: this looks in the wrong folder"
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        try:
            spent += alphas(code_of(path))
        except SyntaxError as error:
            pytest.fail(f"{path.name} is not plain Python: {error}")
    assert len(spent) <= MOST_RANDOM_CHECKS
    assert sum(spent) < COURSE_ALPHA
