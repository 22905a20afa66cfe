"""Judges of notebook 06: who is refused, how often, and what a page makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labsupport import check
from labsupport.course.acting import fault_for_all, fault_says, told_first
from labsupport.course.judging import judge
from labsupport.course.ladder import Rung
from labsupport.course.lessons.delays import nobody_else, pages_with
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_RATINGS = "http://ratings:9080/ratings/0"
_TESTER = {"end-user": "tester"}


def _others_are_well(lab: Lab) -> Iterator[Shown]:
    yield from nobody_else(lab, "abort", "FI", "DI", title="nobody else meets a fault")


@judge("06.1")
def tester_is_refused(lab: Lab) -> Iterator[Shown]:
    """Every request of tester is answered 400 by a proxy, and no other."""
    yield from _others_are_well(lab)
    said = fault_says(lab, _RATINGS, "abort", source="client", headers=_TESTER)
    refused = lab.send(_RATINGS, source="client", headers=_TESTER, count=20)
    yield told_first(said, check.status(refused, 400, title="each request of tester gets 400"))
    yield fault_for_all(lab, _RATINGS, "abort", source="client", headers=_TESTER)
    title = "from a proxy, and not from ratings"
    yield told_first(said, check.flags(lab.access_log(refused), {"FI": len(refused)}, title=title))


judge("06.5")(tester_is_refused)


@judge("06.4")
def a_bad_day(lab: Lab) -> Iterator[Shown | Rung]:
    """Half of the requests of tester fail, all of them are late, and the page bears it."""
    yield from _others_are_well(lab)
    said = fault_says(lab, _RATINGS, "abort", source="client", headers=_TESTER)
    bad = lab.send(_RATINGS, source="client", headers=_TESTER, count=150, concurrency=50)
    reject = {"one in five fails": {"200": 80, "503": 20}, "four in five fail": {"200": 20, "503": 80}}
    yield told_first(said, check.share(bad, {"200": 50, "503": 50}, by="status", reject=reject))
    yield Rung("half")
    said = fault_says(lab, _RATINGS, "delay", source="client", headers=_TESTER)
    yield told_first(said, check.flags(lab.access_log(bad), {"DI": len(bad)}, title="each of them is late"))
    yield fault_for_all(lab, _RATINGS, "delay", source="client", headers=_TESTER)
    yield told_first(said, check.duration(bad, q=0, at_least_s=0.19))
    yield Rung("late")
    pages = pages_with(lab, "reviews", headers=_TESTER)
    yield pages
    yield Because("pages", check.only(pages, service="reviews", title="every page of tester has reviews"))
    yield Rung("page")
