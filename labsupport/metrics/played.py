"""Six hours of the shop, played: counters as its proxies would have them, outages and what only looks like one.

Nothing of it was measured. It is drawn from a seed, so that a rule that is tried on it rings at the same moments each
time.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from labsupport.metrics.counting import REQUESTS
from labsupport.metrics.rules import Alarm
from labsupport.metrics.series import NAME, Labels, Store, labels_of

__all__ = ["EVERY_MS", "Event", "Night", "Verdict", "clock", "judged", "night"]

EVERY_MS = 15_000
"""From one scrape to the next, as in Istio's own Prometheus; rules are evaluated as often."""
_HOURS, _MINUTE_MS = 6, 60_000
_IN_TIME_MS = 5 * _MINUTE_MS
# What a query looks back on rings a little longer than it lasts.
_AFTER_MS = 5 * _MINUTE_MS
_QUIET, _BUSY = 0.2, 10.0
_MORNING = 120


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens.

    Args:
        begin_ms: when.
        end_ms: until when.
        text: what it is.
        outage: whether somebody is to be woken for it.
    """

    begin_ms: int
    end_ms: int
    text: str
    outage: bool = True


@dataclass(frozen=True, slots=True)
class Night:
    """What was scraped, and what happened.

    Args:
        store: the series.
        events: in order.
    """

    store: Store
    events: tuple[Event, ...]

    @property
    def outages(self) -> tuple[Event, ...]:
        """What somebody is to be woken for."""
        return tuple(event for event in self.events if event.outage)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule was worth.

    Args:
        heard: outages that it rang for in time.
        missed: outages that it did not ring for, or too late.
        false: alarms for nothing, each with what it may have taken for an outage.
    """

    heard: tuple[Event, ...]
    missed: tuple[Event, ...]
    false: tuple[tuple[Alarm, Event | None], ...]


def clock(time_ms: int) -> str:
    """A time of the night as a clock shows it.

    Args:
        time_ms: milliseconds since midnight.
    """
    minutes = time_ms // _MINUTE_MS
    return f"{minutes // 60}:{minutes % 60:02}"


def _event(minute: float, minutes: float, text: str, *, outage: bool = True) -> Event:
    return Event(round(minute * _MINUTE_MS), round((minute + minutes) * _MINUTE_MS), text, outage)


_SINGLE = _event(10, 0.25, "a single error, one request of twelve in that minute", outage=False)
_NIGHT = _event(30, 10, "no pod of the page, at night: 503 for the few who came")
_ROBOT = _event(60, 6, "a robot that asked for pages that there are not: 404", outage=False)
_ONE_MORE = _event(108, 0.25, _SINGLE.text, outage=False)
_TWO = _event(90, 0.75, "two errors within a minute, at night", outage=False)
_RESTART = _event(150, 0.5, "a restart of the page: 503 for half a minute", outage=False)
_CARTS = _event(170, 12, "carts failed, and the page was shown without it", outage=False)
_GONE = _event(210, 10, "no pod of the page: 503 for everybody")
_SOME = _event(260, 20, "one page of twelve answered 500")
_HANGS = _event(320, 9, "the page hung: 504 of the gateway's timeout")
_EVENTS = (_SINGLE, _NIGHT, _ROBOT, _TWO, _ONE_MORE, _RESTART, _CARTS, _GONE, _SOME, _HANGS)


def _labels(reporter: str, source: str, target: str, code: str, flags: str = "-", *, answered: bool = True) -> Labels:
    return labels_of(
        {
            NAME: REQUESTS,
            "reporter": reporter,
            "source_workload": source,
            "source_app": source,
            "destination_service": f"{target}.shop.svc.cluster.local",
            "destination_service_name": target,
            "destination_service_namespace": "shop",
            "destination_workload": target if answered else "unknown",
            "request_protocol": "http",
            "response_code": code,
            "response_flags": flags,
        }
    )


class _Counting:
    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.values: dict[Labels, float] = {}

    def add(self, count: int, *answer: str, answered: bool = True, seen_as: Sequence[str] | None = None) -> None:
        """Requests of one kind: as the caller's proxy tells them, and as the server's does if they came there."""
        source, target, *told = answer
        self._add(_labels("source", source, target, *told, answered=answered), count)
        if answered:
            self._add(_labels("destination", source, target, *(seen_as or told)), count)

    def _add(self, labels: Labels, count: int) -> None:
        if count:
            self.values[labels] = self.values.get(labels, 0.0) + count

    def step(self, now_ms: int, arrived: int) -> None:
        """What came in until now, since the scrape before."""
        page, cart = ("istio-ingressgateway", "front-end"), ("front-end", "carts")
        happens = {event for event in _EVENTS if event.begin_ms < now_ms <= event.end_ms}
        if happens & {_NIGHT, _GONE, _RESTART}:
            self.add(arrived, *page, "503", "UH", answered=False)
            return
        if _HANGS in happens:
            self.add(arrived, *page, "504", "UT", seen_as=("0", "DC"))
            return
        failed = min(arrived, len(happens & {_SINGLE, _ONE_MORE}))
        if now_ms in (_TWO.begin_ms + EVERY_MS, _TWO.end_ms):
            failed = 1
        if _SOME in happens:
            failed = sum(self.draw.random() < 1 / 12 for _ in range(arrived))
        self.add(failed, *page, "500")
        self.add(arrived - failed, *page, "200")
        if _ROBOT in happens:
            self.add(60, *page, "404")
        self.add(arrived, "front-end", "catalogue", "200")
        self.add(arrived, *cart, *(("503", "UF") if _CARTS in happens else ("200",)))


@cache
def night(seed: int = 18) -> Night:
    """The night that belongs to a seed.

    Args:
        seed: of what is drawn.
    """
    draw = random.Random(seed)
    counting = _Counting(draw)
    # Times are milliseconds since midnight; a ring keeps as many scrapes as it is told.
    moments = range(0, _HOURS * 60 * _MINUTE_MS + 1, EVERY_MS)
    store = Store(keep=len(moments))
    for now_ms in moments:
        rate = _QUIET if now_ms <= _MORNING * _MINUTE_MS else _BUSY
        mean = rate * EVERY_MS / 1000
        counting.step(now_ms, max(1, round(draw.gauss(mean, mean**0.5 / 2))))
        store.scrape(now_ms, counting.values)
    return Night(store, _EVENTS)


def judged(played: Night, rang: Iterable[Alarm]) -> Verdict:
    """Whether a rule rang for each outage within five minutes, and for nothing else.

    Args:
        played: the night.
        rang: when it rang.
    """
    listed = list(rang)
    heard, false = [], []
    for outage in played.outages:
        limit = min(outage.begin_ms + _IN_TIME_MS, outage.end_ms)
        if any(outage.begin_ms < alarm.begin_ms <= limit for alarm in listed):
            heard.append(outage)
    for alarm in listed:
        if any(event.begin_ms < alarm.begin_ms <= event.end_ms + _AFTER_MS for event in played.outages):
            continue
        near = [event for event in played.events if event.begin_ms < alarm.begin_ms <= event.end_ms + _AFTER_MS]
        false.append((alarm, near[-1] if near else None))
    missed = tuple(outage for outage in played.outages if outage not in heard)
    return Verdict(tuple(heard), missed, tuple(false))
