"""Requests that stay under way until they are released, so that nothing depends on how fast anybody is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType

from labsupport import words
from labsupport.arguments import checked
from labsupport.cell import CellRun
from labsupport.engine.protocol import Engine
from labsupport.errors import LabError, TrafficError, UsageError, WaitTimeoutError
from labsupport.records import Sample, TrafficSpec
from labsupport.traffic.choice import chosen_per
from labsupport.traffic.observations import Observations
from labsupport.traffic.spec import check_spec

__all__ = ["HeldRequests", "waiting_in_proxies"]

_GRACE_S = 5.0
_LOOK_S = 0.05
# Nothing is answered for twice this long while others are held: then these wait for those.
_STUCK_S = 1.0
_WAITING = "envoy_cluster_upstream_rq_pending_active"
_CLUSTER = "envoy_cluster_name"


def waiting_in_proxies(samples: Iterable[Sample]) -> int:
    """How many requests wait in some proxy for a connection (Envoy's gauge ``upstream_rq_pending_active``).

    Args:
        samples: statistics of all proxies.
    """
    own = ("outbound|", "inbound|")
    return sum(
        int(sample.value)
        for sample in samples
        if sample.name == _WAITING and sample.labels.get(_CLUSTER, "").startswith(own)
    )


@checked
class HeldRequests:
    """Requests that are held: each is answered already, inside an application, or waits in a proxy.

    The sender keeps back the body of each request (``Expect: 100-continue``). An application that asks for it has the
    request, and waits. ``release`` sends the bodies; as a context manager it is done at the end of the block.

    Args:
        engine: where to send.
        spec: what to send; all at once, with ``hold``.
        others: all requests that are held now, these or not.
        origin: the run of the cell that made it.

    Raises:
        UsageError: if ``spec`` makes no sense.
        EngineError: if the engine itself cannot send.
    """

    def __init__(
        self,
        engine: Engine,
        spec: TrafficSpec,
        *,
        others: Callable[[], Iterable[HeldRequests]] | None = None,
        origin: CellRun | None = None,
    ) -> None:
        self.origin = origin or CellRun("", "")
        self._engine = engine
        self._spec = check_spec(spec)
        self._others = others
        self._per = chosen_per(engine, spec)
        self._changed = threading.Condition()
        self._answered = Observations(per=self._per)
        self._error: BaseException | None = None
        self._released = False
        self._sending = engine.send(self._spec)
        # Waited for instead of the thread: Python before 3.13 takes a thread for ended once its join was interrupted.
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="held", daemon=True)
        self._thread.start()

    # --- what became of them -----------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many requests were sent."""
        return self._spec.count or 0

    @property
    def answered(self) -> Observations:
        """The responses so far: while the others are held, of those that were refused."""
        with self._changed:
            return self._answered

    @property
    def inside(self) -> int:
        """How many requests an application has, and keeps."""
        with self._changed:
            return len(self._sending.taken() - self._ended())

    @property
    def waiting(self) -> int:
        """How many requests no application has, and nobody has answered: they wait in a proxy."""
        with self._changed:
            return self.count - len(self._sending.taken() | self._ended())

    @property
    def released(self) -> bool:
        """Whether they were let go."""
        return self._released

    def _ended(self) -> set[int]:
        return {response.index for response in self._answered}

    @words.shown
    def __repr__(self) -> str:
        inside, waiting, answered = self.inside, self.waiting, self.answered
        line = f"{words.plural(self.count, 'request')}: {inside} inside the application, {waiting} waiting in a proxy, "
        line += f"{len(answered)} answered"
        counts = words.join(f"{number} x {status}" for status, number in answered.share(by="status").counts.items())
        return f"{line} ({counts})" if answered else line

    # --- holding and releasing ---------------------------------------------------------------------------------

    def rest(self, *, timeout_s: float = 30.0) -> HeldRequests:
        """Wait until nothing moves: each request is answered, inside an application, or waits in a proxy.

        Args:
            timeout_s: how long to wait, in seconds.

        Returns:
            This handle.

        Raises:
            WaitTimeoutError: some request is nowhere.
            TrafficError: the sender failed.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            # Looked at before the proxies: what waits there then is among these. The other way round, a request that
            # is taken in between would stand for one that is still on its way.
            missing = self.waiting + sum(held.waiting for held in self._beside())
            self._raise_stored()
            if not missing or missing <= waiting_in_proxies(self._engine.metrics()):
                return self
            if time.monotonic() > deadline:
                raise WaitTimeoutError(
                    f"after {timeout_s:g} s: {self!r}. No proxy has that many waiting. Something between here and the "
                    "application holds requests up, such as a delay."
                )
            with self._changed:
                self._changed.wait(_LOOK_S)

    def release(self) -> Observations:
        """Let them go, and wait for all responses.

        Returns:
            One response per request, in order of completion.

        Raises:
            UsageError: some wait for the end of requests that another ``lab.hold`` keeps; release those first.
            TrafficError: the sender failed, or some request did not end.
        """
        self.let_go()
        deadline, seen = time.monotonic() + self._spec.timeout_s + _GRACE_S, -1
        while not self.join(_STUCK_S):
            answered = len(self.answered)
            if answered == seen and not self.inside and any(held.inside for held in self._beside()):
                raise UsageError(
                    f"{words.plural(self.waiting, 'request')} of these cannot go on: no connection is free before "
                    "requests end that another lab.hold(...) keeps. Release those first, and these are answered."
                )
            seen = answered
            if time.monotonic() > deadline:
                raise TrafficError(f"{self!r}, although they were released {self._spec.timeout_s:g} s ago")
        self._raise_stored()
        return self.answered

    def _beside(self) -> list[HeldRequests]:
        """What else is held now."""
        others = self._others() if self._others is not None else ()
        return [held for held in others if held is not self and not held.released]

    def let_go(self) -> None:
        """Release them without waiting for anything."""
        if not self._released:
            self._released = True
            with suppress(LabError):
                self._sending.release()

    def join(self, timeout_s: float = _GRACE_S) -> bool:
        """Wait until all are answered.

        Args:
            timeout_s: how long, in seconds.

        Returns:
            Whether they are.
        """
        return self._over.wait(timeout_s)

    def __enter__(self) -> HeldRequests:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.release()
        else:
            # What went wrong inside the block is what must be seen.
            self.let_go()

    def _read(self) -> None:
        try:
            for response in self._sending:
                with self._changed:
                    self._answered = Observations([*self._answered, response], per=self._per)
                    self._changed.notify_all()
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()
        self._over.set()

    def _raise_stored(self) -> None:
        if self._error is not None:
            raise TrafficError(f"the held requests came to nothing: {self._error}") from self._error
