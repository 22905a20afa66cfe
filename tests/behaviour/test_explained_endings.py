"""Explanations of requests that a policy in force ends: what is told, and that it agrees with what Envoy did."""

from __future__ import annotations

import time

import pytest
from behaviour_mesh import WEB, Json, Mesh, destination_rule, to, versions, virtual_service

from labsupport.observe.confirm import Explained

ALWAYS = {"percentage": {"value": 100}}
ORIGIN = "http://shop.example"


def told(mesh: Mesh, url: str, **options: object) -> tuple[Explained, str]:
    explained = mesh.lab.explain(url, source="client", **options)  # type: ignore[arg-type]
    return explained, explained.findings[0]


def test_a_timeout_is_told_as_the_rules(mesh: Mesh) -> None:
    mesh.apply(versions(), virtual_service({"route": [to(subset="v2")], "timeout": "0.2s"}))
    explained, finding = told(mesh, f"{WEB}/slow?seconds=5")
    assert explained.agrees is True
    assert "answered 504 UT itself, because the timeout of 200 ms was over (rules:" in finding
    (line,) = [line for line in repr(explained.access_log).splitlines() if " UT " in line]
    assert "web-v2" not in line.partition("outbound|")[2], "nobody answered"


def test_a_try_that_took_too_long_is_told_as_the_retries(mesh: Mesh) -> None:
    retries = {"attempts": 2, "perTryTimeout": "0.2s"}
    mesh.apply(versions(), virtual_service({"route": [to(subset="v2")], "retries": retries}))
    explained, finding = told(mesh, f"{WEB}/slow?seconds=5")
    assert explained.agrees is True and "because a try took longer than perTryTimeout, 200 ms" in finding
    (policy,) = [policy for policy in explained.explanation.policies if policy.name == "retries"]
    assert "504, and no other try" in policy.text
    retries["retryOn"] = "reset"
    mesh.apply(versions(), virtual_service({"route": [to(subset="v2")], "retries": retries}))
    (policy,) = [p for p in mesh.lab.explain(WEB, source="client").explanation.policies if p.name == "retries"]
    assert "no other try" not in policy.text


def test_an_injected_fault_is_an_expected_end(mesh: Mesh) -> None:
    mesh.apply(virtual_service({"fault": {"abort": {"httpStatus": 418, **ALWAYS}}}))
    explained, finding = told(mesh, f"{WEB}/")
    assert explained.agrees is True and "answered 418 FI itself" in finding


def test_ejected_endpoints_are_told_as_outlier_detection(mesh: Mesh) -> None:
    detection = {"consecutive5xxErrors": 1, "interval": "0.1s", "baseEjectionTime": "60s", "maxEjectionPercent": 100}
    mesh.apply(destination_rule("shop", trafficPolicy={"outlierDetection": detection}))
    deadline = time.monotonic() + 60
    while mesh.own(mesh.request("http://shop/status/503")).flags != "UH":
        assert time.monotonic() < deadline, "nobody is ejected"
    explained, finding = told(mesh, "http://shop/")
    assert explained.agrees is True, finding
    assert "answered 503 UH itself, because its endpoints are ejected by outlierDetection (rules:" in finding


def test_a_full_pool_is_told_as_the_connection_pool(mesh: Mesh) -> None:
    pool = {"http": {"http2MaxRequests": 1}}
    mesh.apply(destination_rule("shop", trafficPolicy={"connectionPool": pool}))
    deadline = time.monotonic() + 60
    with mesh.lab.traffic("http://shop/slow?seconds=5", source="client", rate=20, concurrency=4):
        while mesh.own(mesh.request("http://shop/")).flags != "UO":
            assert time.monotonic() < deadline, "the pool is never full"
        explained, finding = told(mesh, "http://shop/")
    assert explained.agrees is True, finding
    assert "answered 503 UO itself, because its connection pool is full (rules:" in finding


@pytest.mark.parametrize(
    ("match", "redirect", "path", "location"),
    [
        ({"exact": "/one"}, {"uri": "two"}, "/one", f"{WEB}/two"),
        ({"prefix": "/one/"}, {"prefixRewrite": "two"}, "/one/x", f"{WEB}/twox"),
        ({"exact": "/one"}, {"uri": "two?a=1"}, "/one?b=2", f"{WEB}/two?a=1"),
    ],
)
def test_the_place_of_a_redirect_is_compared(mesh: Mesh, match: Json, redirect: Json, path: str, location: str) -> None:
    mesh.apply(virtual_service({"match": [{"uri": match}], "redirect": redirect}))
    explained, finding = told(mesh, f"{WEB}{path}")
    assert explained.agrees is True and finding.count(location) == 1
    assert explained.explanation.outcomes[0].location == location


def test_a_preflight_lacks_the_response_headers_of_the_rule(mesh: Mesh) -> None:
    cors = {"allowOrigins": [{"exact": ORIGIN}], "allowMethods": ["GET"]}
    mesh.apply(virtual_service({"corsPolicy": cors, "headers": {"response": {"set": {"x-rule": "yes"}}}}))
    headers = {"origin": ORIGIN, "access-control-request-method": "GET"}
    seen = mesh.request(f"{WEB}/", method="OPTIONS", headers=headers, keep_headers=["x-rule"])
    explained, _ = told(mesh, f"{WEB}/", method="OPTIONS", headers=headers)
    (outcome,) = explained.explanation.outcomes
    assert seen.headers == {} and "x-rule" not in outcome.headers
    assert outcome.text.endswith("without the response headers of the rule")


@pytest.mark.parametrize("action", [{"redirect": {"uri": "/new"}}, {"directResponse": {"status": 418}}])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_what_the_proxy_answers_itself_knows_no_cors(mesh: Mesh, action: Json, method: str) -> None:
    mesh.apply(virtual_service({**action, "corsPolicy": {"allowOrigins": [{"exact": ORIGIN}]}}))
    asked: Json = {"method": method, "headers": {"origin": ORIGIN, "access-control-request-method": "GET"}}
    seen = mesh.request(f"{WEB}/", keep_headers=["access-control-allow-origin"], **asked)
    explained, _ = told(mesh, f"{WEB}/", **asked)
    assert explained.agrees is True and seen.status == explained.explanation.outcomes[0].status
    assert "access-control-allow-origin" not in seen.headers | explained.explanation.outcomes[0].headers
    assert "no effect, as the proxy answers itself" in repr(explained)


def test_a_rewrite_shows_the_path_that_the_application_gets(mesh: Mesh) -> None:
    mesh.apply(virtual_service({"match": [{"uri": {"prefix": "/api"}}], "rewrite": {"uri": "/"}}))
    explained, _ = told(mesh, f"{WEB}/api/name")
    assert explained.explanation.upstream_path == "//name"
    assert "The application gets the path //name (two slashes" in repr(explained)


@pytest.mark.embedded
@pytest.mark.parametrize("labels", [{"app": "web", "version": "v2"}, {"app": "bare"}], ids=["sidecar", "bare"])
def test_a_port_at_which_nobody_listens_is_an_expected_end(mesh: Mesh, labels: Json) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8081}]
    spec: Json = {"selector": labels, "ports": ports, "type": "NodePort"}
    metadata = {"name": "deaf", "labels": {"test": "behaviour"}}
    mesh.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    for url, source in (("http://deaf/", "client"), ("http://deaf/", "bare"), ("nodeport:deaf/", "outside")):
        explained = mesh.lab.explain(url, source=source)
        (outcome,) = explained.explanation.outcomes
        assert outcome.kind == "refused" and "nobody listens on port 8081 of " in outcome.text, url
        if source != "bare":
            # Pods that run no load client are explained, but send nothing.
            assert explained.agrees is True, explained.findings
    (only,) = mesh.lab.send("http://deaf/", source="client")
    assert only.status == 503
