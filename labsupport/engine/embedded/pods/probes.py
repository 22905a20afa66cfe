"""Whether a program is ready: it listens, or it answers as a kubelet's probe would be answered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Awaitable, Callable

from labsupport.engine.embedded.processes import ports

__all__ = ["healthy", "listening"]


async def _poll(attempt: Callable[[], Awaitable[bool]]) -> None:
    for pause in itertools.chain((0.002, 0.003, 0.005), itertools.repeat(0.01)):
        with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
            if await attempt():
                return
        await asyncio.sleep(pause)


async def listening(port: int) -> None:
    """Wait until something listens on a local port."""

    async def attempt() -> bool:
        _, writer = await asyncio.open_connection(ports.LOOPBACK, port)
        writer.close()
        return True

    await _poll(attempt)


async def healthy(port: int, path: str = "/healthz") -> None:
    """Wait until a program answers ``GET`` of a path with 200, in TLS if it speaks that itself."""
    # Like the kubelet: whose certificate it is plays no part in whether it is ready.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def answer(secured: ssl.SSLContext | None) -> bytes:
        reader, writer = await asyncio.open_connection(ports.LOOPBACK, port, ssl=secured)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n".encode("ascii"))
            return await asyncio.wait_for(reader.readline(), 2.0)
        except TimeoutError:
            return b"HTTP/1.1 no answer"
        finally:
            writer.close()

    async def attempt() -> bool:
        line = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            line = await answer(None)
        # Who takes no plain HTTP may take TLS.
        return b" 200 " in (line if line.startswith(b"HTTP/") else await answer(context))

    await _poll(attempt)
