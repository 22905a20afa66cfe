"""Every exercise of the course in the real mesh: untouched, with each typical mistake, and solved."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from lesson_file import FROM_END_TO_END
from short_cuts import short_cuts_of, take

from labsupport import paths
from labsupport.check.result import COMPARED, FAILED, NOT_ATTEMPTED, PASSED, CheckOutcome
from labsupport.course import catalogue
from labsupport.course.exercise import Exercise
from labsupport.course.magic import manifest
from labsupport.course.needs import needed
from labsupport.course.questions import NumberQuestion
from labsupport.course.spec import ExerciseSpec, Wrong
from labsupport.lab.lab import Lab
from labsupport.records import Response
from labsupport.statistics import ALPHA
from labsupport.traffic.observations import Observations

SPECS = tuple(catalogue.every().values())
JUDGED = tuple(spec for spec in SPECS if spec.judge is not None)
BY_A_VERB = tuple(spec for spec in JUDGED if spec.verb)
ASKING = tuple(spec for spec in SPECS if spec.questions)
# In CI those of a quarter of the lessons, each day: a course has hundreds.
IN_TURN = [spec for spec in JUDGED if spec.number[:2] in {notebook.name[:2] for notebook in FROM_END_TO_END}]
MISTAKES = [
    pytest.param(spec, wrong, id=f"{spec.number}-{wrong.path.split('/')[-1]}")
    for spec in IN_TURN
    for wrong in spec.wrong
]

ACCEPTED = [
    pytest.param(spec, path, id=f"{spec.number}-{path.split('/')[-1]}")
    for spec in JUDGED
    for path in (spec.solution, *spec.right)
]
# Each of them starts pods anew.
SHORT_CUTS = [
    pytest.param(spec, short_cut, id=f"{spec.number}-{short_cut}")
    for spec in IN_TURN
    for short_cut in short_cuts_of(spec)
]

NOBODY_LEFT = {
    "delete": "The mesh lacks ",
    "scale-to-zero": "No pod of ",
    "13-outlier-detection/two-bad": "This is about two pods of web-v1 and one of web-v2",
}
"""Short cuts after which those who are to be judged are not there, with what the outcome says."""


def numbered(specs: tuple[ExerciseSpec, ...]) -> list[object]:
    return [pytest.param(spec, id=spec.number) for spec in specs]


# To start pods takes most of the time of a test: those stay that the next exercise needs as well.
WITH_PODS = ("Deployment", "Service", "ServiceAccount")


@pytest.fixture
def lab(opened: Lab) -> Lab:
    """A lab in which there may be pods of other tests."""
    # An exercise keeps answers and hints for as long as its lab is open.
    catalogue._begun.pop(opened, None)
    return opened


def things_of(spec: ExerciseSpec) -> set[tuple[str, str]]:
    """Kind and name of each object that an exercise builds on."""
    return {(document["kind"], document["metadata"]["name"]) for document in needed(spec)}


def begun(lab: Lab, spec: ExerciseSpec) -> Exercise:
    exercise = catalogue.exercise(spec.number)
    stay = {(kind, name) for kind, name in things_of(spec) if kind in WITH_PODS}
    if others := [resource for resource in lab.get("all") if (resource.kind, resource.name) not in stay]:
        lab.delete(*others)
    if spec.needs:
        exercise.prepare()
    return exercise


def answer_questions(spec: ExerciseSpec) -> None:
    for number, question in enumerate(spec.questions, start=1):
        catalogue.exercise(spec.number).predict(question.right_answer(), question=number)


def answer(lab: Lab, spec: ExerciseSpec, path: str) -> object:
    """Give an answer as a learner does: in the exercise's cell, or where there is none, by a change of the mesh."""
    answer_questions(spec)
    if spec.start:
        return manifest(spec.number, (paths.manifests() / path).read_text(encoding="utf-8"))
    return lab.apply(paths.manifests() / path)


@pytest.mark.parametrize("spec", numbered(SPECS))
def test_an_exercise_that_nobody_touched_is_not_attempted(lab: Lab, spec: ExerciseSpec) -> None:
    exercise = begun(lab, spec)
    assert exercise.check().state is NOT_ATTEMPTED
    if spec.start:
        manifest(spec.number, spec.start)
        assert exercise.check().state is NOT_ATTEMPTED


@pytest.mark.parametrize(("spec", "path"), ACCEPTED)
def test_the_solution_and_other_right_answers_pass(lab: Lab, spec: ExerciseSpec, path: str) -> None:
    exercise = begun(lab, spec)
    answer(lab, spec, path)
    outcome = exercise.check()
    assert outcome.state is PASSED, outcome
    assert outcome.alpha <= ALPHA


@pytest.mark.parametrize("spec", numbered(BY_A_VERB))
def test_the_call_that_the_solution_shows_passes(lab: Lab, spec: ExerciseSpec) -> None:
    exercise = begun(lab, spec)
    answer_questions(spec)
    eval(spec.verb, {"lab": lab})
    outcome = exercise.check()
    assert outcome.state is PASSED, outcome


@pytest.mark.parametrize("rule", ["payment", "user"])
def test_a_needed_rule_that_was_deleted_is_a_wrong_answer(lab: Lab, rule: str) -> None:
    exercise = begun(lab, catalogue.find("18.4"))
    lab.delete("vs/shipping", f"vs/{rule}")
    outcome = exercise.check()
    assert outcome.state is FAILED and f"The rule for {rule} is gone" in repr(outcome), outcome


@pytest.mark.parametrize(("spec", "wrong"), MISTAKES)
def test_a_typical_mistake_fails_and_is_explained(lab: Lab, spec: ExerciseSpec, wrong: Wrong) -> None:
    exercise = begun(lab, spec)
    told = answer(lab, spec, wrong.path)
    if isinstance(told, CheckOutcome):
        assert told.state is FAILED
    outcome = exercise.check()
    assert outcome.state is FAILED, outcome
    for word in wrong.words:
        assert word in repr(outcome)


@pytest.mark.parametrize(("spec", "short_cut"), SHORT_CUTS)
def test_a_short_cut_is_no_solution(lab: Lab, spec: ExerciseSpec, short_cut: str) -> None:
    """A wrong answer does not become right because nobody is left to be sent to, or the labels are others."""
    exercise = begun(lab, spec)
    # Where every wrong answer is refused, the last refusal is judged, whatever became of the pods.
    refused = all(isinstance(answer(lab, spec, wrong.path), CheckOutcome) for wrong in spec.wrong)
    take(lab, spec, short_cut)
    outcome = exercise.check()
    # A Deployment keeps its selector for life.
    lab.reset()
    # Without what the exercise builds on there is nothing to judge; the learner is told to bring it back.
    nobody_left = NOBODY_LEFT.get(short_cut) if not refused else None
    assert outcome.state is (NOT_ATTEMPTED if nobody_left else FAILED), outcome
    assert outcome.lines and (nobody_left or "") in "\n".join(outcome.lines), "the learner is told why"


@pytest.mark.parametrize("spec", numbered(ASKING))
def test_questions_accept_right_answers_and_explain_wrong_ones(lab: Lab, spec: ExerciseSpec) -> None:
    exercise = catalogue.exercise(spec.number)
    reply = Observations([Response(0, time.time(), 0.0, "ok", 200)])
    for number, question in enumerate(spec.questions, start=1):
        seen = reply if question.predicts and isinstance(question, NumberQuestion) else None
        assert exercise.compare(question=number).state is NOT_ATTEMPTED
        for value in question.wrong_answers():
            exercise.predict(value, question=number)
            assert exercise.compare(seen, question=number).state is (COMPARED if question.predicts else FAILED)
        exercise.predict(question.right_answer(), question=number)
        outcome = exercise.compare(seen, question=number)
        assert outcome.state is PASSED
        assert question.reason in repr(outcome)
    if spec.judge is None:
        assert exercise.check().state is PASSED


@pytest.mark.parametrize("spec", numbered(SPECS))
def test_every_exercise_has_hints_from_mild_to_concrete_and_a_solution(lab: Lab, spec: ExerciseSpec) -> None:
    exercise = catalogue.exercise(spec.number)
    assert len(spec.hints) >= 3
    assert [exercise.hint().text for _ in spec.hints] == list(spec.hints)
    assert exercise.hint().number == len(spec.hints)
    assert exercise.solution().text.strip()
    assert spec.title in repr(exercise)
    assert spec.judge is None or len(spec.wrong) >= 2


def test_predictions_are_held_against_what_was_seen(lab: Lab) -> None:
    (number,) = (spec.number for spec in ASKING if any(question.name == "not found" for question in spec.questions))
    exercise = begun(lab, catalogue.find(number))
    seen = lab.send("nodeport:web/name", count=300)
    exercise.predict(100)
    outcome = exercise.compare(seen)
    assert outcome.state is PASSED
    assert outcome.seen["seen"] == seen.count(status=404)
    exercise.predict(150)
    assert not exercise.compare(seen).passed


LEFT_OVER = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: nobody}}]}]}
"""


def test_preparing_tells_nothing_of_a_rule_that_it_takes_away(lab: Lab) -> None:
    wanted = {("DestinationRule", "reviews")}
    spec = next(spec for spec in SPECS if "VirtualService/reviews" in spec.absent and wanted <= things_of(spec))
    exercise = begun(lab, spec)
    assert "IST0101" in repr(lab.apply(LEFT_OVER))
    # A change of what the rule is about brings the note again.
    lab.delete("dr/reviews")
    assert "IST0101" not in repr(exercise.prepare())
    assert not [rule for rule in lab.get("virtualservice") if rule.name == "reviews"]


@pytest.mark.parametrize("spec", numbered(SPECS))
def test_no_comment_of_a_given_manifest_tells_the_answer(spec: ExerciseSpec) -> None:
    """What stands in the solution and not in the start text stands in no comment that a learner is given."""
    if not spec.solution:
        pytest.skip("questions only")
    solved = (paths.manifests() / spec.solution).read_text(encoding="utf-8")
    secret = {*code_words(solved)} - {*code_words(spec.start)}
    kinds = {*re.findall(r"^kind: \w+", solved, re.MULTILINE)}
    files = [file for path in spec.needs for file in yaml_files(paths.manifests() / path)]
    texts = [file.read_text(encoding="utf-8") for file in files]
    # Objects of other kinds are about something else, and their words mean other things.
    given = [spec.start, *(text for text in texts if kinds & {*re.findall(r"^kind: \w+", text, re.MULTILINE)})]
    # What a given manifest says in its own lines is no secret.
    secret -= {word for text in given for word in code_words(text)}
    comments = " ".join(line.partition("#")[2] for text in given for line in text.splitlines() if "#" in line)
    assert not secret & {*re.findall(r"[\w.-]+", comments)}


def code_words(text: str) -> list[str]:
    return re.findall(r"[\w.-]+", re.sub(r"#.*", "", text))


def yaml_files(place: Path) -> list[Path]:
    return sorted(place.glob("*.yaml")) if place.is_dir() else [place]
