"""Reads the access logs of all proxies of an embedded mesh, and waits until all hops of a request are written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from labsupport.engine.accesslog import KEPT, Line, Owners, ProxyLog, ended_s, parse_line, unwritten, with_mirrors
from labsupport.engine.embedded.processes import rundir
from labsupport.records import AccessRecord, untraced_id

__all__ = ["AccessLogReader"]

# Envoy flushes its log every 20 ms. Nothing of a request that is over takes longer than a few flushes to appear, even
# on a busy machine.
APPEARS_S = 1.0


@dataclass
class _File(ProxyLog):
    """One proxy's log file, and how far it was read."""

    path: Path
    inode: int = 0
    offset: int = 0
    rest: bytes = b""

    def advance(self, pod: str, owners: Owners) -> None:
        """Read what has been written since the last time; a log that was rotated away is read to its end first."""
        try:
            stat = self.path.stat()
        except OSError:
            return
        if stat.st_ino != self.inode:
            if self.inode:
                self._read(self.path.with_suffix(".log.1"), pod, owners)
            self.inode, self.offset, self.rest = stat.st_ino, 0, b""
        if stat.st_size > self.offset:
            self._read(self.path, pod, owners)

    def _read(self, path: Path, pod: str, owners: Owners) -> None:
        try:
            with open(path, "rb") as file:
                file.seek(self.offset)
                data = self.rest + file.read()
                self.offset = file.tell()
        except OSError:
            return
        *complete, self.rest = data.split(b"\n")
        parsed = (parse_line(text.decode("utf-8", "replace"), pod, owners) for text in complete[-KEPT:])
        self.add(line for line in parsed if line is not None)


class AccessLogReader:
    """Reads the logs of one lab as they grow.

    Args:
        ask: asks the supervisor for log files by pod and for the owners of local ports.
        folder: run folder, for a message when its disk is full.
    """

    def __init__(self, ask: Callable[[], tuple[dict[str, str], dict[int, tuple[str, bool]]]], folder: Path) -> None:
        self._ask = ask
        self._folder = folder
        self._files: dict[str, _File] = {}
        self._owners: Owners = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Forget everything read, after a reset."""
        self._files.clear()

    def records(
        self, *, request_ids: Iterable[str] | None, since_s: float | None, timeout_s: float
    ) -> list[AccessRecord]:
        """Access records in order of time; see ``Engine.access_records``."""
        wanted = None if request_ids is None else set(map(untraced_id, request_ids))
        began = time.monotonic()
        while True:
            with self._lock:
                self._advance()
                lines = self._select(wanted, since_s)
            if wanted is None:
                break
            absent, lacking = unwritten(lines, wanted, self._owners)
            waited = time.monotonic() - began
            if (not lacking and not absent) or waited > timeout_s:
                break
            if not lacking and waited > min(APPEARS_S, timeout_s):
                break
            self._check_disk(waited)
            time.sleep(0.01)
        return with_mirrors(lines, self._owners)

    def _advance(self) -> None:
        logs, self._owners = self._ask()
        for pod, path in logs.items():
            self._files.setdefault(pod, _File(Path(path))).advance(pod, self._owners)

    def _select(self, wanted: set[str] | None, since_s: float | None) -> list[Line]:
        files = self._files.values()
        if wanted is None:
            return [line for file in files for line in (file.lines if since_s is None else file.since(since_s))]
        lines = (line for file in files for line in file.of(wanted))
        return [line for line in lines if since_s is None or ended_s(line) >= since_s]

    def _check_disk(self, waited_s: float) -> None:
        """Say so if lines are missing because nothing can be written any more."""
        if waited_s < 0.2:
            return
        with rundir.explained(self._folder):
            probe = self._folder / "kernel-probe"
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()
