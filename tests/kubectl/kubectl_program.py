"""A real kubectl, and where the manifests are that it applies."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
TIMEOUT_S = 150


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl on a lab.

    Args:
        program: its file.
        kubeconfig: of the lab.
        home: where it keeps what it has discovered.
        folder: where it is called.
    """

    program: str
    kubeconfig: Path
    home: Path
    folder: Path = MANIFESTS

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.home)}

    def run(self, *words: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *words],
            input=text,
            cwd=self.folder,
            env={**self.environment(), **variables},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def __call__(self, *words: str, text: str = "", **variables: str) -> str:
        """What it prints; it has to succeed."""
        done = self.run(*words, text=text, **variables)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *words: str, text: str = "") -> str:
        """What it says against it; it has to fail."""
        done = self.run(*words, text=text)
        assert done.returncode != 0, f"kubectl {' '.join(words)} was done: {done.stdout}"
        return done.stderr

    @contextmanager
    def running(self, *words: str) -> Iterator[Lines]:
        """One that goes on until the block ends."""
        process = subprocess.Popen(
            [self.program, *words],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout:
            lines = Lines(process.stdout)
            try:
                yield lines
            finally:
                process.kill()
                process.wait(TIMEOUT_S)
                lines.ended()


class Lines:
    """What a program prints, line by line.

    Args:
        printed: what it prints.
    """

    def __init__(self, printed: Iterable[str]) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.seen: list[str] = []
        self._reader = threading.Thread(target=self._read, args=(printed,), daemon=True)
        self._reader.start()

    def ended(self) -> None:
        """Wait until the last line was read."""
        self._reader.join(TIMEOUT_S)

    def _read(self, printed: Iterable[str]) -> None:
        for line in printed:
            self._lines.put(line)

    def until(self, wanted: str, *, timeout_s: float = 60.0) -> str:
        """The next line in which a text is; it has to come in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"no line with {wanted!r} within {timeout_s} s, but: {self.seen}") from None
            self.seen.append(line)
            if wanted in line:
                return line
