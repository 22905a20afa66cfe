"""The embedded mesh's processes: what crashes comes back, what ends leaves nothing, labs do not meet."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract_mesh import SERVICE, SUBSETS, URL, Mesh, deployment, eventually, web_manifests, weights
from embedded_processes import linux, pids, process_of, start_kernel

from labsupport.certificates import Authority
from labsupport.engine.embedded.engine import EmbeddedEngine
from labsupport.engine.embedded.processes import rundir
from labsupport.errors import (
    ConfigRejectedError,
    EngineLostError,
    EnvoyMissingError,
    StorageError,
    UsageError,
    WaitTimeoutError,
)
from labsupport.records import Ref, TlsOptions

pytestmark = pytest.mark.embedded
ROOT = os.geteuid() == 0


@linux
@pytest.mark.parametrize("kind", ["app", "envoy"])
def test_what_is_killed_is_restarted_and_reported(embedded: EmbeddedEngine, kind: str) -> None:
    mesh = Mesh(embedded)
    mesh.apply(SERVICE + deployment("web-safe", "safe"), "apps/client")
    (pod,) = [pod.name for pod in embedded.pods() if pod.workload == "web-safe"]
    os.kill(process_of(embedded, pod, kind), signal.SIGKILL)

    def state() -> object:
        return next(candidate for candidate in embedded.pods() if candidate.name == pod)

    eventually(lambda: state().restarts == 1 and state().ready, state)  # type: ignore[attr-defined]
    eventually(lambda: {response.outcome for response in mesh.send(URL, 5)} == {"ok"})
    assert "signal 9" in state().last_words  # type: ignore[attr-defined]


HTTPS = """
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: secure}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [shop.example]
    tls: {mode: SIMPLE, credentialName: shop}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: secure}
spec: {hosts: [shop.example], gateways: [secure], http: [{route: [{destination: {host: web}}]}]}
---
"""


@linux
def test_a_gateway_that_crashes_shows_its_certificate_again(embedded: EmbeddedEngine) -> None:
    authority = Authority()
    mesh = Mesh(embedded)
    mesh.apply(SERVICE + deployment("web-safe", "safe") + HTTPS + authority.server("shop.example").secret("shop"))
    trusting = TlsOptions(ca=authority.certificate)

    def outcomes() -> set[str]:
        return {response.outcome for response in mesh.send("https://shop.example/", 5, source="outside", tls=trusting)}

    assert outcomes() == {"ok"}
    os.kill(process_of(embedded, "istio-ingressgateway", "envoy"), signal.SIGKILL)

    def state() -> object:
        return next(candidate for candidate in embedded.pods() if candidate.name == "istio-ingressgateway")

    eventually(lambda: state().restarts == 1 and state().ready, state)  # type: ignore[attr-defined]
    eventually(lambda: outcomes() == {"ok"})


def test_a_program_that_does_not_start_is_told_with_its_last_words(embedded: EmbeddedEngine, tmp_path: Path) -> None:
    images = tmp_path / "images" / "broken"
    images.mkdir(parents=True)
    (images / "app.py").write_text("def create_app(env):\n    raise RuntimeError('no such ledger')\n")
    with EmbeddedEngine(images=images.parent) as engine:
        with pytest.raises(WaitTimeoutError, match="no such ledger"):
            Mesh(engine).apply(SERVICE + deployment("web-safe", "safe", image="broken"))
        assert [pod.ready for pod in engine.pods() if pod.workload == "web-safe"] == [False]
        assert "no such ledger" in engine.logs("web-safe")


def test_a_roll_that_is_stuck_keeps_the_ready_pod_and_blocks_no_other_change(embedded: EmbeddedEngine) -> None:
    mesh = Mesh(embedded)
    mesh.apply(SERVICE + deployment("web-safe", "safe"), "apps/client")
    for wrong in ("first", "second"):
        with pytest.raises(WaitTimeoutError, match=wrong):
            mesh.apply(deployment("web-safe", "safe", env=f"[{{name: ENDPOINTS, value: /{wrong}}}]"))
        assert mesh.versions(URL, 20) == {"safe": 20}
    mesh.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: unrelated}\ndata: {key: value}\n")
    mesh.apply(deployment("web-safe", "safe", env="[{name: ENDPOINTS, value: name}]"))
    assert [(pod.ready, pod.restarts) for pod in embedded.pods() if pod.workload == "web-safe"] == [(True, 0)]
    assert mesh.versions(URL, 20) == {"safe": 20}


def test_what_every_mesh_has_is_not_deleted(embedded: EmbeddedEngine) -> None:
    for ref in (Ref("Namespace", "default"), Ref("Service", "istio-ingressgateway", "istio-system")):
        with pytest.raises(UsageError, match="every mesh"):
            embedded.delete([ref])


# istiod passes this on although Envoy knows no such command.
REFUSED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http: [{headers: {request: {set: {x: "%NOPE%"}}}, route: [{destination: {host: web}}]}]
"""


def test_what_envoy_refuses_is_told_in_its_words_and_changes_nothing(embedded: EmbeddedEngine) -> None:
    mesh = Mesh(embedded)
    mesh.apply(web_manifests(), SUBSETS, weights(safe=1), "apps/client")
    before = embedded.get("*")
    with pytest.raises(ConfigRejectedError, match=r"nothing was changed.*RDS.*NOPE"):
        mesh.apply(REFUSED)
    assert embedded.get("*") == before
    assert mesh.versions(URL, 20) == {"safe": 20}
    mesh.apply(weights(risk=1))
    assert mesh.versions(URL, 20) == {"risk": 20}


def test_what_only_a_new_pods_envoy_refuses_takes_the_pod_back(embedded: EmbeddedEngine) -> None:
    mesh = Mesh(embedded)
    with pytest.raises(ConfigRejectedError, match="RDS"):
        mesh.apply(web_manifests(), REFUSED)
    assert embedded.get("*") == []
    assert [pod.name for pod in embedded.pods()] == ["istio-ingressgateway"]


def test_close_leaves_nothing_and_may_be_repeated(embedded: EmbeddedEngine, tmp_path: Path) -> None:
    Mesh(embedded).apply(web_manifests(), "apps/client")
    folders = list(tmp_path.glob("istio-workshop-*"))
    left = embedded.close()
    assert left.remaining == ()
    assert embedded.close() is left
    assert len(folders) == 1
    assert not folders[0].exists()
    with pytest.raises(EngineLostError, match=r"Lab\(\)"):
        embedded.pods()


@pytest.mark.parametrize("place", ["_call", "_end_process", "_remaining"])
def test_an_interrupted_close_goes_on_when_it_is_called_again(
    embedded: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    Mesh(embedded).apply("apps/client")
    started = pids(embedded)
    act, interrupts = getattr(embedded, place), ["one"]

    def interrupted(*arguments: Any, **options: Any) -> Any:
        result = act(*arguments, **options)
        if interrupts and arguments[0] not in ("get", "inventory"):
            interrupts.clear()
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(embedded, place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        embedded.close()
    left = embedded.close()
    assert [ref.name for ref in left.removed if ref.kind == "Deployment"] == ["client"] and left.remaining == ()
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
    assert list(tmp_path.iterdir()) == []


def test_a_killed_kernel_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process, family = start_kernel()
    process.kill()
    process.communicate()
    eventually(lambda: not any(rundir.alive(*member) for member in family.items()), lambda: family)
    eventually(lambda: not list(tmp_path.glob("istio-workshop-*")))


@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=linux)], ids=["supervisor", "spawner"])
def test_a_killed_part_of_the_engine_leaves_no_process_and_calls_say_so_at_once(
    embedded: EmbeddedEngine, victim: int
) -> None:
    Mesh(embedded).apply("apps/client")
    family = {pid: rundir.process_start(pid) for pid in pids(embedded)}
    os.kill(list(family)[victim], signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(EngineLostError, match=r"Lab\(\)"):
        while time.monotonic() < began + 60:
            embedded.pods()
    eventually(lambda: not any(rundir.alive(*member) for member in family.items()))
    assert embedded.close().remaining == ()


def test_a_deep_temporary_folder_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("deep" * 20) / ("er" * 40)
    deep.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(deep))
    with EmbeddedEngine() as engine:
        Mesh(engine).apply(SERVICE + deployment("web-safe", "safe"), "apps/client")
        assert Mesh(engine).versions(URL, 5) == {"safe": 5}
        assert engine.proxy_config("client").clusters


def test_a_call_under_way_does_not_hang_when_the_supervisor_is_killed(embedded: EmbeddedEngine) -> None:
    errors: list[BaseException] = []

    def apply() -> None:
        try:
            Mesh(embedded).apply(web_manifests(safe=4), "apps/client")
        except EngineLostError as error:
            errors.append(error)

    pid = pids(embedded)[0]
    caller = threading.Thread(target=apply)
    caller.start()
    eventually(lambda: len(pids(embedded)) > 4)
    os.kill(pid, signal.SIGKILL)
    caller.join(60.0)
    assert not caller.is_alive()
    assert len(errors) == 1


def test_what_a_killed_lab_left_is_swept_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    left = tmp_path / "istio-workshop-dead"
    left.mkdir()
    (left / "lab.json").write_text('{"kernel": 1}')
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (left / rundir.OWNERS).write_text("1 0\n")
        # A pid whose start time differs has passed to somebody else since.
        lines = f"{orphan.pid} {rundir.process_start(orphan.pid)}\n{innocent.pid} 12345\n"
        (left / rundir.CHILDREN).write_text(lines)
        assert rundir.sweep() == [left]
        assert orphan.wait(60.0) == -signal.SIGKILL
        assert innocent.poll() is None
        assert not left.exists()
    finally:
        for process in (orphan, innocent):
            process.kill()
            process.wait()


def test_two_labs_do_not_disturb_each_other(embedded: EmbeddedEngine) -> None:
    mesh = Mesh(embedded)
    mesh.apply(web_manifests(), SUBSETS, weights(safe=1), "apps/client")
    with EmbeddedEngine() as second:
        other = Mesh(second)
        other.apply(web_manifests(), SUBSETS, weights(risk=1), "apps/client")
        assert other.versions(URL, 20) == {"risk": 20}
        assert mesh.versions(URL, 20) == {"safe": 20}
    assert mesh.versions(URL, 20) == {"safe": 20}


def test_a_read_only_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if ROOT:
        pytest.skip("root may write everywhere; the read-only mount below stands for it")
    tmp_path.chmod(0o500)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(StorageError, match=f"{re.escape(str(tmp_path))}.*TMPDIR"):
        EmbeddedEngine()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    with pytest.raises(StorageError, match=r"nowhere.*TMPDIR"):
        EmbeddedEngine()


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    if not ROOT or not sys.platform.startswith("linux"):
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_read_only_disk_is_named(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    monkeypatch.setenv("TMPDIR", str(mounted))
    with pytest.raises(StorageError, match="cannot be written"):
        EmbeddedEngine()


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            pass
    return ballast


def test_a_full_disk_is_told_when_a_lab_is_opened(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(mounted)
    monkeypatch.setenv("TMPDIR", str(mounted))
    with pytest.raises(StorageError, match=r"full.*TMPDIR"):
        EmbeddedEngine()
    assert not list(mounted.glob("istio-workshop-*"))


def test_a_disk_that_fills_up_refuses_new_pods_and_changes_nothing(
    mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(mounted))
    with EmbeddedEngine() as engine:
        mesh = Mesh(engine)
        mesh.apply(SERVICE + deployment("web-safe", "safe"), "apps/client")
        before = {deployment.name for deployment in engine.pods()}
        ballast = fill(mounted)
        with pytest.raises(StorageError, match="full"):
            mesh.apply(deployment("web-risk", "risk"))
        assert {deployment.name for deployment in engine.pods()} == before
        assert [deployment.name for deployment in engine.get("Deployment")] == ["web-safe", "client"]
        assert {response.outcome for response in mesh.send(URL, 5)} == {"ok"}
        ballast.unlink()
        mesh.apply(deployment("web-risk", "risk"))
        assert set(mesh.versions(URL, 40)) == {"safe", "risk"}


def test_a_missing_envoy_is_told_with_the_platforms_that_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from labsupport.engine.embedded.envoy import binary

    binary.binary.cache_clear()
    monkeypatch.setattr(binary, "DISTRIBUTION", "no-such-distribution")
    with pytest.raises(EnvoyMissingError, match=r"x86_64.*macOS.*Linux"):
        EmbeddedEngine()
    binary.binary.cache_clear()
