"""On a real Istio: when a change is in force, what the proxies hold, and what their access logs tell."""

from __future__ import annotations

import collections
import os
import re
import statistics
import time
from collections.abc import Iterator

import pytest
from contract_mesh import GATEWAY, Mesh, weights

from labsupport import Lab
from labsupport.engine.cluster import ClusterEngine
from labsupport.engine.cluster.watch.inforce import Watcher
from labsupport.errors import WaitTimeoutError
from labsupport.model import parse
from labsupport.model.reading.documents import read
from labsupport.observe.confirm import explained
from labsupport.records import AccessRecord, Ref, Response, TrafficSpec

URL = "http://web:8080/"
# Of 1,000 requests each.
SAMPLED_ROUNDS = int(os.environ.get("SAMPLED_ROUNDS", "2"))


def rule(http: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web}}
spec:
  hosts: [web]
  http:
{http}
"""


@pytest.fixture(scope="module")
def mesh_of_web(engine: ClusterEngine) -> Iterator[Mesh]:
    mesh = Mesh(engine)
    mesh.apply("02-canary-by-weight/web", "02-canary-by-weight/destination-rule-web-versions.yaml", "apps/client")
    yield mesh
    assert engine.reset().remaining == ()


@pytest.fixture
def web(mesh_of_web: Mesh) -> Iterator[Mesh]:
    """The two-version service with sidecars, its subsets, and a client with a sidecar; rules end with each test."""
    yield mesh_of_web
    rules = [rule.ref for rule in mesh_of_web.engine.rules() if rule.ref.kind != "DestinationRule"]
    if rules:
        mesh_of_web.engine.delete(rules)


def send(mesh: Mesh, url: str = URL, count: int = 20, *, source: str = "client", **options: object) -> list[Response]:
    return list(mesh.engine.send(TrafficSpec(url, source=source, count=count, **options)))  # type: ignore[arg-type]


def watcher_of(mesh: Mesh) -> Watcher:
    assert isinstance(mesh.engine, ClusterEngine)
    return Watcher(mesh.engine.connection, mesh.engine.namespace)


def versions(seen: list[Response]) -> set[str]:
    return {response.path[0].version if response.path else f"{response.outcome} {response.error}" for response in seen}


def logged(mesh: Mesh, seen: list[Response]) -> list[AccessRecord]:
    return mesh.engine.access_records(request_ids=[response.request_id for response in seen], timeout_s=20)


def hops(records: list[AccessRecord]) -> list[tuple[str, str]]:
    return sorted((record.pod.rsplit("-", 2)[0], record.direction) for record in records if not record.mirrored)


def test_a_weight_is_in_force_for_the_very_next_request(web: Mesh) -> None:
    took = []
    for turn in range(6):
        result = web.apply(weights(safe=100, risk=0) if turn % 2 else weights(safe=0, risk=100))
        assert versions(send(web)) == {"safe" if turn % 2 else "risk"}
        assert {proxy.types for proxy in result.proxies} == {("RDS",)}
        assert len(result.proxies) == 3
        assert not any("than expected" in note for note in result.notes)
        took.append(max(proxy.in_force_s for proxy in result.proxies))
    assert statistics.median(took) < 10


def test_what_is_deleted_is_in_force_no_more(web: Mesh) -> None:
    web.apply(weights(safe=0, risk=100))
    assert versions(send(web)) == {"risk"}
    (deleted,) = (rule.ref for rule in web.engine.rules() if rule.ref.kind == "VirtualService")
    result = web.engine.delete([deleted])
    assert len(result.proxies) == 3
    assert versions(send(web, count=60)) == {"safe", "risk"}


def test_a_wait_in_vain_names_the_proxy_and_the_place(web: Mesh) -> None:
    web.apply(weights(safe=50, risk=50))
    watcher = watcher_of(web)
    before = web.engine.get("*")
    never = [resource for resource in before if resource.kind != "VirtualService"] + parse(
        read(weights(safe=30, risk=70))
    )
    with pytest.raises(WaitTimeoutError, match=r"client-\S+ has not got RDS \S+ .*weight: seen 50, wanted 30"):
        watcher.wait(watcher.before(before), never, time.monotonic() + 1)


def test_all_that_every_proxy_holds_is_what_our_translation_says(web: Mesh) -> None:
    # A new watcher takes everything for new, so that it compares whole configurations.
    web.apply(weights(safe=50, risk=50), GATEWAY)
    watcher = watcher_of(web)
    changes, notes = watcher.wait(watcher.before([]), web.engine.get("*"), time.monotonic() + 20)
    assert notes == ()
    assert {object_change.proxy.rsplit("-", 2)[0] for object_change in changes} == {
        "client",
        "istio-ingressgateway",
        "web-risk",
        "web-safe",
    }


def test_rules_are_known_with_their_proxies_and_times(web: Mesh) -> None:
    began = time.time()
    web.apply(weights(safe=50, risk=50), GATEWAY)
    known = {str(rule.ref): rule for rule in web.engine.rules()}
    assert set(known) == {"DestinationRule/web", "VirtualService/web", "Gateway/web", "VirtualService/web-from-outside"}
    assert {name.rsplit("-", 2)[0] for name in known["VirtualService/web"].proxies} == {
        "client",
        "web-safe",
        "web-risk",
    }
    (gateway,) = known["VirtualService/web-from-outside"].proxies
    assert known["Gateway/web"].proxies == (gateway,)
    assert began - 1 <= known["VirtualService/web"].in_force_since_s <= time.time() + 1


@pytest.mark.parametrize("percent", [1, 100])
def test_a_request_that_a_proxy_samples_for_tracing_is_in_the_access_log_too(web: Mesh, percent: int) -> None:
    web.apply(weights(safe=100, risk=0))
    lost, sampled, client = [], 0, ""
    for number in range(SAMPLED_ROUNDS):
        if number % 10 == 0:
            # With new pods: of a file that the kubelet has rotated, 10 MiB as a rule, nobody can read what is unread.
            notes = {"proxy.istio.io/config": f"tracing: {{sampling: {percent}}}", "round": str(number)}
            for name in ("client", "web-safe"):
                template = {"metadata": {"annotations": notes}}
                web.engine.patch(Ref("Deployment", name), {"spec": {"template": template}})
            (client,) = (pod.name for pod in web.engine.pods() if pod.workload == "client")
        seen = send(web, count=1_000)
        lines = collections.Counter(hops(logged(web, seen)))
        if lines != {("client", "outbound"): 1_000, ("web-safe", "inbound"): 1_000}:
            lost.append(lines)
        # What Envoy wrote itself: 9 in the place of a random UUID's version.
        written = re.findall(
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-([49])[0-9a-f]{3}-", web.engine.logs(client, container="proxy", lines=1_000)
        )
        sampled += written.count("9")
        assert written and (percent < 100 or "4" not in written)
    assert not lost
    # Of 2,000 requests about 20 are sampled at 1 %, none in one run of 500 million.
    assert sampled


def test_where_nobody_listens_is_doubted_before_a_request_and_told_after_it(web: Mesh) -> None:
    ports = "ports: [{name: http, port: 80, targetPort: 8081}]"
    web.apply(f"apiVersion: v1\nkind: Service\nmetadata: {{name: deaf}}\nspec: {{selector: {{app: web}}, {ports}}}")
    told = explained(web.engine, TrafficSpec("http://deaf/", source="client", count=1))
    assert "if its program listens on port 8081" in told.explanation.outcomes[0].text
    assert told.agrees and "nobody listens on port 8081 of web-" in told.findings[0]
    web.engine.delete([Ref("Service", "deaf")])


def test_both_ends_of_a_call_are_in_the_access_log(web: Mesh) -> None:
    web.apply(weights(safe=100, risk=0))
    seen = send(web, count=5)
    records = logged(web, seen)
    assert hops(records) == [("client", "outbound")] * 5 + [("web-safe", "inbound")] * 5
    answered = {response.request_id: response.path[0].pod for response in seen}
    for record in records:
        assert record.upstream_pod == answered[record.request_id]
        assert (record.method, record.status, record.attempt, record.mirrored) == ("GET", 200, 1, False)


def test_requests_from_outside_keep_their_number_through_the_gateway(web: Mesh) -> None:
    web.apply(GATEWAY)
    seen = send(web, "gateway:/", 4, source="outside")
    assert versions(seen) <= {"safe", "risk"}
    records = logged(web, seen)
    assert [hop for hop, _ in hops(records)].count("istio-ingressgateway") == 4
    assert sum(record.direction == "inbound" for record in records) == 4
    assert {record.direction for record in records} == {"gateway", "inbound"}


def test_copies_are_told_from_what_was_asked_for(web: Mesh) -> None:
    web.apply(
        rule("""  - route: [{destination: {host: web, subset: safe}}]
    mirror: {host: web, subset: risk}""")
    )
    seen = send(web, count=4)
    assert versions(seen) == {"safe"}
    records = logged(web, seen)
    copies = [record.pod.rsplit("-", 2)[0] for record in records if record.mirrored]
    assert copies == ["web-risk"] * 4
    assert hops(records) == [("client", "outbound")] * 4 + [("web-safe", "inbound")] * 4


def test_tries_are_counted_by_the_servers_lines(web: Mesh) -> None:
    web.apply(
        rule("""  - route: [{destination: {host: web, subset: safe}}]
    retries: {attempts: 2, retryOn: 5xx, backoff: 25ms}""")
    )
    (response,) = send(web, f"{URL}status/503", 1)
    assert response.status == 503
    records = logged(web, [response])
    assert [record.attempt for record in records if record.direction == "inbound"] == [1, 2, 3]
    assert not any(record.mirrored for record in records)


def test_the_kernels_own_calls_are_no_traffic(web: Mesh) -> None:
    began = time.time()
    seen = send(web, count=3)
    logged(web, seen)
    assert {access_record.path for access_record in web.engine.access_records(since_s=began)} == {"/"}


def test_explanations_are_confirmed_and_configurations_found(web: Mesh) -> None:
    web.apply(weights(safe=50, risk=50), GATEWAY)
    lab = Lab(web.engine)
    try:
        for url, source in ((URL, "client"), ("gateway:/", "outside")):
            explained = lab.explain(url, source=source)
            assert explained.agrees is True, explained.findings
        for kind in ("VirtualService", "DestinationRule", "Gateway", "Service"):
            view = lab.config(f"{kind}/web")
            assert view.envoy_parts, view.note
            shown = "\n".join(line.text for part in view.envoy_parts for line in part.lines)
            for foreign in ("istio.", "spiffe", "transport_socket", "access_log", "tlsMode"):
                assert foreign not in shown, f"{kind}: {foreign} is not what the rule made"
    finally:
        # The engine is the session's: the lab is let go of without being closed.
        from labsupport.lab import current

        current.forget(lab)


def test_statistics_come_from_every_proxy(web: Mesh) -> None:
    send(web, count=10)
    samples = web.engine.metrics()
    assert {sample.pod.rsplit("-", 2)[0] for sample in samples} == {
        "client",
        "istio-ingressgateway",
        "web-risk",
        "web-safe",
    }
    requests = [
        sample
        for sample in samples
        if sample.name == "envoy_cluster_upstream_rq_total" and sample.pod.startswith("client")
    ]
    assert sum(request.value for request in requests if "web" in request.labels.get("envoy_cluster_name", "")) >= 10


def test_a_quiet_run_is_not_taken_for_a_lost_one(web: Mesh) -> None:
    # Longer than a load client may be silent for.
    spec = TrafficSpec(URL, source="client", rate=0.1, duration_s=11)
    assert [response.outcome for response in web.engine.send(spec)] == ["ok", "ok"]


def test_the_rate_of_a_run_changes_and_its_end_comes_when_it_is_told(web: Mesh) -> None:
    sending = web.engine.send(TrafficSpec(URL, source="client", rate=0.2, duration_s=120))
    answers = iter(sending)
    assert next(answers).outcome == "ok"
    sending.set_rate(100)
    assert len([next(answers) for _ in range(50)]) == 50
    sending.stop()
    began = time.monotonic()
    assert all(answer.outcome == "ok" for answer in answers)
    assert time.monotonic() - began < 30
