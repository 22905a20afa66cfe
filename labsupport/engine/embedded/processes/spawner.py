"""The process that is the parent of every Envoy and every application.

It is forked from the supervisor before gRPC (and with it, threads) is loaded, and stays single-threaded, for two
reasons: forking a process that has threads may deadlock the child, and on Linux the parent-death signal that takes
the children along fires when the *thread* that forked them ends. It imports the libraries that applications need
once; an application is then a fork of a few milliseconds that shares their memory.

It takes orders from the supervisor over a socket (``wire``), reports exits, and when the supervisor is gone, for
whatever reason, it kills all it started, removes the run folder and ends. A supervisor that is too busy to notice that
its kernel is gone is ended from here.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from labsupport.engine.embedded.processes import ports, rundir, wire
from labsupport.errors import StorageError

__all__ = ["Exited", "Kill", "StartApp", "StartProgram", "Started", "serve"]

# What the course's images are made of; importing it before forking makes applications start in milliseconds.
_PRELOAD = (
    "asyncio",
    "httptools",
    "uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.loops.uvloop",
    "uvicorn.lifespan.on",
    "uvicorn.lifespan.off",
    "uvicorn.server",
    "starlette.applications",
    "starlette.requests",
    "starlette.responses",
    "starlette.routing",
    "aiohttp",
)
_PR_SET_PDEATHSIG = 1
# The supervisor notices by itself, unless it is busy; then the second look finds the kernel gone for so long.
_LOOK_S = 1.5


@dataclass(frozen=True, slots=True)
class StartProgram:
    """Order: start a program with a fork and exec.

    Args:
        order: number of the order, repeated in the answer.
        argv: the program's path and its arguments.
        cwd: its working directory.
        log: file that its output is appended to.
    """

    order: int
    argv: tuple[str, ...]
    cwd: str
    log: str


@dataclass(frozen=True, slots=True)
class StartApp:
    """Order: run the program of an ``app.py`` in a fork of this process.

    It offers ``create_app(env)``, an ASGI application, and perhaps ``ssl_context(env)`` for one that speaks TLS itself;
    or, where it speaks something else than HTTP, ``create_server(env)`` and ``serve(server, socket, grace_s=)``.

    Args:
        order: number of the order, repeated in the answer.
        program: path of the ``app.py``.
        env: the environment handed to it.
        port: reserved port to listen on; 0 only tries whether the program can be loaded.
        log: file that its output is appended to.
        grace_s: how long a request may take after the order to end.
    """

    order: int
    program: str
    env: Mapping[str, str]
    port: int
    log: str
    grace_s: float


@dataclass(frozen=True, slots=True)
class Kill:
    """Order: send a signal to a process that this spawner started and that has not ended."""

    pid: int
    signal: int


@dataclass(frozen=True, slots=True)
class Started:
    """Answer: the process is there; pid 0 and ``error`` (with ``errno``) if it could not be started."""

    order: int
    pid: int
    error: str = ""
    errno: int = 0


@dataclass(frozen=True, slots=True)
class Exited:
    """Report: a process has ended, with its exit status, or minus the signal that ended it."""

    pid: int
    status: int


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None


class _Spawner:
    def __init__(
        self, control: socket.socket, folder: Path, library: Path | None = None, kernel: tuple[int, str] | None = None
    ) -> None:
        self._control = control
        self._kernel = kernel
        self._supervisor = os.getppid()
        self._next_look = time.monotonic() + _LOOK_S
        self._gone = False
        self._library = library
        self._folder = folder
        self._decoder = wire.Decoder()
        self._children: set[int] = set()
        self._pid = os.getpid()
        self._libc = _libc()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else _pipe()

    def run(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            for name in _PRELOAD:
                # Orders that arrive meanwhile (the gateway's Envoy) need none of this and must not wait for it.
                self._turn(0)
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)
            gc.collect()
            gc.freeze()
            while True:
                self._turn(None if self._kernel is None else max(self._next_look - time.monotonic(), 0.0))
                self._look()
        except EOFError:
            pass
        finally:
            self._end()

    def _turn(self, timeout_s: float | None) -> None:
        readable, _, _ = select.select([self._control.fileno(), self._wake_read], [], [], timeout_s)
        if self._wake_read in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
            self._reap()
        if self._control.fileno() in readable:
            data = self._control.recv(1 << 16)
            if not data:
                raise EOFError
            for order in self._decoder.feed(data):
                self._obey(order)

    def _look(self) -> None:
        if self._kernel is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_S
        was_gone, self._gone = self._gone, not rundir.alive(*self._kernel)
        if was_gone and self._gone and os.getppid() == self._supervisor:
            # Its end closes our socket, which ends all the rest.
            os.kill(self._supervisor, signal.SIGKILL)

    def _obey(self, order: StartProgram | StartApp | Kill) -> None:
        if isinstance(order, Kill):
            # Only un-reaped children are signalled, so the pid cannot have passed to another process.
            if order.pid in self._children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(order.pid, order.signal)
            return
        try:
            log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._tell(Started(order.order, 0, str(error), error.errno or 0))
            return
        pid = os.fork()
        if pid == 0:
            self._child(order, log)
        os.close(log)
        self._children.add(pid)
        with contextlib.suppress(OSError, StorageError):
            rundir.record(self._folder, rundir.CHILDREN, pid)
        self._tell(Started(order.order, pid))

    def _child(self, order: StartProgram | StartApp, log: int) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            if self._libc is not None:
                self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
                if os.getppid() != self._pid:
                    os._exit(1)
            for number in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            if isinstance(order, StartProgram):
                os.chdir(order.cwd)
                os.execv(order.argv[0], list(order.argv))
            # As in every Python program: a caller that hangs up while it is answered ends no server.
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            # A fork that does not exec keeps every descriptor, and an open control socket would hide our end.
            self._control.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            status = _run_app(order, self._library) if order.port else _try_app(order, self._library)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._children.discard(pid)
            self._tell(Exited(pid, os.waitstatus_to_exitcode(status)))

    def _tell(self, message: Started | Exited) -> None:
        try:
            wire.send(self._control, message)
        except OSError as error:
            raise EOFError from error

    def _end(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        rundir.remove(self._folder)


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def _load(order: StartApp, library: Path | None) -> ModuleType:
    # uvicorn's log lines and tracebacks go to the pod's log, which is this process's stderr.
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    # Libraries that look at the process's environment see what they would see in a container.
    os.environ.update(order.env)
    path = Path(order.program)
    sys.path[:0] = [str(folder) for folder in (path.parent, library) if folder is not None]
    spec = importlib.util.spec_from_file_location("app", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["app"] = module
    spec.loader.exec_module(module)
    return module


def _try_app(order: StartApp, library: Path | None) -> int:
    """Load an application and no more; the last line of the log says what is wrong, with file and line."""
    try:
        module = _load(order, library)
        if callable(getattr(module, "create_app", None)) or callable(getattr(module, "create_server", None)):
            return 0
        failure = f"{order.program}:1: it has no create_app(env)"
    except BaseException as error:
        failure = f"{_place(error, order.program)}: {type(error).__name__}: {' '.join(str(error).split())}"
    print(failure, file=sys.stderr, flush=True)
    return 1


def _place(error: BaseException, program: str) -> str:
    """File and line of an error: the innermost of the learner's own files."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno or 1}"
    folder = os.path.dirname(program) + os.sep
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(folder)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else f"{program}:1"


def _run_app(order: StartApp, library: Path | None) -> int:
    """Serve an application until it is told to end; returns the exit status."""
    import uvicorn

    module = _load(order, library)
    if hasattr(module, "create_server"):
        import uvloop

        uvloop.run(module.serve(module.create_server(dict(order.env)), ports.listen(order.port), grace_s=order.grace_s))
        return 0
    application = module.create_app(dict(order.env))
    config = uvicorn.Config(
        application,
        http="httptools",
        loop="uvloop",
        ws="none",
        log_level="warning",
        access_log=False,
        # Envoy keeps idle upstream connections for an hour; an application that closed them first would lose requests.
        timeout_keep_alive=3900,
        timeout_graceful_shutdown=max(1, round(order.grace_s)),
    )
    if hasattr(module, "ssl_context"):
        config.load()
        config.ssl = module.ssl_context(dict(order.env))
    server = uvicorn.Server(config)
    server.run(sockets=[ports.listen(order.port)])
    return 0 if server.started else 3


def serve(
    control: socket.socket, folder: Path, library: Path | None = None, *, kernel: tuple[int, str] | None = None
) -> None:
    """Run the spawner in this process until the other end of the control socket is closed.

    Args:
        control: where orders come from.
        folder: run folder, removed at the end.
        library: folder of modules that every application may import.
        kernel: pid and start of the process without which the parent of this one is to end.
    """
    _Spawner(control, folder, library, kernel).run()
