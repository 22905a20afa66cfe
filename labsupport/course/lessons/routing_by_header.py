"""Judges of notebook 03: conditions on headers, the order of rules, and a header that does not come that far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from labsupport import check
from labsupport.course.acting import explained, rule_says
from labsupport.course.judging import judge
from labsupport.course.probing import Probe, at_most_rules, is_taken, probed
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_PAGE = "gateway:/productpage"
_REVIEWS = "http://reviews:9080/reviews/0"


def _user(name: str, version: str, **more: str) -> Probe:
    headers = {"end-user": name} | {header.replace("_", "-"): value for header, value in more.items()}
    return Probe(
        f"with {', '.join(f'{header}: {value}' for header, value in headers.items())}", version, headers=headers
    )


def _with(header: str, value: str, version: str) -> Probe:
    return Probe(f"with {header}: {value}", version, headers={header: value})


@judge("03.2")
def by_target(lab: Lab) -> Iterator[Shown]:
    """One value of one header meets risk, everything else safe."""
    yield from probed(
        lab,
        [
            _with("target", "condition1", "risk"),
            Probe("without any header", "safe"),
            _with("target", "condition2", "safe"),
            _with("target", "condition10", "safe"),
            _with("target", "Condition1", "safe"),
            _with("end-user", "condition1", "safe"),
        ],
    )


@judge("03.3")
def early_birds(lab: Lab) -> Iterator[Shown]:
    """Three wishes, one after the other, and then the budget."""
    rungs = (
        [_user("staff-1", "risk"), _user("staff-22", "risk"), _user("staff-", "risk")],
        [
            _with("x-beta", "yes", "risk"),
            _with("x-beta", "1", "risk"),
            Probe("with an empty x-beta", "risk", headers={"x-beta": ""}),
            _user("staff-1", "risk", x_beta="yes"),
        ],
        [
            _user("staff-1", "safe", x_opt_out="1"),
            _user("staff-1", "safe", x_opt_out="no"),
            Probe("with x-beta: yes, x-opt-out: 1", "safe", headers={"x-beta": "yes", "x-opt-out": "1"}),
        ],
        [
            Probe("without any header", "safe"),
            _user("anna", "safe"),
            _user("not-staff-1", "safe"),
            _with("x-opt-out", "1", "safe"),
        ],
    )
    for number, probes in enumerate(rungs, start=1):
        for probe, outcome in zip(probes, probed(lab, probes), strict=True):
            # What no rule takes does not meet risk: the third wish is granted, the fourth is not.
            granted = number == 3 and not outcome.passed and not is_taken(lab, probe)
            said = f"Wish {4 if granted else number} of 4."
            yield outcome if outcome.passed else replace(outcome, lines=(said, *outcome.lines))
    yield at_most_rules(lab, 2)


@judge("03.5")
def testers_again(lab: Lab) -> Iterator[Shown]:
    """Testers meet risk, whatever their number; everybody else meets safe."""
    yield from probed(
        lab,
        [
            _user("tester-1", "risk"),
            _user("tester-2", "risk"),
            _user("tester-17", "risk"),
            _user("anna", "safe"),
            _user("tester", "safe"),
            _user("my-tester-1", "safe"),
            Probe("without any header", "safe"),
        ],
    )


@judge("03.4")
def jason_again(lab: Lab) -> Iterator[Shown]:
    """On the page, jason meets v1 of reviews alone, and the others are divided as the rule says."""
    jason = lab.send(_PAGE, headers={"end-user": "jason"}, count=40, reuse_connections=True)
    yield jason
    told = explained(lab, _REVIEWS, source="productpage-v1", headers={"end-user": "jason"})
    outcome = check.only(jason, service="reviews", version="v1", title="jason meets v1 of reviews, and nothing else")
    yield Because("lost", outcome) if {to.subset for to in told.destinations} == {"v1"} else outcome
    others = lab.send(_PAGE, count=30, reuse_connections=True)
    yield others
    expected = {"v1": 10, "v2": 10, "v3": 80}
    yield rule_says(lab, _REVIEWS, expected, source="productpage-v1", seen=others, service="reviews")
