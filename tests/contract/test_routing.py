"""Where requests go: weights, subsets, what is missing, and who is not asked."""

from __future__ import annotations

import collections
import os

import pytest
from contract_mesh import GATEWAY, SERVICE, SUBSETS, URL, Mesh, deployment, eventually, web_manifests, weights
from scipy.stats import binom

from labsupport.records import Ref

# The proof that nothing is missing is 20 of them, RECORD_ROUNDS=20, on either engine.
ROUNDS = int(os.environ.get("RECORD_ROUNDS", "2"))


def test_all_of_the_weight_on_one_subset_leaves_no_strays(web: Mesh) -> None:
    web.apply(weights(safe=100, risk=0))
    assert web.versions(URL, 300) == {"safe": 300}


def test_ninety_to_ten_is_within_its_exact_interval(web: Mesh) -> None:
    web.apply(weights(safe=90, risk=10))
    seen = web.versions(URL, 1000)
    low, high = binom.interval(0.99999, 1000, 0.1)
    assert set(seen) == {"safe", "risk"}
    assert low <= seen["risk"] <= high


def test_a_change_is_in_force_when_apply_returns(web: Mesh) -> None:
    for turn in range(6):
        wanted = "safe" if turn % 2 else "risk"
        web.apply(weights(**{wanted: 1}))
        assert web.versions(URL, 10) == {wanted: 10}


def test_a_subset_that_no_rule_defines_is_503_nc(web: Mesh) -> None:
    web.apply(weights(undefined=1))
    seen = web.send(URL, 3)
    assert {(response.outcome, response.status) for response in seen} == {("http_error", 503)}
    records = web.engine.access_records(request_ids=[seen[0].request_id])
    assert [(record.flags, record.direction) for record in records] == [("NC", "outbound")]


def test_a_subset_without_pods_is_503_uh(web: Mesh) -> None:
    web.apply(weights(nobody=1))
    seen = web.send(URL, 3)
    assert {(response.outcome, response.status) for response in seen} == {("http_error", 503)}
    records = web.engine.access_records(request_ids=[seen[0].request_id])
    assert [record.flags for record in records] == ["UH"]


def test_removing_the_subsets_makes_the_rule_point_to_nothing(web: Mesh) -> None:
    web.apply(weights(safe=1))
    web.engine.delete([Ref("DestinationRule", "web")])
    seen = web.send(URL, 3)
    assert {response.status for response in seen} == {503}
    assert web.engine.access_records(request_ids=[seen[0].request_id])[0].flags == "NC"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://nobody:8080/", id="on a known port"),
        pytest.param("http://nobody/", id="on an unknown port"),
    ],
)
def test_an_unknown_host_is_told_apart_from_an_error(web: Mesh, url: str) -> None:
    # On a cluster the name is looked up before anything is sent; here the sidecar is asked, and says 502.
    status = 502 if web.engine.name == "embedded" else 0
    assert {(response.outcome, response.status) for response in web.send(url, 3)} == {("unknown_destination", status)}


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://web:9999/", id="unknown port"),
        pytest.param("http://web/", id="port 80, which the Service does not have"),
    ],
)
def test_an_unknown_port_is_answered_by_nobody(web: Mesh, url: str) -> None:
    seen = {(response.outcome, response.status) for response in web.send(url, 3, timeout_s=2.0)}
    if web.engine.name == "embedded":
        assert seen == {("unknown_destination", 502)}
    else:
        # By Istio's default (outboundTrafficPolicy ALLOW_ANY) it is passed through to an address where nobody listens.
        assert seen <= {("connection", 0), ("timeout", 0), ("http_error", 503), ("http_error", 502)}


@pytest.mark.parametrize(("url", "port_alone"), [("http://nobody:8080/", False), ("http://web:9999/", True)])
def test_without_a_sidecar_an_unknown_destination_is_known_as_such_too(mesh: Mesh, url: str, port_alone: bool) -> None:
    mesh.apply(web_manifests(inject="false"), "apps/client-plain")
    seen = {response.outcome for response in mesh.send(url, 3, source="client-plain", timeout_s=2.0)}
    if mesh.engine.name == "cluster" and port_alone:
        # Kubernetes drops or refuses what a Service has no port for; neither tells that it has none.
        assert seen <= {"connection", "timeout"}
    else:
        assert seen == {"unknown_destination"}


@pytest.mark.parametrize("source", ["client", "client-plain"])
def test_a_port_without_a_name_is_detected_to_be_http(mesh: Mesh, source: str) -> None:
    nameless = SERVICE.replace("name: http, ", "")
    mesh.apply(nameless + deployment("web-safe", "safe") + deployment("web-risk", "risk"), SUBSETS, f"apps/{source}")
    mesh.apply(weights(risk=1))
    expected = {"risk"} if source == "client" else {"safe", "risk"}
    assert set(mesh.versions(URL, 60, source=source)) == expected


def test_no_rule_of_the_host_matches(web: Mesh) -> None:
    web.apply(weights(safe=1).replace("- route", "- match: [{uri: {exact: /only}}]\n    route"))
    seen = web.send(URL, 2)
    assert {(response.outcome, response.status) for response in seen} == {("http_error", 404)}
    assert web.engine.access_records(request_ids=[seen[0].request_id])[0].flags == "NR"


def test_a_caller_without_a_sidecar_ignores_all_rules(mesh: Mesh) -> None:
    mesh.apply(web_manifests(), SUBSETS, weights(nobody=1), "apps/client-plain")
    seen = mesh.versions(URL, 200, source="client-plain")
    assert set(seen) == {"safe", "risk"}


def test_without_a_sidecar_the_choice_is_made_per_connection(mesh: Mesh) -> None:
    mesh.apply(web_manifests(inject="false"), "apps/client-plain")
    kept = mesh.send(URL, 60, source="client-plain", reuse_connections=True, concurrency=1)
    assert len({response.path[0].pod for response in kept}) == 1
    fresh = collections.Counter(response.path[0].version for response in mesh.send(URL, 300, source="client-plain"))
    low, high = binom.interval(0.99999, 300, 1 / 3)
    assert low <= fresh["risk"] <= high


@pytest.mark.parametrize(("url", "source"), [(URL, "client-plain"), ("nodeport:web/", "outside")])
def test_without_a_mesh_a_service_without_pods_refuses_connections(mesh: Mesh, url: str, source: str) -> None:
    mesh.apply(web_manifests(inject="false", safe=0, risk=0), "apps/client-plain")
    assert {(response.outcome, response.status) for response in mesh.send(url, 3, source=source)} == {("connection", 0)}


def test_a_node_port_reaches_pods_with_and_without_a_sidecar(mesh: Mesh) -> None:
    mesh.apply(SERVICE + deployment("web-safe", "safe", inject="true") + deployment("web-risk", "risk", inject="false"))
    assert set(mesh.versions("nodeport:web/", 100, source="outside")) == {"safe", "risk"}


def test_the_gateway_shows_what_is_bound_to_it(web: Mesh) -> None:
    assert {response.outcome for response in web.send("gateway:/", 2, source="outside")} == {"connection"}
    web.apply(GATEWAY)
    assert {response.outcome for response in web.send("gateway:/", 20, source="outside")} == {"ok"}
    web.apply(GATEWAY.replace('hosts: ["*"]\n  gateways', 'hosts: ["shop.example"]\n  gateways'))
    assert {response.status for response in web.send("gateway:/", 2, source="outside")} == {404}
    assert {
        response.status for response in web.send("gateway:/", 2, source="outside", headers={"Host": "shop.example"})
    } == {200}


def test_every_hop_is_in_the_access_log(web: Mesh) -> None:
    web.apply(GATEWAY)
    (seen,) = web.send("gateway:/", 1, source="outside")
    records = web.engine.access_records(request_ids=[seen.request_id])
    assert [record.direction for record in records] == ["gateway", "inbound"]
    assert records[0].pod == web.gateway
    assert records[0].upstream_pod == records[1].pod == seen.path[0].pod
    assert not any(record.mirrored for record in records)


def test_copies_made_by_a_mirror_are_told_apart(web: Mesh) -> None:
    rule = weights(safe=1) + "    mirror: {host: web, subset: risk}\n"
    web.apply(rule)
    seen = web.send(URL, 10)
    assert {response.path[0].version for response in seen} == {"safe"}

    def copies() -> int:
        records = web.engine.access_records(request_ids=[record.request_id for record in seen])
        return sum(record.mirrored for record in records if record.pod.startswith("web-risk"))

    eventually(lambda: copies() == 10, copies)
    records = web.engine.access_records(request_ids=[record.request_id for record in seen])
    assert not any(record.mirrored for record in records if record.pod.startswith("web-safe"))


def test_a_proxy_tells_what_it_holds(web: Mesh) -> None:
    web.apply(weights(safe=70, risk=30))
    config = web.engine.proxy_config("client")
    clusters = config.routes["8080"]["virtual_hosts"]
    held = next(host for host in clusters if host["name"] == f"{web.host('web')}:8080")
    assert [cluster["weight"] for cluster in held["routes"][0]["route"]["weighted_clusters"]["clusters"]] == [70, 30]
    endpoints = config.endpoints[f"outbound|8080|safe|{web.host('web')}"]
    assert sum(len(group["lb_endpoints"]) for group in endpoints["endpoints"]) == 2
    (rule,) = [rule for rule in web.engine.rules() if rule.ref.kind == "VirtualService"]
    assert web.gateway not in rule.proxies
    assert config.pod in rule.proxies
    assert rule.in_force_since_s > 0


def test_statistics_are_counted_by_cluster(web: Mesh) -> None:
    name = f"outbound|8080||{web.host('web')}"

    def counted() -> list[float]:
        return [
            metric.value
            for metric in web.engine.metrics()
            if metric.name == "envoy_cluster_upstream_rq_total"
            and metric.labels.get("envoy_cluster_name") == name
            and metric.pod.startswith("client-")
        ]

    # Its pods may have served other tests.
    before = sum(counted())
    web.send(URL, 7)
    (after,) = counted()
    assert after - before == 7.0


@pytest.mark.parametrize("sampling", [1, 100])
def test_every_hop_of_thousands_of_requests_is_in_the_log(web: Mesh, sampling: int) -> None:
    # Without a provider for traces the embedded mesh draws nothing; tests/behaviour tries it with one.
    config = {"proxy.istio.io/config": f"tracing: {{sampling: {sampling}}}"}
    web.engine.patch(Ref("Deployment", "client"), {"spec": {"template": {"metadata": {"annotations": config}}}})
    for _ in range(ROUNDS):
        sent = {response.request_id for response in web.send(URL, 1000, concurrency=8)}
        assert len(sent) == 1000
        # Envoy marks the ids of requests that it traces, and a mesh may trace some.
        records = web.engine.access_records(request_ids=sent, timeout_s=60)
        hops = {
            direction: {record.request_id for record in records if record.direction == direction}
            for direction in ("outbound", "inbound")
        }
        assert hops == {"outbound": sent, "inbound": sent}
