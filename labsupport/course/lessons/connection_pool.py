"""Judges of notebook 12: what a full connection pool lets in, lets wait and refuses, while requests are held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.check.result import NOT_ATTEMPTED, CheckOutcome
from labsupport.course.acting import count_telling_lives
from labsupport.course.judging import claim, disturbed, judge
from labsupport.course.ladder import Rung
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.held import HeldRequests
    from labsupport.traffic.observations import Observations

_WEB = "http://web:8080/"
_MANY = 10
_LIFE = 10
_EXACT = count_telling_lives(_LIFE)


def _not_as_given(lab: Lab) -> Iterator[CheckOutcome]:
    """What keeps places from being counted, whatever the rule; it is no answer of the learner's, right or wrong."""
    pods = sum(pod.ready and pod.service == "web" for pod in lab.status().pods)
    if pods > 1:
        line = f"web has {words.plural(pods, 'pod')}, and this exercise counts on one. lab.scale('web-v1', 1) does it."
        yield CheckOutcome(NOT_ATTEMPTED, "web has one pod", (line,))
    yield from disturbed(lab, "web")


def _hold(lab: Lab, *counts: int) -> tuple[tuple[int, int, int], ...]:
    """How many are inside, wait and are refused, batch by batch: each is sent when the one before rests."""
    batches: list[HeldRequests] = []
    try:
        for count in counts:
            batches.append(lab.hold(_WEB, source="client", count=count))
        return tuple((held.inside, held.waiting, len(held.answered)) for held in batches)
    finally:
        # All are let go before any is waited for: some wait for the end of others.
        for held in batches:
            held.let_go()
        for held in batches:
            held.release()


def _send(lab: Lab, count: int) -> Observations:
    return lab.send(_WEB, source="client", count=count, concurrency=1)


def _opened(lab: Lab, count: int) -> int:
    """How many connections so many requests open, one after the other."""
    before = lab.pools("client").of("web").opened
    _send(lab, count)
    return lab.pools("client").of("web").opened - before


def _places(what: str, inside: int, waiting: int, refused: int) -> str:
    return f"{what}: {inside} inside, {waiting} waiting, {refused} refused."


@judge("12.2")
def one_and_four(lab: Lab) -> Iterator[Shown]:
    """One inside, four waiting."""
    yield from _not_as_given(lab)
    # A connection is open then, so that no place to wait is taken by a request for which the first one is opened.
    yield _send(lab, 1)
    ((inside, waiting, refused),) = _hold(lab, _MANY)
    seen = _places(f"{_MANY} at the same moment", inside, waiting, refused)
    yield Because("many" if inside else "none", claim(inside == 1, "one request is inside web", seen))
    reason = "nobody" if not waiting else "few" if waiting < 4 else "long"
    yield Because(reason, claim(waiting == 4, "four requests wait", seen))


@judge("12.4")
def two_at_a_time(lab: Lab) -> Iterator[Shown]:
    """Two inside, never three, and connections that are used again."""
    yield from _not_as_given(lab)
    first, second, more = _hold(lab, 1, 1, _MANY)
    inside = first[0] + second[0]
    reason = "none" if not inside else "waits" if second[1] else "refused"
    line = f"{inside} of two requests inside."
    yield Because(reason, claim(inside == 2, "two requests are inside web at the same time", line))
    line = f"{inside + more[0]} of {2 + _MANY} requests inside."
    yield Because("open", claim(not more[0], "never three", line))
    opened = _opened(lab, 2 * _MANY)
    line = f"{2 * _MANY} requests, one after the other: {opened} connections opened."
    yield Because("renewed", claim(opened < 2 * _MANY, "connections are used again", line))


@judge("12.5")
def hanging(lab: Lab) -> Iterator[Shown | Rung]:
    """Three inside, two waiting, and ten requests a connection."""
    yield from _not_as_given(lab)
    *three, more = _hold(lab, 1, 1, 1, _MANY)
    inside, seen = sum(held[0] for held in three), _places(f"{_MANY} more", *more)
    line = f"{inside} of three requests inside."
    yield Because("narrow", claim(inside == 3, "three requests are inside web at the same time", line))
    yield Rung("works")
    yield Because("open", claim(not more[0], "no more than three are inside", seen))
    yield Rung("hangs")
    yield Because("few" if more[1] < 2 else "long", claim(more[1] == 2, "two wait", seen))
    yield Rung("budget")
    # Up to three connections are open, with fewer than thirty requests left. After thirty, one of them at most is left.
    _send(lab, 30)
    opened = _opened(lab, _EXACT)
    line = f"{_EXACT} requests, one after the other: {opened} connections opened."
    right = _EXACT // _LIFE
    yield Because("ever" if opened < right else "brief", claim(opened == right, "ten requests a connection", line))
    yield Rung("renewed")
