"""Judges of notebook 11: who is at home where, and who moves when a pod leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import FAILED, PASSED, CheckOutcome
from labsupport.course.acting import (
    balancers,
    explained,
    pods_ready,
    proxy_line,
    told_first,
    with_balancers,
)
from labsupport.course.judging import claim, judge
from labsupport.course.ladder import Rung
from labsupport.course.spec import Because, Shown
from labsupport.records import Response
from labsupport.traffic.observations import Observations
from labsupport.traffic.share import By

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_WEB = "http://web:8080/"
_REVIEWS = "http://reviews:9080/reviews/0"
_SHOP = "gateway:/api/v1/products/0/reviews"
_DEPLOYMENT, _PODS = "web-v1", 4
# Prime numbers: in turns, a user would come back to its pod with a number that the number of pods divides.
_USERS, _MANY = 127, 401
_ROUNDS = 3
# Reckoned by Envoy's way to fill a table of 65,537 places: Maglev moves 0.1 % of the others. With one set of four
# addresses of 6,000 it is more than these 12 of 300, as two pods want their places in the same order; a second set is
# tried then, and both fail once in thirty million times. A ring moves about 40.
_LEAST, _MOVED = 1 / 8, 12
# From so many places on, chance moves too many users seldom enough. Of a table of 11 places one in five passes.
_PLACES = 10_000


def _user(response: Response) -> str:
    """Requests of one index are those of one user: without ``users=`` the client keeps no cookies."""
    return f"user-{response.index}"


def _sent(lab: Lab, users: int, where: str) -> Observations:
    """Each user once: known by the header ``x-user``, or by the cookie ``session``."""
    named = {where: "user-{index}"}
    headers, cookies = (named, {}) if where == "x-user" else ({}, named)
    return lab.send(_WEB, source="client", count=users, headers=headers, cookies=cookies, reuse_connections=True)


def _told(lab: Lab, outcome: CheckOutcome, *, url: str = _WEB, source: str = "client") -> CheckOutcome:
    return with_balancers(lab, url, outcome, source=source)


def _spread(seen: Observations, keys: Sequence[str], least: float, *, by: By) -> CheckOutcome:
    """Each of these has at least such a share."""
    share = seen.share(by)
    lines = [f"{key} has {words.percent(share[key])} of {share.n} users, user-0 to user-{share.n - 1}." for key in keys]
    fine = all(share[key] >= least for key in keys)
    return CheckOutcome(PASSED if fine else FAILED, f"at least {words.percent(least)} each", tuple(lines), n=share.n)


def _astray(lab: Lab) -> str:
    """Why users wander: the rule hashes what they do not have, or nothing."""
    said = balancers(explained(lab, _WEB, source="client"))
    return "wanders" if any(text.startswith("consistent hash") for text in said) else "unhashed"


def _nearly(lab: Lab) -> Iterator[str]:
    """The conditions that one of the users misses for little."""
    told = explained(lab, _WEB, source="client", headers={"x-user": "user-0"})
    missed = (condition for rule in told.rules for condition in rule.failed if condition.hint)
    return (
        f"{condition.field} wanted {condition.wanted}, got {condition.got}: {condition.hint}." for condition in missed
    )


def _pods(lab: Lab) -> list[str]:
    return sorted(pod.name for pod in lab.pods() if pod.service == "web")


def _all_there(lab: Lab) -> CheckOutcome:
    """With fewer pods, any rule keeps users together more easily than it should."""
    return pods_ready(lab, f"{_PODS} pods", {_DEPLOYMENT: _PODS})


def _not_by_luck(lab: Lab) -> CheckOutcome:
    """In a small table of Maglev a place is many users, and chance decides whether one changes its pod."""
    line = proxy_line(lab, _WEB, "loadBalancer", "table_size", source="client")
    fine = not line or int(line.rpartition(" ")[2]) >= _PLACES
    return claim(fine, "a table with a place for everybody", f"The proxy of client got {line or 'no table'}.")


def _after_one_left(lab: Lab) -> Observations:
    lab.scale(_DEPLOYMENT, _PODS - 1)
    try:
        return _sent(lab, _MANY, "session")
    finally:
        lab.scale(_DEPLOYMENT, _PODS)


@judge("11.1")
def by_header(lab: Lab) -> Iterator[Shown]:
    """Users without cookies, one pod each, and no pod idle."""
    yield Because("pods", _all_there(lab))
    first = _sent(lab, _USERS, "x-user")
    yield first
    seen = first
    for _ in range(_ROUNDS - 1):
        seen += _sent(lab, _USERS, "x-user")
    yield seen
    yield Because(_astray(lab), _told(lab, check.sticky(seen, per=_user)))
    yield Because("together", _told(lab, _spread(first, _pods(lab), 1 / _USERS, by="pod")))


@judge("11.3")
def when_a_pod_leaves(lab: Lab) -> Iterator[Shown | Rung]:
    """Users by their cookie: one pod each, no pod idle, and nobody moves without need."""
    yield Because("pods", _all_there(lab))
    seen = _sent(lab, _MANY, "session")
    yield seen
    before = seen + _sent(lab, _MANY, "session")
    yield Because(_astray(lab), _told(lab, check.sticky(before, per=_user)))
    yield Rung("home")
    yield Because("together", _told(lab, _spread(seen, _pods(lab), _LEAST, by="pod")))
    yield Rung("spread")
    yield Because("small", _told(lab, _not_by_luck(lab)))
    after = _after_one_left(lab)
    if not check.moved(before, after, per=_user, at_most=_MOVED).passed:
        # That may be due to the addresses: four other pods have others.
        lab.scale(_DEPLOYMENT, 0)
        lab.scale(_DEPLOYMENT, _PODS)
        before = _sent(lab, _MANY, "session")
        after = _after_one_left(lab)
    yield after
    yield Because("moved", _told(lab, check.moved(before, after, per=_user, at_most=_MOVED)))
    yield Rung("leave")


@judge("11.4")
def one_version_each(lab: Lab) -> Iterator[Shown]:
    """One pod for each user, and a quarter of the users at least for both versions."""
    first = _sent(lab, _USERS, "x-user")
    yield first
    seen = first
    for _ in range(_ROUNDS):
        seen += _sent(lab, _USERS, "x-user")
    yield seen
    yield Because("wanders", _told(lab, check.sticky(seen, per=_user)))
    yield Because("uneven", told_first(_nearly(lab), _spread(first, ("v1", "v2"), 1 / 4, by="version")))


@judge("11.5")
def browsers_at_home(lab: Lab) -> Iterator[Shown]:
    """16 browsers, each at one pod of reviews as soon as it has a cookie."""
    browsers = 16
    # In turn and without a hurry, so that each browser has what came with a reply before it asks again.
    seen = lab.send(_SHOP, users=browsers, count=5 * browsers, concurrency=1, keep_headers=["set-cookie"])
    yield seen
    given = seen.count(lambda response: response.headers.get("set-cookie", "").startswith("user="))
    line = f"{words.plural(given, 'reply', 'replies')} brought a cookie user."
    cookie = claim(given > 0, "browsers are given a cookie user", line)
    yield Because("nocookie", _told(lab, cookie, url=_SHOP, source="outside"))
    said = balancers(explained(lab, _REVIEWS, source="productpage-v1"))
    hashed = any("of cookie user" in text for text in said)
    rule = claim(hashed, "the rule for reviews hashes the cookie user")
    yield Because("rule", _told(lab, rule, url=_REVIEWS, source="productpage-v1"))
    settled = seen.filter(lambda response: response.index >= browsers)
    home = check.sticky(settled, service="reviews")
    yield Because("wanders", _told(lab, home, url=_REVIEWS, source="productpage-v1"))
    # By chance, a right rule leads them all to one of three pods once in ten million times.
    met = settled.share("pod", service="reviews").counts
    line = f"They met {words.plural(len(met), 'pod')} of reviews: {words.join(met)}."
    apart = claim(len(met) > 1, "browsers are told apart", line)
    yield Because("together", _told(lab, apart, url=_REVIEWS, source="productpage-v1"))
