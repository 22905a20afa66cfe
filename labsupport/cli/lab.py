"""``workshop lab``: JupyterLab on the first notebook, with settings of its own."""

from __future__ import annotations

import errno
import os
import secrets
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from labsupport import paths, words
from labsupport.cli.address import FIRST_NOTEBOOK
from labsupport.errors import NotFoundError, UsageError
from labsupport.setup.jupyter import make_folders, own_folders
from labsupport.setup.workingcopy import WorkingCopy

__all__ = ["arguments", "environment", "free_port", "lab", "terminals"]

DEFAULT_PORT = 8888
LOCAL = "127.0.0.1"
_ATTEMPTS = 50


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
                    f"cannot listen on {ip} port {port}: {words.reason(error)}. Choose another with --ip and --port."
                ) from None
            return int(probe.getsockname()[1])
    if wanted is not None:
        raise UsageError(f"port {wanted} of {ip} is in use. Choose another with --port, or leave --port out.")
    raise UsageError(f"ports {candidates[0]} to {candidates[-1]} of {ip} are all in use. Name a free one with --port.")


def environment(
    root: Path, token: str | None, engine: str | None, base: Mapping[str, str], *, work: Path | None = None
) -> dict[str, str]:
    """The environment of the JupyterLab server, which its kernels inherit.

    A password, a base URL or a kernel that the learner's other work has set up must not change the course, so the
    server has folders of its own (unless one such as ``JUPYTER_CONFIG_DIR`` is set on purpose).

    Args:
        root: the repository.
        token: the access token, which must not appear among the arguments for all users of the machine to see; None
            where somebody else has said what opens the server.
        engine: what ``WORKSHOP_ENGINE`` becomes; None leaves it as it is.
        base: the environment to start from.
        work: the learner's copy of the course; None for notebooks that use the course's own manifests.
    """
    places = ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH")
    added = {
        # Settings and extensions of the course, before those that somebody set on purpose.
        **{name: os.pathsep.join(filter(None, (str(root / "jupyter"), base.get(name)))) for name in places},
        # A kernel specification "python3" in the home folder would otherwise win over the environment's own.
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        # The server of a hub opens what this names and not what LabApp.default_url does, unless the hub names another.
        "JUPYTERHUB_DEFAULT_URL": base.get("JUPYTERHUB_DEFAULT_URL") or f"/lab/tree/{FIRST_NOTEBOOK}",
        "WORKSHOP_ROOT": str(root),
        paths.KUBECONFIG_VARIABLE: str(_kubeconfig(root)),
    }
    added |= {"JUPYTER_TOKEN": token} if token else {}
    added |= {"WORKSHOP_ENGINE": engine} if engine else {}
    added |= {"WORKSHOP_WORK": str(work)} if work else {}
    kept = {name: value for name, value in base.items() if name != "WORKSHOP_WORK"}
    return {**kept, **own_folders(root, base), **added}


def _kubeconfig(root: Path) -> Path:
    return paths.state(root) / "kubeconfig"


def terminals(root: Path, engine: str | None, base: Mapping[str, str]) -> list[str]:
    """The options of the JupyterLab server that let kubectl find the embedded mesh in its terminals.

    Only there: a kernel with this variable would take the embedded mesh for a cluster.

    Args:
        root: the repository.
        engine: the engine of the notebooks; None for that of the environment.
        base: the environment of the server.
    """
    if (engine or base.get("WORKSHOP_ENGINE")) == "cluster":
        return []
    # A kubectl that was installed for the course lies beside its Python.
    path = os.pathsep.join(filter(None, (str(Path(sys.executable).parent), base.get("PATH"))))
    # Where the link of a lab leads nowhere, kubectl reads the second file, and says that no lab is open.
    places = os.pathsep.join((str(_kubeconfig(root)), str(root / "jupyter" / "no-lab.kubeconfig")))
    shell = ["env", f"KUBECONFIG={places}", f"PATH={path}", base.get("SHELL") or "sh"]
    return [f"--ServerApp.terminado_settings=shell_command={shlex.join(shell)}"]


def arguments(folder: Path, ip: str, port: int, *, browser: bool, as_root: bool) -> list[str]:
    """The command line of the JupyterLab server, without the program.

    Args:
        folder: what its file browser shows.
        ip: address to listen on.
        port: port to listen on.
        browser: open one.
        as_root: root starts it.
    """
    return [
        *("-m", "jupyter", "lab", f"--ip={ip}", f"--port={port}"),
        *("--ServerApp.port_retries=0", *_opens(folder)),
        *("--ServerApp.log_level=WARN", "--LabApp.log_level=WARN"),
        *([] if browser else ["--no-browser"]),
        # Jupyter refuses to run as root unless told; containers and course machines often have no other user.
        *(["--allow-root"] if as_root else []),
    ]


def _opens(folder: Path) -> tuple[str, str]:
    return f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}"


def _refresh(root: Path, folder: Path) -> None:
    """Bring the learner's copy up to date, and tell what a person may want to know of it."""
    copy = WorkingCopy(root, folder)
    done = copy.refresh()
    if done.updated or done.removed:
        click.echo(f"The course has changed; new in your copy: {', '.join([*done.updated, *done.removed])}", err=True)
    if done.kept:
        click.echo(f"What you had run of it is kept in {done.kept}", err=True)
    for name in done.differing:
        click.echo(f"{name} has changed in the course; yours stays, as you have changed it, too.", err=True)
    if done.differing:
        click.echo("workshop reset --notebooks takes those of the course and keeps yours beside them.", err=True)
    click.echo(f"Your copy of the course: {folder}", err=True)


@click.command()
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help=f"Port to listen on.  [default: {DEFAULT_PORT}, or the next free one]"
)
@click.option("--ip", default=LOCAL, show_default=True, help="Address to listen on.")
@click.option("--engine", type=click.Choice(["embedded", "cluster"]), help="Engine of the notebooks.")
@click.option("--in-place", is_flag=True, help="Open the course itself, to change it, instead of your copy.")
@click.argument("server", nargs=-1, type=click.UNPROCESSED)
def lab(
    no_browser: bool, port: int | None, ip: str, engine: str | None, in_place: bool, server: tuple[str, ...]
) -> None:
    """Open JupyterLab on the first notebook; runs until Ctrl-C.

    What you do in notebooks and manifests is done to your copy of them, in the folder work or that of WORKSHOP_WORK.
    It gets what is new in the course at each start, and keeps what you have changed.

    Your own settings of Jupyter and IPython are neither used nor changed.

    What follows a '--' is the command of a server that JupyterHub or Binder asks for, started in place of JupyterLab
    with all else as here: workshop lab -- jupyterhub-singleuser
    """
    if server and (no_browser or port is not None or ip != LOCAL):
        raise UsageError("where a command follows, --ip, --port and --no-browser are options of that command")
    root = paths.root()
    if not (root / FIRST_NOTEBOOK).is_file():
        raise NotFoundError(f"there is no {FIRST_NOTEBOOK} in {root}. Is the clone complete? Try: git status")
    make_folders(root)
    work = None if in_place else paths.work()
    if work is not None:
        _refresh(root, work)
    served = work or root
    token = None
    if server:
        command = [*server, *_opens(served)]
    else:
        command = [sys.executable]
        command += arguments(served, ip, free_port(ip, port), browser=not no_browser, as_root=os.geteuid() == 0)
        token = os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(24)
    command += terminals(root, engine, os.environ)
    program = shutil.which(command[0])
    if program is None:
        raise NotFoundError(f"there is no program {command[0]} in PATH")
    sys.stdout.flush()
    # The server takes this process's place: signals and the terminal are its own.
    os.chdir(served)
    os.execve(program, command, environment(root, token, engine, os.environ, work=work))
