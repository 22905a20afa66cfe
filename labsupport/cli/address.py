"""An extension of the JupyterLab server that tells its address, once it listens there."""

from __future__ import annotations

import os
import socket
from typing import Any

import click

__all__ = ["FIRST_NOTEBOOK"]

FIRST_NOTEBOOK = "notebooks/00-start-here.ipynb"
_LOCAL = ("127.0.0.1", "localhost", "::1")


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """What Jupyter asks a module for that it may load."""
    return [{"module": "labsupport.cli.address"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Tell the address once the server listens; what kept it from that is told instead.

    A server that JupyterHub or Binder asks for is reached at an address of theirs.
    """
    if os.environ.get("JUPYTER_TOKEN") != server.identity_provider.token:
        return
    loop = server.io_loop
    # It begins to listen in the first turn of its loop, as a callback that is added after this one.
    loop.add_callback(lambda: loop.add_callback(tell, server.ip, server.port, server.identity_provider.token))


def tell(ip: str, port: int, token: str) -> None:
    """Print where JupyterLab is, and who else can get there.

    Args:
        ip: address that it listens on.
        port: port that it listens on.
        token: what opens it.
    """
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(ip, f"[{ip}]" if ":" in ip else ip)
    click.echo(f"JupyterLab is open at http://{host}:{port}/lab/tree/{FIRST_NOTEBOOK}?token={token}", err=True)
    if ip not in _LOCAL:
        click.echo(
            f"Anyone who reaches {ip} and knows the token can run programs here; --ip 127.0.0.1 is the default.",
            err=True,
        )
    elif os.environ.get("SSH_CONNECTION"):
        click.echo(
            f"From your own machine: ssh -N -L {port}:127.0.0.1:{port} <this machine>, then open that address.",
            err=True,
        )
    click.echo("Stop it with Ctrl-C.", err=True)
