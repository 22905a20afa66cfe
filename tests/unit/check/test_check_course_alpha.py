"""How often the whole course fails for a correct mesh: every random check in notebooks and exercises, added up."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator
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


def _missed(draws: int, places: int, share: float) -> float:
    """How often one of some places gets nothing, each with such a share at least."""
    return places * (1 - share) ** draws


def _few(most: int, draws: int, share: float) -> float:
    """How often so many at most fall to somebody with a share."""
    return sum(math.comb(draws, hits) * share**hits * (1 - share) ** (draws - hits) for hits in range(most + 1))


def _promoted(errors: float, *, seen: int = 1_000, allowed: int = 5) -> float:
    """How often a version whose requests fail so often goes through the five steps of lesson 19, at 99 %."""
    by_failed = [1.0] + [0.0] * (allowed - 1)
    for weight in (0.01, 0.05, 0.25, 0.5, 1.0):
        passes = sum(
            math.comb(seen, n) * weight**n * (1 - weight) ** (seen - n) * _few(n // 100, n, errors)
            for n in range(1, seen + 1)
        )
        after = [0.0] * allowed
        for failed, share in enumerate(by_failed):
            for more in range(allowed - failed):
                after[failed + more] += share * (1 - passes) ** more * passes
        by_failed = after
    return sum(by_failed)


# Two of four pods ask for the places of a Maglev table in the same order. Of such sets of addresses, so many move more
# users than the check allows: reckoned by Envoy's way to fill a table.
def _alike(places: int, much: float) -> float:
    return math.comb(4, 2) / (places - 1) * much


# A ring of 1,024 points leaves no pod of four less than 15 % and no two of them less than 45 % of all users, by more
# than three deviations. Of 85,000 rings one moved 45 users of 150, and none more.
_POD_OF_FOUR, _PODS_OF_FOUR, _MOVED_BY_A_RING = 0.15, 0.45, 2e-6
BY_CHANCE = {
    # Of 300 requests by lot, more than half to one pod of three; the two below beside a held one.
    ("10-load-balancing.ipynb", "check.even(default, among=3, within=150"): 3 * _few(149, 300, 2 / 3),
    # A simulation: beside three quick pods a slow one gets one of fourteen requests, and one of ten if the quick ones
    # take 60 ms. The more it has under way, the fewer it gets, so that its number varies less than by lot.
    ("10-load-balancing.ipynb", "check.between(least, 1, 60"): _few(0, 320, 1 / 16) + _few(320 - 61, 320, 9 / 10),
    ("load_balancing.py", "claim(busy <= _IDLE_AT_MOST"): _few(300 - 65, 300, 8 / 9),
    ("load_balancing.py", "claim(busy in _EVEN"): 2 * _few(108, 300, 1 / 2),
    ("11-sticky-sessions.ipynb", "check.even(lost, among=4, within=79"): _missed(80, 4, _POD_OF_FOUR),
    ("11-sticky-sessions.ipynb", "check.even(inside, among=4, within=99"): _missed(100, 4, _POD_OF_FOUR),
    ("11-sticky-sessions.ipynb", "check.even(nameless, among=4, within=59"): _missed(60, 4, 1 / 4),
    ("11-sticky-sessions.ipynb", "check.moved(before, after, at_least=1, at_most=50"): _MOVED_BY_A_RING,
    ("11-sticky-sessions.ipynb", "check.moved(before, after, at_most=10"): _alike(500_009, 0.66),
    ("sticky_sessions.py", "_spread(first, _pods(lab), 1 / _USERS"): _missed(127, 4, _POD_OF_FOUR),
    ("sticky_sessions.py", "_spread(seen, _pods(lab), _LEAST"): 4 * _few(401 // 8, 401, 1 / 4),
    # Twice, with other addresses.
    ("sticky_sessions.py", "check.moved(before, after, per=_user, at_most=_MOVED"): _alike(65_537, 1.8) ** 2,
    ("sticky_sessions.py", '_spread(first, ("v1", "v2"), 1 / 4'): 2 * _few(127 // 4, 127, _PODS_OF_FOUR),
    ("sticky_sessions.py", "claim(len(met) > 1"): 3 * (1 / 3) ** 16,
    # Only if a hash divides the users, and not the end of their names.
    ("prediction_ab_test.py", "claim(min(share[_A], share[_B]) >= _LEAST"): 2 * _few(149, 400, 1 / 2),
    # Three requests of each of 20 customers meet the same version of two, 80 to 20: 52 % can order.
    ("17-resilience-and-release.ipynb", "check.between(plain, 1, 19"): _few(0, 20, 0.52) + _few(0, 20, 0.48),
    ("17-resilience-and-release.ipynb", "check.between(hashed, 1, 19"): _few(0, 20, 0.52) + _few(0, 20, 0.48),
    ("19-progressive-delivery.ipynb", 'failing = release(lab, "web")'): _promoted(0.03),
    ("19-progressive-delivery.ipynb", 'good = release(lab, "web")'): 1 - _promoted(0.001),
    ("19-progressive-delivery.ipynb", "torn = release("): 1 - _promoted(0.001, seen=400),
    ("19-progressive-delivery.ipynb", "kept = release("): 1 - _promoted(0.001, seen=400),
    ("resilience_and_release.py", "claim(_FEWEST <= share <= _MOST"): _few(15, 200, 1 / 5) + _few(127, 200, 4 / 5),
}
"""Checks with a bound that a correct mesh may exceed, and how often it does: they have no ``alpha``."""


BOUNDED = ("between", "even", "moved")


def bounds(source: str) -> Iterator[str]:
    """Checks of notebooks and judges whose bound leaves room for chance, as they stand in a piece of code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in BOUNDED:
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if node.func.attr != "even" or given.get("within", "0") != "0":
                yield " ".join(ast.unparse(node).split())


def test_random_checks_are_found_however_they_are_called():
    assert alphas("check.share(obs, w)\nlabsupport.check.share(obs, w, alpha=1e-6)") == [ALPHA, 1e-6]
    assert alphas("from labsupport.check import share as expect\nexpect(obs, w)") == [ALPHA]
    assert alphas("obs.share()\ncheck.only(obs)\nshare(obs)") == []


def test_bounds_that_chance_may_exceed_are_found():
    exact = "check.even(a, among=2)\ncheck.even(a, among=2, within=0)\n"
    assert [*bounds(exact + "check.even(a, within=9)\ncheck.between(a, 1, 2)\ncheck.moved(a, b, at_most=1)")] == [
        "check.even(a, within=9)",
        "check.between(a, 1, 2)",
        "check.moved(a, b, at_most=1)",
    ]


def test_the_chance_of_every_such_bound_is_told():
    judges = (ROOT / "labsupport" / "course" / "lessons").rglob("*.py")
    sources = {path.name: path.read_text(encoding="utf-8") for path in judges}
    sources |= {path.name: code_of(path) for path in (ROOT / "notebooks").glob("*.ipynb")}
    for name, source in sources.items():
        told = [text for file, text in BY_CHANCE if file == name]
        assert [bound for bound in bounds(source) if not any(bound.startswith(text) for text in told)] == [], name
    flat = {name: ast.unparse(ast.parse(source)).replace("'", '"') for name, source in sources.items()}
    assert [(name, text) for name, text in BY_CHANCE if text not in flat[name]] == []


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
    assert max(BY_CHANCE.values()) < ALPHA
    assert sum(spent) + sum(BY_CHANCE.values()) < COURSE_ALPHA
