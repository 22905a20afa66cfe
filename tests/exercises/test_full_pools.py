"""Exercises that count the places of a pool: what holds some of them already is no answer of the learner's."""

from __future__ import annotations

import pytest

from labsupport import paths
from labsupport.check.result import NOT_ATTEMPTED
from labsupport.course import catalogue
from labsupport.course.magic import manifest
from labsupport.lab.lab import Lab

WEB = "http://web:8080/"


@pytest.fixture
def answered(lab: Lab) -> Lab:
    """A lab in which one of them is solved."""
    spec = catalogue.find("12.2")
    catalogue.exercise("12.2").prepare()
    lab.apply("apps/client-plain")
    manifest("12.2", (paths.manifests() / spec.solution).read_text(encoding="utf-8"))
    return lab


def not_judged(why: str) -> None:
    outcome = catalogue.exercise("12.2").check()
    assert outcome.state is NOT_ATTEMPTED
    assert why in repr(outcome)


@pytest.mark.parametrize("caller", ["client", "client-plain"])
def test_requests_that_are_held_are_named(answered: Lab, caller: str) -> None:
    with answered.hold(WEB, source=caller, count=2):
        not_judged("Under way to web already: 2 requests")


def test_traffic_in_the_background_is_named(answered: Lab) -> None:
    with answered.traffic(WEB, source="client", rate=20, concurrency=1) as live:
        live.collect(5)
        not_judged("Traffic runs in the background: http://web:8080/ from client")


def test_more_pods_than_one_are_named(answered: Lab) -> None:
    answered.scale("web-v1", 2)
    not_judged("web has 2 pods")
