from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from small_engine import SmallEngine

import labsupport
from labsupport import words
from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, CheckOutcome
from labsupport.course.catalogue import exercise, find
from labsupport.course.magic import KEPT_BACK, manifest, promql
from labsupport.errors import (
    ConfigRejectedError,
    EngineLostError,
    ManifestError,
    NotFoundError,
    UsageError,
    WaitTimeoutError,
)
from labsupport.lab.lab import Lab
from labsupport.metrics.answers import Answer
from labsupport.records import ApplyResult

GAPS = find("02.1").start
FILLED = GAPS.replace("____", "50")


@pytest.fixture(autouse=True)
def own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_STATE", str(tmp_path / "progress.json"))


@pytest.fixture
def engine() -> SmallEngine:
    return SmallEngine()


@pytest.fixture
def lab(engine: SmallEngine) -> Iterator[Lab]:
    with Lab(engine) as opened:
        yield opened


def test_a_query_is_answered_and_one_with_gaps_is_left_alone(lab: Lab) -> None:
    answer = promql("", "1 + 1")
    assert isinstance(answer, Answer) and answer.scalar and answer.value == 2
    outcome = promql("", 'istio_requests_total{reporter="____"}')
    assert isinstance(outcome, CheckOutcome) and outcome.state is NOT_ATTEMPTED
    for line, query, words_of_it in (("18.1", "up", "stands alone"), ("", "rate(up)", "PromQL")):
        with pytest.raises(UsageError, match=words_of_it):
            promql(line, query)


def test_the_metrics_of_a_lab_end_with_it_and_are_empty_after_a_reset(engine: SmallEngine) -> None:
    with Lab(engine) as opened:
        metrics = opened.metrics()
        assert opened.metrics() is metrics
        metrics.scrape()
        opened.reset()
        assert "0 scrapes" in repr(metrics)
    with pytest.raises(UsageError, match="is closed"):
        metrics.scrape()


def test_the_cell_is_applied_and_says_what_changed(lab: Lab, engine: SmallEngine) -> None:
    result = manifest("", FILLED)
    assert isinstance(result, ApplyResult)
    assert result.changes[0].action == "created"
    assert result.changes[0].source.endswith("this cell")
    assert ("VirtualService", "web") in engine.objects


@pytest.mark.parametrize("line", ["", "02.1"])
def test_gaps_are_not_an_error_and_nothing_is_applied(lab: Lab, engine: SmallEngine, line: str) -> None:
    outcome = manifest(line, GAPS)
    assert isinstance(outcome, CheckOutcome)
    assert outcome.state is NOT_ATTEMPTED
    assert engine.objects == {}


def test_gaps_in_comments_do_not_count(lab: Lab, engine: SmallEngine) -> None:
    manifest("02.1", f"# replace ____\n{FILLED}  # was ____\n")
    assert ("VirtualService", "web") in engine.objects


def test_a_mistake_names_its_line_in_the_cell(lab: Lab) -> None:
    text = FILLED.replace("hosts:", "host:")
    with pytest.raises(ManifestError) as caught:
        manifest("", text)
    # The magic itself stands on line 1.
    line = 2 + text.splitlines().index("  host:")
    assert f"line {line} of this cell, VirtualService/web" in str(caught.value)


def test_a_mistake_names_the_cell_that_it_is_in_where_another_cell_tells_it(lab: Lab) -> None:
    outcome = manifest("02.1", FILLED.replace("hosts:", "host:"))
    assert "line 7 of this cell" in repr(outcome)
    told = repr(exercise("02.1").check())
    assert "line 7 of %%manifest 02.1" in told
    assert "this cell" not in told


def test_a_cell_without_an_exercise_has_its_own_number_in_what_other_cells_tell(
    lab: Lab, engine: SmallEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in (18, 25):
        monkeypatch.setattr("labsupport.cell.number", lambda run=run: run)
        manifest("", FILLED.replace("name: web", f"name: web-{run}", 1))
        (resource,) = [each for each in lab.get("VirtualService") if each.name == f"web-{run}"]
        assert resource.origin.file == f"%%manifest In [{run}]"
    assert words.place("%%manifest In [18]", 7) == "line 7 of %%manifest In [18]"


def test_what_does_not_start_is_an_outcome_until_it_does(
    lab: Lab, engine: SmallEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(objects: object, *, timeout_s: float = 60.0) -> ApplyResult:
        raise WaitTimeoutError("pod web-1 does not start: 0.1s is no number")

    with monkeypatch.context() as slow:
        slow.setattr(engine, "apply", late)
        outcome = manifest("02.1", FILLED)
        with pytest.raises(WaitTimeoutError):
            manifest("", FILLED)
    assert isinstance(outcome, CheckOutcome) and outcome.state is FAILED
    assert outcome.lines == ("It was applied, and is not ready.", "pod web-1 does not start: 0.1s is no number")
    monkeypatch.setattr("labsupport.course.exercise.missing", lambda lab, spec: [])
    monkeypatch.setattr("labsupport.course.exercise.without_pods", lambda lab, spec: [])
    for state in (FAILED, PASSED):
        judgement = CheckOutcome(state, "inner", ("Seen.",))
        monkeypatch.setattr("labsupport.course.exercise.judged", lambda *given, told=judgement: told)
        told = exercise("02.1").check()
        assert (told.state, "does not start" in told.lines[0]) == (state, state is FAILED)


def test_a_mistake_in_an_exercise_is_an_outcome_and_the_last_attempt_counts(lab: Lab) -> None:
    outcome = manifest("02.1", FILLED.replace("kind: VirtualService", "kind: VirtualServce"))
    assert isinstance(outcome, CheckOutcome)
    assert outcome.state is FAILED
    assert "VirtualService" in repr(outcome)
    assert exercise("02.1").check().state is FAILED
    manifest("02.1", GAPS)
    assert exercise("02.1").check().state is NOT_ATTEMPTED


def test_what_envoy_refuses_is_an_outcome_too(lab: Lab, engine: SmallEngine) -> None:
    engine.refusal = ConfigRejectedError("client-1 refused it: weight")
    outcome = manifest("02.1", FILLED)
    assert isinstance(outcome, CheckOutcome)
    assert "refused it: weight" in repr(outcome)


def test_a_lost_engine_is_no_wrong_answer(lab: Lab, engine: SmallEngine) -> None:
    engine.refusal = EngineLostError("the supervisor is gone")
    with pytest.raises(EngineLostError):
        manifest("02.1", FILLED)


def test_the_line_is_an_exercise_or_nothing(lab: Lab) -> None:
    with pytest.raises(NotFoundError, match=r"02\.1"):
        manifest("02.99", FILLED)
    with pytest.raises(UsageError, match="one exercise"):
        manifest("02.1 and 02.2", FILLED)


def test_without_a_lab_it_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"lab = Lab\(\)"):
        manifest("", FILLED)


def test_the_extension_makes_the_magic_known_in_ipython(lab: Lab) -> None:
    shell = InteractiveShell.instance()
    try:
        labsupport.load_ipython_extension(shell)
        labsupport.load_ipython_extension(shell)
        done = shell.run_cell(f"%%manifest\n{FILLED}")
        assert isinstance(done.result, ApplyResult)
    finally:
        InteractiveShell.clear_instance()


def test_a_manifest_that_is_to_be_diagnosed_shows_no_cause(lab: Lab) -> None:
    text = find("02.5").start
    kept = manifest("02.5", text)
    assert isinstance(kept, ApplyResult) and kept.notes == (KEPT_BACK,)
    lab.delete("dr/web")
    told = manifest("", text)
    assert isinstance(told, ApplyResult)
    assert told.notes and KEPT_BACK not in told.notes
