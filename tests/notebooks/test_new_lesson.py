"""A lesson that was just begun keeps every rule, its exercises can be read, and all that CI does with it passes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import notebook_rules as rules
import pytest
from click.testing import CliRunner, Result

from labsupport.cli import workshop
from labsupport.cli.lesson import unwritten
from labsupport.course.questions import ChoiceQuestion
from labsupport.course.reading import FILE, read_exercise
from labsupport.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
BEFORE = ROOT / "notebooks" / "02-canary-by-weight.ipynb"
ALPHAS = "tests/unit/check/test_check_course_alpha.py"
SUPPORT = "tests/unit/support"
COPIED = ("labsupport", "manifests", "images", "notebooks", "tests/notebooks", "tests/exercises", SUPPORT)
COPIED_FILES = ("conftest.py", "constraints.txt", "pyproject.toml", "README.md", ALPHAS)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for app in ("client", "web"):
        (tmp_path / "manifests" / "apps" / app).mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    shutil.copy(BEFORE, tmp_path / "notebooks")
    monkeypatch.setenv("WORKSHOP_ROOT", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(workshop, ["lesson", *arguments])


def test_a_new_lesson_keeps_the_rules_and_says_what_is_left(root: Path):
    result = run("new", "03", "header-routing")
    assert result.exit_code == 0, result.output
    path = root / "notebooks" / "03-header-routing.ipynb"
    notebook = json.loads(path.read_text())
    cells = {argument: text.strip() for _, argument, text in rules.manifest_cells(notebook)}
    specs = {}
    for number in ("03.1", "03.2"):
        folder = root / "manifests" / "03-header-routing" / "exercises" / number
        spec = specs[number] = read_exercise(folder, root / "manifests", judge=lambda lab: ())
        assert cells[number] == spec.start.strip()
        assert len(spec.wrong) == 2
    every_rule = (*rules.RULES, rules.names_only_files_that_exist(root), rules.sets_exercises(specs))
    assert [breach for rule in every_rule for breach in rule(notebook, path.name)] == []
    before = json.loads((root / "notebooks" / BEFORE.name).read_text())
    assert [breach for rule in (*rules.RULES, rules.leads_to(path.name)) for breach in rule(before, BEFORE.name)] == []
    compile((root / "labsupport" / "course" / "lessons" / "header_routing.py").read_text(), "judges", "exec")
    assert any("exercise.toml" in place for place in unwritten(root, "03"))


@pytest.mark.slow
@pytest.mark.envoy
def test_all_that_ci_does_with_a_lesson_passes_for_a_new_one(tmp_path: Path):
    for folder in COPIED:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ALPHAS).parent.mkdir()
    for file in COPIED_FILES:
        shutil.copy(ROOT / file, tmp_path / file)
    environment = {**os.environ, "WORKSHOP_ROOT": str(tmp_path), "PYTHONPATH": str(tmp_path)}

    def lesson(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "labsupport.cli", "lesson", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=900
        )

    number = f"{1 + max(int(path.name[:2]) for path in (tmp_path / 'notebooks').glob('*.ipynb')):02}"
    assert lesson("new", number, "a-new-topic").returncode == 0
    checked = lesson("check", number)
    told = checked.stdout + checked.stderr
    assert " failed" not in told and " error" not in told, told
    assert f"left to write: notebooks/{number}-a-new-topic.ipynb:" in told
    assert checked.returncode == 1


TOPICS = ("Header", "../header", "3-headers", "header-", "a--b", "class", "x" * 41, "kopfzeilen-für-alle", "")


@pytest.mark.parametrize(
    "arguments", [("3", "header"), ("xx", "header"), ("\u0660\u0663", "header"), *(("03", topic) for topic in TOPICS)]
)
def test_what_is_no_lesson_makes_nothing(root: Path, arguments: tuple[str, str]):
    result = run("new", *arguments)
    assert result.exit_code == 2
    assert "rite " in result.output
    assert [path.name for path in (root / "notebooks").iterdir()] == [BEFORE.name]


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
        ('kind = "write"', 'kind = "write"\nextra = 1', "extra: write true or false"),
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


def test_a_word_that_any_outcome_has_is_not_enough_for_a_wrong_answer(root: Path):
    run("new", "03", "header")
    folder = root / "manifests" / "03-header" / "exercises" / "03.1"
    (folder / "wrong" / "negative.yaml").write_text("# timeout\nkind: Nothing\n")
    with pytest.raises(UsageError, match=r"wrong/negative\.yaml: 'timeout' is in many outcomes"):
        read_exercise(folder, root / "manifests", judge=lambda lab: ())


def test_a_language_that_lacks_a_text_borrows_it(root: Path, monkeypatch: pytest.MonkeyPatch):
    run("new", "03", "header")
    folder = root / "manifests" / "03-header" / "exercises" / "03.1"
    with open(folder / FILE, "a", encoding="utf-8") as file:
        file.write('\n[ja]\ntitle = "題"\n')
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "ja")
    spec = read_exercise(folder, root / "manifests", judge=lambda lab: ())
    assert (spec.title, spec.task.split()[0]) == ("題", "WRITE")


QUESTION = """
[[questions]]
name = "who"
choices = ["a", "b", "c"]
right = "a"

[en.questions.who]
text = "Who answers?"
reason = "a is nearer."
choices = { a = "pod a", b = "pod b", c = "both" }
because = { b = "It is further away.", c = "One answers." }

[en.reasons]
even = "Alike."
"""

NUMBER = """
[[questions]]
name = "many"
right = 5

[en.questions.many]
text = "How many?"
reason = "Count them."
"""


def exercise_in(root: Path, translation: str) -> Path:
    run("new", "03", "header")
    folder = root / "manifests" / "03-header" / "exercises" / "03.1"
    with open(folder / FILE, "a", encoding="utf-8") as file:
        file.write(QUESTION + translation)
    return folder


def test_a_translation_borrows_text_by_text(root: Path, monkeypatch: pytest.MonkeyPatch):
    folder = exercise_in(
        root,
        """
[ja]
hints = ["", "二"]
[ja.questions.who]
text = "誰?"
choices.b = "ポッド b"
because.c = "一つ。"
""",
    )
    monkeypatch.setenv("WORKSHOP_LANGUAGE", "ja")
    spec = read_exercise(folder, root / "manifests", judge=lambda lab: ())
    assert spec.hints == ("WRITE a mild hint", "二", "WRITE a concrete one")
    (question,) = spec.questions
    assert isinstance(question, ChoiceQuestion)
    assert (question.text, question.reason) == ("誰?", "a is nearer.")
    assert question.choices == ("pod a", "ポッド b", "both")
    assert question.because == (("ポッド b", "It is further away."), ("both", "一つ。"))
    assert spec.reasons == {"even": "Alike."}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('b = "It is further away.", ', "", r"because: say what is wrong for each of b, c"),
        ('"It is further away."', '" "', r"because: say what is wrong for each of b, c"),
        ('{ b = "It', '{ a = "Right.", b = "It', r"because: say what is wrong for each of b, c"),
        ('choices = ["a", "b", "c"]\nright = "a"', "right = 5", r"choices: no such field"),
        (QUESTION, NUMBER, r"pointer: write a text"),
    ],
)
def test_every_wrong_answer_to_a_question_has_its_word(root: Path, old: str, new: str, told: str):
    folder = exercise_in(root, "")
    assert read_exercise(folder, root / "manifests", judge=lambda lab: ()).questions
    file = folder / FILE
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(UsageError, match=told):
        read_exercise(folder, root / "manifests", judge=lambda lab: ())


@pytest.mark.parametrize(
    ("translation", "told"),
    [
        ("[ja]\nhints = 'one'", r"ja.hints: write a list, as in \[en\]"),
        ("[ja]\nquestions = 'one'", r"ja.questions: write a table, as in \[en\]"),
        ("[ja.reasons]\neven = ['one']", r"ja.reasons.even: write a text, as in \[en\]"),
        ("[ja.questions.whom]\ntext = 'one'", "ja.questions.whom: no such field"),
    ],
)
def test_a_translation_of_nothing_is_told(root: Path, translation: str, told: str):
    with pytest.raises(UsageError, match=told):
        read_exercise(exercise_in(root, translation), root / "manifests", judge=lambda lab: ())
