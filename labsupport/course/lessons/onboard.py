"""Judges of notebook 16: whose proxy has to know a rule, and which ways lead into a mesh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import explained, problems_of, reasons_of
from labsupport.course.judging import answered, claim, judge, untouched
from labsupport.course.ladder import Rung
from labsupport.course.shopping import buy
from labsupport.course.spec import Because, Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.records import Response

_GATEWAY, _NODE_PORT = "gateway:/", "nodeport:"
_DIRECT = f"{_NODE_PORT}front-end"
_PAGES = 10
# The shop runs without CRASH=asked: its pod refuses to crash with 403, and so has been reached.
_FOR_OPERATORS = (("GET", "/healthz"), ("GET", "/fault/held"), ("POST", "/fault/release"), ("POST", "/fault/crash"))


@untouched("16.2")
def as_given(lab: Lab) -> bool:
    """Nobody has a sidecar, but for the page, and an order is paid."""
    ready = [pod for pod in lab.pods() if pod.ready]
    bare = {pod.service for pod in ready if not pod.injected}
    others = {pod.service for pod in ready if pod.injected} - {"front-end"}
    return bare >= {"orders", "payment", "user", "carts"} and not others and buy(lab, _DIRECT)[-1].status == 201


@judge("16.2")
def declined_by_rule(lab: Lab) -> Iterator[Shown]:
    """The proxy of orders declines the payment."""
    bought = buy(lab, _DIRECT)
    order = bought[-1]
    yield bought.filter(lambda response: response is not order)
    yield _declined(lab, order)


def _declined(lab: Lab, order: Response) -> CheckOutcome:
    title = "the rule declines the payment"
    if order.status == 402:
        log = lab.access_log(order)
        aborted = [record for record in log if record.flags == "FI" and record.pod.startswith("orders-")]
        line = (
            "The proxy of orders declined it." if aborted else "The order was declined, and no proxy of orders did it."
        )
        return claim(bool(aborted), title, line)
    lines = ["The rule did not decline the order: it was paid."]
    if order.status != 201:
        lines = [f"The order was answered {order.status or 'by nobody'}; expected: 402."]
    lines += reasons_of(lab, explained(lab, "http://payment/paymentAuth", source="orders"))
    return claim(False, title, *lines)


def _pages(lab: Lab) -> Iterator[Shown]:
    """The page of the shop, by way of the gateway."""
    pages = lab.send(_GATEWAY, count=_PAGES)
    told = explained(lab, _GATEWAY, source="outside")
    problems = problems_of(lab, _GATEWAY, source="outside")
    others = sorted({response.path[0].service for response in pages if response.path} - {"front-end"})
    if others:
        yield claim(False, "the page answers", f"The gateway sends to {words.join(others)}, and not to front-end.")
    yield answered(lab, pages, (*reasons_of(lab, told), *problems, words.sentence(told.decision)))


@judge("16.3")
def front_door(lab: Lab) -> Iterator[Shown | Rung]:
    """Who comes through the gateway can look and buy, and reaches nothing else."""
    yield from _pages(lab)
    yield Rung("seen")
    yield Because("bought", check.ok(buy(lab)))
    yield Rung("bought")
    reached = [path for method, path in _FOR_OPERATORS if _reached(lab, method, path)]
    line = f"front-end answered {', '.join(reached)}." if reached else "What is for operators is not reached."
    yield Because("inside", claim(not reached, "for operators alone", line))
    yield Rung("inside")


def _reached(lab: Lab, method: str, path: str) -> bool:
    """Whether front-end answers for a path, and not for another one that a rule has put in its place."""
    url = f"gateway:{path}"
    told = lab.explain(url, source="outside", method=method, confirm=False).explanation
    return told.upstream_path == path and lab.send(url, method=method).count(service="front-end") > 0


@judge("16.4")
def one_door(lab: Lab) -> Iterator[Shown]:
    """Nobody orders: the gateway refuses, and no other way leads to the page."""
    yield from _pages(lab)
    bought = buy(lab)
    order = bought.filter(lambda response: response is bought[-1])
    yield Because("opened", check.status(order, 503))
    yield _no_other_way(lab)


def _no_other_way(lab: Lab) -> CheckOutcome:
    ways = [name for name in lab.urls() if name.startswith(_NODE_PORT)]
    open_ways = [name for name in ways if lab.send(f"{name}/").count(service="front-end")]
    line = "The gateway is the only way from outside to front-end."
    if open_ways:
        line = f"front-end is still reached past the gateway, by {words.join(open_ways)}."
    return claim(not open_ways, "no way past the gateway", line)
