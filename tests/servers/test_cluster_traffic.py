"""Ways into a cluster: which entrances there are, how they are reached, and load clients behind an API server."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fake_api_server import FakeApiServer, fake_api_server, status_object, write_kubeconfig

from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.api.podroute import PodRoute
from labsupport.engine.cluster.localclient import LocalClient
from labsupport.engine.cluster.watch.entrances import PROBE, EntrancePort, Reach, entrances, hosts
from labsupport.engine.sending import ClientSending, LocalRoute
from labsupport.errors import EngineError, EngineLostError, UsageError
from labsupport.records import TrafficSpec

GATEWAY = {
    "metadata": {"name": "istio-ingressgateway"},
    "spec": {
        "type": "LoadBalancer",
        "clusterIP": "10.96.0.7",
        "ports": [
            {"port": 15021, "nodePort": 30021},
            {"port": 80, "nodePort": 31080},
            {"port": 443, "nodePort": 31443},
            {"port": 53, "protocol": "UDP"},
        ],
    },
    "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}},
}
WEB = {
    "metadata": {"name": "web"},
    "spec": {"type": "NodePort", "clusterIP": "10.96.0.8", "ports": [{"port": 8080, "nodePort": 31532}]},
}
CLIENT = {"metadata": {"name": "client"}, "spec": {"type": "ClusterIP", "ports": [{"port": 8080}]}}


def test_entrances_are_the_gateways_ports_and_node_ports() -> None:
    balanced = {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 31900}]}
    closed = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": [{"port": 80}]}
    shops = [{"metadata": {"name": name}, "spec": spec} for name, spec in (("shop", balanced), ("zoo", closed))]
    assert list(entrances(shops, "istio-ingressgateway")) == ["nodeport:shop"]
    held = entrances([WEB, CLIENT, GATEWAY], "istio-ingressgateway")
    assert list(held) == ["gateway", "gateway:443", "nodeport:web"]
    assert held["gateway"] == EntrancePort("gateway", 80, 31080, "10.96.0.7", ("192.0.2.7",), 30021)
    assert [port.authority for port in held.values()] == ["localhost", "localhost:443", "localhost:31532"]


def test_a_gateway_of_the_gateway_api_is_an_entrance_of_its_own() -> None:
    labels = {
        "gateway.istio.io/managed": "istio.io-gateway-controller",
        "gateway.networking.k8s.io/gateway-name": "front",
    }
    ports = [{"port": 15021, "nodePort": 31021}, {"port": 80, "nodePort": 31900}, {"port": 7000}]
    front = {
        "metadata": {"name": "front-istio", "labels": labels},
        "spec": {"type": "NodePort", "clusterIP": "10.96.0.9", "ports": ports},
    }
    held = entrances([front, WEB, GATEWAY], "istio-ingressgateway")
    assert list(held) == ["gateway", "gateway:443", "gateway/front", "gateway/front:7000", "nodeport:web"]
    assert held["gateway/front"] == EntrancePort("gateway/front", 80, 31900, "10.96.0.9", (), 30021)
    assert held["gateway/front"].authority == "localhost"


def test_nodes_are_known_from_pods_where_the_nodes_may_not_be_listed() -> None:
    pods = [{"status": {"hostIP": "10.0.0.1"}}, {"status": {"hostIP": "10.0.0.1"}}, {"status": {}}]
    node = {
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.2"}, {"type": "Hostname", "address": "n"}]}
    }
    assert hosts(pods) == ["10.0.0.1"]
    assert hosts(pods, [node]) == ["10.0.0.2", "10.0.0.1"]


class Gateway:
    """Answers as an Envoy does, and keeps what it was asked."""

    def __init__(self, server: str) -> None:
        self.asked: list[str] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version, sys_version = server, ""

            def do_CONNECT(self) -> None:
                gateway.asked.append(self.path)
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def version_string(self) -> str:
                return server

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def envoy() -> Iterator[Gateway]:
    gateway = Gateway("istio-envoy")
    yield gateway
    gateway.close()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as echo:
        return int(echo.getsockname()[1])


LOCAL, REMOTE = "https://127.0.0.1:6443", "https://cluster.example:6443"


def test_a_port_of_this_machine_is_taken_once_the_gateways_own_log_proves_it(envoy: Gateway) -> None:
    entrance = EntrancePort("gateway", 80, envoy.port, "10.96.0.7")
    assert Reach(LOCAL, lambda authority: authority in envoy.asked).address(entrance, []) == ("127.0.0.1", envoy.port)
    assert envoy.asked[0].startswith(PROBE)


def test_the_gateway_of_another_cluster_on_this_machine_is_not_taken(envoy: Gateway) -> None:
    entrance = EntrancePort("gateway", 80, envoy.port, "10.96.0.7")
    assert Reach(LOCAL, lambda authority: False).address(entrance, []) is None
    assert Reach(REMOTE, lambda authority: True).address(entrance, []) is None


def test_what_is_no_envoy_is_not_taken() -> None:
    other = Gateway("nginx")
    try:
        assert Reach(LOCAL, lambda authority: True).address(EntrancePort("gateway", 80, other.port, ""), []) is None
    finally:
        other.close()


def test_a_node_is_there_if_any_port_of_the_gateway_answers(envoy: Gateway) -> None:
    reach = Reach(REMOTE, lambda authority: False)
    nobody = closed_port()
    entrance = EntrancePort("gateway", 80, nobody, "10.96.0.7")
    assert reach.address(entrance, ["127.0.0.1"]) is None
    assert reach.address(replace(entrance, status_port=envoy.port), ["127.0.0.1"]) == ("127.0.0.1", nobody)
    assert reach.address(replace(entrance, node_port=envoy.port), ["127.0.0.1"]) == ("127.0.0.1", envoy.port)


# --- a load client behind an API server -------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with fake_api_server() as fake_api_servers:
        yield fake_api_servers


@pytest.fixture
def route(server: FakeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PodRoute]:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
    connection = Connection(timeout_s=30.0)
    yield PodRoute(connection, "lab", "client-1-a", 5000)
    connection.close()


SPEC = TrafficSpec("http://web/", source="client", count=2)
RECORD = {"index": 0, "started_s": 1.0, "duration_s": 0.1, "outcome": "ok", "status": 200, "path": [["web", "v1", "p"]]}
BASE = "/api/v1/namespaces/lab/pods/client-1-a:5000/proxy/run/"


def send(route: PodRoute) -> ClientSending:
    return ClientSending(route, SPEC, url="http://web/", connect_to=None, lost=route.lost)


def test_a_run_is_prepared_and_then_started_without_a_body(server: FakeApiServer, route: PodRoute) -> None:
    lines = "".join(["\n", json.dumps(RECORD) + "\n", "\n", json.dumps({**RECORD, "index": 1}) + "\n"])

    def respond(method: str, path: str, body: Any) -> Any:
        return (200, {"prepared": True}) if method == "PUT" else (200, lines) if method == "GET" else (200, {})

    server.respond = respond
    sending = send(route)
    sending.set_rate(7.5)
    assert [response.index for response in sending] == [0, 1]
    put, changed, *_ = server.asked[0], server.asked[2]
    assert put[0] == "PUT" and put[1].startswith(BASE) and put[2]["count"] == 2
    assert server.asked[1] == ("GET", put[1], None)
    assert changed == ("PATCH", f"{put[1]}?rate=7.5", None)


def test_what_the_load_client_refuses_is_told_in_its_words(server: FakeApiServer, route: PodRoute) -> None:
    server.respond = lambda method, path, body: (400, {"error": "count: must be a whole number", "field": "count"})
    with pytest.raises(UsageError, match="count: must be a whole number"):
        send(route)


def test_a_pod_that_the_api_server_cannot_reach_is_named(server: FakeApiServer, route: PodRoute) -> None:
    said = "error trying to reach service: dial tcp 10.244.0.10:5000: connect: connection refused"
    server.respond = lambda method, path, body: (503, status_object(503, "ServiceUnavailable", said))
    with pytest.raises(EngineError, match=r"client-1-a does not answer.*connection refused"):
        send(route)


def test_a_sidecar_that_lets_nobody_in_is_explained(server: FakeApiServer, route: PodRoute) -> None:
    said = "error trying to reach service: read tcp 10.0.0.1:1->10.244.0.10:5000: read: connection reset by peer"
    server.respond = lambda method, path, body: (503, status_object(503, "ServiceUnavailable", said))
    with pytest.raises(EngineError, match=r"STRICT.*excludeInboundPorts"):
        send(route)


def test_a_load_client_of_former_days_is_told(server: FakeApiServer, route: PodRoute) -> None:
    server.respond = lambda method, path, body: (405, "Method Not Allowed")
    with pytest.raises(EngineError, match="older than this course"):
        send(route)


def test_a_cluster_that_falls_silent_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for the first record on a busy machine; nobody answers the question whether the server lives.
    monkeypatch.setattr("labsupport.engine.cluster.api.podroute._SILENCE_S", 5.0)
    monkeypatch.setattr("labsupport.engine.cluster.api.podroute._ALIVE_S", 0.5)
    silent = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while not silent.is_set():
            peer, _ = listener.accept()
            threading.Thread(target=answer, args=(peer,), daemon=True).start()

    def answer(peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as asked:
            while not silent.is_set() and (request := asked.readline()):
                # Whole requests: a body may come together with what follows it.
                head = iter(asked.readline, b"\r\n")
                asked.read(sum(int(line.split()[1]) for line in head if line.lower().startswith(b"content-length:")))
                if request.startswith(b"PUT"):
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                elif request.startswith(b"GET") and b"/run/" in request:
                    line = json.dumps(RECORD).encode() + b"\n"
                    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    peer.sendall(begun + b"%x\r\n%s\r\n" % (len(line), line))
                # Everything else, and all that would follow, is never answered.

    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{port}")))
    connection = Connection(timeout_s=30.0)
    route = PodRoute(connection, "lab", "client-1-a", 5000)
    answers = iter(send(route))
    assert next(answers).index == 0
    began = time.monotonic()
    with pytest.raises(EngineLostError, match="does not answer"):
        next(answers)
    assert time.monotonic() - began < 60
    silent.set()
    connection.close()
    socket.create_connection(("127.0.0.1", port)).close()
    listener.close()


def test_the_load_client_of_this_machine_sends_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    client = LocalClient()
    try:
        port = client.port()
        assert client.port() == port
        with socket.create_connection(("127.0.0.1", port), timeout=5) as asked:
            asked.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"outside" in b"".join(iter(lambda: asked.recv(4096), b""))
        assert LocalRoute("127.0.0.1", port, client.token).tell("DELETE", "/run/a", None)[0] == 404
        assert LocalRoute("127.0.0.1", port, "guessed").tell("DELETE", "/run/a", None)[0] == 401
    finally:
        client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
