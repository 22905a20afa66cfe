"""The supervisor's end of the spawner: start processes, signal them, hear when they end."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from labsupport import words
from labsupport.engine.embedded.processes import wire
from labsupport.engine.embedded.processes.spawner import Exited, Kill, StartApp, Started, StartProgram
from labsupport.errors import EngineError, StorageError

__all__ = ["Process", "Spawner", "last_words"]


# What Envoy says when it crashes; a hundred lines follow that say nothing to a reader.
_CRASH = re.compile(r"Caught (.+?), suspect faulting address|(assert failure: .+|panic: .+)")


def last_words(log: Path, *, limit: int = 400, crashed: bool = False) -> str:
    """The last line of a log that says something; empty if there is none.

    Args:
        log: the file.
        limit: characters at most.
        crashed: whether a signal ended the process, so that an Envoy's cause is to be looked for.
    """
    try:
        with open(log, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 65_536))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    causes = (_CRASH.search(line) for line in reversed(lines) if crashed)
    cause = next((match[1] or match[2] for match in causes if match), "")
    return cause[:limit] or next((line.strip()[:limit] for line in reversed(lines) if line.strip()), "")


class Process:
    """A process that the spawner started.

    Attributes:
        pid: its process id.
        log: the file that holds its output.
        ended: resolved with its exit status, or minus the signal that ended it.
    """

    def __init__(self, spawner: Spawner, pid: int, log: Path) -> None:
        self._spawner = spawner
        self.pid = pid
        self.log = log
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def running(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return not self.ended.done()

    async def stop(self, *, grace_s: float = 0.0) -> None:
        """End it: SIGTERM and, when ``grace_s`` seconds have passed, SIGKILL. Returns when it is gone."""
        if self.running and grace_s > 0:
            self._spawner.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.ended), grace_s)
        if self.running:
            self._spawner.kill(self.pid, signal.SIGKILL)
            await self.ended


class Spawner:
    """Gives orders to the spawner process."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._orders: dict[int, tuple[asyncio.Future[Process], Path]] = {}
        self._processes: dict[int, Process] = {}
        self._count = 0
        self._writer: asyncio.StreamWriter | None = None
        self.lost: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to listen to the spawner."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._control)
        self.lost = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._listen(reader))

    @property
    def pids(self) -> list[int]:
        """Processes that are running."""
        return sorted(self._processes)

    async def start_program(self, argv: tuple[str, ...], *, cwd: Path, log: Path) -> Process:
        """Start a program; its output is appended to ``log``."""
        return await self._start(StartProgram(self._next(), argv, str(cwd), str(log)), log)

    async def start_app(
        self, program: Path, *, env: Mapping[str, str], port: int, log: Path, grace_s: float
    ) -> Process:
        """Run an application on a reserved port; its output is appended to ``log``."""
        return await self._start(StartApp(self._next(), str(program), env, port, str(log), grace_s), log)

    def kill(self, pid: int, number: int) -> None:
        """Send a signal to a process that was started here."""
        self._write(Kill(pid, number))

    def close(self) -> None:
        """Let the spawner end, and with it everything it started."""
        if self._writer is not None:
            self._writer.close()
        if self._task is not None:
            self._task.cancel()

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _write(self, message: StartApp | StartProgram | Kill) -> None:
        if self._writer is None or self.lost is None or self.lost.done():
            raise EngineError("the process that starts programs has ended")
        self._writer.write(wire.encode(message))

    async def _start(self, order: StartApp | StartProgram, log: Path) -> Process:
        future: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._orders[order.order] = (future, log)
        self._write(order)
        return await future

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                message: Started | Exited = await wire.read(reader)
                if isinstance(message, Started):
                    self._started(message)
                else:
                    process = self._processes.pop(message.pid, None)
                    if process is not None and not process.ended.done():
                        process.ended.set_result(message.status)
        except (EOFError, OSError):
            for future, _ in self._orders.values():
                if not future.done():
                    future.set_exception(EngineError("the process that starts programs has ended"))
            if self.lost is not None and not self.lost.done():
                self.lost.set_result(None)

    def _started(self, message: Started) -> None:
        future, log = self._orders.pop(message.order)
        if message.pid == 0:
            error = OSError(message.errno, message.error)
            if not future.done():
                future.set_exception(StorageError(f"a program's log cannot be written: {words.reason(error)}"))
            return
        process = self._processes[message.pid] = Process(self, message.pid, log)
        if future.done():
            # Whoever ordered it was cancelled meanwhile.
            self.kill(message.pid, signal.SIGKILL)
        else:
            future.set_result(process)
