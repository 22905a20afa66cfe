"""The doctor: what it finds, and that each finding comes with a remedy."""

from __future__ import annotations

import json
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from labsupport.cli import workshop
from labsupport.errors import EnvoyMissingError
from labsupport.setup import chromium, doctor, platforms
from labsupport.setup.doctor import machine, software
from labsupport.setup.finding import Finding


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


@pytest.mark.envoy
def test_a_machine_that_runs_these_tests_has_no_error():
    findings = list(doctor.examine())
    assert [finding for finding in findings if finding.level == "error"] == []
    titles = [finding.title for finding in findings]
    for title in ("Python", "platform", "packages", "Envoy", "memory", "temporary folder", "127.0.0.1", "JupyterLab"):
        assert title in titles
    assert [finding for finding in findings if finding.level != "ok" and not finding.remedy] == []


def test_a_mistake_in_one_check_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch):
    def broken(engine: str) -> Iterator[Finding]:
        raise RuntimeError("surprise")
        yield

    monkeypatch.setattr(doctor, "_CHECKS", (broken, software.python))
    first, second = doctor.examine()
    assert first.level == "warning" and "surprise" in first.detail
    assert second.title == "Python"


def test_the_exit_status_tells_whether_it_is_ready(monkeypatch: pytest.MonkeyPatch):
    made = [Finding("ok", "a", "fine"), Finding("warning", "b", "hm", "do this")]
    monkeypatch.setattr(doctor, "examine", lambda *, engine: iter(made))
    done = CliRunner().invoke(workshop, ["doctor"])
    assert done.exit_code == 0 and "ready: 0 errors, 1 warning\n" in done.output and "-> do this" in done.output
    assert "fine" not in CliRunner().invoke(workshop, ["doctor", "--quiet"]).output
    made.append(Finding("error", "c", "bad", "do that"))
    done = CliRunner().invoke(workshop, ["doctor"])
    assert done.exit_code == 1 and "not ready" in done.output


@pytest.mark.parametrize(("engine", "level"), [("embedded", "error"), ("cluster", "note")])
def test_a_platform_without_envoy_matters_to_one_engine_only(monkeypatch: pytest.MonkeyPatch, engine: str, level: str):
    intel_mac = platforms.Machine("darwin", "x86_64", 64, macos="15.0")
    monkeypatch.setattr(platforms.Machine, "here", classmethod(lambda cls: intel_mac))
    finding = only(machine.platform_(engine))
    assert finding.level == level and "--engine cluster" in finding.remedy


def test_a_missing_envoy(monkeypatch: pytest.MonkeyPatch):
    from labsupport.engine.embedded.envoy import binary

    def missing() -> Path:
        raise EnvoyMissingError("there is no Envoy on this machine")

    monkeypatch.setattr(binary, "binary", missing)
    assert only(software.envoy("embedded")).level == "error"
    assert list(software.envoy("cluster")) == []


@pytest.mark.parametrize(
    ("script", "words"), [("#!/bin/sh\necho 'GLIBC_2.31 not found' >&2; exit 1\n", "GLIBC"), ("not a program", "start")]
)
def test_an_envoy_that_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, words: str):
    from labsupport.engine.embedded.envoy import binary

    program = tmp_path / "envoy"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setattr(binary, "binary", lambda: program)
    finding = only(software.envoy("embedded"))
    assert finding.level == "error" and words in finding.detail


@pytest.mark.parametrize(("mib", "level"), [(4000, "ok"), (1000, "warning"), (300, "error")])
def test_memory(monkeypatch: pytest.MonkeyPatch, mib: int, level: str):
    monkeypatch.setattr(machine, "available_memory", lambda: mib * 1024 * 1024)
    assert only(machine.memory("embedded")).level == level
    assert only(machine.memory("cluster")).level == "ok"


def test_the_memory_of_a_container_is_its_limit(tmp_path: Path):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("900000\n")
    (tmp_path / "memory.stat").write_text("anon 600000\ninactive_file 300000\n")
    assert machine.available_memory(tmp_path) == 400000
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.available_memory(tmp_path) > 1000000


def test_a_temporary_folder_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    finding = only(machine.disk("embedded"))
    assert finding.level == "error" and "TMPDIR" in finding.remedy


def test_a_low_limit_of_open_files(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 1_000_000))
    finding = only(machine.open_files("embedded"))
    assert finding.level == "warning" and "ulimit -n" in finding.remedy


@pytest.mark.parametrize(
    ("left", "level", "told"), [(0, "error", "only 0 more instances for"), (1, "warning", "only 1 more instance for")]
)
def test_used_up_inotify_instances(monkeypatch: pytest.MonkeyPatch, left: int, level: str, told: str):
    given = [os.open(os.devnull, os.O_RDONLY) for _ in range(left)]

    class Libc:
        def inotify_init1(self, flags: int) -> int:
            return given.pop() if given else -1

    monkeypatch.setattr(machine.sys, "platform", "linux")
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda *_, **__: Libc())
    finding = only(machine.inotify("embedded"))
    assert finding.level == level and "max_user_instances" in finding.remedy
    assert finding.detail.startswith(told)


def test_a_loopback_that_is_blocked(monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object, **__: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refused)
    assert only(machine.loopback("embedded")).level == "error"


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ({}, "ok"),
        ({"https_proxy": "http://proxy:3128"}, "ok"),
        ({"http_proxy": "http://proxy:3128"}, "warning"),
        ({"HTTP_PROXY": "http://proxy:3128", "no_proxy": "example.com"}, "warning"),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "localhost, 127.0.0.1"}, "ok"),
        ({"ALL_PROXY": "socks5://proxy", "no_proxy": "*"}, "ok"),
    ],
)
def test_proxies_of_the_surroundings(environment: dict[str, str], level: str):
    assert only(machine.proxy_findings(environment)).level == level


def test_a_package_that_is_too_old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for folder in ("manifests", "images"):
        (tmp_path / folder).mkdir()
    project = {"name": "x", "dependencies": ["click<1", "pytest"]}
    (tmp_path / "pyproject.toml").write_text(
        f"[project]\nname = {json.dumps(project['name'])}\ndependencies = {json.dumps(project['dependencies'])}\n"
    )
    monkeypatch.setenv("WORKSHOP_ROOT", str(tmp_path))
    finding = only(software.packages("embedded"))
    assert (finding.level, finding.title) == ("error", "package click")
    assert "<1 is needed" in finding.detail


def test_chromium_is_looked_for_where_it_is_named_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    named = tmp_path / "my-chromium"
    monkeypatch.setenv("CHROMIUM", str(named))
    assert chromium.find() is None
    named.touch()
    assert chromium.find() == named
    monkeypatch.delenv("CHROMIUM")
    in_path = tmp_path / "chromium"
    in_path.touch()
    in_path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert chromium.find() == in_path
