"""Judges of notebook 02: weights, and the two mistakes in subsets that everybody makes once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.course.acting import explained, problems_of, reasons_of, rule_says
from labsupport.course.judging import answered, claim, judge
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_URL = "http://web:8080/"
_FEW = 100


def _split(
    lab: Lab, expected: Mapping[str, float], *, count: int, reject: Mapping[str, Mapping[str, float]]
) -> Iterator[Shown]:
    """Requests from client to web are divided like this; behind a sidecar each request is a choice of its own."""
    few = lab.send(_URL, source="client", count=_FEW, reuse_connections=True)
    rule = rule_says(lab, _URL, expected, source="client", seen=few)
    problems = tuple(problems_of(lab, _URL, source="client"))
    if few.errors:
        yield answered(lab, few, problems)
    if not rule.passed and not problems:
        yield rule
    # Only what a few requests and the rules do not tell apart is worth the wait for many.
    seen = lab.send(_URL, source="client", count=count, reuse_connections=True)
    yield answered(lab, seen, problems)
    yield rule
    yield check.share(seen, expected, reject=reject)


@judge("02.1")
def one_in_ten(lab: Lab) -> Iterator[Shown]:
    """90 : 10."""
    reject = {"80 : 20": {"safe": 80, "risk": 20}, "95 : 5": {"safe": 95, "risk": 5}}
    return _split(lab, {"safe": 90, "risk": 10}, count=1500, reject=reject)


@judge("02.2")
def one_in_a_hundred(lab: Lab) -> Iterator[Shown]:
    """99 : 1, with one pod of each version."""
    pods = [pod for pod in lab.pods() if pod.service == "web"]
    fine = len(pods) == 2 and {pod.version for pod in pods} == {"safe", "risk"}
    line = f"web has {words.plural(len(pods), 'pod')}: {', '.join(pod.name for pod in pods) or 'none'}."
    yield claim(fine, "one pod of each version", line)
    reject = {"3 in 100": {"safe": 97, "risk": 3}, "none at all": {"safe": 1}}
    yield from _split(lab, {"safe": 99, "risk": 1}, count=2500, reject=reject)


@judge("02.3")
def most_to_v3(lab: Lab) -> Iterator[Shown]:
    """10 : 10 : 80 where the page calls reviews."""
    expected = {"v1": 10, "v2": 10, "v3": 80}
    seen = lab.send("gateway:/productpage", count=400, reuse_connections=True)
    yield seen
    yield rule_says(
        lab, "http://reviews:9080/reviews/0", expected, source="productpage-v1", seen=seen, service="reviews"
    )
    even = {"v1": 1, "v2": 1, "v3": 1}
    yield check.share(seen, expected, service="reviews", reject={"a third each": even})


@judge("02.4")
def seven_in_ten(lab: Lab) -> Iterator[Shown]:
    """70 : 30, and not one request fails; halves would not show that the subsets are swapped."""
    return _split(lab, {"safe": 70, "risk": 30}, count=300, reject={"30 : 70": {"safe": 30, "risk": 70}})


judge("02.5")(seven_in_ten)


@judge("02.6")
def no_such_cluster(lab: Lab) -> Iterator[Shown]:
    """Every request fails, and the caller's proxy says that there is no cluster to send it to."""
    seen = lab.send(_URL, source="client", count=50)
    explanation = explained(lab, _URL, source="client")
    failing = check.only(seen, status=503, title="every request fails")
    answering = [to for to in explanation.destinations if to.pods] if explanation.chosen else []
    lines = [
        f"The rule sends {words.percent(to.share)} of these requests to {to.subset or 'pods of any version'}, "
        f"which {'has' if to.subset else 'makes'} {words.plural(len(to.pods), 'pod')}."
        for to in answering
    ]
    yield Because("answered", replace(failing, lines=(*lines, *reasons_of(lab, explanation), *failing.lines)))
    flags = sorted({record.flags for record in lab.access_log(seen) if record.direction == "outbound"})
    line = f"The proxy of client says {words.join(filter(None, flags)) or 'nothing'}."
    told = claim(flags == ["NC"], "NC", line)
    yield Because("empty", told) if "UH" in flags else told


@judge("02.7")
def three_to_one(lab: Lab) -> Iterator[Shown]:
    """75 : 25, and not one request fails."""
    reject = {"an even split": {"safe": 1, "risk": 1}, "2 : 1": {"safe": 2, "risk": 1}}
    return _split(lab, {"safe": 3, "risk": 1}, count=1500, reject=reject)
