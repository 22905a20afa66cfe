"""What a proxy counts and what an application writes, as the lab shows them."""

from __future__ import annotations

import time

import pytest
from behaviour_mesh import WEB, Mesh, destination_rule, to, versions, virtual_service

from labsupport.errors import NotFoundError

pytestmark = pytest.mark.embedded
CLUSTER = "outbound|8080|v2|web.default.svc.cluster.local"


def test_retries_time_outs_and_overflow_are_counted(mesh: Mesh) -> None:
    def counted(counter: str) -> int:
        return mesh.lab.stats("client").of(counter).get(CLUSTER, 0)

    mesh.apply(versions(), virtual_service({"route": [to(subset="v2")], "timeout": "0.3s"}))
    before = {name: counted(name) for name in ("upstream_rq_timeout", "upstream_rq_retry", "upstream_rq_total")}
    mesh.request(f"{WEB}/slow?seconds=5")
    retries = {"attempts": 2, "retryOn": "5xx"}
    mesh.apply(virtual_service({"route": [to(subset="v2")], "retries": retries}))
    mesh.request(f"{WEB}/status/503")
    assert counted("upstream_rq_timeout") == before["upstream_rq_timeout"] + 1
    assert counted("upstream_rq_retry") == before["upstream_rq_retry"] + 2
    assert counted("upstream_rq_total") == before["upstream_rq_total"] + 4
    assert "tries after the first one" in repr(mesh.lab.stats("client"))


def test_ejections_are_counted(mesh: Mesh) -> None:
    detection = {"consecutive5xxErrors": 1, "interval": "0.1s", "baseEjectionTime": "60s", "maxEjectionPercent": 100}
    mesh.apply(destination_rule("shop", trafficPolicy={"outlierDetection": detection}))
    mesh.request("http://shop/status/503")
    deadline = time.monotonic() + 60
    cluster = "outbound|80||shop.default.svc.cluster.local"
    while mesh.lab.stats("client").of("outlier_detection_ejections_active").get(cluster) != 1:
        assert time.monotonic() < deadline, repr(mesh.lab.stats("client"))


def test_a_pod_without_an_envoy_has_no_counters(mesh: Mesh) -> None:
    with pytest.raises(NotFoundError, match="has no Envoy"):
        mesh.lab.stats("bare")


def test_an_application_writes_its_requests(mesh: Mesh) -> None:
    seen = mesh.request("http://bare:8080/name")
    (line,) = [line for line in mesh.lab.logs("bare").splitlines() if seen.request_id in line]
    assert " GET /name 200 " in line
