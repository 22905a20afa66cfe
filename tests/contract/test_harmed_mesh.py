"""A change that a proxy does not survive is taken back; a mesh ends with its kernel whatever it does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from contract_mesh import SUBSETS, URL, Mesh, eventually, web_manifests, weights
from embedded_processes import linux, process_of, start_kernel

from labsupport.engine.embedded.engine import EmbeddedEngine
from labsupport.engine.embedded.processes import rundir
from labsupport.errors import ConfigRejectedError, WaitTimeoutError
from labsupport.lab.lab import Lab
from labsupport.model import parse
from labsupport.model.reading.documents import read

pytestmark = [pytest.mark.embedded, linux]
GATEWAY = "istio-ingressgateway"
# Every proxy has to learn it, the gateway's too.
CHANGE = SUBSETS.replace("host: web", "host: web\n  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}")


@pytest.fixture
def mesh(embedded: EmbeddedEngine) -> Mesh:
    mesh = Mesh(embedded)
    mesh.apply(web_manifests(safe=1), SUBSETS, weights(safe=1), "apps/client")
    return mesh


@contextlib.contextmanager
def ending_again_and_again(engine: EmbeddedEngine, pod: str) -> Iterator[None]:
    """Kill a pod's Envoy as soon as it is there, as a configuration does that it cannot bear."""
    over = threading.Event()

    def act() -> None:
        while not over.is_set():
            with contextlib.suppress(AssertionError, FileNotFoundError, ProcessLookupError):
                os.kill(process_of(engine, pod, "envoy"), signal.SIGKILL)

    killer = threading.Thread(target=act)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join(60.0)


def assert_as_before(mesh: Mesh, before: list[object]) -> None:
    assert mesh.engine.get("*") == before
    eventually(lambda: all(pod.ready for pod in mesh.engine.pods()), mesh.engine.pods)
    assert mesh.versions(URL, 20) == {"safe": 20}
    mesh.apply(weights(risk=1))
    assert mesh.versions(URL, 20) == {"risk": 20}


def test_a_change_under_which_an_envoy_ends_again_and_again_is_taken_back(mesh: Mesh, embedded: EmbeddedEngine) -> None:
    before = embedded.get("*")
    os.kill(process_of(embedded, GATEWAY, "envoy"), signal.SIGSTOP)
    refused: list[BaseException] = []

    def apply() -> None:
        try:
            mesh.apply(CHANGE)
        except ConfigRejectedError as error:
            refused.append(error)

    caller = threading.Thread(target=apply)
    caller.start()
    eventually(lambda: embedded.get("*") != before)
    with ending_again_and_again(embedded, GATEWAY):
        eventually(lambda: embedded.get("*") == before)
    caller.join(120.0)
    assert f"nothing was changed, because {GATEWAY}: Envoy ended 2 times" in str(refused[0])
    assert "ended by signal 9" in str(refused[0])
    assert_as_before(mesh, before)


def test_a_change_that_blocks_an_envoy_is_taken_back_and_the_envoy_replaced(
    mesh: Mesh, embedded: EmbeddedEngine
) -> None:
    before = embedded.get("*")
    blocked = process_of(embedded, GATEWAY, "envoy")
    os.kill(blocked, signal.SIGSTOP)
    with pytest.raises(WaitTimeoutError, match=f"nothing was changed, because {GATEWAY}: not acknowledged within"):
        embedded.apply(parse(read(CHANGE)), timeout_s=1.0)
    assert process_of(embedded, GATEWAY, "envoy") != blocked
    assert_as_before(mesh, before)


def test_an_envoy_that_is_killed_once_takes_no_change_back(mesh: Mesh, embedded: EmbeddedEngine) -> None:
    before = embedded.get("*")
    os.kill(process_of(embedded, GATEWAY, "envoy"), signal.SIGSTOP)
    caller = threading.Thread(target=mesh.apply, args=(CHANGE,))
    caller.start()
    eventually(lambda: embedded.get("*") != before)
    os.kill(process_of(embedded, GATEWAY, "envoy"), signal.SIGKILL)
    caller.join(120.0)
    assert not caller.is_alive()
    assert embedded.get("*") != before and mesh.versions(URL, 20) == {"safe": 20}


def test_a_kernel_takes_its_mesh_along_although_the_supervisor_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process, family = start_kernel()
    supervisor = next(iter(family))
    # As busy as can be: it hears nothing any more.
    os.kill(supervisor, signal.SIGSTOP)
    process.kill()
    process.communicate()
    eventually(lambda: not any(rundir.alive(*member) for member in family.items()), lambda: family)
    eventually(lambda: not list(tmp_path.glob("istio-workshop-*")))


@pytest.mark.parametrize("source", ["outside", "client"])
def test_a_load_client_obeys_its_own_lab_only(mesh: Mesh, embedded: EmbeddedEngine, source: str) -> None:
    mesh.send("gateway:/" if source == "outside" else URL, 1, source=source)
    port, token = embedded._call("source", source)
    order = {"url": "http://127.0.0.1:9/", "count": 1}
    answers = [
        requests.post(f"http://127.0.0.1:{port}/run", json=order, headers=headers, timeout=20).status_code
        for headers in ({}, {"x-run-token": "guessed"}, {"x-run-token": token, "origin": "http://evil.example"})
    ]
    assert answers == [401, 401, 403]
    assert token not in repr(embedded._call("inventory")) and len(token) > 40


def test_a_program_survives_callers_that_hang_up(mesh: Mesh, embedded: EmbeddedEngine) -> None:
    (pod,) = (pod.name for pod in embedded.pods() if pod.workload == "web-safe")
    program = process_of(embedded, pod, "app")
    os.kill(program, signal.SIGPIPE)
    assert mesh.versions(URL, 20) == {"safe": 20}
    assert process_of(embedded, pod, "app") == program


def test_what_ends_after_a_change_is_told_by_the_next_verb_and_the_status() -> None:
    with Lab() as lab:
        engine = lab._engine
        assert isinstance(engine, EmbeddedEngine)
        lab.apply(web_manifests(safe=1), SUBSETS)
        os.kill(process_of(engine, GATEWAY, "envoy"), signal.SIGKILL)
        eventually(lambda: any(pod.restarts and pod.ready for pod in lab.pods()), lab.pods)
        wanted = (
            f"{GATEWAY} ended unasked since the last change, and was started again; its last words: ended by signal 9"
        )
        assert wanted in lab.status().warnings
        assert wanted in lab.apply(CHANGE).notes
        assert wanted not in lab.status().warnings
        assert wanted not in lab.apply(SUBSETS).notes
