"""``workshop lab``: JupyterLab on the first notebook, with settings of its own."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from labsupport import paths
from labsupport.errors import NotFoundError, StorageError, UsageError

__all__ = ["FIRST_NOTEBOOK", "arguments", "environment", "free_port", "lab"]

FIRST_NOTEBOOK = "notebooks/00-start-here.ipynb"
DEFAULT_PORT = 8888
_ATTEMPTS = 50
_LOCAL = ("127.0.0.1", "localhost", "::1")


def free_port(ip: str, wanted: int | None) -> int:
    """Choose the port of the server.

    Args:
        ip: address to listen on.
        wanted: the one asked for; None for 8888 or the next free one, as several people may share a machine.

    Raises:
        UsageError: the wanted port, or every one tried, is taken, or the address is not one of this machine.
    """
    candidates = [wanted] if wanted is not None else list(range(DEFAULT_PORT, DEFAULT_PORT + _ATTEMPTS))
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    for port in candidates:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the server binds: a port in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ip, port))
                # Two sockets with that option may both bind; only one of them may listen.
                probe.listen(1)
            except (OSError, OverflowError) as error:
                number = getattr(error, "errno", None)
                if number == errno.EADDRINUSE:
                    continue
                if number == errno.EACCES:
                    raise UsageError(f"port {port} may be opened by root only. Choose one above 1023: --port") from None
                raise UsageError(
                    f"cannot listen on {ip} port {port}: {error}. Choose another with --ip and --port."
                ) from None
            return int(probe.getsockname()[1])
    if wanted is not None:
        raise UsageError(f"port {wanted} of {ip} is in use. Choose another with --port, or leave --port out.")
    raise UsageError(f"ports {candidates[0]} to {candidates[-1]} of {ip} are all in use. Name a free one with --port.")


def environment(root: Path, token: str, engine: str | None, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of the JupyterLab server, which its kernels inherit.

    A password, a base URL or a kernel that the learner's other work has set up must not change the course, so the
    server has a configuration folder of its own (unless ``JUPYTER_CONFIG_DIR`` is set on purpose).

    Args:
        root: the repository.
        token: the access token, which must not appear among the arguments for all users of the machine to see.
        engine: what ``WORKSHOP_ENGINE`` becomes; None leaves it as it is.
        base: the environment to start from.
    """
    config_path = [str(root / "jupyter")] + ([base["JUPYTER_CONFIG_PATH"]] if base.get("JUPYTER_CONFIG_PATH") else [])
    added = {
        "JUPYTER_CONFIG_PATH": os.pathsep.join(config_path),
        # A kernel specification "python3" in the home folder would otherwise win over the environment's own.
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "JUPYTER_TOKEN": token,
        "WORKSHOP_ROOT": str(root),
    }
    own = {"JUPYTER_CONFIG_DIR": str(root / ".workshop" / "jupyter")}
    return {**own, **base, **added, **({"WORKSHOP_ENGINE": engine} if engine else {})}


def arguments(root: Path, ip: str, port: int, *, browser: bool, as_root: bool) -> list[str]:
    """The command line of the JupyterLab server, without the program."""
    return [
        *("-m", "jupyter", "lab", f"--ip={ip}", f"--port={port}"),
        *(
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={root}",
            f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}",
        ),
        *("--ServerApp.log_level=WARN", "--LabApp.log_level=WARN"),
        *([] if browser else ["--no-browser"]),
        # Jupyter refuses to run as root unless told; containers and course machines often have no other user.
        *(["--allow-root"] if as_root else []),
    ]


def _check_state_folder(root: Path) -> None:
    state = root / ".workshop"
    try:
        (state / "jupyter").mkdir(parents=True, exist_ok=True)
        if not os.access(state, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StorageError(
            f"{state} cannot be written ({error.strerror}), so notebooks could not be saved either. "
            "Copy the workshop to a folder of your own, and start it there."
        ) from error


def _tell(url: str, ip: str, port: int) -> None:
    click.echo(f"JupyterLab opens at {url}", err=True)
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


@click.command()
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help=f"Port to listen on.  [default: {DEFAULT_PORT}, or the next free one]"
)
@click.option("--ip", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--engine", type=click.Choice(["embedded", "cluster"]), help="Engine of the notebooks.")
def lab(no_browser: bool, port: int | None, ip: str, engine: str | None) -> None:
    """Open JupyterLab on the first notebook; runs until Ctrl-C.

    Your own Jupyter settings are neither used nor changed.
    """
    root = paths.root()
    if not (root / FIRST_NOTEBOOK).is_file():
        raise NotFoundError(f"there is no {FIRST_NOTEBOOK} in {root}. Is the clone complete? Try: git status")
    _check_state_folder(root)
    chosen = free_port(ip, port)
    token = os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(24)
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(ip, f"[{ip}]" if ":" in ip else ip)
    _tell(f"http://{host}:{chosen}/lab/tree/{FIRST_NOTEBOOK}?token={token}", ip, chosen)
    command = [sys.executable, *arguments(root, ip, chosen, browser=not no_browser, as_root=os.geteuid() == 0)]
    sys.stdout.flush()
    # The server takes this process's place: signals and the terminal are its own.
    os.chdir(root)
    os.execve(sys.executable, command, environment(root, token, engine, os.environ))
