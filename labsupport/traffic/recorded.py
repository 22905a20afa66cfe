"""What can be asked of traffic that was recorded: its responses by time, and the marks of what happened meanwhile."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

from labsupport.errors import UsageError
from labsupport.records import Response
from labsupport.traffic.observations import Observations
from labsupport.traffic.recording import Mark, Recording, When

__all__ = ["RecordedTraffic"]


class RecordedTraffic(ABC):
    """Reads a recording; all methods may be called from any thread.

    Args:
        recording: the memory.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    @property
    def observations(self) -> Observations:
        """All responses that are kept, in order of completion; ``window`` tells if there were more."""
        self._raise_stored()
        with self._recording.lock:
            kept = self._recording.kept
            return Observations(kept, window=self._recording.window(len(kept)), per=self._recording.per)

    @property
    def total(self) -> int:
        """Number of responses since the start, whether kept or not."""
        return self._recording.total

    @property
    def outcomes(self) -> dict[str, int]:
        """Outcome to count, of all responses since the start, whether kept or not."""
        return self._recording.outcomes

    @property
    def first_error(self) -> Response | None:
        """The first response that failed since the start, whether kept or not; None without any."""
        return self._recording.first_error

    @property
    def last_error(self) -> Response | None:
        """The last response that failed since the start, whether kept or not; None without any."""
        return self._recording.last_error

    def last(self, seconds: float) -> Observations:
        """Responses to the requests that were sent in the last ``seconds``."""
        return self._between(time.time() - seconds, settled=False)

    def since(self, when: When) -> Observations:
        """Responses to the requests that were sent at or after a moment.

        Args:
            when: seconds since the epoch, a mark or its label, or what ``apply`` returned: then requests sent since the
                change was in force everywhere.

        Returns:
            All up to the first request that is still under way: what is answered slowly is not left out in favour of
            what is answered fast.

        Raises:
            UsageError: if there is no such mark.
        """
        return self._between(self._recording.moment(when))

    def during(self, when: When, until: When | None = None) -> Observations:
        """Responses to the requests that were sent from one moment to another.

        Args:
            when: the beginning, as for ``since``.
            until: the end; by default the next mark, or now.

        Returns:
            As for ``since``. Requests sent while a change was coming into force belong to neither side of it.
        """
        begin = self._recording.moment(when)
        end = self._recording.next_mark(begin) if until is None else self._recording.moment(until, end=True)
        return self._between(begin, end)

    # --- marks --------------------------------------------------------------------------------------------------

    def mark(self, label: str, *, in_force_s: float = 0.0, time_s: float | None = None, detail: str = "") -> Mark:
        """Note that something happened, for the picture and for ``since`` and ``during``.

        Args:
            label: short text, such as ``apply 90/10``.
            in_force_s: how long it took; requests sent meanwhile may have met either state of the mesh.
            time_s: when it was done, in seconds since the epoch; now by default.
            detail: more text.

        Returns:
            The mark.

        Raises:
            UsageError: it took less than no time.
        """
        if in_force_s < 0:
            raise UsageError(f"in_force_s={in_force_s!r}: give a number of seconds from 0.")
        made = Mark(label, time.time() if time_s is None else time_s, in_force_s, detail)
        self._recording.add_mark(made)
        return made

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All marks, in the order in which they were made."""
        return self._recording.marks

    def _between(self, begin_s: float, end_s: float | None = None, *, settled: bool = True) -> Observations:
        self._raise_stored()
        with self._recording.lock:
            kept = self._recording.between(begin_s, end_s, settled=settled)
            window = self._recording.window(len(kept), begin_s, end_s)
            return Observations(kept, window=window, per=self._recording.per)

    @abstractmethod
    def _raise_stored(self) -> None:
        """Raise what ended the traffic, if nobody was told yet."""
