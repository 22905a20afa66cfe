"""Judges of notebook 07: who waits how long, and who ends a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import explained, with_ignored
from labsupport.course.judging import claim, judge
from labsupport.course.ladder import Rung
from labsupport.course.spec import Because, Shown
from labsupport.model.schema.duration import parse_duration

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

__all__ = ["delayed_s"]

_WEB = "http://web:8080/"
_SHOP = "http://productpage:9080/api/v1/products/0/reviews"
_REVIEWS = "http://reviews:9080/reviews/0"
_RATINGS = "http://ratings:9080/ratings/0"
_COUNT = 4
_LATE_S, _LIMIT_S = 1.5, 0.3


def _faulty(lab: Lab, fault: str) -> Observations:
    return lab.send(_WEB, source="client", count=_COUNT, headers={"x-fault": fault})


def _bounded(lab: Lab, most_s: float) -> CheckOutcome:
    """The rule for web lets nobody wait longer; a clock cannot tell 1.0 s from 1.1 s on a busy machine."""
    said_s = explained(lab, _WEB, source="client").timeout_s
    line = "No rule bounds the time." if said_s is None else f"The rule says {words.duration(said_s)}."
    fine = said_s is not None and said_s <= most_s
    return with_ignored(lab, _WEB, claim(fine, f"at most {words.duration(most_s)}", line), source="client")


def delayed_s(lab: Lab, url: str, *, source: str) -> float:
    """By how much the rules delay every such request; 0 where they delay none, or only a share.

    Args:
        lab: where it would be sent.
        url: as for ``lab.send``.
        source: the Deployment or pod that calls.
    """
    for policy in explained(lab, url, source=source).policies:
        delay, _, share = policy.text.partition(" for ")
        if policy.name == "fault.delay" and share.startswith("100 %"):
            return parse_duration(delay).total_seconds()
    return 0.0


@judge("07.1")
def at_most_a_second(lab: Lab) -> Iterator[Shown]:
    """0.4 s are waited for, and no more than 1 s."""
    yield Because("long", _bounded(lab, 1.0))
    seen = _faulty(lab, "DELAY_S=0.4")
    yield seen if check.ok(seen) else Because("short", check.ok(seen))
    yield check.status(_faulty(lab, "DELAY_S=3"), 504)


@judge("07.3")
def ended_by_the_rule(lab: Lab) -> Iterator[Shown]:
    """Both calls of each request end by the timeout of the rule for reviews."""
    seen = lab.send(_SHOP, source="client", count=_COUNT)
    calls = [
        record
        for record in lab.access_log(seen)
        if record.direction == "outbound" and record.pod.startswith("productpage-v1-")
    ]
    ends = Counter(f"{record.status} {record.flags}".strip() for record in calls)
    # On a busy machine, calls that nobody delays may end by the timeout as well.
    late_s = delayed_s(lab, _RATINGS, source="reviews-v2")
    limit_s = explained(lab, _REVIEWS, source="productpage-v1").timeout_s
    wanted = {"504 UT": 2 * len(seen)}
    fine = late_s >= _LATE_S and limit_s == _LIMIT_S and ends == wanted
    flags = {flag for record in calls for flag in record.flags.split(",")}
    if "DI" in flags:
        reason = "fault"
    elif late_s < _LATE_S:
        reason = "short" if late_s else "fast"
    elif "DC" in flags:
        reason = "program"
    else:
        reason = "limit" if ends == wanted else "other"
    counts = words.join(f"{count} × {end}" for end, count in ends.items()) or "none"
    line = f"Calls of productpage to reviews: {counts}; expected: {2 * len(seen)} × 504 UT."
    limit = "no limit" if limit_s is None else f"at most {words.duration(limit_s)}"
    said = f"The rules say: {limit} for a call to reviews, each call to ratings {words.duration(late_s)} late."
    yield Because(reason, claim(fine, "every call ends by the timeout", line, said))


@judge("07.4")
def within_a_second_and_a_half(lab: Lab) -> Iterator[Shown | Rung]:
    """One rule that bounds the time, waits long enough, tries again, and does not repeat what hangs."""
    yield Because("long", _bounded(lab, 1.5))
    hanging = _faulty(lab, "DELAY_S=4")
    yield check.status(hanging, 504)
    yield Rung("bound")
    yield Because("short", check.ok(_faulty(lab, "DELAY_S=1")))
    yield Rung("slow")
    failing = _faulty(lab, "FAIL_FIRST_TRIES=2, DELAY_S=0.1")
    yield Because("few", check.received(lab.access_log(failing), {"web-v1": 3 * _COUNT}))
    yield failing
    yield Rung("retry")
    yield Because("many", check.received(lab.access_log(hanging), {"web-v1": _COUNT}))
    yield Rung("once")
