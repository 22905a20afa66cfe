"""A cluster that goes away in the middle of something is told within ten seconds, and nothing hangs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from contract_mesh import SUBSETS, URL, Mesh, web_manifests, weights
from gone import Relay
from kubeconfigs import raw_kubeconfig, write_kubeconfig

from labsupport.engine.cluster import ClusterEngine
from labsupport.engine.cluster.objects.removal import remove_namespace
from labsupport.errors import EngineLostError
from labsupport.records import TrafficSpec


@pytest.fixture(params=["cut", "silent"])
def cuttable(
    request: pytest.FixtureRequest, space: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ClusterEngine, Callable[[], None]]]:
    """A lab whose cluster can be taken away, and what takes it away."""
    known = raw_kubeconfig()
    server = urlsplit(known["cluster"]["server"])
    relay = Relay(server.hostname or "", server.port or 443)
    cluster = {**known["cluster"], "server": f"https://127.0.0.1:{relay.port}", "tls-server-name": "kubernetes"}
    with monkeypatch.context() as patched:
        patched.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", cluster, known["user"])))
        engine = ClusterEngine(namespace=space("gone"))
    try:
        yield engine, relay.cut if request.param == "cut" else relay.fall_silent
    finally:
        relay.fall_silent()
        relay.cut()
        assert "did not answer" in str(engine_closed(engine))
    remove_namespace(namespace=space("gone"))


def engine_closed(engine: ClusterEngine) -> object:
    try:
        return engine.close().remaining
    except EngineLostError:
        return engine.close().remaining


def test_traffic_ends_with_a_clear_error(cuttable: tuple[ClusterEngine, Callable[[], None]]) -> None:
    engine, take_away = cuttable
    Mesh(engine).apply(web_manifests(safe=1), SUBSETS, weights(safe=1), "apps/client")
    sending = engine.send(TrafficSpec(URL, source="client", duration_s=120.0, rate=20.0))
    responses = iter(sending)
    assert next(responses).outcome == "ok"
    take_away()
    began = time.monotonic()
    with pytest.raises(EngineLostError, match=r"does not answer.*Lab\(\)"):
        for _ in responses:
            assert time.monotonic() < began + 30.0, "the traffic goes on without a cluster"
    assert time.monotonic() - began < 20.0
    began = time.monotonic()
    with pytest.raises(EngineLostError, match=r"does not answer"):
        Mesh(engine).apply(weights(risk=1))
    assert time.monotonic() - began < 10.0
