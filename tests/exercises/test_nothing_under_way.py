"""Exercises that count what is under way: what is so already is no answer of the learner's."""

from __future__ import annotations

import pytest

from labsupport import paths
from labsupport.check.result import NOT_ATTEMPTED
from labsupport.course import catalogue
from labsupport.course.magic import manifest
from labsupport.lab.lab import Lab

WEB = "http://web:8080/"


def solve(lab: Lab, number: str) -> None:
    catalogue.exercise(number).prepare()
    lab.apply("apps/client-plain")
    manifest(number, (paths.manifests() / catalogue.find(number).solution).read_text(encoding="utf-8"))


def not_judged(number: str, why: str) -> None:
    outcome = catalogue.exercise(number).check()
    assert outcome.state is NOT_ATTEMPTED
    assert why in repr(outcome)


@pytest.mark.parametrize(
    ("number", "caller"), [("10.3", "client"), ("10.4", "client"), ("12.2", "client"), ("12.2", "client-plain")]
)
def test_requests_that_are_held_are_named(lab: Lab, number: str, caller: str) -> None:
    solve(lab, number)
    with lab.hold(WEB, source=caller, count=2):
        not_judged(number, "Under way to web already: 2 requests")
    assert catalogue.exercise(number).check().passed


@pytest.mark.parametrize("number", ["10.4", "12.2"])
def test_traffic_in_the_background_is_named(lab: Lab, number: str) -> None:
    solve(lab, number)
    with lab.traffic(WEB, source="client", rate=20, concurrency=1) as live:
        live.collect(5)
        not_judged(number, "Traffic runs in the background: http://web:8080/ from client")


@pytest.mark.parametrize(
    ("number", "pods"), [("10.3", 4), ("10.4", 2), ("11.1", 3), ("11.3", 5), ("13.2", 1), ("13.4", 3)]
)
def test_another_number_of_pods_is_no_wrong_answer(lab: Lab, number: str, pods: int) -> None:
    solve(lab, number)
    lab.scale("web-v1", pods)
    not_judged(number, "This is about ")
    not_judged(number, f"{pods} pods of web-v1" if pods > 1 else "1 pod of web-v1")


def test_more_pods_than_one_are_named(lab: Lab) -> None:
    solve(lab, "12.2")
    lab.scale("web-v1", 2)
    not_judged("12.2", "web has 2 pods")
