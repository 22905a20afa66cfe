"""The live picture of running traffic: an own anywidget that receives small SVG fragments, five times a second."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import anywidget
import traitlets

from labsupport import words
from labsupport.background import BackgroundTraffic, Mark, TrafficSnapshot
from labsupport.display.figure import Figure
from labsupport.display.theme import STATIC, style
from labsupport.display.timeline import Timeline, nice_scale
from labsupport.display.traffic_picture import (
    HEIGHT,
    LEFT,
    PLOT_WIDTH,
    SHARES_WIDTH,
    SPAN,
    Change,
    TrafficPicture,
    traffic_figure,
)
from labsupport.errors import LabError, TrafficError
from labsupport.traffic_spec import MAX_RATE

__all__ = ["LiveTraffic", "Traffic", "Wanted", "live_of"]

Wanted = Mapping[str, float] | Callable[[], Mapping[str, float] | None] | None
"""Weights by version, or a function that returns the present ones."""

_INTERVAL_S = 0.2
_IDLE_S = 0.5
# A picture that no browser has asked for (nbval, nbclient) is sent less often after this long.
_PATIENCE_S = 30.0
_UNSEEN_INTERVAL_S = 1.0
# A screen reader is told the numbers this often; more would talk over everything else.
_SUMMARY_S = 10.0


_SENDING = ("running", "paused", "stopping")
_BINS = 60
# Widths of a column in seconds; the longest are for traffic that is slow enough to be kept for hours.
_BINS_S = (0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Traffic(Protocol):
    """What the picture needs of ``BackgroundTraffic``."""

    def snapshot(self, since: int = 0) -> TrafficSnapshot:
        """What is new since a sequence number."""
        ...

    def start(self) -> object:
        """Begin to send."""
        ...

    def halt(self) -> None:
        """Send no more."""
        ...

    def resume(self) -> None:
        """Go on after a pause."""
        ...

    def set_rate(self, rate: float) -> None:
        """Change the rate."""
        ...


def _change(mark: Mark) -> Change:
    return Change(mark.began_s, mark.label, mark.in_force_s or None, mark.detail)


class LiveTraffic(anywidget.AnyWidget):
    """The traffic picture, live while the traffic runs, with a button and a slider.

    The history is kept in the kernel: a picture that is shown again, or in a second place, shows all of it. A thread
    draws and sends; it never prints, and an error in it is raised by the next call.

    Args:
        traffic: the background traffic.
        service: count the versions of this service on the requests' way; empty: of whoever answers the client.
        wanted: wanted weights by version, to be compared with; may be set later through ``wanted``.
    """

    _esm = STATIC / "live.js"
    _css = style() + (STATIC / "live.css").read_text(encoding="utf-8")
    picture = traitlets.Dict().tag(sync=True)
    size = traitlets.Dict().tag(sync=True)

    def __init__(self, traffic: Traffic | BackgroundTraffic, *, service: str = "", wanted: Wanted = None) -> None:
        self.wanted = wanted
        self._traffic = traffic
        self._spec = traffic.snapshot(_FUTURE).spec
        self.service = service
        self._draw = threading.RLock()
        self._next = 0
        self._seq = 0
        self._sent: dict[str, str] = {}
        self._told: dict[str, Any] = {}
        self._summary = ("", 0.0)
        self._shown_s = self._asked_s = 0.0
        self._problem = ""
        self._failure: Exception | None = None
        self._commands: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        timeline = Timeline(origin_s=time.time() - 30.0, service=service)
        self._picture = TrafficPicture(timeline)
        self._frozen_s = 0.0
        super().__init__(
            size={
                "title": "Traffic",
                "plot": PLOT_WIDTH,
                "shares": SHARES_WIDTH,
                "height": HEIGHT,
                "left": LEFT,
                "span": SPAN,
                "plotLabel": "Requests per half second by version, errors as crosses, latency below",
                "sharesLabel": "Share of each version with its interval",
                "notesLabel": "Errors with their causes, and the legend",
            }
        )
        self.on_msg(self._receive)

    # --- what a person asks for ---------------------------------------------------------------------------------

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
        bin_s = next((width for width in _BINS_S if width * _BINS >= reach), _BINS_S[-1])
        timeline = Timeline(origin_s=now - bin_s * _BINS, service=self.service, bin_s=bin_s, bins=_BINS)
        timeline.add(snap.responses)
        return traffic_figure(
            TrafficPicture(timeline),
            now_s=now,
            changes=tuple(map(_change, snap.marks)),
            wanted=self._goals(),
            subtitle=self._what(snap),
        )

    def close(self) -> None:
        """Stop drawing and remove the picture from the page; the traffic itself goes on."""
        self._ended.set()
        self._wake.set()
        super().close()

    def __repr__(self) -> str:
        return f"<LiveTraffic of {self._spec.url} from {self._spec.source}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        self._raise_stored()
        with self._draw:
            self._shown_s = time.monotonic()
            # Set before the view exists, because messages to a model that is still being made are lost.
            self.picture = self._message(full=True)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live picture", daemon=True)
                self._thread.start()
        return super()._repr_mimebundle_(**kwargs)

    # --- messages -----------------------------------------------------------------------------------------------

    def _receive(self, _widget: Any, content: Any, _buffers: Any) -> None:
        # May run on any thread, in the middle of a cell: it only leaves a note for our own thread.
        if isinstance(content, Mapping):
            self._commands.put(content)
            self._wake.set()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                busy = self._step()
                unseen = self._asked_s == 0.0 and time.monotonic() - self._shown_s > _PATIENCE_S
                self._wake.wait(_UNSEEN_INTERVAL_S if unseen else _INTERVAL_S if busy else _IDLE_S)
                # A burst of commands must not become a burst of messages.
                if self._wake.is_set():
                    self._wake.clear()
                    self._ended.wait(0.02)
        # Whatever ends this thread must reach the learner, who sees no thread.
        except Exception as error:
            self._failure = error

    def _step(self) -> bool:
        full = self._obey()
        with self._draw:
            if self._ended.is_set():
                return False
            message = self._message(full=full)
            if full or message["parts"] or message["state"] or "summary" in message:
                self._seq += 1
                self.send({**message, "seq": self._seq, "kind": "picture"})
            return self._told.get("state") in ("running", "stopping")

    def _obey(self) -> bool:
        """Do what was clicked; returns whether a view wants everything."""
        full = False
        rate: float | None = None
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                break
            match command.get("do"):
                case "hello":
                    self._asked_s = time.monotonic()
                    full = True
                case "rate":
                    rate = command.get("rate")
                case "start":
                    self._try(self._start)
                case "stop":
                    self._try(self._traffic.halt)
                case "resume":
                    self._try(self._traffic.resume)
        if isinstance(rate, int | float):
            wanted = min(max(float(rate), 0.1), MAX_RATE)
            self._try(lambda: self._traffic.set_rate(wanted))
        return full

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
        return snap

    def _now(self, snap: TrafficSnapshot) -> float:
        """The present, which stands still while nothing is sent."""
        if snap.state in _SENDING:
            self._frozen_s = 0.0
            return snap.time_s
        if not self._frozen_s:
            self._frozen_s = self._picture.timeline.newest_s or snap.time_s
        return self._frozen_s

    def _goals(self) -> Mapping[str, float] | None:
        return self.wanted() if callable(self.wanted) else self.wanted

    def _what(self, snap: TrafficSnapshot) -> str:
        of = f", versions of {self.service}" if self.service else ""
        return f"{snap.spec.source} → {snap.spec.url}{of}"

    def _message(self, *, full: bool) -> dict[str, Any]:
        snap = self._take()
        now = self._now(snap)
        changes = [_change(mark) for mark in snap.marks[-20:]]
        parts = self._picture.fragments(now, changes, full=full)
        goals = self._goals()
        last_change = max((mark.time_s for mark in snap.marks if mark.time_s <= now), default=0.0)
        shares = self._picture.timeline.shares(now, since_s=last_change)
        parts["shares"], high = self._picture.shares(shares, goals, now_s=now)
        parts["notes"] = self._picture.notes(shares, HEIGHT - high)
        if full:
            parts["frame"] = self._picture.frame()
        top = max(self._told.get("max", 200), nice_scale(4 * snap.rate) if "max" not in self._told else 0)
        state: dict[str, Any] = {
            "state": snap.state,
            "rate": snap.rate or self._told.get("rate", 1.0),
            "max": top if snap.rate <= top else nice_scale(snap.rate),
            "error": snap.error or self._problem,
            "note": "paused" if snap.state == "paused" else "",
            "what": self._what(snap),
            "rows": high,
        }
        new_state = {key: value for key, value in state.items() if full or self._told.get(key) != value}
        new_parts = {name: text for name, text in parts.items() if full or self._sent.get(name) != text}
        first = self._picture.timeline.first
        self._sent = {
            name: text
            for name, text in {**self._sent, **parts}.items()
            if not name.startswith("b") or int(name[1:]) >= first
        }
        moved = state["state"] != self._told.get("state")
        self._told = state
        message: dict[str, Any] = {
            "parts": new_parts,
            "state": new_state,
            "first": first,
            "shift": round(self._picture.shift, 2),
            "seq": self._seq,
            "full": full,
        }
        if full or moved or time.monotonic() - self._summary[1] > _SUMMARY_S:
            said = f"Traffic {snap.state} at {words.rate(snap.rate)}. {self._picture.summary(shares, goals)}"
            if full or said != self._summary[0]:
                message["summary"] = said
            self._summary = (said, time.monotonic())
        return message

    def _raise_stored(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            self._thread = None
            raise TrafficError(f"The live picture stopped: {failure}. Show it again.") from failure


_FUTURE = 2**62
_pictures: weakref.WeakKeyDictionary[BackgroundTraffic, LiveTraffic] = weakref.WeakKeyDictionary()


def live_of(traffic: BackgroundTraffic, *, service: str | None = None, wanted: Wanted = None) -> LiveTraffic:
    """The picture of some traffic: one per handle, however often it is shown.

    Args:
        traffic: the background traffic.
        service: count the versions of this service; None leaves a picture that exists as it is.
        wanted: wanted weights; None leaves those of a picture that exists.

    Returns:
        The picture: a new one if there is none yet, it was closed, or it counted another service.
    """
    made = _pictures.get(traffic)
    if made is None or made.comm is None or (service is not None and service != made.service):
        made = _pictures[traffic] = LiveTraffic(traffic, service=service or "")
    if wanted is not None:
        made.wanted = wanted
    return made
