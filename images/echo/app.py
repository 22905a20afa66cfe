"""An echo over TCP that puts its version before every line, as Istio's ``tcp-echo`` does.

It has no HTTP, so that what a gateway does with bare connections can be seen. Runs as ``python app.py`` in a container,
or is loaded by path and asked for ``create_server(env)``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Mapping

__all__ = ["Echo", "create_server"]

MAX_LINE = 64 * 1024


def create_server(env: Mapping[str, str]) -> Echo:
    """Build the echo from its environment.

    Args:
        env: the pod's environment; ``PREFIX`` is put before every line, else ``SERVICE_VERSION``, else ``echo``.

    Returns:
        A server without global state; it listens when it is started.
    """
    return Echo(env.get("PREFIX") or env.get("SERVICE_VERSION") or "echo")


class Echo:
    """Answers each line with a word and the line.

    Args:
        prefix: the word.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Serve on a socket; returns once connections are taken."""
        self._server = await asyncio.start_server(self._connected, sock=listener, limit=MAX_LINE)

    async def stop(self, grace_s: float) -> None:
        """Take no more connections, and give those that are open some seconds to end."""
        if self._server is not None:
            self._server.close()
        if self._connections:
            await asyncio.wait(self._connections, timeout=grace_s)
        for task in self._connections:
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while line := await reader.readline():
                writer.write(self._prefix + b" " + line)
                await writer.drain()
        except (OSError, ValueError):
            # The peer is gone, or sent a line that never ends.
            pass
        finally:
            self._connections.discard(task)
            writer.close()


async def serve(server: Echo, listener: socket.socket, *, grace_s: float) -> None:
    """Run a server until this process is asked to end.

    Args:
        server: the server.
        listener: where it takes connections.
        grace_s: how long open connections may go on then, in seconds.
    """
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    await server.start(listener)
    await ending.wait()
    await server.stop(grace_s)


def main() -> None:
    """Serve on ``HOST``:``PORT`` (127.0.0.1:9000 unless the environment says otherwise)."""
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "9000")))
    listener = socket.create_server(address, backlog=2048)
    import uvloop

    uvloop.run(serve(create_server(os.environ), listener, grace_s=5.0))


if __name__ == "__main__":
    main()
