"""Access logs of a real Istio: both default formats, what they do not tell, and reading pods' logs as they grow."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api_server import FakeApiServer, fake_api_server, status_object, write_kubeconfig

from labsupport.engine.accesslog import Line, with_mirrors
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.watch.accesslog import ClusterAccessLog, _Log
from labsupport.engine.cluster.watch.logformat import LoggedBy, parse, with_tries
from labsupport.records import AccessRecord

# As Istio 1.31 writes them, but for names.
CALLER = (
    '[2026-11-21T06:40:10.121Z] "GET /name HTTP/1.1" 404 - via_upstream - "-" 0 111 17 12 "-" "workshop-load-client" '
    '"r1" "web:8080" "10.244.0.11:5000" outbound|8080|risk|web.lab.svc.cluster.local 10.244.0.10:54576 '
    "10.96.71.249:8080 10.244.0.10:57246 - -"
)
SERVER = (
    '[2026-11-21T06:40:10.122Z] "GET /name HTTP/1.1" 404 - via_upstream - "-" 0 111 4 0 "-" "workshop-load-client" '
    '"r1" "web:8080" "10.244.0.11:5000" inbound|5000|| 127.0.0.6:46322 10.244.0.11:5000 10.244.0.10:0 '
    "outbound_.8080_.risk_.web.lab.svc.cluster.local default"
)
CONTROL = (
    '[2026-11-21T06:40:10.115Z] "POST /run HTTP/1.1" 200 - via_upstream - "-" 55 2013 25 0 "198.18.0.1" '
    '"istio-traffic-workshop" "78f0c1f3" "198.18.0.2:6443" "10.244.0.10:5000" inbound|5000|| 127.0.0.6:36964 '
    "10.244.0.10:5000 198.18.0.1:0 - default"
)
NO_ROUTE = (
    '[2026-11-21T06:40:11.000Z] "GET / HTTP/1.1" 404 NR route_not_found - "-" 0 0 0 - "10.244.0.1" "curl/7.88.1" '
    '"r2" "nowhere" "-" - - 10.244.0.14:8080 10.244.0.1:37620 - -'
)
TCP = (
    '[2026-11-21T06:40:11.000Z] "- - -" 0 - - - "-" 10 20 5 - "-" "-" "-" "-" "10.244.0.11:5000" '
    "outbound|9000||web.lab.svc.cluster.local 10.244.0.10:1 10.96.71.249:9000 10.244.0.10:2 - -"
)
JSON = json.dumps(
    {
        "start_time": "2026-11-21T06:40:10.121Z", "route_name": None, "method": "GET", "path": "/name?a=\"b\" c",
        "protocol": "HTTP/1.1", "response_code": 503, "response_flags": "UH", "response_code_details": "no_healthy",
        "duration": 17, "request_id": "r3", "authority": "web:8080", "user_agent": "x", "upstream_host": None,
        "upstream_cluster": "outbound|8080|risk|web.lab.svc.cluster.local", "downstream_local_address":
        "10.96.71.249:8080", "bytes_sent": 0,
    }
)  # fmt: skip
NUMBERS = {"10.244.0.10": 1, "10.244.0.11": 2, "10.244.0.12": 3}
OWNERS = {1: ("client-1-a", True), 2: ("web-risk-1-a", True), 3: ("web-safe-1-a", True), 4: ("web-safe-1-b", True)}
CLIENT, WEB = LoggedBy("client-1-a", "10.244.0.10", False), LoggedBy("web-risk-1-a", "10.244.0.11", False)
GATEWAY = LoggedBy("istio-ingressgateway-1-a", "10.244.0.14", True)


def record(text: str, proxy: LoggedBy) -> AccessRecord:
    line = parse(text, proxy, lambda ip: NUMBERS.get(ip, 0), OWNERS)
    assert line is not None
    return line.record


def test_a_callers_line_in_text_is_read_in_full() -> None:
    seen = record(CALLER, CLIENT)
    assert (seen.request_id, seen.direction, seen.method, seen.path) == ("r1", "outbound", "GET", "/name")
    assert (seen.status, seen.flags, seen.details, seen.route) == (404, "", "via_upstream", "")
    assert (seen.upstream_pod, seen.duration_s, seen.authority) == ("web-risk-1-a", 0.017, "web:8080")
    assert seen.time_s == pytest.approx(1795243210.121)
    assert seen.cluster == "outbound|8080|risk|web.lab.svc.cluster.local"


def test_a_request_that_is_traced_goes_by_the_id_it_was_sent_with() -> None:
    sent = "2b3c5f0e-7d1a-4c55-9b0d-5f6f6f0e1a2b"
    for mark in "49ab":
        text = CALLER.replace('"r1"', f'"{sent[:14]}{mark}{sent[15:]}"')
        assert record(text, CLIENT).request_id == sent, mark
    assert record(CALLER.replace('"r1"', '"nine-9-characters"'), CLIENT).request_id == "nine-9-characters"


def test_a_servers_line_names_its_own_pod() -> None:
    seen = record(SERVER, WEB)
    assert (seen.direction, seen.upstream_pod, seen.route) == ("inbound", "web-risk-1-a", "default")


def test_a_line_in_json_is_read_in_full() -> None:
    seen = record(JSON, CLIENT)
    assert (seen.request_id, seen.direction, seen.status, seen.flags) == ("r3", "outbound", 503, "UH")
    assert (seen.path, seen.upstream_pod, seen.duration_s) == ('/name?a="b" c', "", 0.017)


def test_what_a_gateway_answers_itself_is_a_gateways_line() -> None:
    seen = record(NO_ROUTE, GATEWAY)
    assert (seen.direction, seen.flags, seen.cluster, seen.upstream_pod) == ("gateway", "NR", "", "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(CONTROL, id="told by the kernel"),
        pytest.param("2026-11-21T06:39:29.153298Z\tinfo\tReadiness succeeded in 1.1s", id="of the agent"),
        pytest.param('{"level":"info","time":"2026-11-21T06:39:29Z","msg":"ready"}', id="of the agent in JSON"),
        pytest.param(CALLER[:90], id="half a line"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_request_is_left_out(text: str) -> None:
    assert parse(text, CLIENT, lambda ip: NUMBERS.get(ip, 0), OWNERS) is None


def test_a_connection_has_its_server_name_for_an_authority() -> None:
    seen = record(TCP, CLIENT)
    assert (seen.protocol, seen.request_id, seen.method, seen.status) == ("TCP", "", "", 0)
    assert (seen.cluster, seen.upstream_pod) == ("outbound|9000||web.lab.svc.cluster.local", "web-risk-1-a")
    closed = TCP.replace('"10.244.0.11:5000" outbound|9000||web.lab.svc.cluster.local', '"-" -').replace(
        "0 - - -", "0 NR - filter_chain_not_found"
    )
    seen = record(closed.replace("10.244.0.10:2 - -", "10.244.0.10:2 else.example -"), GATEWAY)
    assert (seen.authority, seen.flags, seen.details) == ("else.example", "NR", "filter_chain_not_found")


def test_older_istio_says_what_was_copied() -> None:
    seen = record(SERVER.replace('"web:8080"', '"web-shadow:8080"'), WEB)
    assert (seen.mirrored, seen.authority) == (True, "web:8080")


# --- tries ----------------------------------------------------------------------------------------------------------


def line(
    pod: str, direction: str, time_s: float, *, upstream: int = 0, status: int = 200, took_s: float = 0.001
) -> Line:
    cluster = "outbound|8080||web.lab.svc.cluster.local" if direction == "outbound" else "inbound|5000||"
    made = AccessRecord("r1", time_s, pod, direction, "GET", "web", "/", status, duration_s=took_s, cluster=cluster)  # type: ignore[arg-type]
    return Line(made, upstream, 0)


def seen(*lines: Line) -> list[tuple[str, int, bool]]:
    records = with_mirrors(with_tries(lines, OWNERS), OWNERS)
    return [(record.pod, record.attempt, record.mirrored) for record in records if record.direction == "inbound"]


def test_failed_tries_before_the_last_are_counted() -> None:
    call = line("client-1-a", "outbound", 1.0, upstream=3, took_s=0.1)
    first = line("web-risk-1-a", "inbound", 1.01, status=503)
    two = line("web-risk-1-a", "inbound", 1.04, status=503)
    last = line("web-safe-1-a", "inbound", 1.08)
    assert seen(call, last, two, first) == [
        ("web-risk-1-a", 1, False),
        ("web-risk-1-a", 2, False),
        ("web-safe-1-a", 3, False),
    ]


def test_what_succeeded_beside_the_call_is_a_copy_and_no_try() -> None:
    call = line("client-1-a", "outbound", 1.0, upstream=3, took_s=0.1)
    copied = line("web-risk-1-a", "inbound", 1.001)
    assert seen(call, copied, line("web-safe-1-a", "inbound", 1.002)) == [
        ("web-risk-1-a", 1, True),
        ("web-safe-1-a", 1, False),
    ]


@pytest.mark.parametrize("arrived_s", [1.0, 0.998])
def test_a_slow_copy_is_one_in_the_same_millisecond_and_by_the_clock_of_another_node(arrived_s: float) -> None:
    call = line("client-1-a", "outbound", 1.0, upstream=3, took_s=0.005)
    copied = line("web-risk-1-a", "inbound", arrived_s, took_s=0.02)
    assert sorted(seen(call, copied, line("web-safe-1-a", "inbound", 1.0, took_s=0.003))) == [
        ("web-risk-1-a", 1, True),
        ("web-safe-1-a", 1, False),
    ]


def test_in_the_same_millisecond_what_a_caller_without_a_sidecar_sends_is_no_copy() -> None:
    first = line("web-safe-1-a", "inbound", 1.0, took_s=0.009)
    call = line("web-safe-1-a", "outbound", 1.0, upstream=2, took_s=0.009)
    assert seen(first, call, line("web-risk-1-a", "inbound", 1.0, took_s=0.002)) == [
        ("web-safe-1-a", 1, False),
        ("web-risk-1-a", 1, False),
    ]


def test_two_calls_of_one_request_are_no_tries_of_one_another() -> None:
    first = line("client-1-a", "outbound", 1.0, upstream=2, took_s=0.01)
    second = line("client-1-a", "outbound", 2.0, upstream=3, took_s=0.01)
    answers = line("web-risk-1-a", "inbound", 1.001, status=503), line("web-safe-1-a", "inbound", 2.001)
    assert seen(first, second, *answers) == [("web-risk-1-a", 1, False), ("web-safe-1-a", 1, False)]


# --- reading --------------------------------------------------------------------------------------------------------


def pod(name: str, ip: str, *, gateway: bool = False, sidecar: bool = True, ending: bool = False) -> dict[str, Any]:
    containers = [{"name": "istio-proxy"}] if gateway else [{"name": "app"}]
    native = [{"name": "istio-proxy", "restartPolicy": "Always"}] if sidecar and not gateway else []
    notes = {"inject.istio.io/templates": "gateway"} if gateway else {}
    metadata: dict[str, Any] = {"name": name, "namespace": "lab", "annotations": notes}
    if ending:
        metadata["deletionTimestamp"] = "2026-11-21T06:40:00Z"
    return {"metadata": metadata, "spec": {"containers": containers, "initContainers": native}, "status": {"podIP": ip}}


class Cluster:
    """Pods and their logs, as an API server tells them: from a whole second on."""

    def __init__(self, server: FakeApiServer) -> None:
        self.pods = [pod("client-1-a", "10.244.0.10"), pod("web-risk-1-a", "10.244.0.11")]
        self.lines: dict[str, list[str]] = {}
        self.lock = threading.Lock()
        server.respond = self._respond

    def write(self, name: str, *texts: str) -> None:
        with self.lock:
            for text in texts:
                now = time.time()
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e9):09d}Z"
                self.lines.setdefault(name, []).append(f"{stamp} {text}")

    def _respond(self, method: str, path: str, body: Any) -> Any:
        place, _, query = path.partition("?")
        if place.endswith("/pods"):
            return 200, {"items": self.pods}
        name = place.split("/")[-2]
        if not any(pod["metadata"]["name"] == name for pod in self.pods):
            return 404, status_object(404, "NotFound", f'pods "{name}" not found')
        assert "container=istio-proxy" in query
        since = query.partition("sinceTime=")[2].partition("&")[0].replace("%3A", ":")
        with self.lock:
            return 200, "".join(f"{line}\n" for line in self.lines.get(name, ()) if line[:19] >= since[:19])


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cluster, ClusterAccessLog]]:
    monkeypatch.setattr("labsupport.engine.cluster.watch.accesslog._FLUSH_S", 0.2)
    monkeypatch.setattr("labsupport.engine.cluster.watch.accesslog._PODS_S", 0.0)
    with fake_api_server() as server:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
        connection = Connection(timeout_s=30.0)
        yield Cluster(server), ClusterAccessLog(connection, "lab")
        connection.close()


def now(text: str, request: str = "r1") -> str:
    """A line of a request that arrived just now."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time())) + ".500Z"
    return text.replace(text[1 : text.index("]")], stamp).replace('"r1"', f'"{request}"')


def test_no_line_is_read_twice_or_left_out(cluster: tuple[Cluster, ClusterAccessLog]) -> None:
    world, log = cluster
    for number in range(30):
        world.write("client-1-a", now(CALLER, f"r{number}"))
        if number % 7 == 0:
            log.records()
    records = log.records()
    assert [record.request_id for record in records] == [f"r{number}" for number in range(30)]
    assert len(log.records(since_s=time.time() + 60)) == 0


def test_it_waits_for_all_hops_of_a_request(cluster: tuple[Cluster, ClusterAccessLog]) -> None:
    world, log = cluster
    world.write("client-1-a", now(CALLER))
    late = threading.Timer(0.4, lambda: world.write("web-risk-1-a", now(SERVER)))
    late.start()
    records = log.records(request_ids=["r1"], timeout_s=60)
    late.join()
    assert {(record.pod, record.direction) for record in records} == {
        ("client-1-a", "outbound"),
        ("web-risk-1-a", "inbound"),
    }


def test_a_wait_for_what_never_comes_is_bounded(cluster: tuple[Cluster, ClusterAccessLog]) -> None:
    world, log = cluster
    world.write("client-1-a", now(CALLER))
    began = time.monotonic()
    assert len(log.records(request_ids=["r1"], timeout_s=0.5)) == 1
    assert time.monotonic() - began < 60


def test_pods_that_are_gone_keep_their_names(cluster: tuple[Cluster, ClusterAccessLog]) -> None:
    world, log = cluster
    world.write("client-1-a", now(CALLER))
    assert [record.upstream_pod for record in log.records()] == ["web-risk-1-a"]
    # The address is given to another pod.
    world.pods[1] = pod("web-risk-1-b", "10.244.0.11")
    world.write("client-1-a", now(CALLER, "r2"))
    assert [record.upstream_pod for record in log.records()] == ["web-risk-1-a", "web-risk-1-b"]


def test_what_was_written_before_a_reset_is_forgotten(cluster: tuple[Cluster, ClusterAccessLog]) -> None:
    world, log = cluster
    world.write("client-1-a", CALLER, now(CALLER))
    assert [record.request_id for record in log.records()] == ["r1"], "a line of last year is older than the lab"
    log.forget()
    assert log.records() == []


def test_words_of_the_kubelet_are_no_lines() -> None:
    log = _Log(CLIENT)
    lost = "unable to retrieve container logs for containerd://1"
    assert list(log.unread(f"2026-11-21T06:40:10Z first\n{lost}")) == ["first"]
    assert log.stamp == "2026-11-21T06:40:10Z"
    assert list(log.unread(lost)) == []
    assert list(log.unread("2026-11-21T06:40:10Z first\n2026-11-21T06:40:11Z second")) == ["second"]
