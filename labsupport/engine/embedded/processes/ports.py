"""Local ports that stay ours: known before the process that listens on them starts, kept while it restarts.

Every listener of the embedded mesh binds 127.0.0.1. Letting a process choose (port 0) means asking it afterwards,
and a restarted process would have to hope that its former port is still free. Instead the supervisor binds a socket
to port 0 with ``SO_REUSEPORT`` and never listens on it. The kernel then keeps the number for processes of the same
user that set the option too (Envoy's listeners do by default on Linux, our application runner always does), hands
connections only to sockets that listen, and refuses them while nobody does.

Envoy does not set the option on macOS; there the number is released again right away, which leaves a short race. If
it is lost, Envoy rejects the listener and the pod is replaced.
"""

from __future__ import annotations

import contextlib
import socket
import sys

__all__ = ["LOOPBACK", "ReservedPort", "listen", "reserve", "reserve_refusing"]

LOOPBACK = "127.0.0.1"
_KEEPS = sys.platform.startswith("linux")
# Where numbers are not kept, at least this process gives none twice.
_given: set[int] = set()


def _bind(number: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((LOOPBACK, number))
    except OSError:
        sock.close()
        raise
    return sock


class ReservedPort:
    """A reserved port of 127.0.0.1; ``int(port)`` is its number."""

    __slots__ = ("_holder", "number")

    def __init__(self, holder: socket.socket, *, hold: bool) -> None:
        self.number: int = holder.getsockname()[1]
        self._holder: socket.socket | None = holder
        if not hold:
            self.close()

    def __int__(self) -> int:
        return self.number

    def __repr__(self) -> str:
        return f"Port({self.number})"

    def close(self) -> None:
        """Give the number back; idempotent."""
        if self._holder is not None:
            self._holder.close()
            self._holder = None


def reserve(wanted: int = 0) -> ReservedPort:
    """Reserve a free port for one listener.

    Args:
        wanted: the number to take if nobody on this machine has it; else, or without one, it is any.
    """
    if wanted and _is_free(wanted):
        with contextlib.suppress(OSError):
            return ReservedPort(_bind(wanted), hold=_KEEPS)
    while True:
        port = ReservedPort(_bind(0), hold=_KEEPS)
        if _KEEPS or port.number not in _given:
            _given.add(port.number)
            return port


def _is_free(number: int) -> bool:
    """Whether no socket has a port, not even one that would share it, as the listeners of another lab do."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock, contextlib.suppress(OSError):
        # Connections that have ended do not count.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, number))
        return True
    return False


def reserve_refusing() -> ReservedPort:
    """Reserve a port on which nobody will ever listen: connections are refused, as by a pod that has no such port."""
    return ReservedPort(_bind(0), hold=True)


def listen(number: int, *, backlog: int = 2048) -> socket.socket:
    """Open the listening socket of an application on a reserved port."""
    sock = _bind(number)
    sock.listen(backlog)
    sock.set_inheritable(False)
    return sock
