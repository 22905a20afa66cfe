"""The doctor's look at the machine: platform, memory, disk, limits, network."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from labsupport import words
from labsupport.setup import platforms
from labsupport.setup.finding import Finding

__all__ = [
    "available_memory",
    "disk",
    "inotify",
    "leftovers",
    "loopback",
    "memory",
    "open_files",
    "platform_",
    "proxies",
    "proxy_findings",
]

_MIB = 1024 * 1024
# The largest mesh of the course (Sock Shop) with JupyterLab, a kernel and a browser tab's worth of reserve.
_MEMORY_COMFORT = 1500 * _MIB
# The Bookinfo mesh alone needs about 350 MiB, JupyterLab and a kernel about 250.
_MEMORY_NEEDED = 700 * _MIB
_DISK_COMFORT = 500 * _MIB
_DISK_NEEDED = 50 * _MIB
# About 60 descriptors per Envoy at rest, all of them and the connections to them held by few processes.
_FILES_COMFORT = 1024
# One per Envoy at least.
_INOTIFY_NEEDED = 32


def platform_(engine: str) -> Iterator[Finding]:
    """Whether an engine exists for this platform."""
    here = platforms.Machine.here()
    about = f"{here.system} {here.machine}" + (f", glibc {here.libc[1]}" if here.libc[0] == "glibc" else "")
    if text := platforms.obstacle(here):
        yield Finding("error", "platform", about, text)
    elif text := platforms.embedded_obstacle(here):
        yield Finding(
            "note" if engine == "cluster" else "error",
            "platform",
            f"{about}: the embedded mesh cannot run here, as {text}",
            "Use a Linux virtual machine, or a Kubernetes cluster with Istio: ./workshop lab --engine cluster",
        )
    else:
        yield Finding("ok", "platform", about)


def available_memory(proc: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that programs can still get: what the machine has, or less if this container is limited.

    Args:
        proc: where the limits of this control group (version 2) are.
    """
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit = int((proc / "memory.max").read_text())
        used = int((proc / "memory.current").read_text())
        # Pages of files can be dropped at any time, but count as used.
        stat = dict(line.split() for line in (proc / "memory.stat").read_text().splitlines())
        free = min(free, limit - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        pass  # no limit ("max"), or no control groups
    return free


def memory(engine: str) -> Iterator[Finding]:
    """Whether there is memory for a mesh."""
    free = available_memory()
    detail = f"{free // _MIB:,} MiB available"
    remedy = "Close other programs; each open notebook with a mesh takes about 500 MiB until lab.close()."
    if free >= _MEMORY_COMFORT or engine == "cluster":
        yield Finding("ok", "memory", detail)
    elif free >= _MEMORY_NEEDED:
        yield Finding("warning", "memory", f"{detail}: enough for one notebook, not for the largest meshes", remedy)
    else:
        yield Finding("error", "memory", f"{detail}; a mesh with JupyterLab needs {_MEMORY_NEEDED // _MIB} MiB", remedy)


def disk(engine: str) -> Iterator[Finding]:
    """Whether the temporary folder, which holds logs and sockets of a mesh, can be written and has room."""
    folder = Path(os.environ.get("TMPDIR") or tempfile.gettempdir())
    remedy = "Set TMPDIR to a folder with space that you can write to, before starting ./workshop lab."
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("error", "temporary folder", f"{folder} cannot be written: {error.strerror}", remedy)
        return
    detail = f"{free // _MIB:,} MiB free in {folder}"
    if free < _DISK_NEEDED:
        yield Finding("error", "temporary folder", detail, remedy)
    elif free < _DISK_COMFORT:
        yield Finding("warning", "temporary folder", f"{detail}: long traffic fills it with access logs", remedy)
    else:
        yield Finding("ok", "temporary folder", detail)


def open_files(engine: str) -> Iterator[Finding]:
    """Whether a process may open enough files and sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = "unlimited" if soft == resource.RLIM_INFINITY else f"{soft:,}"
    if soft == resource.RLIM_INFINITY or soft >= _FILES_COMFORT:
        yield Finding("ok", "open files", f"limit {shown} per process")
        return
    reachable = hard == resource.RLIM_INFINITY or hard >= 4096
    yield Finding(
        "warning",
        "open files",
        f"limit {shown} per process; load with many connections needs {_FILES_COMFORT:,}",
        "Before ./workshop lab: ulimit -n 4096" if reachable else "Ask the administrator to raise 'nofile' to 4096.",
    )


def inotify(engine: str) -> Iterator[Finding]:
    """Whether the user may watch enough files: every Envoy does, and classroom machines run out."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    made: list[int] = []
    try:
        while len(made) < _INOTIFY_NEEDED and (descriptor := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
            made.append(descriptor)
    finally:
        for descriptor in made:
            os.close(descriptor)
    if len(made) == _INOTIFY_NEEDED:
        yield Finding("ok", "inotify", f"at least {_INOTIFY_NEEDED} more instances")
        return
    yield Finding(
        "error" if engine == "embedded" and not made else "warning",
        "inotify",
        f"only {words.plural(len(made), 'more instance')} for this user; each Envoy takes one",
        "As administrator: sysctl fs.inotify.max_user_instances=1024",
    )


def loopback(engine: str) -> Iterator[Finding]:
    """Whether programs of this machine can talk to each other on 127.0.0.1."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(5)
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                accepted, _ = server.accept()
                with accepted:
                    accepted.sendall(b"mesh")
                    client.settimeout(5)
                    if client.recv(4) != b"mesh":
                        raise ConnectionError("other bytes arrived than were sent")
    except OSError as error:
        yield Finding(
            "error",
            "127.0.0.1",
            f"a connection to this machine itself fails: {words.reason(error)}",
            "A firewall or a sandbox is in the way: allow connections on the loopback interface.",
        )
    else:
        yield Finding("ok", "127.0.0.1", "ports can be opened and reached")


def proxies(engine: str) -> Iterator[Finding]:
    """Whether a proxy of the surroundings would catch requests to this machine itself."""
    yield from proxy_findings(os.environ)


def proxy_findings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Judge the proxy variables of an environment."""
    names = [name for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY") if environment.get(name)]
    if not names:
        yield Finding("ok", "proxies", "no proxy for http in the environment")
        return
    exempt = f"{environment.get('no_proxy', '')},{environment.get('NO_PROXY', '')}".replace(" ", "").split(",")
    if "*" in exempt or "127.0.0.1" in exempt:
        yield Finding("ok", "proxies", f"{', '.join(names)} set, 127.0.0.1 exempt")
        return
    yield Finding(
        "warning",
        "proxies",
        f"{', '.join(names)} set without an exemption for 127.0.0.1. The mesh ignores it, other programs may not",
        "export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost",
    )


def leftovers(engine: str) -> Iterator[Finding]:
    """Whether killed labs left processes or files."""
    from labsupport.engine.embedded.processes import rundir

    dead = rundir.abandoned()
    if dead:
        yield Finding(
            "warning",
            "leftovers",
            f"of killed labs: {', '.join(str(folder) for folder in dead)}",
            "./workshop reset --yes, or open a lab: it cleans up first.",
        )
    else:
        yield Finding("ok", "leftovers", "none of killed labs")
