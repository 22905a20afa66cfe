"""Traffic that keeps going while the next cells run."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from labsupport import progressbar, words
from labsupport.arguments import checked, whole
from labsupport.cell import CellRun
from labsupport.engine.protocol import Engine, Sending
from labsupport.errors import LabError, TrafficError, UsageError, WaitTimeoutError
from labsupport.records import TrafficSpec
from labsupport.traffic.choice import chosen_per
from labsupport.traffic.observations import Observations
from labsupport.traffic.recorded import RecordedTraffic
from labsupport.traffic.recording import CAPACITY, CAPACITY_WITH_BODIES, Recording, State, TrafficSnapshot, When
from labsupport.traffic.spec import MAX_COUNT, check_rate, check_spec

if TYPE_CHECKING:
    from labsupport.traffic.rule_control import Steering

__all__ = ["BackgroundTraffic"]

_GRACE_S = 5.0
_LOOK_S = 0.05


@checked
class BackgroundTraffic(RecordedTraffic):
    """Requests sent in the background, from ``start`` (or entering a ``with`` block) to ``stop``.

    The last 20,000 responses are kept (500 with their bodies), counts of all, and the first and the last error. A
    thread reads the responses; it never prints, and an error in it is raised by the next call on this handle. All
    methods may be called from any thread.

    Args:
        engine: where to send.
        spec: what to send; its ``rate`` must be set. With ``count`` or ``duration_s`` it ends by itself.
        capacity: how many responses are kept.
        steering: what the picture asks of the lab; None for traffic without one.
        origin: the run of the cell that made it.

    Raises:
        UsageError: if ``spec`` makes no sense, or has no rate.
    """

    def __init__(
        self,
        engine: Engine,
        spec: TrafficSpec,
        *,
        capacity: int = CAPACITY,
        steering: Steering | None = None,
        origin: CellRun | None = None,
    ) -> None:
        self.steering = steering
        self.origin = origin or CellRun("", "")
        self._engine = engine
        self._spec = check_spec(spec, background=True)
        self._rate = check_rate(spec.rate or 0.0)
        whole("capacity", capacity, 1, MAX_COUNT)
        capacity = min(capacity, CAPACITY_WITH_BODIES) if spec.keep_body else capacity
        super().__init__(Recording(capacity, per=chosen_per(engine, spec)))
        self._state: State = "ready"
        self._error: BaseException | None = None
        self._reported = False
        self._sending: Sending | None = None
        self._thread: threading.Thread | None = None
        # Waited for instead of the thread: Python before 3.13 takes a thread for ended once its join was interrupted.
        self._over = threading.Event()
        self._run = 0
        self._changed = self._recording.lock
        self._control = threading.RLock()

    # --- running ------------------------------------------------------------------------------------------------

    def start(self) -> BackgroundTraffic:
        """Begin to send, again after ``stop`` or ``pause`` too; does nothing while it is running.

        Returns:
            This handle.
        """
        with self._control:
            self._raise_stored()
            self.resume()
            if self._state == "running":
                return self
            if self._state == "stopping":
                self.stop()
            sending = self._sending = self._engine.send(replace(self._spec, rate=self._rate))
            with self._changed:
                self._run += 1
                self._recording.begin_run()
                self._state, self._error, self._reported = "running", None, False
            self._over = threading.Event()
            arguments = (sending, self._run, self._over)
            self._thread = threading.Thread(target=self._read, args=arguments, name="traffic", daemon=True)
            self._thread.start()
        return self

    def stop(self, *, timeout_s: float | None = None) -> Observations:
        """Send no more and wait until the requests under way are answered.

        Args:
            timeout_s: how long to wait; by default the requests' own timeout and a few seconds.

        Returns:
            The responses that are kept.

        Raises:
            TrafficError: if it failed before, or the requests under way did not end in time.
        """
        with self._control:
            self.halt()
            thread = self._thread
            bound = self._spec.timeout_s + _GRACE_S if timeout_s is None else timeout_s
            awaited = thread is not None and thread is not threading.current_thread()
            if awaited and not self._over.wait(bound):
                with self._changed:
                    # What still comes from this run is not counted any more.
                    self._run += 1
                    self._end("failed", TimeoutError(f"requests under way did not end within {bound:g} s"))
            self._raise_stored()
            return self.observations

    def halt(self) -> None:
        """Send no more, without waiting for the requests under way: what a button calls."""
        with self._control:
            with self._changed:
                if self._state not in ("running", "paused"):
                    return
                self._state = "stopping"
            assert self._sending is not None
            try:
                self._sending.stop()
            except LabError as error:
                with self._changed:
                    self._run += 1
                    self._end("failed", error)

    def close(self) -> None:
        """Stop; may be called more than once.

        Raises:
            TrafficError: if it failed and no call has said so yet.
        """
        if self._state != "ready":
            self.stop()

    def __enter__(self) -> BackgroundTraffic:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        # What went wrong inside the block is what must be seen.
        with suppress(LabError):
            self.close()

    def set_rate(self, rate: float) -> None:
        """Change the rate from now on; while paused, the rate to resume with.

        Args:
            rate: requests per second.

        Raises:
            UsageError: if it is not between 0 (exclusive) and 5,000.
        """
        with self._control:
            self._raise_stored()
            self._rate = check_rate(rate)
            if self._state == "running" and self._sending is not None:
                self._sending.set_rate(self._rate)

    def pause(self) -> None:
        """Send nothing until ``resume``; cookies and connections are kept."""
        with self._control:
            self._raise_stored()
            if self._state == "running" and self._sending is not None:
                self._sending.set_rate(0)
                self._become("running", "paused")

    def resume(self) -> None:
        """Go on after ``pause``."""
        with self._control:
            self._raise_stored()
            if self._state == "paused" and self._sending is not None:
                self._sending.set_rate(self._rate)
                self._become("paused", "running")

    @property
    def state(self) -> State:
        """``ready``, ``running``, ``paused``, ``stopping``, ``stopped`` or ``failed``."""
        return self._state

    @property
    def running(self) -> bool:
        """Whether it is sending, or paused, or waiting for its last responses."""
        return self._state in ("running", "paused", "stopping")

    @property
    def rate(self) -> float:
        """Requests per second asked for (while paused: the rate to resume with)."""
        return self._rate

    @property
    def spec(self) -> TrafficSpec:
        """What is sent; its rate is the one it was made with."""
        return self._spec

    @property
    def error(self) -> BaseException | None:
        """What ended it, if it failed."""
        return self._error

    # --- what was seen, besides what RecordedTraffic tells ---------------------------------------------------------

    def collect(self, count: int, *, since: When | None = None, timeout_s: float | None = None) -> Observations:
        """Wait for the responses to the next ``count`` requests.

        Args:
            count: how many.
            since: requests sent from this moment on count; by default from now.
            timeout_s: how long to wait; by default well more than the rate needs.

        Returns:
            Exactly ``count`` responses, in order of completion: those to the first ``count`` requests, however slowly
            they were answered.

        Raises:
            UsageError: if more are asked for than are kept, or no traffic is running.
            WaitTimeoutError: if they did not come in time.
            TrafficError: if the traffic failed.
        """
        limit = self._recording.capacity
        whole("count", count, 1, limit)
        begin = time.time() if since is None else self._recording.moment(since)
        if timeout_s is None:
            timeout_s = 10.0 + self._spec.timeout_s + 4 * count / self._rate
        deadline = time.monotonic() + timeout_s
        with progressbar.bar(count, label=f"waiting for {words.plural(count, 'response')}") as reached:
            while True:
                with self._changed:
                    responses = self._recording.between(begin)
                    self._raise_stored()
                    if len(responses) >= count:
                        break
                    if self._state not in ("running", "stopping"):
                        raise UsageError(
                            f"{len(responses)} of {words.plural(count, 'response')}: the traffic is {self._state}. "
                            f"Call {'resume()' if self._state == 'paused' else 'start()'} first."
                        )
                    if (left := deadline - time.monotonic()) <= 0:
                        raise WaitTimeoutError(
                            f"{len(responses)} of {words.plural(count, 'response')} after {timeout_s:g} s, at a rate "
                            f"of {words.rate(self._rate)} with at most {self._spec.concurrency} requests under way. "
                            "Raise the rate, or look at first_error and last_error."
                        )
                    self._changed.wait(min(left, _LOOK_S))
                reached(len(responses))
        wanted = set(sorted(response.index for response in responses)[:count])
        return Observations((response for response in responses if response.index in wanted), per=self._recording.per)

    def snapshot(self, since: int = 0) -> TrafficSnapshot:
        """What happened since the last snapshot; never raises, and costs no more than what is new.

        Args:
            since: ``next`` of the last snapshot; 0 for everything that is kept.

        Returns:
            New responses, all marks, and the state.
        """
        with self._changed:
            responses, following, missed = self._recording.new_since(since)
            return TrafficSnapshot(
                responses=responses,
                next=following,
                missed=missed,
                outcomes=self._recording.outcomes,
                marks=self._recording.marks,
                state=self._state,
                rate=0.0 if self._state == "paused" else self._rate,
                error=_reason(self._error),
                spec=self._spec,
                per=self._recording.per,
                lost=() if since else self._recording.lost,
            )

    def __repr__(self) -> str:
        outcomes = self._recording.outcomes
        total = sum(outcomes.values())
        failed = total - outcomes.get("ok", 0)
        spread = "" if not total else f", {failed:,} not ok" if failed else ", all ok"
        if total > self._recording.capacity:
            spread += f"{self._span_of_errors()}; the last {self._recording.capacity:,} are kept"
        text = (
            f"traffic to {self._spec.url} from {self._spec.source}, {words.rate(self._rate)}, {self._state}: "
            f"{words.plural(total, 'response')}{spread}"
        )
        return f"{text}\n{_reason(self._error)}" if self._error is not None else text

    def _span_of_errors(self) -> str:
        first, last = self.first_error, self.last_error
        if first is None or last is None:
            return ""
        times = dict.fromkeys(time.strftime("%H:%M:%S", time.localtime(error.started_s)) for error in (first, last))
        return f" ({' to '.join(times)})"

    # --- inside -------------------------------------------------------------------------------------------------

    def _read(self, sending: Sending, run: int, over: threading.Event) -> None:
        try:
            self._receive(sending, run)
        finally:
            over.set()

    def _receive(self, sending: Sending, run: int) -> None:
        try:
            for response in sending:
                with self._changed:
                    if run != self._run:
                        return
                    self._recording.add(response)
            endless = self._spec.count is None and self._spec.duration_s is None
            lost = TrafficError("the load client ended it") if endless and self._state != "stopping" else None
            end: tuple[State, BaseException | None] = ("failed", lost) if lost else ("stopped", None)
        # Anything that ends this thread must reach the learner, who sees no thread.
        except BaseException as error:
            end = ("failed", error)
        with self._changed:
            if run == self._run:
                self._end(*end)

    def _end(self, state: State, error: BaseException | None) -> None:
        self._state, self._error = state, error
        self._recording.end_run()

    def _become(self, before: State, after: State) -> None:
        # The run may have ended meanwhile.
        with self._changed:
            if self._state == before:
                self._state = after
            self._changed.notify_all()

    def _raise_stored(self) -> None:
        if self._error is None or self._reported:
            return
        self._reported = True
        raise TrafficError(f"{_reason(self._error)}. start() begins again.") from self._error


def _reason(error: BaseException | None) -> str:
    if error is None:
        return ""
    text = str(error) or type(error).__name__
    known = isinstance(error, (LabError, TimeoutError))
    return f"the traffic stopped: {text if known else f'{type(error).__name__}: {text}'}".rstrip(".")
