"""Ingress, secure ingress, circuit breaking and mirroring, on httpbin as it is published."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from task_manifests import MANIFESTS, Apply

from labsupport.certificates import Authority
from labsupport.errors import UsageError
from labsupport.lab.lab import Lab
from labsupport.traffic.tls import Tls

HOST = "httpbin.example.com"
SYSTEM = "istio-system"


@pytest.fixture(autouse=True)
def afresh(lab: Lab) -> Iterator[None]:
    yield
    assert lab.reset().remaining == ()


def test_ingress_takes_a_host_and_paths_and_then_any_host(lab: Lab, apply: Apply) -> None:
    apply("httpbin", "httpbin-gateway")
    assert "gateway" in lab.urls()

    def status(path: str, **headers: str) -> int:
        return lab.send(f"gateway:{path}", headers=headers)[0].status

    assert status("/status/200", Host=HOST) == 200
    assert status("/headers", Host=HOST) == 404
    assert status("/status/200", Host="other.example.com") == 404
    apply("httpbin-gateway-any-host")
    assert status("/headers") == 200
    assert [gateway.name for gateway in lab.get("gateway", namespace="*")] == ["httpbin-gateway"]
    with pytest.raises(UsageError, match="a Gateway and a VirtualService"):
        lab.get("ingress", namespace="*")

    lab.delete("gateway/httpbin-gateway", "virtualservice/httpbin")
    lab.delete(MANIFESTS / "httpbin.yaml")
    assert lab.send("gateway:/headers")[0].status in {0, 404} and not lab.get("deploy")


def test_secure_ingress_shows_its_certificate_and_then_a_new_one(lab: Lab, apply: Apply) -> None:
    authority, other = Authority("First"), Authority("Second")
    url = f"https://{HOST}/status/418"
    apply("httpbin")
    lab.apply(authority.server(HOST).secret("httpbin-credential", namespace=SYSTEM))
    apply("httpbin-secure-gateway")
    assert lab.send(url, tls=Tls(ca=authority))[0].status == 418

    lab.delete("secret/httpbin-credential", namespace=SYSTEM)
    lab.apply(other.server(HOST).secret("httpbin-credential", namespace=SYSTEM))
    assert lab.send(url, tls=Tls(ca=other))[0].status == 418
    assert lab.send(url, tls=Tls(ca=authority))[0].outcome == "connection"


def test_secure_ingress_serves_two_hosts_each_with_a_certificate_of_its_own(lab: Lab, apply: Apply) -> None:
    authority, greeter = Authority("Example"), "helloworld.example.com"
    apply("httpbin", "httpbin-secure-gateway", "helloworld")
    lab.apply(
        authority.server(HOST).secret("httpbin-credential", namespace=SYSTEM),
        authority.server(greeter).secret("helloworld-credential", namespace=SYSTEM),
    )
    apply("two-hosts-gateway")
    (hello,) = lab.send(f"https://{greeter}/hello", tls=Tls(ca=authority), keep_body=True)
    assert hello.status == 200 and hello.body.startswith("Hello version: v1")
    assert lab.send(f"https://{HOST}/status/418", tls=Tls(ca=authority))[0].status == 418
    secrets = {secret.name for secret in lab.get("secret", namespace=SYSTEM)}
    assert {"httpbin-credential", "helloworld-credential"} <= secrets

    lab.delete("gateway/mygateway", "virtualservice/httpbin", "virtualservice/helloworld")
    lab.delete("secret/httpbin-credential", "secret/helloworld-credential", namespace=SYSTEM)
    assert lab.send(f"https://{HOST}/status/418", tls=Tls(ca=authority))[0].outcome == "connection"


@pytest.mark.parametrize("generic", [False, True])
def test_secure_ingress_asks_clients_for_their_certificate(lab: Lab, apply: Apply, generic: bool) -> None:
    authority, url = Authority("Example"), f"https://{HOST}/status/418"
    credential = authority.server(HOST).secret("httpbin-credential", ca=authority, namespace=SYSTEM, generic=generic)
    apply("httpbin", "httpbin-secure-gateway")
    lab.apply(credential)
    apply("httpbin-mutual-gateway")
    assert lab.send(url, tls=Tls(ca=authority))[0].outcome == "connection"
    assert lab.send(url, tls=Tls(ca=authority, certificate=authority.client("me")))[0].status == 418


def test_a_circuit_breaker_refuses_what_is_more_than_one_connection_and_one_that_waits(lab: Lab, apply: Apply) -> None:
    apply("httpbin", "fortio", "httpbin-circuit-breaker")
    url = "http://httpbin:8000/get"
    assert "maxRequestsPerConnection: 1" in lab.get("destinationrule", "httpbin").yaml
    assert lab.send(url, source="fortio-deploy", count=20, concurrency=1).count(status=200) == 20
    # The two and three connections of the page leave Envoy some leeway; what is refused is refused for this reason.
    few = [lab.send(url, source="fortio-deploy", count=10 * many, concurrency=many) for many in (2, 3)]
    assert all(seen.count(status=200) + seen.count(status=503) == len(seen) for seen in few)
    seen = lab.send(url, source="fortio-deploy", count=60, concurrency=6)
    assert 0 < seen.count(status=200) < 60 and seen.count(status=503) == 60 - seen.count(status=200)
    assert {record.flags for record in lab.access_log(seen.errors)} == {"UO"}
    refused = sum(part.count(status=503) for part in (*few, seen))
    overflow = lab.stats("fortio-deploy").of("upstream_rq_pending_overflow")
    assert sum(overflow.values()) == refused, overflow
    lab.delete("destinationrule/httpbin")
    assert lab.send(url, source="fortio-deploy", count=60, concurrency=6).count(status=200) == 60
    lab.delete(MANIFESTS / "httpbin.yaml", MANIFESTS / "fortio.yaml")
    assert not lab.get("deploy") and not lab.get("svc")


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

    def lines(version: str) -> int:
        """Requests in the log of the application itself."""
        return str(lab.logs(f"httpbin-{version}")).count("/headers")

    assert asked(0) == (20, 0) and (lines("v1"), lines("v2")) == (20, 0)
    apply("httpbin-mirror")
    assert asked(20) == (20, 20) and (lines("v1"), lines("v2")) == (40, 20)
    lab.delete("virtualservice/httpbin", "destinationrule/httpbin")
    lab.delete(MANIFESTS / "httpbin-versions.yaml", MANIFESTS / "curl.yaml")
    assert not lab.get("deploy")
