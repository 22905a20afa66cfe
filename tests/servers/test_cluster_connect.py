"""The way to a cluster, against a small server that says what API servers say."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api_server import FakeApiServer, fake_api_server, status_object, write_kubeconfig

from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.api.istio import istio_of
from labsupport.errors import EngineError, EngineLostError, UsageError


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with fake_api_server() as fake_api_servers:
        yield fake_api_servers


@pytest.fixture
def connection(server: FakeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
    connection = Connection(timeout_s=30.0)
    yield connection
    connection.close()


def test_an_answer_is_read_as_json_and_warnings_are_kept(server: FakeApiServer, connection: Connection) -> None:
    server.answers["/api"] = (200, {"a": 1}, {"Warning": '299 - "first \\"one\\"", 299 - "second"'})
    reply = connection.request("GET", "/api", query={"labelSelector": "a=b"})
    assert reply.body == {"a": 1}
    assert reply.warnings == ('first "one"', "second")
    assert server.asked == [("GET", "/api?labelSelector=a%3Db", None)]


def test_a_refusal_carries_the_servers_text_and_fields(server: FakeApiServer, connection: Connection) -> None:
    causes = [{"field": "spec.ports[0].nodePort", "message": "not in the valid range"}]
    server.answers["/x"] = (422, status_object(422, "Invalid", "Service is invalid", causes))
    with pytest.raises(ApiError, match="Service is invalid") as refused:
        connection.get("/x")
    assert (refused.value.status, refused.value.reason) == (422, "Invalid")
    assert refused.value.causes == (("spec.ports[0].nodePort", "not in the valid range"),)


def test_a_missing_right_is_named_with_who_can_give_it(server: FakeApiServer, connection: Connection) -> None:
    said = 'pods is forbidden: User "kim" cannot list resource "pods" in API group "" in the namespace "x"'
    server.answers["/x"] = (403, status_object(403, "Forbidden", said))
    with pytest.raises(ApiError, match=r'"kim" cannot list.*whoever runs the cluster') as refused:
        connection.get("/x")
    assert refused.value.forbidden


def test_credentials_that_are_not_accepted_are_told(server: FakeApiServer, connection: Connection) -> None:
    server.answers["/x"] = (401, status_object(401, "Unauthorized", "Unauthorized"))
    with pytest.raises(ApiError, match=r"does not accept your credentials.*kubeconfig"):
        connection.get("/x")


def test_a_busy_server_is_asked_again_when_it_says_so(server: FakeApiServer, connection: Connection) -> None:
    busy = iter([(429, "slow down", {"Retry-After": "0"}), (200, {"ok": True})])
    server.respond = lambda method, path, body: next(busy)
    assert connection.get("/x") == {"ok": True}
    assert len(server.asked) == 2


def test_a_server_that_is_gone_is_told_at_once(server: FakeApiServer, connection: Connection) -> None:
    server.answers["/x"] = (200, {})
    connection.get("/x")
    connection.server = "http://127.0.0.1:1"
    began = time.monotonic()
    with pytest.raises(EngineLostError, match=r"'fake' does not answer.*Connection refused.*Lab\(\)"):
        connection.get("/x")
    assert time.monotonic() - began < 20.0


def test_a_silent_server_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", url)))
        connection = Connection(timeout_s=0.3)
        with pytest.raises(EngineLostError, match="does not answer"):
            connection.request("POST", "/x", body={})
        connection.close()


def test_a_kept_connection_that_was_closed_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for said in (b"", answer):
                peer, _ = listener.accept()
                with peer:
                    peer.recv(4096)
                    peer.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", url)))
        connection = Connection(timeout_s=30.0)
        assert connection.get("/x") == {}
        connection.close()
        thread.join()


def test_the_official_client_fails_with_our_errors(server: FakeApiServer, connection: Connection) -> None:
    with pytest.raises(ApiError) as refused:
        connection.call(connection.core.read_namespaced_pod, "name", "space")
    assert refused.value.missing
    assert server.asked[-1][1] == "/api/v1/namespaces/space/pods/name"


def test_an_unknown_context_lists_those_there_are(connection: Connection) -> None:
    with pytest.raises(UsageError, match=r"'other'.*contexts fake"):
        Connection("other")


def test_without_a_kubeconfig_the_ways_to_a_cluster_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(EngineError, match=r"workshop cluster up.*KUBECONFIG.*embedded"):
        Connection()


# --- Istio ----------------------------------------------------------------------------------------------------------

_GROUP = "/apis/networking.istio.io"
_HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


def injector(key: str, value: str, service: str = "istiod") -> dict[str, object]:
    selector = {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}
    return {"clientConfig": {"service": {"name": service}}, "namespaceSelector": selector}


def install(server: FakeApiServer, *, image: str = "docker.io/istio/pilot:1.31.2", revision: str = "default") -> None:
    name = "istiod" if revision == "default" else f"istiod-{revision}"
    hook = injector("istio-injection", "enabled") if revision == "default" else injector("istio.io/rev", revision, name)
    deployment = {
        "metadata": {"name": name, "namespace": "mesh", "labels": {"app": "istiod", "istio.io/rev": revision}},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
    }
    config = "istio" if revision == "default" else f"istio-{revision}"
    server.answers |= {
        _GROUP: (200, {"versions": [{"version": "v1"}, {"version": "v1beta1"}]}),
        _HOOKS: (200, {"items": [{"webhooks": [hook]}]}),
        "/apis/apps/v1/deployments": (200, {"items": [deployment]}),
        f"/api/v1/namespaces/mesh/configmaps/{config}": (200, {"data": {"mesh": "accessLogFile: /dev/stdout"}}),
    }


def test_istio_is_found_with_its_version_and_injection(server: FakeApiServer, connection: Connection) -> None:
    install(server)
    istio = istio_of(connection)
    assert (istio.namespace, istio.version, istio.version_text) == ("mesh", (1, 31), "1.31.2")
    assert istio.injection == {"istio-injection": "enabled"}
    assert istio.mesh_config == {"accessLogFile": "/dev/stdout"}
    assert istio.notes == ()


def test_a_revision_is_asked_for_by_its_label(server: FakeApiServer, connection: Connection) -> None:
    install(server, revision="1-31")
    istio = istio_of(connection)
    assert (istio.revision, istio.injection) == ("1-31", {"istio.io/rev": "1-31"})


def test_a_cluster_without_istio_is_told_with_the_ways_to_have_it(connection: Connection) -> None:
    with pytest.raises(EngineError, match=r"has no Istio.*workshop cluster up"):
        istio_of(connection)


@pytest.mark.parametrize(
    ("image", "shown"), [("docker.io/istio/pilot:1.20.3-distroless", "1.20.3"), ("hub/pilot:1.23.0", "1.23.0")]
)
def test_an_old_istio_is_told(server: FakeApiServer, connection: Connection, image: str, shown: str) -> None:
    install(server, image=image)
    with pytest.raises(EngineError, match=rf"Istio {shown}.*needs 1\.24 or newer"):
        istio_of(connection)


def test_an_istio_that_serves_no_v1_is_old_whatever_its_tag_says(server: FakeApiServer, connection: Connection) -> None:
    install(server, image="mirror/pilot:stable")
    server.answers[_GROUP] = (200, {"versions": [{"version": "v1beta1"}]})
    with pytest.raises(EngineError, match=r"older than 1\.22"):
        istio_of(connection)


def test_what_may_not_be_read_is_noted_and_no_obstacle(server: FakeApiServer, connection: Connection) -> None:
    install(server)
    said = status_object(403, "Forbidden", 'User "kim" cannot list resource')
    for path in (_HOOKS, "/apis/apps/v1/deployments", "/apis/apps/v1/namespaces/istio-system/deployments"):
        server.answers[path] = (403, said)
    server.answers["/api/v1/namespaces/istio-system/configmaps/istio"] = (403, said)
    istio = istio_of(connection)
    assert istio.injection == {"istio-injection": "enabled"}
    assert len(istio.notes) == 4


def test_an_istio_that_injects_nothing_is_told(server: FakeApiServer, connection: Connection) -> None:
    install(server)
    server.answers[_HOOKS] = (200, {"items": []})
    with pytest.raises(EngineError, match="injects no sidecars"):
        istio_of(connection)
