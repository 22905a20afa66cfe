"""Judges of notebook 05: who is delayed, by how much, and what a page bears."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import TYPE_CHECKING

from labsupport import check
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import fault_for_all, fault_says, no_fault, told_first
from labsupport.course.judging import answered, judge
from labsupport.course.ladder import Rung
from labsupport.course.spec import Because, Shown
from labsupport.records import AccessRecord

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

__all__ = ["nobody_else", "pages_with"]

_NOBODY_ELSE: tuple[Mapping[str, str], ...] = (
    {},
    {"end-user": "anna"},
    {"end-user": "tester-2"},
    {"end-user": "test"},
)
"""Headers of requests that a rule for tester leaves alone: a rule for all who sign in, or for names alike, does not."""

_RATINGS = "http://ratings:9080/ratings/0"
_PAGE = "gateway:/productpage"
_TESTER = {"end-user": "tester"}
_COUNT, _PATIENCE_S = 8, 2.5


def nobody_else(lab: Lab, kind: str, *flags: str, title: str) -> Iterator[Shown]:
    """Requests without the header, and those of other users, are answered, and no fault is in their way.

    Args:
        lab: where they are sent.
        kind: of the fault: ``delay`` or ``abort``.
        flags: response flags that they must not have.
        title: what is checked, in words.
    """
    none = dict.fromkeys(flags, 0)
    groups, records = [], list[AccessRecord]()
    for headers in _NOBODY_ELSE:
        others = lab.send(_RATINGS, source="client", headers=headers, count=5, concurrency=5, timeout_s=_PATIENCE_S)
        log = lab.access_log(others)
        records += log
        spared = check.flags(log, none, title=title)
        if not (spared and check.ok(others)):
            said = fault_says(lab, _RATINGS, kind, source="client", headers=headers)
            yield answered(lab, others, () if spared else said)
            yield told_first(said, spared)
        # One in a hundred that is late is seldom among so few.
        if not (safe := no_fault(lab, _RATINGS, source="client", headers=headers)):
            yield safe
        groups.append(others)
    # Four groups that are well are told in one line each of what they have in common.
    everybody = reduce(operator.add, groups)
    yield everybody
    yield check.flags(records, none, title=title)


def _tester_waits(lab: Lab, *, at_least_s: float, at_most_s: float | None = None) -> Iterator[Shown]:
    """Every request of tester is held for so long. Bounds are a little wider than what is asked for: timers tick."""
    late = lab.send(_RATINGS, source="client", headers=_TESTER, count=_COUNT, concurrency=_COUNT, timeout_s=_PATIENCE_S)
    said = fault_says(lab, _RATINGS, "delay", source="client", headers=_TESTER)
    yield answered(lab, late, said)
    title = "each request of tester waits"
    yield told_first(said, check.flags(lab.access_log(late), {"DI": _COUNT}, title=title))
    yield fault_for_all(lab, _RATINGS, "delay", source="client", headers=_TESTER)
    yield told_first(said, check.duration(late, q=0, at_least_s=at_least_s, at_most_s=at_most_s))


def pages_with(lab: Lab, service: str, *, headers: Mapping[str, str]) -> Observations:
    """Pages of somebody. Where one lacks a service, others are sent, twice at most.

    A busy machine is late by chance, and a limit of 0.1 s knows no mercy; what is late by a rule is late each time.
    """
    for _ in range(2):
        pages = lab.send(_PAGE, headers=headers, count=5, concurrency=1)
        if pages.count(service=service) == len(pages):
            return pages
    return lab.send(_PAGE, headers=headers, count=5, concurrency=1)


def _one_second_late(lab: Lab) -> Iterator[Shown]:
    yield from nobody_else(lab, "delay", "DI", title="nobody else waits")
    yield from _tester_waits(lab, at_least_s=0.95, at_most_s=1.6)


@judge("05.1")
def one_second(lab: Lab) -> Iterator[Shown]:
    """Every request of tester is a second late, and no other."""
    return _one_second_late(lab)


judge("05.5")(one_second)


@judge("05.3")
def as_late_as_can_be(lab: Lab) -> Iterator[Shown | Rung]:
    """Pages of tester are complete, and the delay is as long as it can be."""
    yield from nobody_else(lab, "delay", "DI", title="nobody else waits")
    yield from _tester_waits(lab, at_least_s=0.045)
    pages = pages_with(lab, "ratings", headers=_TESTER)
    yield pages
    yield Because("pages", check.only(pages, service="ratings", title="every page of tester has stars"))
    yield Rung("whole")
    yield from _tester_waits(lab, at_least_s=0.095)
    yield Rung("tenth")
    yield from _tester_waits(lab, at_least_s=0.19)
    yield Rung("fifth")


@judge("05.4")
def reviews_in_time(lab: Lab) -> Iterator[Shown]:
    """Ratings is as late as before, and yet reviews answers in time; all others have their stars."""
    for shown in _one_second_late(lab):
        yield Because("late", shown) if isinstance(shown, CheckOutcome) else shown
    others = pages_with(lab, "ratings", headers={})
    yield others
    yield Because("others", check.only(others, service="ratings", title="all others have stars"))
    pages = pages_with(lab, "reviews", headers=_TESTER)
    yield pages
    yield Because("given up", check.only(pages, service="reviews", title="every page of tester has reviews"))
    yield Because("late", check.none(pages, service="ratings", title="and none of them has stars"))
