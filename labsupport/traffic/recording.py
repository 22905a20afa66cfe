"""What background traffic remembers: the last responses, counts of all, and marks of what happened meanwhile."""

from __future__ import annotations

import bisect
import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from labsupport import words
from labsupport.errors import UsageError
from labsupport.records import ApplyResult, Response, TrafficSpec
from labsupport.traffic.lost import Lost
from labsupport.traffic.share import Choice
from labsupport.traffic.window import Window

__all__ = ["CAPACITY", "Mark", "Recording", "State", "TrafficSnapshot", "When"]

State = Literal["ready", "running", "paused", "stopping", "stopped", "failed"]

CAPACITY = 20_000
"""How many responses are kept."""

CAPACITY_WITH_BODIES = 500
"""How many are kept with their bodies, which may have 64 KiB each."""

_MARKS = 1_000


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened while traffic was running, such as an apply.

    Args:
        label: short text for the picture, such as ``apply 90/10``.
        time_s: when it was done (a rule: in force everywhere), in seconds since the epoch.
        in_force_s: how long it took; requests sent meanwhile may have met either state of the mesh.
        detail: more text.
    """

    label: str
    time_s: float
    in_force_s: float = 0.0
    detail: str = ""

    @property
    def began_s(self) -> float:
        """When it began, in seconds since the epoch."""
        return self.time_s - self.in_force_s


When = float | str | Mark | ApplyResult
"""A moment: seconds since the epoch, a mark or its label, or the result of an apply (when it was in force)."""


@dataclass(frozen=True, slots=True)
class TrafficSnapshot:
    """What a live picture needs, taken at one moment.

    Args:
        responses: those completed since the sequence number asked for, as far as they are still kept.
        next: sequence number to ask for next time; responses are numbered from 0 in order of completion.
        missed: how many were dropped from memory before they were asked for.
        outcomes: outcome to count, of all responses since the start.
        marks: all marks, oldest first.
        state: ready, running, paused, stopping, stopped or failed.
        rate: requests per second asked for; 0 while paused.
        error: why it failed; empty otherwise.
        spec: what is sent.
        time_s: when the snapshot was taken, in seconds since the epoch.
        per: what is chosen at a time on the way of the requests.
        lost: counts of what is not kept any more, in a snapshot of everything.
    """

    responses: tuple[Response, ...]
    next: int
    missed: int
    outcomes: Mapping[str, int]
    marks: tuple[Mark, ...]
    state: State
    rate: float
    error: str
    spec: TrafficSpec
    time_s: float = field(default_factory=time.time)
    per: Choice = "request"
    lost: tuple[Lost, ...] = ()

    @property
    def total(self) -> int:
        """Number of responses since the start."""
        return self.next


class Recording:
    """The memory of one background traffic; all methods may be called from any thread.

    Args:
        capacity: how many responses are kept.
        per: what is chosen at a time on the way of the requests.
    """

    def __init__(self, capacity: int = CAPACITY, *, per: Choice = "request") -> None:
        self.per = per
        self.lock = threading.Condition()
        self.capacity = capacity
        self._kept: deque[Response] = deque(maxlen=capacity)
        self._marks: deque[Mark] = deque(maxlen=_MARKS)
        self._outcomes: Counter[str] = Counter()
        self._first_error: Response | None = None
        self._last_error: Response | None = None
        # By second and by the changes that were known by then, so that counts belong to one side of a change.
        self._lost: dict[tuple[int, int], Lost] = {}
        self._borders: list[float] = []
        self._total = 0
        # Numbers of requests and connections go on over a stop and a new start.
        self._first_index = self._first_connection = 0
        self._next_index = self._next_connection = 0
        # All requests below _settled have been answered; _ahead holds those answered above it.
        self._settled = 0
        self._ahead: set[int] = set()

    @property
    def total(self) -> int:
        """Number of responses since the start, whether kept or not."""
        return self._total

    @property
    def outcomes(self) -> dict[str, int]:
        """Outcome to count, of all responses since the start."""
        with self.lock:
            return dict(self._outcomes)

    @property
    def first_error(self) -> Response | None:
        """The first response of all that failed, kept or not; None without any."""
        return self._first_error

    @property
    def last_error(self) -> Response | None:
        """The last response of all that failed, kept or not; None without any."""
        return self._last_error

    @property
    def kept(self) -> tuple[Response, ...]:
        """The responses that are kept, in order of completion."""
        with self.lock:
            return tuple(self._kept)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All marks, in the order in which they were made."""
        with self.lock:
            return tuple(self._marks)

    def add_mark(self, mark: Mark) -> None:
        """Remember a mark."""
        with self.lock:
            self._marks.append(mark)
            bisect.insort(self._borders, mark.began_s)
            bisect.insort(self._borders, mark.time_s)

    def begin_run(self) -> None:
        """Number the requests and connections that follow after those so far."""
        with self.lock:
            self._first_index, self._first_connection = self._next_index, self._next_connection

    def add(self, response: Response) -> None:
        """Remember a response."""
        with self.lock:
            if self._first_index:
                known = response.connection >= 0
                response = replace(
                    response,
                    index=response.index + self._first_index,
                    connection=response.connection + self._first_connection if known else -1,
                )
            if len(self._kept) == self.capacity and self._kept:
                self._drop(self._kept[0])
            self._kept.append(response)
            if response.outcome != "ok":
                self._first_error, self._last_error = self._first_error or response, response
            self._total += 1
            self._outcomes[response.outcome] += 1
            self._next_index = max(self._next_index, response.index + 1)
            self._next_connection = max(self._next_connection, response.connection + 1)
            self._ahead.add(response.index)
            while self._settled in self._ahead:
                self._ahead.remove(self._settled)
                self._settled += 1

    def end_run(self) -> None:
        """Note that nothing is under way any more: what has no answer now never gets one."""
        with self.lock:
            self._settled = self._next_index
            self._ahead.clear()
            self.lock.notify_all()

    def between(self, begin_s: float, end_s: float | None = None, *, settled: bool = True) -> list[Response]:
        """Responses to the requests sent in a stretch of time.

        Args:
            begin_s: its beginning, in seconds since the epoch.
            end_s: its end (exclusive); None for now.
            settled: leave out what was sent after the first request that is still under way.

        Returns:
            In order of completion.
        """
        with self.lock:
            end = float("inf") if end_s is None else end_s
            below = self._settled if settled else self._next_index
            return [
                response for response in self._kept if begin_s <= response.started_s < end and response.index < below
            ]

    def window(self, kept: int, begin_s: float = float("-inf"), end_s: float | None = None) -> Window | None:
        """What is not kept any more of a stretch of time.

        Args:
            kept: how many responses to its requests are kept.
            begin_s: its beginning, in seconds since the epoch.
            end_s: its end (exclusive); None for now.

        Returns:
            None if nothing of it was dropped. Whether errors were is exact; at the borders, the numbers are counts of
            whole seconds.
        """
        with self.lock:
            end = float("inf") if end_s is None else end_s
            gone = [lost for lost in self._lost.values() if lost.overlaps(begin_s, end)]
            if not gone:
                return None
            failed = Counter[str]()
            for lost in gone:
                for status, count in lost.failed(begin_s, end):
                    failed[status] += count
            return Window(kept, kept + sum(lost.count for lost in gone), failed, self._first_error, self._last_error)

    @property
    def lost(self) -> tuple[Lost, ...]:
        """Counts of what is not kept any more, as they are now; none reaches over a change that was known in time."""
        with self.lock:
            return tuple(lost.copy() for lost in self._lost.values())

    def _drop(self, response: Response) -> None:
        at_s = response.started_s
        place = int(at_s), bisect.bisect_right(self._borders, at_s)
        self._lost.setdefault(place, Lost(at_s, at_s)).add(response)

    def moment(self, when: When, *, end: bool = False) -> float:
        """The time that a moment stands for.

        Args:
            when: the moment.
            end: take the time at which a change began, rather than when it was done.

        Returns:
            Seconds since the epoch.

        Raises:
            UsageError: if there is no such mark, or ``when`` is something else.
        """
        if isinstance(when, ApplyResult):
            return when.started_s if end else when.started_s + when.in_force_s
        if isinstance(when, str):
            marks = self.marks
            newest = next((mark for mark in reversed(marks) if mark.label == when), None)
            if newest is None:
                labels = words.join(repr(label) for label in dict.fromkeys(mark.label for mark in marks))
                raise UsageError(f"there is no mark {when!r}; the marks so far: {labels or 'none yet'}")
            when = newest
        if isinstance(when, Mark):
            return when.began_s if end else when.time_s
        if isinstance(when, bool) or not isinstance(when, (int, float)):
            raise UsageError(
                f"{when!r} is no moment: give what apply() returned, a mark or its label, or seconds since the epoch"
            )
        return float(when)

    def next_mark(self, after_s: float) -> float | None:
        """When the first change that was done after a time began; None if there was none."""
        later = [mark.began_s for mark in self.marks if mark.time_s > after_s]
        return min(later, default=None)

    def new_since(self, sequence: int) -> tuple[tuple[Response, ...], int, int]:
        """Responses from a sequence number on.

        Returns:
            Those that are kept, the next sequence number, and how many are not kept any more.
        """
        with self.lock:
            wanted = max(0, min(self._total - sequence, len(self._kept)))
            new = list(itertools.islice(reversed(self._kept), wanted))
            missed = max(0, self._total - len(self._kept) - sequence)
            return tuple(reversed(new)), self._total, missed
