"""Keeps one process of a pod running: waits until it is ready, and starts it again when it ends unasked."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from labsupport.engine.embedded.processes.spawner_client import Process, last_words
from labsupport.errors import LabError
from labsupport.words import reason

__all__ = ["Keeper"]

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
CHECK_PAUSE_S = 0.2
# A process that ran for so long starts anew with the shortest delay (Kubernetes: 10 minutes, with delays of minutes).
STABLE_S = 10.0


class Keeper:
    """One process that is to run until it is stopped.

    Args:
        start: starts it.
        check: returns when the process is ready.
        changed: called whenever ``ready``, ``restarts`` or ``last_words`` changes.

    Attributes:
        ready: whether it is ready now.
        restarts: how often it was started again.
        last_words: last line of its log when it ended unasked, or why it could not be started.
        failure: the error that kept it from starting, if it is one that a new start will not cure.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[Process]],
        check: Callable[[], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._start = start
        self._check = check
        self._changed = changed
        self.process: Process | None = None
        self.ready = False
        self.restarts = 0
        self.last_words = ""
        self.failure: Exception | None = None
        self._hurry = asyncio.Event()
        self._task = asyncio.create_task(self._keep())

    async def stop(self, *, grace_s: float = 0.0) -> None:
        """End the process and keep it ended."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self.ready = False
        if self.process is not None:
            await self.process.stop(grace_s=grace_s)

    async def renew(self) -> None:
        """Start the process anew at once, whether it waits for that or hangs."""
        self._hurry.set()
        if self.process is not None:
            await self.process.stop()

    async def _keep(self) -> None:
        delay = FIRST_DELAY_S
        while True:
            began = time.monotonic()
            try:
                self.process = await self._start()
            except (LabError, OSError) as error:
                self.failure, self.last_words = error, reason(error)
            else:
                await self._watch(self.process)
            self.ready = False
            self.restarts += 1
            self._changed()
            delay = FIRST_DELAY_S if time.monotonic() - began > STABLE_S else delay
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), delay)
            delay = FIRST_DELAY_S if self._hurry.is_set() else min(delay * 2, LONGEST_DELAY_S)
            self._hurry.clear()

    async def _watch(self, process: Process) -> None:
        check = asyncio.create_task(self._until_ready())
        try:
            status = await asyncio.shield(process.ended)
        finally:
            check.cancel()
        # Whoever is killed says nothing: the last line of its log is then about something else.
        words = "" if status == -signal.SIGKILL else last_words(Path(process.log), crashed=status < 0)
        self.last_words = words or _ending(status)

    async def _until_ready(self) -> None:
        """Check until it is ready; what keeps it from that is told meanwhile."""
        while not self.ready:
            try:
                await self._check()
            except (LabError, OSError) as error:
                self.failure, self.last_words = error, reason(error)
                self._changed()
                await asyncio.sleep(CHECK_PAUSE_S)
            else:
                self.ready, self.failure = True, None
                self._changed()


def _ending(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
