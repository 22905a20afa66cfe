from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_engine import SmallEngine

from labsupport.check.result import COMPARED, FAILED, NOT_ATTEMPTED, PASSED, TOO_LITTLE_DATA, CheckOutcome, CheckState
from labsupport.course import catalogue, progress
from labsupport.course.exercise import Exercise
from labsupport.course.judging import joined, judged
from labsupport.course.questions import ChoiceQuestion, Compared, NumberQuestion, Question
from labsupport.course.spec import Because, ExerciseSpec
from labsupport.display.html.outcomes import prediction_html
from labsupport.display.live.asked import show_question
from labsupport.display.live.question import QuestionView, question_widget
from labsupport.display.pictures.prediction import prediction_figure
from labsupport.errors import EngineLostError, ManifestError, NotFoundError, Problem, UsageError, WaitTimeoutError
from labsupport.lab.lab import Lab
from labsupport.records import AccessRecord, Hop, Pod, Ref, Response
from labsupport.traffic.observations import Observations
from labsupport.traffic.window import Window

BECAUSE = (("red", "Red is dead."),)
COLOUR = ChoiceQuestion("colour", "Which <colour>?", ("red", "green"), "green", "It is green.", BECAUSE)
PREDICTED = replace(COLOUR, predicts=True)
COUNT = NumberQuestion("count", "How many?", 90, 110, "About 100.", of=1000, counts={"status": 404})
START = "kind: Nothing  # given\n"


@pytest.fixture(autouse=True)
def progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "progress.json"
    monkeypatch.setenv("WORKSHOP_STATE", str(place))
    return place


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(SmallEngine()) as opened:
        yield opened


def exercise(lab: Lab, **changes: Any) -> Exercise:
    given: dict[str, Any] = {"judge": lambda lab: CheckOutcome(PASSED, "inner", ("It works.",), n=3), "start": START}
    spec = ExerciseSpec("99.1", "Try it", "Do this.", "write", ("one", "two", "three"), **(given | changes))
    return Exercise(spec, lab)


def raising(error: Exception) -> Any:
    def judge(lab: Lab) -> CheckOutcome:
        raise error

    return judge


def test_nothing_was_done_before_its_cell_was_run(lab: Lab) -> None:
    assert exercise(lab).check().state is NOT_ATTEMPTED


def test_the_given_text_is_no_attempt_even_if_white_space_and_comments_differ(lab: Lab) -> None:
    tried = exercise(lab)
    tried.note_applied("# my own\nkind: Nothing   # mine\n\n")
    assert tried.check().state is NOT_ATTEMPTED
    told = tried.note_refusal(START, ManifestError([Problem("no such kind")]))
    assert told.state is NOT_ATTEMPTED
    assert "no such kind" in repr(told)


def test_another_text_is_judged_under_the_title_of_the_exercise(lab: Lab, progress_file: Path) -> None:
    tried = exercise(lab)
    tried.note_applied("kind: Something")
    outcome = tried.check()
    assert (outcome.state, outcome.title, outcome.n) == (PASSED, "Exercise 99.1 · Try it", 3)
    assert json.loads(progress_file.read_text())["exercises"]["99.1"]["state"] == "PASSED"


@pytest.mark.parametrize(
    "error", [ManifestError([Problem("bad")]), NotFoundError("bad"), UsageError("bad"), WaitTimeoutError("bad")]
)
def test_what_a_wrong_answer_brings_about_is_a_failure(lab: Lab, error: Exception) -> None:
    tried = exercise(lab, judge=raising(error))
    tried.note_applied("kind: Something")
    outcome = tried.check()
    assert outcome.state is FAILED
    assert "bad" in repr(outcome)


def test_a_fault_of_the_mesh_is_no_wrong_answer(lab: Lab) -> None:
    tried = exercise(lab, judge=raising(EngineLostError("gone")))
    tried.note_applied("kind: Something")
    with pytest.raises(EngineLostError):
        tried.check()


def test_without_a_cell_the_mesh_says_whether_it_was_touched(lab: Lab) -> None:
    assert exercise(lab, start="", untouched=lambda lab: True).check().state is NOT_ATTEMPTED
    assert exercise(lab, start="", untouched=lambda lab: False).check().state is PASSED


def test_hints_come_one_by_one_and_are_counted(lab: Lab, progress_file: Path) -> None:
    tried = exercise(lab)
    assert [tried.hint().text for _ in range(4)] == ["one", "two", "three", "three"]
    assert "solution()" in repr(tried.hint())
    assert json.loads(progress_file.read_text())["exercises"]["99.1"]["hints"] == 3


def test_questions_alone_pass_when_all_answers_are_right(lab: Lab) -> None:
    asked = exercise(lab, judge=None, start="", questions=(COLOUR, COUNT))
    assert asked.check().state is NOT_ATTEMPTED
    asked.predict("b").predict("100", question=2).compare(answered(500, 50), question=2)
    assert asked.check().state is PASSED
    asked.predict("red")
    assert "Red is dead." in repr(asked.check())
    assert asked.solution().text == "It is green.\nAbout 100."
    assert repr(exercise(lab, verb='lab.scale("web", 9)', solution="x.yaml").solution()) == '`lab.scale("web", 9)`'


@pytest.mark.parametrize("value", ["blue", "", 3, None])
def test_an_answer_that_is_no_choice_lists_the_choices(lab: Lab, value: Any) -> None:
    with pytest.raises(UsageError, match="'green'"):
        exercise(lab, questions=(COLOUR,)).predict(value)


@pytest.mark.parametrize("value", [-1, 1001, "many", None, True, float("nan"), float("inf")])
def test_an_answer_that_is_no_number_says_what_is(lab: Lab, value: Any) -> None:
    with pytest.raises(UsageError, match="from 0 to 1000"):
        exercise(lab, questions=(COUNT,)).predict(value)


@pytest.mark.parametrize("number", [0, 2, True, "1"])
def test_a_question_that_does_not_exist_is_a_usage_error(lab: Lab, number: Any) -> None:
    with pytest.raises(UsageError, match=r"1 question|a whole number"):
        exercise(lab, questions=(COUNT,)).predict(1, question=number)
    with pytest.raises(UsageError, match="asks no question"):
        exercise(lab).predict(1)


def test_a_prediction_for_another_number_of_requests_is_scaled(lab: Lab) -> None:
    asked = exercise(lab, questions=(COUNT,)).predict(100)
    seen = Observations(
        Response(i, 0.0, 0.0, "ok", 404 if i < 50 else 200, path=(Hop("web", "risk", "p"),)) for i in range(500)
    )
    outcome = asked.compare(seen)
    assert outcome.state is PASSED
    assert outcome.seen == {"predicted": 50, "seen": 50}
    assert asked.compare(Observations()).state is FAILED


@pytest.mark.parametrize(("errors", "elsewhere"), [(0, False), (500, True)])
def test_what_contradicts_the_one_right_number_was_seen_in_another_mesh(lab: Lab, errors: int, elsewhere: bool) -> None:
    none = replace(COUNT, low=0, high=0)
    outcome = exercise(lab, questions=(none,)).predict(1000).compare(answered(500, errors))
    assert ("not as the question has it" in repr(outcome)) is elsewhere


def test_comparing_a_prediction_counts_as_progress(lab: Lab, progress_file: Path) -> None:
    asked = exercise(lab, judge=None, start="", questions=(COUNT,)).predict(100)
    asked.compare(answered(500, 50))
    assert json.loads(progress_file.read_text())["exercises"]["99.1"]["state"] == "PASSED"


def test_an_attempt_is_forgotten_when_the_mesh_is_emptied(lab: Lab) -> None:
    tried = catalogue.exercise("02.1")
    tried.note_refusal("kind: Something", ManifestError([Problem("bad")]))
    assert tried.check().state is FAILED
    lab.reset()
    assert tried.check().state is NOT_ATTEMPTED


def test_a_question_says_at_once_what_an_answer_is_worth(lab: Lab) -> None:
    asked = exercise(lab, judge=None, start="", questions=(COLOUR, COUNT))
    kept: list[float | str] = []
    shown = question_widget(asked.ask(1), answered=kept.append)
    assert shown.question["text"] == COLOUR.text
    assert shown.said["word"] == "NO ANSWER YET"
    shown._receive(shown, {"answer": "red"}, None)
    assert (shown.said["word"], shown.said["answer"]) == ("NOT RIGHT", "red")
    shown._receive(shown, {"answer": "green"}, None)
    assert shown.said["word"] == "RIGHT"
    assert COLOUR.reason in shown.said["lines"][0]
    assert kept == ["red", "green"]
    assert asked.compare(question=1).state is PASSED
    assert question_widget(asked.ask(1)).said["answer"] == "green"


@pytest.mark.parametrize(("said", "side"), [(3, "few"), (89, "few"), (111, "many")])
def test_a_wrong_number_is_told_in_which_way_and_where_to_look(lab: Lab, said: float, side: str) -> None:
    pointed = replace(COUNT, counts={}, pointer="What is a tenth?")
    asked = exercise(lab, judge=None, start="", questions=(pointed,)).predict(said)
    assert asked.check().lines == (f"You said {said}: too {side}. What is a tenth?",)
    predicted = exercise(lab, judge=None, start="", questions=(COUNT,)).predict(said)
    assert predicted.check().lines == (f"You predict {said}. compare(...) shows it beside what was seen, and why.",)
    predicted.compare(answered(500, 50))
    assert predicted.check().lines == (f"You said {said}: too {side}. About 100.",)


@pytest.mark.parametrize(("question", "wrong", "right"), [(COUNT, 3, 100), (PREDICTED, "red", "green")])
def test_a_prediction_counts_once_it_was_held_against_what_was_seen_and_tells_nothing_before(
    lab: Lab, progress_file: Path, question: Question, wrong: Any, right: Any
) -> None:
    asked = exercise(lab, judge=None, start="", questions=(question,))
    shown = question_widget(asked.ask())
    for value in (wrong, right, wrong):
        asked.predict(value)
        shown.answer(str(value))
        before = asked.check()
        assert (before.state, shown.said["word"]) == (NOT_ATTEMPTED, "NOTED")
        assert not {question.reason, "Red is dead."} & {*before.lines, *shown.said["lines"]}
        assert not any("It is green" in line or "few" in line for line in (*before.lines, *shown.said["lines"]))
    for nothing in (Observations(), None)[: 1 + (question is COUNT)]:
        assert asked.compare(nothing).passed is False
        assert asked.check().state is NOT_ATTEMPTED
    compared = asked.compare(answered(500, 50))
    assert (compared.state, compared.lines[-1]) == (COMPARED, "It is done: a prediction need not come true.")
    assert repr(compared).startswith(f"COMPARED {question.text}")
    assert asked.check().state is PASSED
    assert exercise(lab, judge=None, start="", questions=(question,)).check().state is PASSED
    other = asked.predict(right).predict(wrong)
    assert other.compare(answered(500, 50, after_s=-10.0)).state is FAILED
    assert other.check().state is FAILED
    assert asked.skip().compare(answered(500, 50)).lines[0] == "The prediction was skipped."


def test_a_number_is_noted_and_what_is_none_is_said(lab: Lab) -> None:
    asked = exercise(lab, judge=None, start="", questions=(COLOUR, COUNT))
    shown = question_widget(asked.ask(2))
    for nothing in ({"answer": "nonsense"}, {"answer": "-1"}):
        shown._receive(shown, nothing, None)
        assert shown.said["word"] == "NO ANSWER YET"
        assert "is no answer" in shown.said["lines"][0]
    shown._receive(shown, {"answer": "1"}, None)
    assert shown.said["lines"] == ["Your prediction is 1 request. The requests will tell."]
    shown._receive(shown, {"answer": "100"}, None)
    assert shown.said["answer"] == "100"
    assert asked.compare(answered(500, 50), question=2).state is PASSED


def test_a_choice_is_noted_in_quotes_as_it_is_compared(lab: Lab) -> None:
    asked = exercise(lab, judge=None, start="", questions=(PREDICTED,))
    shown = question_widget(asked.ask())
    shown.answer("red")
    assert shown.said["lines"] == ["Your prediction is 'red'. The requests will tell."]
    assert asked.check().lines[0].startswith("You predict 'red'. ")


def test_the_static_form_of_a_question_says_where_an_answer_is_from_and_follows_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress.record_prediction("99.1", "colour", "red", at_s=time.mktime((2026, 11, 28, 9, 30, 0, 0, 0, -1)))
    forms: list[str] = []
    monkeypatch.setattr(
        "labsupport.display.live.asked.publish", lambda data, *_, **__: forms.append(data.get("text/html", ""))
    )
    views: list[QuestionView] = []

    def widget(*args: Any, **options: Any) -> QuestionView:
        views.append(question_widget(*args, **options))
        return views[-1]

    monkeypatch.setattr("labsupport.display.live.asked.question_widget", widget)
    show_question(exercise(lab, judge=None, start="", questions=(COLOUR,)).ask())
    assert "NOT RIGHT" in forms[-1] and "(kept from 28 Nov 09:30)" in forms[-1]
    views[0].answer("green")
    assert "✓ RIGHT" in forms[-1] and "kept from" not in forms[-1]


def test_a_question_answers_a_page_that_asks_whether_it_is_there(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = question_widget(exercise(lab, judge=None, start="", questions=(COLOUR,)).ask())
    sent: list[Any] = []
    monkeypatch.setattr(shown, "send", sent.append)
    for content in ({"do": "hello"}, "hello", {"do": "other"}, {"answer": 3}):
        shown._receive(shown, content, None)
    assert sent == [{"kind": "here"}] and shown.said["state"] == "none"


def test_a_prediction_is_not_judged_before_the_requests_are_sent(lab: Lab) -> None:
    predicted = replace(COUNT, counts={"version": "v1"})
    asked = exercise(lab, judge=None, start="", questions=(predicted,))
    shown = question_widget(asked.ask(1))
    for value in ("100", "3"):
        shown.answer(value)
        assert shown.said["word"] == "NOTED"
        assert predicted.reason not in shown.said["lines"][0]


def test_numbers_are_found_without_the_leading_zero_and_near_ones_are_listed() -> None:
    assert catalogue.find("2.1") is catalogue.find("02.1")
    with pytest.raises(NotFoundError, match=r"02\.1, 02\.2"):
        catalogue.find("02.77")
    with pytest.raises(NotFoundError, match=r"00\.1"):
        catalogue.find("zzz")


def test_the_lab_keeps_an_exercise_while_it_is_open(lab: Lab) -> None:
    assert catalogue.exercise("02.1") is catalogue.exercise("02.1")
    assert "90 %" in repr(catalogue.exercise("02.1"))


def test_an_exercise_is_done_in_the_kernels_lab_unless_another_is_named(lab: Lab) -> None:
    assert catalogue.exercise("02.1").lab is lab
    assert catalogue.exercise("2.1", lab=lab) is catalogue.exercise("02.1")
    lab.close()
    with pytest.raises(UsageError, match=r"lab = Lab\(\)"):
        catalogue.exercise("02.1")


def test_an_exercise_does_not_keep_its_lab() -> None:
    lab = Lab(SmallEngine())
    tried = catalogue.exercise("02.1")
    lab.close()
    del lab
    gc.collect()
    with pytest.raises(UsageError, match="gone"):
        _ = tried.lab


def test_a_question_says_what_was_answered_outside_a_notebook(lab: Lab) -> None:
    asked = exercise(lab, judge=None, start="", questions=(COUNT,))
    assert repr(asked.ask()).endswith("Answer: none yet")
    asked.ask().note(100)
    assert repr(asked.ask()).endswith("Answer: 100.0")


def test_failed_requests_are_explained_by_the_access_log(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    record = AccessRecord("id-0", 1.0, "client-1", "outbound", status=503, flags="UH")
    monkeypatch.setattr(lab._engine, "access_records", lambda **options: [record])
    failed = Observations([Response(0, 0.0, 0.0, "http_error", 503, "id-0"), Response(1, 0.0, 0.0, "connection")])
    text = repr(judged(lab, failed, {}))
    assert "503 UH, no healthy upstream" in text
    assert "Where to look: lab.status()." in text
    assert "client-1" in text
    assert "1 connection refused" in text


def test_of_several_expectations_the_first_that_fails_is_told() -> None:
    good = CheckOutcome(PASSED, "a", ("fine",), alpha=1e-5)
    bad = CheckOutcome(FAILED, "b", ("not fine",))
    assert joined(good, bad, good) is bad
    both = joined(good, good)
    assert (both.lines, both.alpha) == (("fine",), 2e-5)


def answered(n: int, missing: int, *, after_s: float = 1.0) -> Observations:
    """Responses of which the first comes so long from now."""
    began_s = time.time() + after_s
    return Observations(Response(i, began_s, 0.0, "ok", 404 if i < missing else 200) for i in range(n))


def test_a_prediction_is_kept_with_its_time_and_drawn_beside_the_result(lab: Lab, progress_file: Path) -> None:
    before_s = time.time()
    asked = exercise(lab, judge=None, start="", questions=(COUNT,)).predict(300)
    kept = json.loads(progress_file.read_text())["exercises"]["99.1"]["predictions"]["count"]
    assert kept["value"] == 300 and kept["at_s"] >= before_s
    compared = asked.compare(answered(500, 50))
    assert isinstance(compared, Compared)
    figure = prediction_figure(compared)
    assert repr(figure).startswith("Predicted: 30.0 %. Seen: 10.0 % of 500 (by chance, ")
    assert "l-5-8h10z" in figure.svg()
    assert prediction_html(compared).count("<svg") == 1


def test_where_a_single_number_is_right_no_interval_is_told(lab: Lab) -> None:
    exact = replace(COUNT, low=100, high=100)
    compared = exercise(lab, judge=None, start="", questions=(exact,)).predict(100).compare(answered(500, 50))
    assert isinstance(compared, Compared)
    assert (compared.state, compared.interval, compared.level) == (PASSED, {}, 0.0)
    assert compared.lines == ("You said 50. 50 of 500 requests had status 404 (10.0 %).", "About 100.")
    assert repr(prediction_figure(compared)).startswith("Predicted: 10.0 %. Seen: 10.0 % of 500.")
    assert "chance" not in prediction_html(compared)


def test_a_prediction_held_against_the_last_responses_only_says_so(lab: Lab) -> None:
    seen = Observations(answered(500, 50), window=Window(500, 2_000, {"503": 3}))
    for asked in (exercise(lab, questions=(COUNT,)), exercise(lab, questions=(COUNT,)).predict(100)):
        assert "A window: the last 500 of 2,000 responses were looked at." in asked.compare(seen).lines


def test_a_prediction_may_be_skipped_and_is_marked_so(lab: Lab, progress_file: Path) -> None:
    asked = exercise(lab, judge=None, start="", questions=(COUNT,))
    compared = asked.compare(answered(500, 50))
    assert (compared.state, compared.lines[0]) == (NOT_ATTEMPTED, "The prediction was skipped.")
    assert isinstance(compared, Compared)
    figure = prediction_figure(compared)
    assert repr(figure).startswith("Predicted: skipped.")
    assert "l-5-8h10z" not in figure.svg()
    kept = json.loads(progress_file.read_text())["exercises"]["99.1"]["predictions"]["count"]
    assert kept["skipped"] is True
    assert asked.predict(100).skip().compare().state is NOT_ATTEMPTED


def test_a_prediction_after_the_first_response_is_marked_as_late(lab: Lab) -> None:
    asked = exercise(lab, judge=None, start="", questions=(COUNT,))
    seen = answered(500, 50, after_s=-10.0)
    compared = asked.predict(100).compare(seen)
    assert isinstance(compared, Compared)
    assert (compared.state, compared.late) == (PASSED, True)
    assert compared.lines[-1] == "The prediction was late: after the first response."
    figure = prediction_figure(compared)
    assert "Predicted: 10.0 % (late: after the first response)." in repr(figure)
    assert 'fill="none" stroke="var(--ws-fg)">' in figure.svg().partition("l-5-8h10z")[2][:60]


def test_saying_the_same_again_does_not_make_a_prediction_late(lab: Lab) -> None:
    progress.record_prediction("99.1", "count", 100.0, at_s=time.time() - 60.0)
    asked = exercise(lab, judge=None, start="", questions=(COUNT,))
    seen = answered(500, 50, after_s=-10.0)
    again, other = asked.predict(100).compare(seen), asked.predict(120).compare(seen)
    assert isinstance(again, Compared) and isinstance(other, Compared)
    assert (again.late, other.late) == (False, True)


def test_a_prediction_of_an_earlier_kernel_is_read_back_and_drawn_so(lab: Lab) -> None:
    at_s = time.mktime((2026, 11, 28, 9, 30, 0, 0, 0, -1))
    progress.record_prediction("99.1", "count", 100.0, at_s=at_s)
    later = exercise(lab, judge=None, start="", questions=(COUNT,))
    assert repr(later.ask()).endswith("Answer: 100.0 (kept from 28 Nov 09:30)")
    compared = later.compare(answered(500, 50))
    assert isinstance(compared, Compared)
    assert (compared.state, compared.mark) == (PASSED, "kept from 28 Nov 09:30")
    assert "kept from 28 Nov 09:30" in prediction_figure(compared).svg()
    assert "(kept from 28 Nov 09:30)" in question_widget(later.ask()).said["lines"]
    assert later.check().state is PASSED


@pytest.mark.parametrize("kept", [{"value": 5000, "at_s": 1.0}, {"value": [1], "at_s": 1.0}, {"value": 1}, [], "x"])
def test_what_is_no_prediction_any_more_is_none(lab: Lab, progress_file: Path, kept: Any) -> None:
    entry = {"predictions": {"count": kept}}
    progress_file.write_text(json.dumps({"format": 1, "exercises": {"99.1": entry}}))
    asked = exercise(lab, judge=None, start="", questions=(COUNT,))
    assert asked.ask().answer is None
    assert asked.check().state is NOT_ATTEMPTED


def test_a_skipped_prediction_stays_skipped_in_a_later_kernel(lab: Lab) -> None:
    exercise(lab, judge=None, start="", questions=(COUNT,)).predict(100).skip()
    assert exercise(lab, judge=None, start="", questions=(COUNT,)).ask().answer is None


@pytest.mark.parametrize(
    "attempt",
    [
        lambda tried: tried.note_applied("kind: Something"),
        lambda tried: tried.note_refusal("kind: Something", ManifestError([Problem("bad")])),
        lambda tried: tried.note_gap("kind: ____"),
        lambda tried: tried.note_applied(START),
        lambda tried: None,
    ],
)
def test_a_closed_lab_is_no_wrong_answer(attempt: Callable[[Exercise], object]) -> None:
    with Lab(SmallEngine()) as opened:
        tried = exercise(opened, judge=raising(AssertionError("judged")))
        attempt(tried)
    outcome = tried.check()
    assert outcome.state is NOT_ATTEMPTED and "The lab is closed" in repr(outcome)


@pytest.mark.parametrize(
    ("pods", "state"),
    [
        ([], NOT_ATTEMPTED),
        ([Pod("web-safe-1", "default", "web-safe"), Pod("client-1", "default", "client", ready=True)], NOT_ATTEMPTED),
        ([Pod("web-risk-1", "default", "web-risk", ready=True)], PASSED),
    ],
)
def test_where_every_pod_is_scaled_away_nothing_is_judged(pods: list[Pod], state: CheckState) -> None:
    with Lab(SmallEngine(pods=pods)) as opened:
        opened.apply("apps/web", "apps/client")
        outcome = exercise(opened, start="", needs=("apps/web", "apps/client")).check()
        assert outcome.state is state
        assert ("No pod of Deployment/web-risk or Deployment/web-safe is ready" in repr(outcome)) is (
            state is not PASSED
        )


def test_what_the_exercise_builds_on_must_be_there(lab: Lab) -> None:
    tried = exercise(
        lab, judge=raising(AssertionError("judged")), needs=("01-canary-by-replicas/service-web-safe-only.yaml",)
    )
    tried.note_applied("kind: Something")
    outcome = tried.check()
    assert outcome.state is NOT_ATTEMPTED
    assert "The mesh lacks Service/web." in repr(outcome) and "prepare()" in repr(outcome)


def test_an_object_of_another_kind_or_name_in_the_cell_is_no_answer(lab: Lab) -> None:
    solved = catalogue.find("02.1")
    tried = exercise(lab, judge=raising(AssertionError("judged")), start=solved.start, solution=solved.solution)
    for ref in (Ref("ConfigMap", "web"), Ref("VirtualService", "other")):
        tried.note_applied("kind: Something", [ref])
        outcome = tried.check()
        assert outcome.state is FAILED
        assert f"The cell holds {ref}, and no VirtualService/web." in repr(outcome)
    tried.note_applied("# nothing")
    assert "The cell holds nothing, and no VirtualService/web." in repr(tried.check())


def test_what_earlier_runs_of_the_cell_left_in_the_mesh_is_named_where_the_answer_fails(lab: Lab) -> None:
    service, rule = (
        "01-canary-by-replicas/service-web-safe-only.yaml",
        "02-canary-by-weight/virtual-service-web-50-50.yaml",
    )
    tried = exercise(lab, judge=lambda lab: CheckOutcome(FAILED, "inner", ("Wrong.",)), needs=(service,))
    lab.apply(service, rule)
    tried.note_applied(
        "kind: First", [Ref("VirtualService", name) for name in ("web", "gone")] + [Ref("Service", "web")]
    )
    assert "earlier runs" not in repr(tried.check())
    tried.note_applied("kind: Second")
    told = repr(tried.check())
    assert "Still in the mesh from earlier runs of this cell: VirtualService/web." in told
    assert "lab.delete('VirtualService/web') takes away" in told
    lab.delete("VirtualService/web")
    assert "earlier runs" not in repr(tried.check())


def test_an_answer_beside_a_judge_counts_and_a_prediction_does_not(lab: Lab) -> None:
    tried = exercise(lab, questions=(COLOUR, COUNT))
    tried.note_applied("kind: Something")
    outcome = tried.check()
    assert outcome.state is NOT_ATTEMPTED
    assert "a question is open" in repr(outcome) and COLOUR.text in repr(outcome)
    tried.predict("green").predict(500, question=2)
    assert tried.check().state is PASSED
    tried.predict("red")
    outcome = tried.check()
    assert outcome.state is FAILED
    assert "an answer is not" in repr(outcome) and "Red is dead." in repr(outcome)
    tried.predict("green")
    assert tried.check().state is PASSED


def test_too_little_data_is_neither_done_nor_a_failed_attempt(lab: Lab, progress_file: Path) -> None:
    tried = exercise(lab, judge=lambda lab: CheckOutcome(TOO_LITTLE_DATA, "inner", ("too little data",)))
    tried.note_applied("kind: Something")
    assert tried.check().state is TOO_LITTLE_DATA
    assert "state" not in json.loads(progress_file.read_text())["exercises"]["99.1"]


def test_the_frame_adds_whether_all_were_answered_and_stops_at_the_first_failure(lab: Lab) -> None:
    bad = CheckOutcome(FAILED, "b", ("not fine",))

    def shows(lab: Lab) -> Any:
        yield answered(3, 0)
        yield Because("why", bad)
        raise AssertionError("asked for more")

    tried = exercise(lab, judge=shows, reasons={"why": "It leans."})
    tried.note_applied("kind: Something")
    assert tried.check().lines == ("It leans.", "not fine")
    unanswered = exercise(lab, judge=lambda lab: (Observations([Response(0, 0.0, 0.0, "timeout")]), bad))
    unanswered.note_applied("kind: Something")
    outcome = unanswered.check()
    assert outcome.state is FAILED and "not fine" not in repr(outcome)


def test_a_choice_is_held_against_nothing_where_nothing_was_sent() -> None:
    for answer in ("red", "green", None):
        outcome = COLOUR.compare(answer, Observations())
        assert outcome.state is FAILED
        assert outcome.lines == ("There are no responses: nothing was shown. Send requests first.",)
