"""Ingress, secure ingress, circuit breaking and mirroring, on httpbin as it is published."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from task_manifests import Apply

from labsupport.certificates import Authority
from labsupport.lab.lab import Lab
from labsupport.traffic.tls import Tls

HOST = "httpbin.example.com"


@pytest.fixture(autouse=True)
def afresh(lab: Lab) -> Iterator[None]:
    yield
    assert lab.reset().remaining == ()


def test_ingress_takes_a_host_and_paths_and_then_any_host(lab: Lab, apply: Apply) -> None:
    apply("httpbin", "httpbin-gateway")

    def status(path: str, **headers: str) -> int:
        return lab.send(f"gateway:{path}", headers=headers)[0].status

    assert status("/status/200", Host=HOST) == 200
    assert status("/headers", Host=HOST) == 404
    assert status("/status/200", Host="other.example.com") == 404
    apply("httpbin-gateway-any-host")
    assert status("/headers") == 200


def test_secure_ingress_shows_its_certificate_a_new_one_and_asks_for_the_clients(lab: Lab, apply: Apply) -> None:
    authority, other, clients = Authority("First"), Authority("Second"), Authority("Clients")
    url = f"https://{HOST}/status/418"
    apply("httpbin", "httpbin-secure-gateway")
    lab.apply(authority.server(HOST).secret("httpbin-credential"))
    assert lab.send(url, tls=Tls(ca=authority))[0].status == 418

    lab.apply(other.server(HOST).secret("httpbin-credential"))
    assert lab.send(url, tls=Tls(ca=other))[0].status == 418
    assert lab.send(url, tls=Tls(ca=authority))[0].outcome == "connection"

    lab.apply(other.server(HOST).secret("httpbin-credential", ca=clients))
    apply("httpbin-mutual-gateway")
    assert lab.send(url, tls=Tls(ca=other))[0].outcome == "connection"
    assert lab.send(url, tls=Tls(ca=other, certificate=clients.client("me")))[0].status == 418


def test_a_circuit_breaker_refuses_what_is_more_than_one_connection_and_one_that_waits(lab: Lab, apply: Apply) -> None:
    apply("httpbin", "fortio", "httpbin-circuit-breaker")
    url = "http://httpbin:8000/get"
    assert lab.send(url, source="fortio-deploy", count=20, concurrency=1).count(status=200) == 20
    seen = lab.send(url, source="fortio-deploy", count=60, concurrency=6)
    assert 0 < seen.count(status=200) < 60 and seen.count(status=503) == 60 - seen.count(status=200)
    assert {record.flags for record in lab.access_log(seen.errors)} == {"UO"}
    assert "overflow" in repr(lab.stats("fortio-deploy"))


def test_mirrored_requests_reach_v2_and_only_v1_answers(lab: Lab, apply: Apply) -> None:
    apply("curl", "httpbin-versions", "httpbin-v1")

    def asked(copies: int) -> tuple[int, int]:
        seen = lab.send("http://httpbin:8000/headers", source="curl", count=20)
        assert seen.count(version="v1") == 20
        deadline = time.monotonic() + 60
        while True:
            pods = [line.pod for line in lab.access_log(seen) if line.direction == "inbound"]
            v1, v2 = (sum(f"-{version}-" in pod for pod in pods) for version in ("v1", "v2"))
            # A copy may still be on its way when the answer is there.
            if v2 >= copies or time.monotonic() > deadline:
                return v1, v2

    assert asked(0) == (20, 0)
    apply("httpbin-mirror")
    assert asked(20) == (20, 20)
