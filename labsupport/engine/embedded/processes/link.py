"""The kernel's end of the supervisor: calls from several threads, answered in any order, never a hang."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from labsupport.engine.embedded.processes import wire
from labsupport.errors import EngineLostError

__all__ = ["Link"]

_REMEDY = "Open a new lab with Lab(); what is left of this one is removed then."


class Link:
    """Sends calls and matches answers by number.

    A thread of its own receives. So a call that is interrupted (KeyboardInterrupt) leaves the connection sane: its
    answer is received all the same, and dropped.

    Args:
        sock: connected to the supervisor.
        last_words: tells what the supervisor's log says last.
        hear: called, in a thread of its own, with what the supervisor tells without having been asked.
    """

    def __init__(
        self, sock: socket.socket, last_words: Callable[[], str], hear: Callable[[Any], None] = lambda notice: None
    ) -> None:
        self._sock = sock
        self._last_words = last_words
        self._hear = hear
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        # Number 0 is the supervisor's own first word: whether the mesh is open.
        self._waiting: dict[int, Future[Any]] = {0: Future()}
        self._first = self._waiting[0]
        self._lost = ""
        self._thread = threading.Thread(target=self._receive, name="embedded-mesh", daemon=True)
        self._thread.start()

    def opened(self, timeout_s: float) -> None:
        """Wait until the supervisor says that the mesh is open.

        Raises:
            EngineError: it says why it is not, or it ended.
        """
        self._result(self._first, "open", timeout_s)

    def call(self, method: str, arguments: Sequence[Any], options: Mapping[str, Any], *, timeout_s: float) -> Any:
        """Call a method of the supervisor and wait for its answer.

        Raises:
            EngineLostError: the supervisor has ended, or does not answer in time.
            LabError: whatever the method raised.
        """
        self.check()
        number = next(self._numbers)
        future: Future[Any] = Future()
        message = wire.encode((number, method, tuple(arguments), dict(options)))
        with self._lock:
            self._waiting[number] = future
            try:
                self._sock.sendall(message)
            except OSError:
                self._lose()
        try:
            return self._result(future, method, timeout_s)
        finally:
            self._waiting.pop(number, None)

    def check(self) -> None:
        """Raise ``EngineLostError`` if the supervisor is gone."""
        if self._lost:
            raise EngineLostError(self._lost)

    def close(self) -> None:
        """Close the connection, which ends the supervisor."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(5.0)
        self._sock.close()

    def _result(self, future: Future[Any], method: str, timeout_s: float) -> Any:
        try:
            return future.result(timeout_s)
        except FutureTimeout:
            if future.done():
                raise
            raise EngineLostError(
                f"the embedded mesh did not answer {method!r} within {timeout_s:.0f} s. {_REMEDY}"
            ) from None

    def _receive(self) -> None:
        try:
            while True:
                number, succeeded, value = wire.receive(self._sock)
                if number == wire.NOTICE:
                    # Whoever hears it may call the supervisor, whose answer is received here.
                    threading.Thread(target=self._hear, args=(value,), name="embedded-mesh-notice", daemon=True).start()
                    continue
                future = self._waiting.pop(number, None)
                if future is None:
                    continue
                if succeeded:
                    future.set_result(value)
                else:
                    future.set_exception(value)
        except (EOFError, OSError):
            self._lose()

    def _lose(self) -> None:
        words = self._last_words()
        self._lost = f"the embedded mesh has ended{f' ({words})' if words else ''}. {_REMEDY}"
        for number in list(self._waiting):
            future = self._waiting.pop(number, None)
            if future is not None and not future.done():
                future.set_exception(EngineLostError(self._lost))
