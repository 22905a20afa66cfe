"""The run folder of a lab, and the sweep of what a killed lab left behind.

The folder holds logs, bootstraps and Unix sockets of one lab, readable by its user only. It records which processes
belong to the lab as ``pid start-time`` pairs: a pid alone may by now belong to somebody else.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from labsupport import words
from labsupport.errors import StorageError

__all__ = [
    "CHILDREN",
    "OWNERS",
    "abandoned",
    "alive",
    "create",
    "explained",
    "process_start",
    "record",
    "remove",
    "running",
    "sweep",
]

PREFIX = "istio-workshop-"
OWNERS = "owners"
CHILDREN = "children"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def explained(place: Path | str) -> Iterator[None]:
    """Turn an ``OSError`` about a place on disk into a ``StorageError`` that says what to do."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            reason = f"the disk that holds {place} is full"
            remedy = "Free some space, or set TMPDIR to a folder with space before starting the kernel."
        elif error.errno in _DENIED:
            reason = f"{place} cannot be written ({os.strerror(error.errno or 0)})"
            remedy = "Set TMPDIR to a folder that you can write to before starting the kernel."
        elif error.errno == errno.ENOENT:
            reason = f"{place} does not exist"
            remedy = "Set TMPDIR to an existing folder that you can write to before starting the kernel."
        else:
            raise
        text = words.sentence(f"the embedded mesh cannot keep its files: {reason}")
        raise StorageError(f"{text} {remedy}") from error


def process_start(pid: int) -> str:
    """When a process started, in the words of the operating system; empty if there is no such process.

    Together with the pid this identifies a process for as long as the machine is up.
    """
    if sys.platform.startswith("linux"):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return ""
        # The command name, in parentheses, may itself hold spaces and parentheses.
        fields = stat[stat.rindex(")") + 2 :].split()
        return "" if fields[0] in ("Z", "X") else fields[19]
    shown = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=10
    )
    return "_".join(shown.stdout.split())


def alive(pid: int, start: str) -> bool:
    """Whether the process with this pid is still the one that started then."""
    return bool(start) and process_start(pid) == start


def record(folder: Path, kind: str, pid: int) -> None:
    """Note that a process belongs to this lab; ``kind`` is ``OWNERS`` or ``CHILDREN``."""
    with explained(folder), open(folder / kind, "a", encoding="ascii") as file:
        file.write(f"{pid} {process_start(pid)}\n")


def _recorded(folder: Path, kind: str) -> list[tuple[int, str]]:
    try:
        lines = (folder / kind).read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    pairs = (line.partition(" ") for line in lines)
    return [(int(pid), start) for pid, _, start in pairs if pid.isdigit()]


def create() -> Path:
    """Make a fresh run folder, mode 0700, under the temporary folder (``TMPDIR`` is honoured).

    Raises:
        StorageError: it cannot be made or written.
    """
    wanted = os.environ.get("TMPDIR") or ""
    # tempfile silently falls back to another folder; a learner who chose one wants to know that it does not work.
    parent = Path(wanted) if wanted else Path(tempfile.gettempdir())
    with explained(parent):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            # A full disk often still has room for a folder: write what a first bootstrap takes.
            with open(folder / "probe", "wb") as file:
                file.write(b"\0" * 65536)
                file.flush()
                os.fsync(file.fileno())
            (folder / "probe").unlink()
            (folder / "lab.json").write_text(json.dumps({"kernel": os.getpid()}))
        except OSError:
            remove(folder)
            raise
    return folder


def remove(folder: Path) -> None:
    """Remove a run folder; what is already gone does not matter."""
    shutil.rmtree(folder, ignore_errors=True)


def abandoned(parent: Path | None = None) -> list[Path]:
    """The folders of labs of this user whose owners are all dead."""
    return _labs(parent, running=False)


def running(parent: Path | None = None) -> list[Path]:
    """The folders of labs of this user that run, the one opened last at the end."""
    return sorted(_labs(parent, running=True), key=lambda folder: (folder / "lab.json").stat().st_mtime)


def _labs(parent: Path | None, *, running: bool) -> list[Path]:
    parent = parent or Path(os.environ.get("TMPDIR") or tempfile.gettempdir())
    folders = []
    try:
        candidates = [entry for entry in parent.iterdir() if entry.name.startswith(PREFIX)]
    except OSError:
        return []
    for folder in candidates:
        try:
            if not folder.is_dir() or folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            kernel = json.loads((folder / "lab.json").read_text())["kernel"]
        except (OSError, ValueError, KeyError):
            continue
        owners = _recorded(folder, OWNERS)
        lives = any(alive(pid, start) for pid, start in owners)
        if lives == running and (lives or owners or not process_start(kernel)):
            folders.append(folder)
    return folders


def sweep(parent: Path | None = None) -> list[Path]:
    """Stop the processes and remove the folders of labs of this user whose owners are all dead.

    Returns:
        The folders removed.
    """
    swept = abandoned(parent)
    for folder in swept:
        for pid, start in _recorded(folder, CHILDREN):
            if alive(pid, start):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        remove(folder)
    return swept
