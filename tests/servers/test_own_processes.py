"""What holds when a process ends, and when several of them share a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from labsupport.check.result import FAILED
from labsupport.course import catalogue, progress
from labsupport.course.summary import summary


def test_the_lab_ends_with_the_process() -> None:
    here = Path(__file__).parents[1] / "unit" / "support"
    code = (
        f"import sys; sys.path.insert(0, {str(here)!r})\n"
        "from small_engine import SmallEngine\nfrom labsupport.lab.lab import Lab\n"
        "class Loud(SmallEngine):\n"
        "    def close(self):\n        print('closed', flush=True); return super().close()\n"
        "lab = Lab(Loud())\nlab.traffic('http://web:8080/', rate=10)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "closed\n"
    assert done.stderr == ""


def test_several_notebooks_may_write_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state" / "progress.json"
    monkeypatch.setenv("WORKSHOP_STATE", str(file))
    first, second = list(catalogue.every())[:2]
    code = (
        "import sys\nfrom labsupport.course import progress\nfrom labsupport.check.result import FAILED\n"
        "assert all(progress.record(sys.argv[1], FAILED) for _ in range(20))"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, number]) for number in (first, second)]
    mine = 0
    while any(process.poll() is None for process in running):
        assert progress.record(first, FAILED)
        mine += 1
    assert [process.wait(60) for process in running] == [0, 0]
    checks = {done.number: done.checks for done in summary().exercises if done.checks}
    assert checks == {first: 20 + mine, second: 20}
    assert sorted(path.name for path in file.parent.iterdir()) == [f".{file.name}.lock", file.name]
