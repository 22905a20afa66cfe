"""Judges of notebook 00: a repaired manifest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.check.result import FAILED, PASSED, CheckOutcome
from labsupport.course.acting import explained, reasons_of
from labsupport.course.judging import judge
from labsupport.course.spec import Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_URL = "http://reviews:9080/reviews/0"
_TIMEOUT_S = 2.0


@judge("00.3")
def in_force_and_answered(lab: Lab) -> Iterator[Shown]:
    """The repaired rule is the one that requests follow, and it lets every one of them through."""
    yield lab.send(_URL, source="client", count=50)
    explanation = explained(lab, _URL, source="client")
    rule, limit = explanation.chosen, explanation.timeout_s
    if rule is None:
        lines = [f"No rule acts on the requests from client to {_URL}."]
    elif limit is None:
        lines = [f"{rule.object} acts on these requests, and has no timeout: repair it, do not take it out."]
    elif limit != _TIMEOUT_S:
        lines = [f"The timeout is {words.duration(limit)}: the 2 of the manifest meant seconds."]
    else:
        yield CheckOutcome(PASSED, "the rule is in force", (f"{rule.object} acts on these requests.",))
        return
    yield CheckOutcome(FAILED, "the rule is in force", (*lines, *reasons_of(lab, explanation)))
