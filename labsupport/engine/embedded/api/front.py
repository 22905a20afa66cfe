"""The front of a lab: opened when somebody first wants it, served from the first connection on."""

from __future__ import annotations

import asyncio
import socket
import ssl
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from labsupport.engine.embedded.api.mesh import Mesh

if TYPE_CHECKING:
    from aiohttp import web

    from labsupport.engine.embedded.api.access import Access

__all__ = ["Front"]


class Front:
    """Opens the API of a lab.

    Args:
        mesh: the lab.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._opening = asyncio.Lock()
        self._kubeconfig: Path | None = None
        self._socket: socket.socket | None = None
        self._runner: web.AppRunner | None = None
        self._starting: asyncio.Task[None] | None = None

    async def open(self) -> Path:
        """Listen, if it does not yet.

        Returns:
            The kubeconfig file.
        """
        async with self._opening:
            if self._kubeconfig is None:
                listening = socket.create_server(("127.0.0.1", 0), backlog=128)
                listening.setblocking(False)
                self._socket = listening
                access = await asyncio.to_thread(self._access, listening.getsockname()[1])
                # The modules of a web server take longer to load than a mesh to change, so they wait for a client.
                asyncio.get_running_loop().add_reader(listening, self._called, access)
                self._kubeconfig = access.kubeconfig
            return self._kubeconfig

    @property
    def ports(self) -> list[int]:
        """Where it listens, if it does."""
        return [self._socket.getsockname()[1]] if self._socket is not None else []

    def _access(self, port: int) -> Access:
        from labsupport.engine.embedded.api.access import Access

        return Access.made(self._mesh.folder, port, self._mesh.namespace)

    def _called(self, access: Access) -> None:
        assert self._socket is not None
        asyncio.get_running_loop().remove_reader(self._socket)
        self._starting = asyncio.create_task(self._serve(access))

    async def _serve(self, access: Access) -> None:
        assert self._socket is not None
        await asyncio.to_thread(_load)
        from aiohttp import web

        from labsupport.engine.embedded.api.server import Server

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(access.certificate, access.key)
        self._runner = web.AppRunner(Server(self._mesh, access).application(), access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket, ssl_context=context).start()


def _load() -> None:
    """Load the server's modules in a thread, so that the mesh goes on meanwhile."""
    import_module("labsupport.engine.embedded.api.server")
