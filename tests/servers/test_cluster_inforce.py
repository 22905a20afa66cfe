"""What a change must make a proxy of a real Istio hold: compared with a recorded (and shortened) config dump."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_api_server import FakeApiServer, fake_api_server, status_object, write_kubeconfig

from labsupport.controlplane.proxies import PodInfo, ProxyResources
from labsupport.controlplane.registry.meshconfig import DEFAULT_MESH_CONFIG
from labsupport.controlplane.translate import translate
from labsupport.engine import dumps
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.watch.expected import Expected, Held, Named, expectations
from labsupport.engine.cluster.watch.inforce import Watcher
from labsupport.engine.cluster.watch.rulebook import Rulebook
from labsupport.engine.cluster.watch.world import NamespaceReader, Seen
from labsupport.errors import ConfigRejectedError, WaitTimeoutError
from labsupport.model import Resource, parse
from labsupport.model.kinds.index import placed
from labsupport.model.reading.documents import read
from labsupport.records import Ref

DUMP = json.loads((Path(__file__).parent / "recorded" / "sidecar-config-dump.json").read_text())
SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: client, namespace: lab}
spec: {selector: {app: client}, ports: [{name: http, port: 8080, targetPort: 5000}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: lab}
spec: {selector: {app: web}, ports: [{name: http, port: 8080, targetPort: 5000}]}
"""
SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: lab}
spec:
  host: web
  subsets: [{name: safe, labels: {version: safe}}, {name: risk, labels: {version: risk}}]
"""


def weights(safe: int, risk: int) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: lab}}
spec:
  hosts: [web]
  http:
  - route:
    - {{destination: {{host: web, subset: safe}}, weight: {safe}}}
    - {{destination: {{host: web, subset: risk}}, weight: {risk}}}
"""


def objects(*texts: str) -> list[Resource]:
    return [resource for text in texts for resource in parse(read(text))]


def pod(name: str, ip: str, **labels: str) -> PodInfo:
    return PodInfo(name, "lab", ip, labels={**labels, "security.istio.io/tlsMode": "istio"}, ports={"http": 5000})


PODS = (
    pod("client-1-a", "10.244.0.10", app="client"),
    pod("web-risk-1-a", "10.244.0.11", app="web", version="risk"),
    pod("web-safe-1-a", "10.244.0.12", app="web", version="safe"),
)
ADDRESSES = {("lab", "client"): "10.96.252.44", ("lab", "web"): "10.96.71.249"}
SEEN = Seen("lab", PODS, proxies=frozenset(pod.name for pod in PODS), addresses=ADDRESSES)
RULES = objects(SERVICES, SUBSETS, weights(50, 50))


def resources(rules: list[Resource], seen: Seen = SEEN) -> ProxyResources:
    return translate(seen.registry(rules, DEFAULT_MESH_CONFIG), seen.proxy(seen.pods[0]))


def held(dump: Mapping[str, Any] = DUMP) -> Held:
    return Held(dumps.proxy_config("client-1-a", dump, warming=False))


def places(expectations: list[Expected]) -> list[str]:
    return [expected.place for expected in expectations]


def test_all_that_a_real_sidecar_holds_for_these_rules_is_what_is_expected() -> None:
    wanted = expectations(ProxyResources(), resources(RULES))
    # The recording was shortened to what concerns web, and so are the listeners.
    of_web = [
        response
        for response in wanted
        if response.xds in ("CDS", "EDS", "RDS") and "web.lab" in f"{response.resource}{response.path}"
    ]
    assert len(of_web) >= 7
    assert [str(mismatch) for mismatch in held().mismatches(of_web)] == []


def test_of_a_rule_for_calls_to_the_pod_itself_its_limits_are_waited_for_and_not_the_note_of_where_they_are_from() -> (
    None
):
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: client, namespace: lab}
spec: {host: client, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}, loadBalancer: {simple: RANDOM}}}
"""
    wanted = expectations(resources(RULES), resources([*RULES, *objects(rule)]))
    inbound = [item for item in wanted if item.resource == "inbound|5000||"]
    assert inbound and all("circuit_breakers" in item.place for item in inbound)
    # The recorded Istio has no labels for metrics: with the limits, all of the rule is there.
    dump = copy.deepcopy(DUMP)
    clusters = [entry["cluster"] for config in dump["configs"] for entry in config.get("dynamic_active_clusters", ())]
    (own,) = [cluster for cluster in clusters if cluster["name"] == "inbound|5000||"]
    assert "metadata" not in own and held(dump).mismatches(inbound)
    own["circuit_breakers"]["thresholds"][0]["max_connections"] = 1
    assert [str(mismatch) for mismatch in held(dump).mismatches(inbound)] == []


def test_a_changed_weight_is_looked_for_in_its_place_alone() -> None:
    wanted = expectations(resources(RULES), resources(objects(SERVICES, SUBSETS, weights(80, 20))))
    host = "virtual_hosts[web.lab.svc.cluster.local:8080].routes[0].route.weighted_clusters.clusters"
    of_8080 = [item for item in wanted if item.resource == "8080"]
    assert places(of_8080) == [
        f"RDS 8080 {host}[outbound|8080|safe|web.lab.svc.cluster.local].weight",
        f"RDS 8080 {host}[outbound|8080|risk|web.lab.svc.cluster.local].weight",
    ]
    assert [str(item).partition(": ")[2] for item in held().mismatches(of_8080)] == [
        "seen 50, wanted 80",
        "seen 50, wanted 20",
    ]


def test_what_does_not_change_is_not_looked_for() -> None:
    assert expectations(resources(RULES), resources(objects(SERVICES, SUBSETS, weights(50, 50)))) == []


def test_a_rule_that_is_gone_must_be_gone_and_what_others_may_have_too_need_not() -> None:
    without = resources(objects(SERVICES, SUBSETS))
    changed = [str(line) for line in held().mismatches(expectations(resources(RULES), without)) if "8080" in str(line)]
    assert any("route.weighted_clusters" in line and "wanted nothing" in line for line in changed)
    no_service = expectations(resources(RULES), resources(objects(SERVICES.split("---")[0])))
    assert "RDS 8080 virtual_hosts[web.lab.svc.cluster.local:8080]" in places(no_service)
    assert not any("allow_any" in place or place == "LDS 0.0.0.0_8080" for place in places(no_service))
    assert any(place.startswith("CDS outbound|8080|safe|web") for place in places(no_service))


def test_a_new_endpoint_is_looked_for_by_its_address() -> None:
    more = Seen("lab", (*PODS, pod("web-safe-1-b", "10.244.0.99", app="web", version="safe")), addresses=ADDRESSES)
    wanted = expectations(resources(RULES), resources(RULES, more))
    assert {expectation.xds for expectation in wanted} == {"EDS"}
    assert all(response.path == ("endpoints", Named("10.244.0.99:5000")) for response in wanted)
    missing = held().mismatches(wanted)
    assert len(missing) == len(wanted) == 2
    dump = copy.deepcopy(DUMP)
    for section in dump["configs"]:
        for entry in section.get("dynamic_endpoint_configs", ()):
            groups = entry["endpoint_config"].get("endpoints")
            if groups:
                new = copy.deepcopy(groups[0]["lb_endpoints"][0])
                new["endpoint"]["address"]["socket_address"]["address"] = "10.244.0.99"
                groups[0]["lb_endpoints"].append(new)
    assert held(dump).mismatches(wanted) == []


def test_a_listener_that_still_waits_for_its_table_does_not_count() -> None:
    dump = copy.deepcopy(DUMP)
    (listeners,) = (config for config in dump["configs"] if config["@type"].endswith("ListenersConfigDump"))
    (entry,) = listeners["dynamic_listeners"]
    name = entry["name"]
    assert name in dumps.proxy_config("client-1-a", dump, warming=False).listeners
    entry["warming_state"] = entry.pop("active_state")
    assert name not in dumps.proxy_config("client-1-a", dump, warming=False).listeners
    assert name in dumps.proxy_config("client-1-a", dump).listeners


def test_versions_and_times_of_a_dump_with_changes_only_are_read() -> None:
    config = dumps.proxy_config("client-1-a", DUMP)
    assert config.versions["CDS"].startswith("2026-11-21T06:59:02Z/")
    update = dumps.updates(DUMP)["RDS", "8080"]
    assert time.strftime("%Y-%m-%d", time.gmtime(update.time_s)) == "2026-11-21"
    assert update.error == ""


# --- waiting --------------------------------------------------------------------------------------------------------


class World(Watcher):
    """A watcher whose proxies hold what the test says."""

    def __init__(self, connection: Connection, dump: Any) -> None:
        super().__init__(connection, "lab")
        self.dump = dump
        self.asked = 0
        self._may_exec = True

    def _dump(self, pod: str) -> Mapping[str, object]:
        self.asked += 1
        seen: Mapping[str, object] = self.dump(self.asked) if callable(self.dump) else self.dump
        return seen


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    with fake_api_server() as server:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
        monkeypatch.setattr(
            NamespaceReader,
            "look",
            lambda self: Seen("lab", PODS, proxies=frozenset(["client-1-a"]), addresses=ADDRESSES),
        )
        monkeypatch.setattr(NamespaceReader, "mesh", DEFAULT_MESH_CONFIG)
        connection = Connection(timeout_s=30.0)
        connection.server_of_the_test = server  # type: ignore[attr-defined]
        yield connection
        connection.close()


AFTER = objects(SERVICES, SUBSETS, weights(80, 20))


def with_weights(safe: int, risk: int, **state: Any) -> dict[str, Any]:
    dump = copy.deepcopy(DUMP)
    for section in dump["configs"]:
        for entry in section.get("dynamic_route_configs", ()):
            entry.update(state)
            for host in entry["route_config"]["virtual_hosts"]:
                if host["name"].startswith("web."):
                    clusters = host["routes"][0]["route"]["weighted_clusters"]["clusters"]
                    clusters[0]["weight"], clusters[1]["weight"] = safe, risk
    return dump


def test_it_waits_until_the_proxy_holds_the_change(connection: Connection) -> None:
    watcher = World(connection, lambda asked: with_weights(80, 20) if asked >= 3 else with_weights(50, 50))
    mark = watcher.before(RULES)
    (change,), notes = watcher.wait(mark, AFTER, time.monotonic() + 10)
    assert (watcher.asked, change.proxy, change.types, notes) == (3, "client-1-a", ("RDS",), ())
    assert 0 < change.in_force_s < 10


def test_a_time_out_names_the_proxy_the_place_and_both_values(connection: Connection) -> None:
    watcher = World(connection, with_weights(50, 50))
    place = r"client-1-a has not got RDS 8080 virtual_hosts\[web\S+\]\S+weight: seen 50, wanted 80 \(and 1 more\)"
    with pytest.raises(WaitTimeoutError, match=place):
        watcher.wait(watcher.before(RULES), AFTER, time.monotonic() + 0.2)


def test_what_envoy_refuses_is_told_in_its_words(connection: Connection) -> None:
    refused = {"error_state": {"details": "bad regex", "last_update_attempt": "2030-01-01T00:00:00.000Z"}}
    watcher = World(connection, with_weights(50, 50, **refused))
    with pytest.raises(ConfigRejectedError, match=r"client-1-a.*bad regex"):
        watcher.wait(watcher.before(RULES), AFTER, time.monotonic() + 5)


def test_a_mesh_that_answers_otherwise_than_expected_is_believed_after_a_while(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labsupport.engine.cluster.watch.inforce._SETTLED_S", 0.2)
    later = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + 5))
    watcher = World(connection, with_weights(79, 21, last_updated=later))
    (change,), (note,) = watcher.wait(watcher.before(RULES), AFTER, time.monotonic() + 10)
    assert change.proxy == "client-1-a"
    assert "holds something else than expected" in note
    assert "seen 79, wanted 80" in note


def test_rules_tell_since_when_and_where_they_are_in_force(connection: Connection) -> None:
    watcher = World(connection, with_weights(80, 20))
    began = time.time()
    watcher.wait(watcher.before(RULES), AFTER, time.monotonic() + 10)
    book = Rulebook()
    origins = {"client-1-a": frozenset(["/apis/networking.istio.io/v1/namespaces/lab/virtual-service/web"])}
    (subsets, web) = watcher._rules.status(AFTER, origins)
    assert (web.ref, web.proxies) == (Ref("VirtualService", "web", "lab"), ("client-1-a",))
    assert began <= web.in_force_since_s <= time.time()
    assert (subsets.in_force_since_s, subsets.proxies) == (0.0, ())
    watcher.forget()
    assert watcher._rules.status(AFTER, origins)[1].in_force_since_s == 0.0
    assert book.status(AFTER, {})[1].proxies == ()


def test_of_a_pod_made_for_a_gateway_what_the_gateway_opens_is_waited_for() -> None:
    group = "apiVersion: gateway.networking.k8s.io/v1"
    rules = objects(
        SERVICES,
        f"{group}\nkind: Gateway\nmetadata: {{name: front}}\n"
        "spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}\n",
        f"{group}\nkind: HTTPRoute\nmetadata: {{name: in}}\n"
        "spec: {parentRefs: [{name: front}], rules: [{backendRefs: [{name: web, port: 8080}]}]}\n",
    )
    made_for = {"gateway.networking.k8s.io/gateway-name": "front"}
    door = PodInfo("front-1-a", "lab", "10.244.0.9", labels=made_for, ports={})
    ports = "[{name: http, port: 80, targetPort: 80}]"
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: front-istio, namespace: lab}\n"
    service += f"spec: {{selector: {{gateway.networking.k8s.io/gateway-name: front}}, ports: {ports}}}\n"
    names = frozenset([door.name])
    after = Seen("lab", (*PODS, door), names, names, tuple(objects(service)), ADDRESSES)
    before = [resource for resource in rules if resource.kind == "Service"]
    old = translate(SEEN.registry(before, DEFAULT_MESH_CONFIG), after.proxy(door))
    new = translate(after.registry(rules, DEFAULT_MESH_CONFIG), after.proxy(door))
    wanted = {(item.xds, item.resource) for item in expectations(old, new, gateway=True)}
    assert {("LDS", "0.0.0.0_80"), ("RDS", "http.80")} <= wanted


def test_a_gateway_and_routes_of_connections_are_held_by_the_pods_made_for_it() -> None:
    group = "apiVersion: gateway.networking.k8s.io/v1"
    listener = "{name: bytes, port: 7000, protocol: TCP}"
    parsed = objects(
        f"{group}\nkind: Gateway\nmetadata: {{name: front}}\n"
        f"spec: {{gatewayClassName: istio, listeners: [{listener}]}}\n",
        f"{group}\nkind: TCPRoute\nmetadata: {{name: bytes}}\n"
        "spec: {parentRefs: [{name: front}], rules: [{backendRefs: [{name: web, port: 8080}]}]}\n",
    )
    rules = [placed(resource, "lab") for resource in parsed]
    book = Rulebook()
    book.remember((), rules, 1.0, 1.0, frozenset(["client-1-a", "front-1-a"]))
    origins = {"client-1-a": frozenset[str](), "front-1-a": frozenset[str]()}
    doors = {("lab", "front"): frozenset(["front-1-a"])}
    told = book.status(rules, origins, frozenset(["front-1-a"]), doors)
    assert [status.proxies for status in told] == [("front-1-a",), ("front-1-a",)]


def test_without_the_right_to_exec_what_proxies_receive_decides(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labsupport.engine.cluster.watch.received._QUIET_S", 0.1)
    monkeypatch.setattr("labsupport.engine.cluster.watch.received._POLL_S", 0.05)
    server: FakeApiServer = connection.server_of_the_test  # type: ignore[attr-defined]
    received = [1000.0, 1000.0, 9000.0]

    def respond(method: str, path: str, body: Any) -> Any:
        if "subjectaccessreviews" in path:
            assert body["spec"]["resourceAttributes"]["subresource"] == "exec"
            return 201, {"status": {"allowed": False}}
        if ":15090/proxy/stats/prometheus" in path:
            value = received.pop(0) if len(received) > 1 else received[0]
            return 200, f'envoy_cluster_upstream_cx_rx_bytes_total{{cluster_name="xds-grpc"}} {value}\n'
        return 404, status_object(404, "NotFound", path)

    server.respond = respond
    watcher = Watcher(connection, "lab")
    (change,), (note,) = watcher.wait(watcher.before(RULES), AFTER, time.monotonic() + 10)
    assert change.proxy == "client-1-a"
    assert "pods/exec is missing" in note
    assert received == [9000.0]
