"""Judges of notebook 18: the rule that an order fails of, and an alert that rings for outages alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labsupport import check, words
from labsupport.check.result import CheckOutcome
from labsupport.course.acting import explained, fault_says
from labsupport.course.judging import claim, judge, untouched
from labsupport.course.ladder import Rung
from labsupport.course.shopping import buy
from labsupport.course.spec import Because, Shown
from labsupport.errors import NotFoundError, UsageError
from labsupport.metrics.counting import REQUESTS
from labsupport.metrics.played import Event, Verdict, clock, judged, night
from labsupport.metrics.rules import Alarm, AlertRule, alarms, read_rules

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

# Half of the orders would fail by a fault of 50 %: all of twenty go through once in a million times.
_CUSTOMERS = 20
_RULES, _PATIENCE_S = ("payment", "shipping", "user"), 5.0
_SERVICES = {"carts", "catalogue", "front-end", "orders", "payment", "shipping", "user"}
_CONFIG_MAP, _KEY = "shop-alerts", "alerting_rules.yml"
_MOST_TOLD = 4


@untouched("18.4")
def as_given(lab: Lab) -> bool:
    """All services and rules are there, and an order fails."""
    services = {pod.service for pod in lab.pods() if pod.ready and pod.injected}
    told = fault_says(lab, "http://shipping/shipping", "abort", source="orders")
    # A fault for half of the calls was touched, though an order may fail.
    always = any("503" in line and "100 %" in line for line in told)
    return services >= _SERVICES and not _lacking(lab, *_RULES) and always and buy(lab)[-1].status == 503


def _lacking(lab: Lab, *names: str) -> list[str]:
    """Whose rules are gone, or no longer say what the colleague wrote."""
    gone = {*names} - {rule.name for rule in lab.get("VirtualService")}
    if explained(lab, "http://payment/paymentAuth", source="orders").timeout_s != _PATIENCE_S:
        gone.add("payment")
    return sorted(gone)


@judge("18.4")
def the_call_that_failed(lab: Lab) -> Iterator[Shown]:
    """Orders go through, and the other rules are kept."""
    yield Because("ordered", check.ok(buy(lab, customers=_CUSTOMERS)))
    gone = _lacking(lab, "payment", "user")
    line = f"The rule for {words.join(gone)} is gone, or another." if gone else "The other rules are there."
    yield Because("kept", claim(not gone, "the other rules are kept", line))


@judge("18.5")
def woken_for_outages(lab: Lab) -> Iterator[Shown | Rung]:
    """The rule rings for the outages of the night, and for nothing else."""
    found = _rule(lab)
    if isinstance(found, CheckOutcome):
        yield found
        return
    played = night()
    try:
        rang = list(alarms(found, played.store, played.store.times_ms))
    except UsageError as error:
        yield claim(False, "the rule can be evaluated", str(error))
        return
    verdict = judged(played, rang)
    yield Because("heard", _heard(verdict, rang))
    yield Rung("heard")
    yield Because("quiet", _quiet(verdict))
    yield Rung("quiet")


def _rule(lab: Lab) -> AlertRule | CheckOutcome:
    title = "there is an alerting rule"
    try:
        data = lab.get(f"configmap/{_CONFIG_MAP}")[0].raw.get("data") or {}
        rules = read_rules(str(data[_KEY]))
    except (NotFoundError, KeyError):
        return claim(False, title, f"There is no ConfigMap {_CONFIG_MAP} with a key {_KEY}.")
    except UsageError as error:
        return claim(False, title, str(error))
    if len(rules) != 1:
        return claim(False, title, f"The file has {words.plural(len(rules), 'alert')}; one is to do.")
    return rules[0]


def _heard(verdict: Verdict, rang: list[Alarm]) -> CheckOutcome:
    total = len(verdict.heard) + len(verdict.missed)
    lines = [f"Heard within five minutes: {len(verdict.heard)} of {total} outages."]
    lines += [_missed(event, rang) for event in verdict.missed]
    if len(rang) == 1 and all(rang[0].begin_ms < event.begin_ms < rang[0].end_ms for event in verdict.missed):
        begin = clock(rang[0].begin_ms)
        lines.append(
            f"It rang from {begin} on, all night. A query with an answer rings: also if the answer is 0, or a counter, "
            "which never falls."
        )
    if not rang:
        lines.append(f"It never rang. All that the night has is {REQUESTS}.")
    return claim(not verdict.missed, "every outage is heard", *lines)


def _missed(event: Event, rang: list[Alarm]) -> str:
    late = next((alarm for alarm in rang if event.begin_ms < alarm.begin_ms <= event.end_ms), None)
    rest = f"; it rang too late, at {clock(late.begin_ms)}" if late is not None else ""
    return f"{clock(event.begin_ms)} to {clock(event.end_ms)}: {event.text}{rest}."


def _quiet(verdict: Verdict) -> CheckOutcome:
    lines = [f"{words.plural(len(verdict.false), 'alarm')} for nothing."]
    for alarm, event in verdict.false[:_MOST_TOLD]:
        lines.append(f"It rang at {clock(alarm.begin_ms)}: {event.text if event is not None else 'nothing was wrong'}.")
    return claim(not verdict.false, "nobody is woken for nothing", *lines)
