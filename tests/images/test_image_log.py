"""The lines that an application writes about its requests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from image_app import IMAGES, App, environment, free_port, stop

LINE = re.compile(r"\d\d:\d\d:\d\d (\S+) (\S+) (\d+|-) \d+\.\d ms (\S+)")


def read(log: Path) -> list[tuple[str, str, str, str]]:
    return [tuple(match.groups()) for line in log.read_text().splitlines() if (match := LINE.fullmatch(line))]


def test_each_request_is_a_line_and_probes_are_none(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=IMAGES / "web", env=environment(port, {}), stdout=out, stderr=out
        )
    app = App("web", "web", port, process)
    try:
        app.wait_for("/healthz", lambda reply: reply.ok)
        app.get("/name?a=%0Ab", headers={"x-request-id": "id-1"})
        app.get("/status/503")
        app.get("/", headers={"x-fault": "FAIL_STATUS=429"})
    finally:
        stop([app])
    assert read(log) == [
        ("GET", "/name?a=%0Ab", "200", "id-1"),
        ("GET", "/status/503", "503", "-"),
        ("GET", "/", "429", "-"),
    ]


def test_a_log_that_has_grown_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(IMAGES))
    import service_log  # type: ignore[import-not-found]

    scope = {"type": "http", "method": "GET", "path": "/\u00e9", "headers": []}
    with (tmp_path / "log").open("ab") as out:
        monkeypatch.setattr(service_log, "_STDOUT", out.fileno())
        monkeypatch.setattr(service_log, "MOST_BYTES", 1000)
        monkeypatch.setattr(service_log, "_LOOK_EVERY", 10)
        log = service_log.RequestLog()
        for number in range(500):
            log.write({**scope, "query_string": b"n=%d" % number}, 200, 0.0)
        assert (tmp_path / "log").stat().st_size < 2000
    assert read(tmp_path / "log")[-1][1] == "/\\xc3\\xa9?n=499"
