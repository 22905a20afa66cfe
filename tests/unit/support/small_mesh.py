"""Small engines that run in this process: one completes requests when told to, one sends at a real rate."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from labsupport.records import Hop, Pod, Response, TrafficSpec

DEADLINE_S = 60.0


def response(index: int = 0, version: str = "v1", *, outcome: str = "ok", status: int = 200, **fields) -> Response:
    """A response of a service ``web``, complete but for what a test is about."""
    path = (Hop("web", version, f"web-{version}-1"),) if version else ()
    defaults = {"started_s": float(index), "duration_s": 0.002, "request_id": f"id-{index}", "path": path}
    return Response(**{"index": index, "outcome": outcome, "status": status, **defaults, **fields})


def until(condition: Callable[[], bool], *, what: str = "condition") -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.002)


@contextmanager
def interrupted() -> Iterator[None]:
    """Interrupt this thread as soon as it waits, as somebody does who stops a cell."""
    waiting, begun, ended = threading.get_ident(), threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        if not ended.is_set():
            ended.set()
            raise KeyboardInterrupt

    def interrupt() -> None:
        begun.wait()
        until(lambda: sys._current_frames()[waiting].f_code.co_name == "wait", what="the wait")
        # A signal between the look at signals and the wait itself ends no wait.
        while not ended.wait(0.01):
            signal.pthread_kill(waiting, signal.SIGINT)

    former = signal.signal(signal.SIGINT, stop)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            begun.set()
            yield
    finally:
        thread.join()
        signal.signal(signal.SIGINT, former)


class SteppedSending:
    """A batch whose requests begin, end or break only when the test says so."""

    def __init__(self, spec: TrafficSpec) -> None:
        self.spec = spec
        self.rates: list[float] = []
        self.stops = 0
        self._ready: deque[Response | BaseException] = deque()
        self._under_way: dict[int, float] = {}
        self._begun = 0
        self._changed = threading.Condition()

    def begin(self, count: int = 1, *, started_s: float | None = None) -> None:
        with self._changed:
            for _ in range(count):
                self._under_way[self._begun] = time.time() if started_s is None else started_s
                self._begun += 1

    def complete(self, *indices: int, version: str = "v1", **fields) -> None:
        with self._changed:
            for index in indices:
                started = self._under_way.pop(index)
                self._ready.append(response(index, version, started_s=started, connection=index, **fields))
            self._changed.notify_all()

    def answer(self, count: int, *, version: str = "v1", started_s: float | None = None, **fields) -> None:
        first = self._begun
        self.begin(count, started_s=started_s)
        self.complete(*range(first, first + count), version=version, **fields)

    def fail(self, error: BaseException) -> None:
        with self._changed:
            self._ready.append(error)
            self._changed.notify_all()

    def set_rate(self, rate: float) -> None:
        self.rates.append(rate)

    def stop(self) -> None:
        with self._changed:
            self.stops += 1
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Response]:
        while True:
            with self._changed:
                while not self._ready:
                    if self.stops and not self._under_way:
                        return
                    self._changed.wait(0.5)
                item = self._ready.popleft()
            if isinstance(item, BaseException):
                raise item
            yield item


class SteppedMesh:
    """An engine whose batches the test drives."""

    name = "stepped"
    namespace = "default"

    def __init__(self) -> None:
        self.batches: list[SteppedSending] = []
        self.refusal: BaseException | None = None

    def pods(self) -> list[Pod]:
        return []

    def send(self, spec: TrafficSpec) -> SteppedSending:
        if self.refusal is not None:
            raise self.refusal
        self.batches.append(SteppedSending(spec))
        return self.batches[-1]


class PacedSending:
    """A batch that is sent at its rate, each request answered by a function."""

    def __init__(self, spec: TrafficSpec, answer: Callable[[int], Response]) -> None:
        self.spec = spec
        self._answer = answer
        self._rate = spec.rate
        self._stopped = False
        self._changed = threading.Condition()

    def set_rate(self, rate: float) -> None:
        with self._changed:
            self._rate = rate
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Response]:
        end = time.monotonic() + self.spec.duration_s if self.spec.duration_s is not None else float("inf")
        index = 0
        while index != self.spec.count and time.monotonic() < end:
            with self._changed:
                if self._rate is not None:
                    self._changed.wait(1 / self._rate if self._rate else 0.5)
                if self._stopped:
                    return
                if self._rate == 0:
                    continue
            yield self._answer(index)
            index += 1


class PacedMesh:
    """An engine that really sends at a rate; ``answer`` says what each request gets."""

    name = "paced"
    namespace = "default"

    def __init__(self, answer: Callable[[int], Response] | None = None) -> None:
        self.answer = answer or (lambda index: response(index, started_s=time.time(), connection=index))
        self.batches: list[PacedSending] = []

    def pods(self) -> list[Pod]:
        return []

    def send(self, spec: TrafficSpec) -> PacedSending:
        self.batches.append(PacedSending(spec, self.answer))
        return self.batches[-1]
