"""Judges of notebook 09: which requests are copied, to whom, and what copies cost those behind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import equal_shares, explained, reasons_of, told_first
from labsupport.course.judging import claim, judge
from labsupport.course.ladder import Rung
from labsupport.course.spec import Because, Shown
from labsupport.model.writing.written import written

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.observe.tables import AccessLog
    from labsupport.traffic.observations import Observations

_REVIEWS = "http://reviews:9080/reviews/0"
_RATINGS = "http://ratings:9080/ratings/0"
_COUNT, _ENOUGH = 10, 200
_PATIENCE_S = 3.0


def _send(lab: Lab, headers: Mapping[str, str] | None = None, *, count: int = _COUNT) -> Observations:
    return lab.send(_REVIEWS, source="client", headers=headers, count=count)


def _by_v3(seen: Observations) -> Iterator[Shown]:
    """Everybody is answered, and by v3."""
    yield seen
    yield Because("users", check.only(seen, version="v3"))


def _rule_copies(lab: Lab, expected: Mapping[str, float], headers: Mapping[str, str] | None = None) -> CheckOutcome:
    """The rule copies such shares, by version, and nothing else; a sample cannot tell 12 % from 12.5 %."""
    told = explained(lab, _REVIEWS, source="client", headers=headers)
    version_of = {pod.name: pod.version for pod in lab.pods()}
    said: dict[str, float] = {}
    for mirror in told.mirrors:
        versions = sorted({version_of[pod] for pod in mirror.pods})
        # A copy for several versions meets any of them.
        name = words.join(versions, "or") or "nobody"
        said[name] = said.get(name, 0.0) + mirror.share

    def named(shares: Mapping[str, float]) -> str:
        return words.join(f"{words.percent(share)} to {name}" for name, share in shares.items()) or "nothing"

    line = f"The rule copies {named(said)}; expected: {named(expected)}."
    outcome = claim(equal_shares(said, expected), f"the rule copies {named(expected)}", line)
    return told_first(reasons_of(lab, told), outcome)


def _log_with(lab: Lab, seen: Observations, copies: int) -> AccessLog:
    """The log of requests, read again while copies lack: it knows no headers, which decide what is still to come."""
    until = time.monotonic() + _PATIENCE_S
    log = lab.access_log(seen)
    while log.received("reviews-v1") < copies and time.monotonic() < until:
        log = lab.access_log(seen)
    return log


def _no_old_field(lab: Lab) -> CheckOutcome:
    """No rule has the share in the field of which apply warns; beside the new one it changes nothing else."""
    specs = [written(resource).get("spec") or {} for resource in lab.get("VirtualService")]
    rules = [rule for spec in specs for rule in spec.get("http") or ()]
    old = sorted({field for rule in rules for field in ("mirrorPercent", "mirror_percent") if field in rule})
    line = f"The share stands in {words.join(old)} still." if old else "Nothing that apply warns of is left."
    return claim(not old, "apply warns of nothing", line)


@judge("09.2")
def one_of_eight(lab: Lab) -> Iterator[Shown]:
    """One request of eight is copied to v1, and to nobody else."""
    seen = _send(lab, count=_ENOUGH)
    yield from _by_v3(seen)
    yield Because("warns", _no_old_field(lab))
    yield Because("share", _rule_copies(lab, {"v1": 0.125}))
    yield Because("share", check.copied(lab.access_log(seen), {"reviews-v1": 12.5, "reviews-v2": 0}))


@judge("09.3")
def whose_requests(lab: Lab) -> Iterator[Shown | Rung]:
    """Each request of tester is copied, none of jason's, one in ten of the others'."""
    tester, jason = {"end-user": "tester"}, {"end-user": "jason"}
    for user, percent, rung in ((tester, 100, "tester"), (jason, 0, "private")):
        seen = _send(lab, user)
        yield from _by_v3(seen)
        yield Because(rung, _rule_copies(lab, {"v1": 1.0} if percent else {}, user))
        log = _log_with(lab, seen, len(seen) * percent // 100)
        yield Because(rung, check.copied(log, {"reviews-v1": percent, "reviews-v2": 0}))
        yield Rung(rung)
    for name in ("anna", "tester2", "jason2"):
        yield Because("budget", _rule_copies(lab, {"v1": 0.1}, {"end-user": name}))
    seen = _send(lab, count=_ENOUGH)
    yield from _by_v3(seen)
    yield Because("budget", _rule_copies(lab, {"v1": 0.1}))
    yield Because("budget", check.copied(lab.access_log(seen), {"reviews-v1": 10, "reviews-v2": 0}))
    yield Rung("budget")


def _rule_spares_ratings(lab: Lab) -> CheckOutcome:
    """No call of v2 may reach ratings-v1, whatever v2 makes of a request: a v2 that asks nobody proves nothing."""
    told = explained(lab, _RATINGS, source="reviews-v2")
    met = {pod for to in told.destinations if to.share for pod in to.pods}
    reached = sorted(met.intersection(pod.name for pod in lab.pods().of("ratings-v1")))
    line = f"A call of reviews-v2 to ratings goes to {words.join(reached) or 'none of its pods'}."
    return claim(not reached, "no call of v2 goes to ratings-v1", line)


@judge("09.4")
def one_request_to_ratings(lab: Lab) -> Iterator[Shown]:
    """v2 gets its copies, users their stars, and ratings one request for each of a user."""
    seen = _send(lab, count=2 * _COUNT)
    log = lab.access_log(seen)
    yield from _by_v3(seen)
    yield Because("copies", _rule_copies(lab, {"v2": 1.0}))
    yield Because("copies", check.copied(log, {"reviews-v2": 100}))
    yield Because("stars", check.only(seen, service="ratings", version="v1", title="every user has stars"))
    least = log.received("ratings-v1") < len(seen)
    yield Because("lost" if least else "twice", check.received(log, {"ratings-v1": len(seen)}))
    yield Because("rule", _rule_spares_ratings(lab))
