"""Processes of an embedded mesh, and a kernel of its own that has one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from labsupport.engine.embedded.engine import EmbeddedEngine
from labsupport.engine.embedded.processes import rundir


def pids(engine: EmbeddedEngine) -> list[int]:
    pids_: list[int] = engine._call("inventory")[0]
    return pids_


def process_of(engine: EmbeddedEngine, pod: str, kind: str) -> int:
    """The process of a pod: its program (a fork of the spawner) or its Envoy."""
    for pid in pids(engine)[2:]:
        line = Path(f"/proc/{pid}/cmdline").read_text()
        if kind == "envoy" and f"~{pod}." in line:
            return pid
        if kind == "app" and f"{pod}/app.log" in os.readlink(f"/proc/{pid}/fd/1"):
            return pid
    raise AssertionError(f"no {kind} of {pod}")


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks processes up in /proc")

KERNEL = """
    import sys, time
    from labsupport.engine.embedded.engine import EmbeddedEngine
    from labsupport.model.reading.documents import read
    from labsupport.model import parse
    from labsupport.paths import manifests
    engine = EmbeddedEngine()
    engine.apply(parse(read(manifests() / "apps" / "client")))
    print(*engine._call("inventory")[0], flush=True)
    time.sleep(60)
"""


def start_kernel() -> tuple[subprocess.Popen[str], dict[int, str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KERNEL)], stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    seen = [int(text) for text in process.stdout.readline().split()]
    assert len(seen) >= 5, process.stderr.read() if process.stderr else ""
    return process, {pid: rundir.process_start(pid) for pid in seen}
