"""One run of requests: when each is sent, by whom, and the record of what became of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from client_send import Gate, Record, Sender
from client_spec import RunSpec
from client_tls import make_context

__all__ = ["Pacer", "Run"]

# A hiccup of this process is made up for, so that the rate is kept on average. What a busy mesh held up for longer is
# not: a burst after an outage would tell of the client, not of the mesh.
CATCH_UP_S = 0.25


class Pacer:
    """Says when the next request is due, without drift.

    Args:
        rate: requests per second; 0 pauses, None is always due.
    """

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._stopped = False
        self._due = time.monotonic()
        self._turn = asyncio.Lock()
        self._waker: asyncio.Future[None] | None = None

    def set_rate(self, rate: float | None) -> None:
        """Change the rate; the next request is due one new interval from now at the latest."""
        now = time.monotonic()
        if rate:
            self._due = min(max(self._due, now), now + 1 / rate) if self._rate else now
        self._rate = rate
        self._wake()

    def stop(self) -> None:
        """No request is due any more."""
        self._stopped = True
        self._wake()

    async def due(self) -> bool:
        """Wait until the next request is due; False when there is none any more."""
        if self._rate is None:
            return not self._stopped
        async with self._turn:
            while not self._stopped:
                if self._rate is None:
                    return True
                now = time.monotonic()
                if self._rate and self._due <= now:
                    self._due = max(self._due, now - CATCH_UP_S) + 1 / self._rate
                    return True
                await self._sleep(self._due - now if self._rate else None)
        return False

    async def _sleep(self, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._waker = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, self._wake)
        try:
            await self._waker
        finally:
            self._waker = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)


class User:
    """Somebody who sends one request at a time and keeps the cookies that the replies set."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cookies: dict[str, str] = {}
        self.turn = asyncio.Lock()


class Run:
    """A batch of requests under way.

    Args:
        spec: what to send.
        proxy: URL of the HTTP proxy, or None.
        emit: called with each record in order of completion.

    Raises:
        SpecError: a certificate or key of the run cannot be read.
    """

    def __init__(self, spec: RunSpec, *, proxy: str | None, emit: Callable[[Record], None]) -> None:
        self.spec = spec
        self._proxy = proxy
        self._context = None
        if spec.scheme in ("https", "tls"):
            self._context = make_context(spec.tls, alpn=("http/1.1",) if spec.scheme == "https" else ())
        self._emit = emit
        self._pacer = Pacer(spec.rate)
        self._next = 0
        self._halted = False
        self._released = asyncio.Event() if spec.hold else None
        self._users = [User(f"user-{number}") for number in range(spec.users)]

    def set_rate(self, rate: float | None) -> None:
        """Change the rate in requests per second; 0 pauses, None removes the limit."""
        self._pacer.set_rate(rate)

    def stop(self) -> None:
        """Send no more; requests under way complete."""
        self._halted = True
        self._pacer.stop()

    def release(self) -> None:
        """Let go of the requests that are held, also of those that nobody has taken yet."""
        if self._released is not None:
            self._released.set()

    async def work(self) -> None:
        """Send everything; returns when the last reply is in. Cancelling it closes all connections."""
        spec = self.spec
        workers = spec.concurrency if spec.count is None else min(spec.concurrency, spec.count)
        if spec.simultaneous:
            workers = spec.count or 0
        gate = Gate(workers) if spec.simultaneous else None
        end = None if spec.duration_s is None else asyncio.get_running_loop().call_later(spec.duration_s, self.stop)
        try:
            sending = Sender(
                spec,
                proxy=self._proxy,
                connections=workers,
                context=self._context,
                released=self._released,
                taken=lambda index: self._emit({"taken": index}),
            )
            async with sending as sender, asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(sender, gate))
        finally:
            if end is not None:
                end.cancel()

    async def _work(self, sender: Sender, gate: Gate | None) -> None:
        while await self._pacer.due():
            index = self._next
            self._next += 1
            if self._next == self.spec.count:
                self._pacer.stop()
            if not self._users:
                self._emit(await sender.send(index, gate=gate))
                continue
            user = self._users[index % len(self._users)]
            if gate is not None:
                self._emit(await sender.send(index, user=user.name, jar=user.cookies, gate=gate))
                continue
            async with user.turn:
                if not self._halted:
                    self._emit(await sender.send(index, user=user.name, jar=user.cookies))
