"""Judges of notebook 08: which failures are tried again, how often, and what tries of several hops add up to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.course.acting import explained, with_ignored
from labsupport.course.judging import claim, judge
from labsupport.course.ladder import Rung
from labsupport.course.lessons.timeouts import delayed_s
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

_WEB = "http://web:8080/"
_SHOP = "http://productpage:9080/api/v1/products/0/reviews"
_REVIEWS = "http://reviews:9080/reviews/0"
_COUNT = 10
_LATE_S, _EACH_S = 1.5, 0.3


def _send(lab: Lab, fault: str = "", *, url: str = _WEB, count: int = _COUNT) -> Observations:
    return lab.send(url, source="client", count=count, headers={"x-fault": fault} if fault else {})


def _tried(
    lab: Lab,
    seen: Observations,
    each: int,
    *,
    few: str,
    many: str,
    once: str = "",
    server: str = "web-v1",
    url: str = _WEB,
) -> Shown:
    """Each request was tried so often, as the server counts it; else say ``timeout``, ``few``, ``many`` or ``once``."""
    log = lab.access_log(seen)
    outcome = with_ignored(lab, url, check.received(log, {server: each * len(seen)}), source="client")
    tries = log.received(server)
    reason = once if once and tries == len(seen) else few if tries < each * len(seen) else many
    # What the rule says of tries may be right, and the time for all of them too short.
    ended = any(record.details == "response_timeout" for record in log if record.pod.startswith("client-"))
    if tries < each * len(seen) and ended:
        reason = "timeout"
    return Because(reason, outcome)


@judge("08.2")
def five_tries(lab: Lab) -> Iterator[Shown]:
    """Four failures are survived, and five tries are all that a request gets."""
    reasons = {"once": "once", "few": "few", "many": "many"}
    survived = _send(lab, "FAIL_FIRST_TRIES=4")
    yield _tried(lab, survived, 5, **reasons)
    yield survived
    yield _tried(lab, _send(lab, "FAIL_STATUS=503"), 5, **reasons)


@judge("08.3")
def four_slow_tries(lab: Lab) -> Iterator[Shown]:
    """Four tries of productpage, each of which meets the delay."""
    seen = _send(lab, url=_SHOP, count=4)
    given_up = check.only(seen, status=504, title="every request ends in 504")
    injecting = {record.pod.rsplit("-", 2)[0] for record in lab.access_log(seen) if record.flags[:2] in ("DI", "FI")}
    if "productpage-v1" not in injecting and injecting:
        yield Because("fault", replace(given_up, state=check.FAILED))
    late_s = delayed_s(lab, _REVIEWS, source="productpage-v1")
    line = f"The rules delay each call of productpage to reviews by {words.duration(late_s)}."
    if late_s < _LATE_S and (late_s or given_up):
        yield Because("short", claim(False, "every call is late enough", line))
    yield Because("slow" if injecting else "fast", given_up)
    yield _tried(lab, seen, 4, few="other", many="other", once="once", server="productpage-v1", url=_SHOP)
    each_s = explained(lab, _SHOP, source="client").per_try_s
    limit = "no limit" if each_s is None else words.duration(each_s)
    line = f"The rule gives each try of productpage {limit}."
    yield Because("limit", claim(each_s == _EACH_S, "0.3 s for each try", line))


@judge("08.5")
def four_in_all(lab: Lab) -> Iterator[Shown | Rung]:
    """Three failures at reviews are survived, and a fourth is the last."""
    for rung, tries in (("first", 1), ("third", 3)):
        seen = _send(lab, f"SERVICE=reviews, FAIL_FIRST_TRIES={tries}", url=_SHOP, count=5)
        answered = with_ignored(lab, _SHOP, check.ok(seen), source="client")
        yield answered if rung == "first" else Because("few", answered)
        yield Rung(rung)
    seen = _send(lab, "SERVICE=reviews, FAIL_STATUS=503", url=_SHOP, count=5)
    yield _tried(lab, seen, 4, few="few", many="many", server="reviews-v1", url=_SHOP)
    yield Rung("storm")


@judge("08.6")
def only_what_may_help(lab: Lab) -> Iterator[Shown | Rung]:
    """503 and 429 are tried three times, 500 once."""
    reasons: Mapping[str, str] = {"few": "few", "many": "many", "once": "once"}
    for rung, status in (("unavailable", 503), ("busy", 429)):
        seen = _send(lab, f"FAIL_FIRST_TRIES=2, FAIL_STATUS={status}")
        yield _tried(lab, seen, 3, **reasons)
        yield seen
        yield Rung(rung)
    yield _tried(lab, _send(lab, "FAIL_STATUS=503"), 3, **reasons)
    yield _tried(lab, _send(lab, "FAIL_STATUS=500"), 1, few="again", many="again")
    yield Rung("budget")
