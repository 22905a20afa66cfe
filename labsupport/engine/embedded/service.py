"""Serves the kernel's calls to the supervisor, and ends the lab when the kernel is gone.

Calls come over a socket pair and are answered in any order, one task per call. The kernel is gone when its end of the
pair is closed, or when it is no longer this process's parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import time
import traceback
from pathlib import Path
from typing import Any

from labsupport import words
from labsupport.engine.embedded.pods.programs import Programs
from labsupport.engine.embedded.processes import rundir, wire
from labsupport.engine.embedded.processes.spawner_client import Spawner
from labsupport.engine.embedded.supervisor import Supervisor
from labsupport.errors import EngineError, LabError, StorageError

__all__ = ["serve"]

_METHODS = frozenset(("apply", "delete", "reset", "kubeconfig", "inventory", "close"))
_QUESTIONS = frozenset((
    "get", "built_in", "pods", "rules", "source", "connection", "entrances", "gateway_port",
    "config_dump", "statistics", "log_files", "access_logs", "spans",
))  # fmt: skip
_PROMETHEUS = frozenset(("start_prometheus", "prometheus_port"))
_CHANGES = frozenset(("apply", "delete"))
_Call = tuple[int, str, tuple[Any, ...], dict[str, Any]]


async def _answer(
    supervisor: Supervisor, call: tuple[int, str, tuple[Any, ...], dict[str, Any]]
) -> tuple[int, bool, Any]:
    number, method, arguments, options = call
    if method in _CHANGES:
        options = {**options, "began": time.monotonic()}
    try:
        if method not in _METHODS | _QUESTIONS | _PROMETHEUS:
            raise EngineError(f"the supervisor has no method {method}")
        asked: Any = supervisor.questions if method in _QUESTIONS else supervisor
        asked = supervisor.prometheus if method in _PROMETHEUS else asked
        return number, True, await getattr(asked, method)(*arguments, **options)
    except LabError as error:
        return number, False, error
    except OSError as error:
        try:
            with rundir.explained(Path.cwd()):
                raise error
        except StorageError as explained:
            return number, False, explained
        except OSError:
            return number, False, EngineError(f"the embedded mesh failed: {words.reason(error)}")
    except Exception as error:
        traceback.print_exc()
        return number, False, EngineError(f"the embedded mesh failed: {type(error).__name__}: {error}")


async def serve(
    kernel: socket.socket,
    spawner_end: socket.socket,
    spawner_pid: int,
    folder: Path,
    programs: Programs,
    namespace: str,
) -> None:
    """Run a lab until its kernel is gone or asks to close it.

    The first message to the kernel says whether the mesh is open: ``(0, True, None)`` or ``(0, False, error)``.
    """
    parent = os.getppid()
    spawner = Spawner(spawner_end)
    await spawner.open()
    assert spawner.lost is not None
    reader, writer = await asyncio.open_unix_connection(sock=kernel, limit=1 << 26)
    supervisor = Supervisor(folder, programs, namespace, spawner, spawner_pid)
    tasks: set[asyncio.Task[None]] = set()
    order = asyncio.Lock()

    async def handle(call: _Call) -> None:
        await reply(await _answer(supervisor, call))

    async def reply(answer: tuple[int, bool, Any]) -> None:
        message = wire.encode(answer)
        async with order:
            writer.write(message)
            with contextlib.suppress(OSError):
                await writer.drain()

    def tell(notice: Any) -> None:
        task = asyncio.create_task(reply((wire.NOTICE, True, notice)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    supervisor.tell = tell

    async def listen() -> None:
        while True:
            task = asyncio.create_task(handle(await wire.read(reader)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def orphaned() -> None:
        while os.getppid() == parent:
            await asyncio.sleep(0.5)

    async def opened() -> None:
        try:
            await supervisor.open()
            # What stays for life need not be looked through again: a full collection takes longer than a change.
            gc.freeze()
            writer.write(wire.encode((0, True, None)))
        except LabError as error:
            writer.write(wire.encode((0, False, error)))
            await writer.drain()
            supervisor.closing.set()

    tasks.add(asyncio.create_task(opened()))
    ends: list[asyncio.Future[Any]] = [asyncio.create_task(listen()), asyncio.create_task(orphaned())]
    ends.append(asyncio.ensure_future(supervisor.closing.wait()))
    await asyncio.wait((*ends, spawner.lost), return_when=asyncio.FIRST_COMPLETED)
    if supervisor.closing.is_set() and tasks:
        await asyncio.wait(tasks, timeout=1.0)
    for end in ends:
        end.cancel()
