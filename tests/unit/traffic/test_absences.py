"""A pod that receives nothing is told from one that had bad luck."""

from __future__ import annotations

import itertools

import pytest

from labsupport import check
from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED
from labsupport.records import Hop, Response
from labsupport.traffic.absences import Absence, Absences
from labsupport.traffic.observations import Observations

STEP_S = 0.05
GOOD = ("web-v1-a", "web-v1-b")
BAD = "web-v2-a"


def response(index: int, pod: str, *, failed: bool = False) -> Response:
    hops = (Hop("web", pod.split("-")[1], pod),) if pod else ()
    return Response(
        index=index,
        started_s=1000 + index * STEP_S,
        duration_s=0.001,
        outcome="http_error" if failed else "ok",
        status=503 if failed else 200,
        path=hops,
    )


def turns(*parts: tuple[int, bool]) -> list[Response]:
    """Requests in turns: for each part their number, and whether the bad pod takes part and fails."""
    made: list[Response] = []
    for count, takes_part in parts:
        pods = itertools.cycle((*GOOD, BAD) if takes_part else GOOD)
        made += [
            response(len(made) + place, pod, failed=pod == BAD)
            for place, pod in enumerate(itertools.islice(pods, count))
        ]
    return made


def absences_of(
    responses: list[Response], *, service: str = "", shares: dict[str, float] | None = None
) -> tuple[Absence, ...]:
    return Absences(service).add(responses, shares).found(shares)


def test_a_pod_that_is_out_and_comes_back_twice():
    seen = turns((9, True), (60, False), (12, True), (120, False), (3, True))
    first, second = absences_of(seen)
    assert (first.pod, first.version, len(first.errors), len(second.errors)) == (BAD, "v2", 3, 4)
    assert first.ended_s is not None and first.ended_s - first.began_s == pytest.approx(63 * STEP_S)
    assert second.last_s - second.began_s == pytest.approx(123 * STEP_S)


def test_one_that_is_still_out():
    (absence,) = absences_of(turns((3, True), (40, False)))
    assert absence.ended_s is None
    assert absence.last_s == pytest.approx(1000 + 42 * STEP_S)


def test_a_few_requests_to_others_show_nothing():
    assert absences_of(turns((3, True), (20, False), (3, True))) == ()
    assert absences_of([]) == ()


def test_a_small_share_needs_more_requests_to_be_missed():
    seen = turns((3, True), (40, False))
    assert absences_of(seen, shares={BAD: 0.01}) == ()
    assert len(absences_of(seen, shares={BAD: 0.3})) == 1
    assert absences_of(seen, shares={GOOD[0]: 0.3}) == (), "only the pods that are named are looked at"


def test_responses_that_come_bit_by_bit():
    seen = turns((9, True), (60, False), (12, True), (120, False), (3, True))
    absences = Absences()
    for first in range(0, len(seen), 7):
        absences.add(reversed(seen[first : first + 7]))
    assert absences.found() == absences_of(seen)


def test_requests_that_reach_nobody_count():
    nobody = [response(3 + place, "", failed=True) for place in range(40)]
    assert {absence.pod for absence in absences_of(turns((3, True)) + nobody)} == {*GOOD, BAD}


def test_a_pod_of_another_service_on_the_way():
    seen = turns((3, True), (40, False))
    assert absences_of(seen, service="reviews") == ()
    assert len(absences_of(seen, service="web")) == 1


@pytest.mark.parametrize(
    ("parts", "state", "told"),
    [
        pytest.param([(3, True), (60, False), (3, True), (120, False), (3, True)], PASSED, "time 2", id="longer"),
        pytest.param([(3, True), (60, False), (3, True), (60, False), (3, True)], FAILED, "expected", id="as long"),
        pytest.param([(3, True), (60, False), (3, True)], FAILED, "2 returns expected", id="once"),
        pytest.param([(90, True)], FAILED, "0 returns of no pod", id="never"),
        pytest.param(
            [(3, True), (60, False), (180, True), (120, False), (3, True)], FAILED, "for another", id="much too late"
        ),
    ],
)
def test_ejections_are_checked(parts: list[tuple[int, bool]], state: object, told: str):
    outcome = check.ejections(Observations(turns(*parts)), errors=1, base_s=3.0)
    assert outcome.state is state, repr(outcome)
    assert told in repr(outcome)


def test_too_few_errors_before_the_first_ejection():
    seen = Observations(turns((3, True), (60, False), (3, True), (120, False), (3, True)))
    assert not check.ejections(seen, errors=2, base_s=3.0)
    assert check.ejections(None, errors=1, base_s=3.0).state is NOT_ATTEMPTED
