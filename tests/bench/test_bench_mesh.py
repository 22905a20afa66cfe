"""How fast the embedded mesh is. Figures are printed (``-rP``); what is asserted are ratios taken in one run."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))

from contract_mesh import GATEWAY, SUBSETS, URL, Mesh, web_manifests, weights

from labsupport.engine.embedded.engine import EmbeddedEngine
from labsupport.engine.embedded.processes import rundir

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with EmbeddedEngine() as engine:
        mesh = Mesh(engine)
        mesh.apply(web_manifests(), SUBSETS, GATEWAY, "apps/client", weights(safe=90, risk=10))
        yield mesh


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def test_a_changed_weight_is_in_force_within_a_few_round_trips(mesh: Mesh) -> None:
    engine = mesh.engine
    engine.pods()
    calls, applies = [], []
    for turn in range(100):
        began = time.perf_counter()
        engine.pods()
        calls.append(time.perf_counter() - began)
        began = time.perf_counter()
        mesh.apply(weights(safe=200 - turn, risk=turn + 1))
        applies.append(time.perf_counter() - began)
    median, last = statistics.median(applies), quantile(applies, 0.99)
    print(f"changed weight in force: median {median * 1e3:.1f} ms, p99 {last * 1e3:.1f} ms")
    print(f"a call to the supervisor: median {statistics.median(calls) * 1e3:.2f} ms")
    # Reading the YAML, translating for five proxies and waiting for their acknowledgements included.
    assert median < 60 * statistics.median(calls)
    # The last per cent belongs to whatever else the machine was doing; it is shown above and not judged.
    assert quantile(applies, 0.9) < 10 * median


def test_opening_bookinfo_costs_about_its_processes(tmp_path: Path) -> None:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import grpc, pydantic, uvicorn, aiohttp"], check=True)
    imports = time.perf_counter() - began
    began = time.perf_counter()
    with EmbeddedEngine() as engine:
        opened = time.perf_counter() - began
        Mesh(engine).apply("apps/bookinfo", "apps/client")
        serving = time.perf_counter() - began
        pids: list[int] = engine._call("inventory")[0]
        memory = sum(proportional_set(pid) for pid in pids)
        print(f"gateway ready {opened:.2f} s, Bookinfo and client serving {serving:.2f} s, {memory:.0f} MB PSS")
        print(f"one Python with the same libraries: {imports:.2f} s")
        if sys.platform.startswith("linux"):
            assert memory < 500
    # Fifteen processes are there in a small multiple of what one interpreter needs for its imports.
    assert serving < 30 * imports


def proportional_set(pid: int) -> float:
    """Proportional set size in MB; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def rate(mesh: Mesh, url: str, source: str, count: int = 4000) -> float:
    began = time.perf_counter()
    seen = mesh.send(url, count, source=source, concurrency=16, reuse_connections=True)
    seconds = time.perf_counter() - began
    assert {response.outcome for response in seen} == {"ok"}
    return count / seconds


def test_a_third_proxy_and_our_client_do_not_eat_the_throughput(mesh: Mesh) -> None:
    rate(mesh, "gateway:/", "outside", 500)
    two = rate(mesh, "gateway:/", "outside")
    sidecar = rate(mesh, URL, "client")
    print(f"client -> gateway -> sidecar -> web: {two:.0f} requests/s; client -> sidecar -> sidecar: {sidecar:.0f}")
    assert sidecar > two / 4
    wrk = shutil.which("wrk")
    if wrk is None:
        pytest.skip("wrk is not installed, so there is nothing to compare the load client with")
    url = mesh.engine.urls()["gateway"]
    output = subprocess.run([wrk, "-t1", "-c16", "-d2s", url], capture_output=True, text=True, check=True).stdout
    theirs = float(next(line.split()[1] for line in output.splitlines() if line.startswith("Requests/sec")))
    print(f"wrk on the same path: {theirs:.0f} requests/s, ratio {two / theirs:.2f}")
    assert two > theirs / 10


def test_what_has_ended_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    began = time.perf_counter()
    engine = EmbeddedEngine()
    opened = time.perf_counter() - began
    pids: list[int] = engine._call("inventory")[0]
    starts = {pid: rundir.process_start(pid) for pid in pids}
    began = time.perf_counter()
    assert engine.close().remaining == ()
    closed = time.perf_counter() - began
    print(f"opened in {opened:.2f} s, closed in {closed:.2f} s")
    assert not any(rundir.alive(pid, start) for pid, start in starts.items())
    assert closed < 10 * opened
