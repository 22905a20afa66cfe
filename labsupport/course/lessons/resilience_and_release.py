"""Judges of notebook 17: how long a page waits for a part that hangs, and which page a customer meets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import explained, reasons_of, told_first
from labsupport.course.judging import claim, judge
from labsupport.course.ladder import Rung
from labsupport.course.shopping import STEPS, buy, cookies_of
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.records import Response
    from labsupport.traffic.observations import Observations

_PAGE, _CARTS = "nodeport:front-end/", "http://carts/"
_PAGES, _SLOW, _LIMIT_S = 8, 3, 0.5
# Without stickiness, about half of the customers can buy: twenty in a row once in a million times.
_CUSTOMERS, _NEWCOMERS = 20, 200
# A rule that divides 80 to 20 leaves this range less often than once in a million times.
_FEWEST, _MOST = 0.08, 0.36


@judge("17.2")
def half_a_second(lab: Lab) -> Iterator[Shown | Rung]:
    """Pages are bounded by the rule, and then nobody waits."""
    pages = lab.send(_PAGE, count=_PAGES, concurrency=1, keep_headers=["x-parts"])
    yield pages
    answered = sum("carts=200" in page.headers.get("x-parts", "") for page in pages)
    yield Because("well", claim(not answered, "carts hangs", f"{words.plural(answered, 'page')} had the cart."))
    limit = explained(lab, _CARTS, source="front-end").timeout_s
    yield Because("bounded", _bounded(lab, limit))
    yield Rung("bounded")
    yield Because("out", _left_alone(pages))
    yield Rung("out")


def _bounded(lab: Lab, limit_s: float | None) -> CheckOutcome:
    said = "set no limit" if limit_s is None else f"allow {words.duration(limit_s)}"
    outcome = claim(limit_s is not None and limit_s <= _LIMIT_S, "a limit", f"The rules {said} for a call to carts.")
    return told_first(reasons_of(lab, explained(lab, _CARTS, source="front-end")), outcome)


def _left_alone(pages: Observations) -> CheckOutcome:
    """Who waited did so until the rule ended it, or the page gave up: how long it took says less on a busy machine."""
    parts = [page.headers.get("x-parts", "") for page in pages]
    slow = sum("carts=504" in told or "carts=failed" in told for told in parts)
    line = f"{slow} of {words.plural(len(pages), 'page')} waited for carts; expected: {_SLOW} at most."
    return claim(slow <= _SLOW, "then nobody waits", line)


@judge("17.4")
def yellow_for_good(lab: Lab) -> Iterator[Shown | Rung]:
    """Customers can buy, and newcomers are divided."""
    bought = list(buy(lab, customers=_CUSTOMERS))
    customers = [bought[first : first + STEPS] for first in range(0, len(bought), STEPS)]
    failed = [steps for steps in customers if steps[-1].status != 201]
    line = f"{_CUSTOMERS - len(failed)} of {words.plural(_CUSTOMERS, 'customer')} could order."
    yield Because("bought", claim(not failed, "everybody can buy", line, *map(_met, failed[:1])))
    yield Rung("bought")
    newcomers = lab.send("gateway:/", count=_NEWCOMERS)
    yield newcomers
    share = newcomers.share("version")["v2"]
    told = f"{words.percent(share)} of {_NEWCOMERS} newcomers met v2; about 20 % are expected."
    yield Because("divided", claim(_FEWEST <= share <= _MOST, "newcomers are divided", told))
    yield Rung("divided")


def _met(steps: Sequence[Response]) -> str:
    """Which pages a customer met one after the other, and what there was to know the customer by."""
    versions = ", ".join(step.path[0].version if step.path else str(step.status) for step in steps)
    cookies = words.join(sorted(cookies_of(steps[0]))) or "none"
    met = f"One who could not met {versions}, one after the other."
    return f"{met} Cookies of the first response, for the whole shop: {cookies}."
