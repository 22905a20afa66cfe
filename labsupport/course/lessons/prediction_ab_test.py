"""Judges of notebook 14: who meets which version of a model, and how many users it takes to compare them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import with_balancers
from labsupport.course.judging import claim, judge
from labsupport.course.ladder import Rung
from labsupport.course.predictions import Predictions, answered
from labsupport.course.spec import Because, Shown
from labsupport.records import Response
from labsupport.traffic.observations import Observations

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_URL = "http://predict-server:5000/"
_A, _B = "predict-pod-version-a", "predict-pod-version-b"
_USERS, _ROUNDS = 400, 2
# A hash of 400 users leaves one of two versions with less than this once in two million times.
_LEAST = 3 / 8
_AUTHOR = 2
_BUDGET, _BATCH, _ALPHA = 100, 20, 0.05


def _user(response: Response) -> str:
    return f"user-{response.index}"


def _come(lab: Lab) -> Observations:
    """Each user once: ``GET /`` tells who answers, and predicts nothing."""
    named = {"user": "user-{index}"}
    return lab.send(_URL, source="client", count=_USERS, headers=named, reuse_connections=True)


def _one_version_each(lab: Lab) -> Generator[Shown, None, tuple[Observations, Observations]]:
    """Each user meets one version, however often; returns the first time of all, and all times."""
    first = seen = _come(lab)
    yield first
    for _ in range(_ROUNDS):
        seen += _come(lab)
    yield seen
    outcome = check.sticky(seen, per=_user)
    yield Because("wanders", with_balancers(lab, _URL, outcome, source="client", headers={"user": "user-0"}))
    return first, seen


def _halves(seen: Observations) -> CheckOutcome:
    """Two versions, with about as many users."""
    share = seen.share("version")
    line = f"Of {words.plural(share.n, 'user')}, A has {words.percent(share[_A])} and B {words.percent(share[_B])}."
    return claim(min(share[_A], share[_B]) >= _LEAST, "two halves", line)


@judge("14.2")
def same_half(lab: Lab) -> Iterator[Shown]:
    """One version for each user, and half of them for both."""
    first, _ = yield from _one_version_each(lab)
    yield Because("uneven", _halves(first))


@judge("14.3")
def larger_half(lab: Lab) -> Iterator[Shown]:
    """The author has A; all others are divided as in 14.2."""
    first, seen = yield from _one_version_each(lab)
    author = seen.filter(lambda response: response.index == _AUTHOR)
    yield Because("author", check.only(author, version=_A))
    yield Because("uneven", _halves(first.filter(lambda response: response.index != _AUTHOR)))


def _decides(lab: Lab) -> CheckOutcome:
    """Send pictures of users until the interval leaves zero behind, or the budget is spent."""
    seen = Predictions()
    while len(seen.pairs) < _BUDGET and seen.gain(alpha=_ALPHA).decided is None:
        spent = len(seen.pairs)
        seen += answered(lab, range(spent + 1, spent + _BATCH + 1))
        if seen.failed:
            break
    gain = seen.gain(alpha=_ALPHA)
    both = sum(len(pair) > 1 for pair in seen.pairs.values())
    lines = [f"Both versions answered {words.plural(both, 'picture')}; the test says: {gain.answer}."]
    if seen.failed:
        lines.insert(0, f"user-{seen.failed[0]} got no answer to a picture.")
    if gain.decided is not None:
        lines.append(f"It was known after {words.plural(gain.decided, 'user')}.")
    return claim(gain.answer == "b is better", "b is better", *lines)


@judge("14.4")
def hundred_users(lab: Lab) -> Iterator[Shown | Rung]:
    """Users meet one version, none of them B, and the test decides in time."""
    _, seen = yield from _one_version_each(lab)
    yield Rung("one")
    yield Because("seen", check.only(seen, version=_A))
    yield Rung("unseen")
    yield Because("budget", _decides(lab))
    yield Rung("budget")
