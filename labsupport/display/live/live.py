"""The live picture of running traffic: an own anywidget that receives small SVG fragments, four times a second."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from labsupport import words
from labsupport.display.drawing.figure import Figure
from labsupport.display.live.live_view import LiveView
from labsupport.display.live.watched import WatchedTraffic
from labsupport.display.live.weight_dial import WeightDial
from labsupport.display.pictures.absence_bars import absences_in_words
from labsupport.display.pictures.phases import phases_of
from labsupport.display.pictures.pods_part import pods_part
from labsupport.display.pictures.timeline import Timeline, nice_scale
from labsupport.display.pictures.traffic_picture import (
    HEIGHT,
    LEFT,
    NOTES_HEIGHT,
    PLOT_WIDTH,
    SHARES_WIDTH,
    SPAN,
    Change,
    TrafficPicture,
    traffic_figure,
)
from labsupport.display.pictures.users_part import Users
from labsupport.errors import LabError, TrafficError, UsageError
from labsupport.lab.refs import rule_of
from labsupport.records import Ref
from labsupport.traffic.absences import Absences
from labsupport.traffic.background import BackgroundTraffic
from labsupport.traffic.recording import Mark, TrafficSnapshot
from labsupport.traffic.spec import MAX_RATE

__all__ = ["Expected", "LiveTraffic", "live_of"]

Expected = Mapping[str, float] | Callable[[], Mapping[str, float] | None] | None
"""Weights by version, or a function that returns the present ones."""

# The log is read for mirror copies this often; the line of a copy may be so much younger than its request.
_COPIES_S = 1.0
_LOGGED_S = 1.5
_SENDING = ("running", "paused", "stopping")
_BINS = 60
# Widths of a column in seconds; the longest are for traffic that is slow enough to be kept for hours.
_BINS_S = (
    0.2,
    0.25,
    0.3,
    0.4,
    0.5,
    0.75,
    1.0,
    1.25,
    1.5,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    7.5,
    10.0,
    20.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
)


def _change(mark: Mark) -> Change:
    return Change(mark.began_s, mark.label, mark.in_force_s or None, mark.detail)


def _window(snap: TrafficSnapshot) -> str:
    """What the picture leaves out, as far as it leaves anything out."""
    if not snap.missed:
        return ""
    failed = snap.total - snap.outcomes.get("ok", 0)
    errors = f", {failed:,} of all failed" if failed else ", none of all failed"
    return f", the last {len(snap.responses):,} of {words.plural(snap.total, 'request')}{errors}"


class LiveTraffic(LiveView):
    """The traffic picture, live while the traffic runs, with a button and a slider.

    Args:
        traffic: the background traffic.
        service: count the versions of this service on the requests' way; empty: of whoever answers the client.
        expected: expected weights by version, to be compared with, instead of those of the rules in force; may be set
            later through ``expected``.
        pods: show below what each pod receives, and how long that takes; may be set later, too.
    """

    def __init__(
        self,
        traffic: WatchedTraffic | BackgroundTraffic,
        *,
        service: str = "",
        expected: Expected = None,
        pods: bool = False,
    ) -> None:
        self.expected = expected
        self.pods = pods
        self._traffic = traffic
        self._steering = traffic.steering
        self._dial: WeightDial | None = None
        self._last_expected: Mapping[str, float] | None = None
        self._asked = False
        first = traffic.snapshot(_FUTURE)
        self._spec, self._per = first.spec, first.per
        self.service = service
        self._next = 0
        self._problem = ""
        self._rate: float | None = None
        timeline = Timeline(origin_s=time.time() - 30.0, service=service, per=self._per)
        self._picture = TrafficPicture(timeline)
        self._users = Users(service=service)
        self._absences = Absences(service)
        self._ejectable: Mapping[str, float] | None = None
        self._frozen_s = 0.0
        self._copies_s = 0.0
        if self._steering is not None:
            self._steering.when_closed(self.freeze)
        super().__init__(
            {
                "title": "Traffic",
                "plot": PLOT_WIDTH,
                "shares": SHARES_WIDTH,
                "height": HEIGHT,
                "notes": NOTES_HEIGHT,
                "left": LEFT,
                "span": SPAN,
                "plotLabel": "Requests per half second by version, errors as crosses, latency below",
                "sharesLabel": "Share of each version with its interval",
                "notesLabel": "Errors with their causes, and the legend",
                "usersLabel": "Users at home in their pods, before the last change and since",
            }
        )

    # --- what a person asks for ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop drawing and remove the picture from the page."""
        if isinstance(self._traffic, BackgroundTraffic) and _pictures.get(self._traffic) is self:
            # The picture holds its traffic, so that the table of pictures would keep both.
            del _pictures[self._traffic]
        super().close()

    def turn(self, rule: str | Ref) -> WeightDial:
        """Show sliders for the weights of a rule.

        Args:
            rule: the VirtualService such as ``vs/web``, or ``vs/web[1]`` for ``spec.http[1]`` of it.

        Returns:
            What turns them.

        Raises:
            NotFoundError: there is no such VirtualService.
            UsageError: it does not split, or the traffic belongs to no lab.
        """
        if self._steering is None:
            raise UsageError("This traffic was not made by lab.traffic(), so there is no rule whose weights to turn.")
        name = rule_of(rule)
        if self._dial is None or self._dial.rule != name:
            self._dial = WeightDial(self._steering, name, self._wake.set)
        return self._dial

    def snapshot(self, *, last_s: float | None = None) -> Figure:
        """A static figure that stays in an exported notebook.

        Args:
            last_s: how far back it goes, in seconds; by default, over all requests that are still kept.

        Returns:
            The picture until now, or until the last request if the traffic has stopped; a column is as wide as
            it takes for sixty of them to reach back that far.
        """
        self._raise_stored()
        snap = self._traffic.snapshot(0)
        sent = [response.started_s for response in snap.responses]
        now = snap.time_s if snap.state in _SENDING or not sent else max(sent)
        reach = now - min(sent, default=now) if last_s is None else last_s
        bin_s = next((width for width in _BINS_S if width * _BINS >= reach), 600.0 * math.ceil(reach / 600 / _BINS))
        origin_s = now - bin_s * _BINS
        timeline = Timeline(origin_s=origin_s, service=self.service, bin_s=bin_s, bins=_BINS, per=self._per)
        timeline.add(snap.responses)
        users = Users(service=self.service, span_s=math.inf)
        users.add(snap.responses)
        self._add_copies(timeline)
        picture, shares = TrafficPicture(timeline), self._ejectable_now(snap)
        picture.absences = Absences(self.service).add(snap.responses, shares).found(shares) if shares else ()
        changes = tuple(map(_change, snap.marks))
        below = (
            users.part(snap.marks, wide=PLOT_WIDTH),
            pods_part(picture, changes, now_s=now) if self.pods else None,
        )
        return traffic_figure(
            picture,
            now_s=now,
            changes=changes,
            expected=self._expected_now(snap),
            subtitle=self._what(snap) + _window(snap),
            phases=phases_of(snap.responses, snap.marks, lost=snap.lost, service=self.service),
            below=[part for part in below if part is not None],
            logged_s=time.time() - _LOGGED_S,
        )

    def __repr__(self) -> str:
        return f"<LiveTraffic of {self._spec.url} from {self._spec.source}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        # For viewers without widgets (GitHub, an export): what there is to see by now, if anything.
        if data and self._picture.timeline.newest_s:
            data = {**data, "image/svg+xml": self.snapshot().svg()}
        return data, metadata

    # --- clicks -------------------------------------------------------------------------------------------------

    def _command(self, command: Mapping[str, Any]) -> None:
        match command.get("do"):
            case "rate":
                rate = command.get("rate")
                self._rate = float(rate) if isinstance(rate, int | float) else self._rate
            case "weights" if self._dial is not None:
                self._dial.ask(command.get("weights"))
            case "start":
                self._try(self._start)
            case "stop":
                self._try(self._traffic.halt)
            case "resume":
                self._try(self._traffic.resume)

    def _flush(self) -> None:
        # Of a slider that is being dragged, only the last position counts.
        rate, self._rate = self._rate, None
        if rate is not None:
            self._try(lambda: self._traffic.set_rate(min(max(rate, 0.1), MAX_RATE)))

    def _is_busy(self) -> bool:
        return self._told.get("state") in ("running", "stopping")

    def _start(self) -> None:
        try:
            self._traffic.start()
        except TrafficError:
            # A failure of the run before is told once, by whichever call comes first; the button means "again".
            self._traffic.start()

    def _try(self, act: Callable[[], object]) -> None:
        self._problem = ""
        try:
            act()
        except LabError as error:
            self._problem = str(error)

    # --- drawing ------------------------------------------------------------------------------------------------

    def _take(self) -> TrafficSnapshot:
        snap = self._traffic.snapshot(self._next)
        self._next = snap.next
        self._picture.timeline.add(snap.responses)
        self._users.add(snap.responses)
        self._absences.add(snap.responses, self._ejectable_now(snap))
        return snap

    def _add_copies(self, timeline: Timeline) -> None:
        """Take in mirror copies of the recent requests, if any rule makes some."""
        newest_s = timeline.newest_s
        if self._steering is None or not newest_s:
            return
        copies = self._steering.copies(newest_s - timeline.recent_s - _LOGGED_S)
        if copies is not None:
            timeline.add_copies(copies)

    def _now(self, snap: TrafficSnapshot) -> float:
        """The present, which stands still while nothing is sent."""
        if snap.state in _SENDING:
            self._frozen_s = 0.0
            return snap.time_s
        if not self._frozen_s:
            self._frozen_s = self._picture.timeline.newest_s or snap.time_s
        return self._frozen_s

    def _expected_now(self, snap: TrafficSnapshot) -> Mapping[str, float] | None:
        if self.expected is not None:
            return self.expected() if callable(self.expected) else self.expected
        # What was expected of traffic that has ended stays, whatever is done to the mesh later.
        if self._steering is not None and (snap.state in _SENDING or not self._asked):
            self._last_expected, self._asked = self._steering.expected(self.service), True
        return self._last_expected

    def _ejectable_now(self, snap: TrafficSnapshot) -> Mapping[str, float]:
        if self._steering is not None and (snap.state in _SENDING or self._ejectable is None):
            self._ejectable = dict(self._steering.ejectable(self.service))
        return self._ejectable or {}

    def _what(self, snap: TrafficSnapshot) -> str:
        of = f", versions of {self.service}" if self.service else ""
        return f"{snap.spec.source} → {snap.spec.url}{of}"

    def _message(self, *, full: bool) -> dict[str, Any]:
        snap = self._take()
        now = self._now(snap)
        changes = [_change(mark) for mark in snap.marks[-20:]]
        absences = self._picture.absences = self._absences.found(self._ejectable or {})
        parts = self._picture.fragments(now, changes, full=full)
        expected = self._expected_now(snap)
        last_change = max((mark.time_s for mark in snap.marks if mark.time_s <= now), default=0.0)
        if time.monotonic() - self._copies_s > _COPIES_S:
            self._copies_s = time.monotonic()
            self._add_copies(self._picture.timeline)
        shares = self._picture.timeline.shares(now, since_s=last_change, logged_s=time.time() - _LOGGED_S)
        parts["shares"], high = self._picture.shares(shares, expected, now_s=now)
        parts["notes"] = self._picture.notes(shares, expected, HEIGHT - high)
        parts["frame"] = self._picture.frame("end" if snap.state in ("stopped", "failed") else "now")
        users = self._users.part(snap.marks, wide=PLOT_WIDTH)
        pods = pods_part(self._picture, changes, now_s=now) if self.pods else None
        parts |= {"users": users.body if users else "", "pods": pods.body if pods else ""}
        top = max(self._told.get("max", 200), nice_scale(4 * snap.rate) if "max" not in self._told else 0)
        dial = self._dial.state() if self._dial is not None else None
        state: dict[str, Any] = {
            "state": snap.state,
            "rate": snap.rate or self._told.get("rate", 1.0),
            "max": top if snap.rate <= top else nice_scale(snap.rate),
            "error": snap.error or self._problem or (dial["problem"] if dial else ""),
            "weights": dial,
            "note": "paused" if snap.state == "paused" else "",
            "what": self._what(snap),
            "rows": high,
            "users": users.height if users else 0,
            "pods": pods.height if pods else 0,
        }
        said = f"Traffic {snap.state} at {words.rate(snap.rate)}. {self._picture.summary(shares, expected)}"
        said += "".join(f" {part.told}." for part in (users, pods) if part)
        said += absences_in_words(absences[-1:])
        timeline = self._picture.timeline
        return self._compose(parts, state, said, full=full, first=timeline.first, shift=self._picture.shift)


_FUTURE = 2**62
_pictures: weakref.WeakKeyDictionary[BackgroundTraffic, LiveTraffic] = weakref.WeakKeyDictionary()


def live_of(
    traffic: BackgroundTraffic,
    *,
    service: str | None = None,
    expected: Expected = None,
    rule: str | Ref | None = None,
    pods: bool | None = None,
) -> LiveTraffic:
    """The picture of some traffic: one per handle, however often it is shown.

    Args:
        traffic: the background traffic.
        service: count the versions of this service; None leaves a picture that exists as it is, and counts those of
            the rule's destination in a new one.
        expected: expected weights; None leaves those of a picture that exists.
        rule: the rule whose weights are to be turned; None leaves a picture that exists as it is.
        pods: whether to show what each pod receives; None leaves a picture that exists as it is.

    Returns:
        The picture: a new one if there is none yet, it was closed, or it counted another service.

    Raises:
        NotFoundError: there is no such rule.
        UsageError: it has no weights.
    """
    made = _pictures.get(traffic)
    if made is None or made.comm is None or (service is not None and service != made.service):
        made = LiveTraffic(traffic, service=_counted(traffic, rule) if service is None else service)
    if rule is not None:
        made.turn(rule)
    if expected is not None:
        made.expected = expected
    if pods is not None:
        made.pods = pods
    _pictures[traffic] = made
    return made


def _counted(traffic: BackgroundTraffic, rule: str | Ref | None) -> str:
    """The service whose versions the weights divide, where it is not the one that answers; else an empty text."""
    if rule is None or traffic.steering is None:
        return ""
    host = traffic.steering.split(rule_of(rule)).parts[0].host.split(".")[0]
    asked = urlsplit(traffic.spec.url).hostname or ""
    return "" if asked.split(".")[0] == host else host
