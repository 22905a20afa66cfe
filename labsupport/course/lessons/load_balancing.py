"""Judges of notebook 10: which pod a proxy chooses: in turns, by lot, or the idler of two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import count_telling_lives, pods_ready, with_balancers
from labsupport.course.judging import claim, disturbed, judge
from labsupport.course.ladder import Rung
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations

_WEB = "http://web:8080/"
_VERSION = "x-version"
# With so many requests beside one that is held: the held pod of three gets 33 with LEAST_REQUEST (two draws of three
# pods, and both must be this one) and 100 by lot; of two pods 75 and 150. Each bound is missed once in a million times,
# and by a wrong policy at most once in a hundred thousand.
_MANY, _IDLE_AT_MOST = 300, 64
_EVEN = range(109, 192)
_RARE = 1e-6
_LIFE = 10
# To each of three pods.
_EACH = count_telling_lives(_LIFE)


def _send(lab: Lab, count: int, headers: Mapping[str, str] | None = None) -> Observations:
    # One after the other, so that nothing is under way but what is held.
    return lab.send(_WEB, source="client", count=count, concurrency=1, headers=headers)


def _pods_in_order(seen: Observations) -> list[str]:
    return [response.path[0].pod for response in sorted(seen, key=lambda each: each.index) if response.path]


def _twice(seen: Observations) -> int:
    """How often a pod got two requests, one directly after the other."""
    return sum(first == second for first, second in pairwise(_pods_in_order(seen)))


def _in_turns(seen: Observations, pods: int) -> CheckOutcome:
    even, twice = check.even(seen, among=pods), _twice(seen)
    line = f"A pod got two requests in a row {words.plural(twice, 'time')} in {len(seen)} requests; in turns: never."
    return claim(even.passed and not twice, f"{pods} pods in turns", *even.lines, line)


def _beside_a_held_one(lab: Lab, headers: Mapping[str, str]) -> tuple[int, Observations]:
    """How many of many requests went to the pod in which another one was held, and all of them."""
    with lab.hold(_WEB, source="client", headers=headers) as held:
        seen = _send(lab, _MANY, headers)
        busy = {hop.pod for response in held.release() for hop in response.path}
    return seen.count(lambda response: any(hop.pod in busy for hop in response.path)), seen


def _told(lab: Lab, outcome: CheckOutcome, headers: Mapping[str, str] | None = None) -> CheckOutcome:
    return with_balancers(lab, _WEB, outcome, source="client", headers=headers)


@judge("10.3")
def a_policy_for_each_version(lab: Lab) -> Iterator[Shown | Rung]:
    """In turns for all, the idler of two for v1, by lot for v2."""
    yield Because("pods", pods_ready(lab, "the pods of the task", {"web-v1": 3, "web-v2": 2}))
    yield from disturbed(lab, "web")
    seen = _send(lab, 100)
    yield seen
    yield Because("turns", _told(lab, _in_turns(seen, 5)))
    yield Rung("turns")

    first = {_VERSION: "v1"}
    yield _send(lab, 1, first)
    busy, seen = _beside_a_held_one(lab, first)
    yield seen
    yield check.only(seen, version="v1")
    met = len(seen.share("pod").counts)
    line = f"The pod that was busy got {busy} of {len(seen)} requests, and {words.plural(met, 'pod')} answered."
    outcome = claim(busy <= _IDLE_AT_MOST and met == 3, "a busy pod of v1 gets fewer", line)
    yield Because("busy", _told(lab, replace(outcome, alpha=_RARE), first))
    yield Rung("idle")

    second = {_VERSION: "v2"}
    yield _send(lab, 1, second)
    busy, seen = _beside_a_held_one(lab, second)
    yield seen
    yield check.only(seen, version="v2")
    twice = _twice(seen)
    line = f"A pod got two requests in a row {words.plural(twice, 'time')} in {len(seen)} requests."
    yield Because("order", _told(lab, claim(twice > 0, "not in turns", line), second))
    line = f"The pod of v2 that was busy got {busy} of {len(seen)} requests."
    outcome = claim(busy in _EVEN, "each of the two gets about the same", line)
    yield Because("avoided", _told(lab, replace(outcome, alpha=2 * _RARE), second))
    yield Rung("lot")


@judge("10.4")
def in_turns_again(lab: Lab) -> Iterator[Shown]:
    """In turns, and a connection that still ends after ten requests."""
    yield Because("pods", pods_ready(lab, "the pods of the task", {"web-v1": 3, "web-v2": 0}))
    yield from disturbed(lab, "web")
    seen = _send(lab, 90)
    yield seen
    yield Because("turns", _told(lab, _in_turns(seen, 3)))
    before = lab.pools("client").of("web").opened
    seen = _send(lab, 3 * _EACH)
    yield seen
    opened = lab.pools("client").of("web").opened - before
    line = f"{len(seen)} requests, one after the other: {words.plural(opened, 'connection')} opened."
    yield Because("limit", claim(opened == 3 * _EACH // _LIFE, "ten requests a connection", line))
