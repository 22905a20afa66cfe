"""Messages between the workshop's own processes: length-prefixed pickles over a socket pair.

Both ends are processes that we started ourselves from the same installation, and the sockets have no name that
another process could connect to; that is what makes pickle acceptable here.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from typing import Any

__all__ = ["NOTICE", "Decoder", "encode", "read", "receive", "send"]

NOTICE = -1
"""The number of a message that answers no call."""

_HEADER = struct.Struct("!I")


def encode(message: Any) -> bytes:
    """Make the bytes of one message."""
    payload = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(payload)) + payload


def send(sock: socket.socket, message: Any) -> None:
    """Send one message through a blocking socket."""
    sock.sendall(encode(message))


def _exactly(sock: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            raise EOFError("the other process has ended")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def receive(sock: socket.socket) -> Any:
    """Receive one message from a blocking socket.

    Raises:
        EOFError: the other end is closed.
    """
    (size,) = _HEADER.unpack(_exactly(sock, _HEADER.size))
    return pickle.loads(_exactly(sock, size))


async def read(reader: asyncio.StreamReader) -> Any:
    """Receive one message in an event loop.

    Raises:
        EOFError: the other end is closed.
    """
    (size,) = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    return pickle.loads(await reader.readexactly(size))


class Decoder:
    """Cuts a stream of bytes into messages, for a process that must never block on half a message."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Take bytes as they came, and return the messages that are now complete."""
        self._buffer += data
        messages = []
        while len(self._buffer) >= _HEADER.size:
            (size,) = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + size
            if len(self._buffer) < end:
                break
            messages.append(pickle.loads(bytes(self._buffer[_HEADER.size : end])))
            del self._buffer[:end]
        return messages
