"""The front of a lab: opened when somebody first wants it, served from the first connection on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

    from labsupport.engine.embedded.api.access import Access
    from labsupport.engine.embedded.api.mesh import Mesh

__all__ = ["ASK", "Front", "ask"]

ASK = "kubeconfig.sock"
"""The socket, in the run folder, that answers with the path of the kubeconfig."""


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
        self._asked: asyncio.Server | None = None

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

    async def reachable(self, link: Path | None) -> None:
        """Let terminals ask for the kubeconfig by a socket in the run folder, which only the lab's user can look into.

        Args:
            link: where to leave a link to the kubeconfig of the lab opened last; the front is then opened at once.
        """
        # Relative: the path of a socket is short, and this process works in its run folder.
        self._asked = await asyncio.start_unix_server(self._answer, ASK)
        if link is not None:
            with contextlib.suppress(OSError):
                _point(link, await self.open())

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(str(await self.open()).encode())
            await writer.drain()
        writer.close()

    @property
    def ports(self) -> list[int]:
        """Where it listens, if it does."""
        return [self._socket.getsockname()[1]] if self._socket is not None else []

    def _access(self, port: int) -> Access:
        from labsupport.engine.embedded.api.access import Access

        return Access.made(self._mesh.folder, port, self._mesh.control.namespace)

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


def ask(folder: Path) -> Path:
    """The kubeconfig of a lab that runs, asked of its supervisor.

    Args:
        folder: its run folder.

    Raises:
        OSError: nobody answers.
    """
    with contextlib.chdir(folder), socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(30.0)
        asking.connect(ASK)
        answer = b"".join(iter(lambda: asking.recv(4096), b""))
    if not answer:
        raise ConnectionError("the lab is closing")
    return Path(answer.decode())


def _point(link: Path, kubeconfig: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f"{link.name}.{kubeconfig.parent.name}")
    fresh.symlink_to(kubeconfig)
    fresh.replace(link)


def _load() -> None:
    """Load the server's modules in a thread, so that the mesh goes on meanwhile."""
    import_module("labsupport.engine.embedded.api.server")
