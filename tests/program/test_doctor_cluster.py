"""What the doctor says of clusters: each thing that can be wrong has a finding with a remedy, and none takes long."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fake_cluster
import pytest
from answering_api_server import ApiServer
from click.testing import CliRunner
from fake_cluster import DOCKER_INFO, World

from labsupport.cli.doctor import doctor
from labsupport.setup.cluster import images
from labsupport.setup.doctor import cluster, registries
from labsupport.setup.finding import Finding

MESH = {"accessLogFile": "/dev/stdout"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = fake_cluster.install(tmp_path, "docker")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("WORKSHOP_NAMESPACE", "workshop-ada")
    for name in ("WORKSHOP_CONTEXT", "WORKSHOP_REGISTRY", "WORKSHOP_IMAGE_TAG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    # Nobody outside is asked by a test.
    monkeypatch.setattr(registries, "_TOKEN", "http://127.0.0.1:9/token")
    made.change(istio={"tag": "1.31.1", "mesh": MESH}, held=[images.reference(name) for name in images.names()])
    return made


@pytest.fixture
def api(world: World) -> Iterator[ApiServer]:
    server = ApiServer(world)
    fake_cluster._kubeconfig(world, "course")
    yield server
    server.close()


def look() -> dict[str, list[Finding]]:
    began = time.monotonic()
    seen: dict[str, list[Finding]] = {}
    for finding in cluster.cluster("cluster"):
        seen.setdefault(finding.title, []).append(finding)
    assert time.monotonic() - began < 60
    assert all(finding.remedy for findings in seen.values() for finding in findings if finding.level != "ok")
    return seen


def levels(seen: dict[str, list[Finding]]) -> dict[str, set[str]]:
    return {title: {finding.level for finding in findings} for title, findings in seen.items()}


def test_the_embedded_engine_needs_no_cluster():
    assert list(cluster.cluster("embedded")) + list(cluster.container_engine("embedded")) == []


def test_a_cluster_that_is_ready_for_the_course(api: ApiServer):
    held = look()
    assert set().union(*levels(held).values()) == {"ok"}, held
    assert held["cluster"][0].detail.startswith("Kubernetes 1.36.4, context kind-course")
    assert held["Istio"][0].detail == "1.31.1 in istio-system; sidecars by istio-injection=enabled"
    assert held["nodes"][0].detail == "1 of 1 node ready, amd64, 8.0 GiB"


def test_a_cluster_without_the_gateway_api(api: ApiServer):
    api.gateway_api = False
    (found,) = look()["Gateway API"]
    assert found.level == "note" and "kubectl apply --server-side -f https://" in found.remedy


def test_no_kubeconfig(world: World):
    held = look()
    assert levels(held)["cluster"] == {"error"}
    assert "workshop cluster up" in held["cluster"][0].remedy
    told_once(held["cluster"][0], "cluster up", "KUBECONFIG")


def told_once(finding: Finding, *words: str) -> None:
    text = f"{finding.detail} {finding.remedy}"
    assert [text.count(word) for word in words] == [1] * len(words), text


def test_a_cluster_that_is_silent(world: World):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        world.change(server=f"http://127.0.0.1:{silent.getsockname()[1]}")
        fake_cluster._kubeconfig(world, "course")
        held = look()
    assert levels(held)["cluster"] == {"error"} and "does not answer" in held["cluster"][0].detail
    told_once(held["cluster"][0], "kubectl get nodes")


def test_no_istio_and_an_old_one(api: ApiServer, world: World):
    world.change(istio=None)
    held = look()
    assert levels(held)["Istio"] == {"error"} and "istioctl install" in held["Istio"][0].remedy
    told_once(held["Istio"][0], "istioctl install", "cluster up")
    world.change(istio={"tag": "1.20.3", "mesh": MESH})
    old = look()["Istio"][0]
    assert "1.24 or newer" in old.detail and "istioctl upgrade" in old.remedy


def test_what_helps_against_several_findings_is_told_once(api: ApiServer):
    api.denied = {"create deployments", "create namespaces", "create pods/exec", "get pods/exec", "list nodes"}
    shown = CliRunner().invoke(doctor, ["--engine", "cluster", "--quiet"], env={"COLUMNS": "200"}).output
    assert shown.count("Ask whoever runs the cluster for them") == 1 and shown.count("-> as above") == 2


def test_rights_that_are_missing(api: ApiServer):
    api.denied = {"create deployments", "create namespaces"}
    held = look()
    assert levels(held)["rights"] == {"error"}
    assert held["rights"][0].detail == "you may not create deployments.apps and namespaces"
    # In a namespace that a teacher has made, the right to make one is not needed.
    api.denied = {"create namespaces"}
    api.namespaces["workshop-ada"] = {"app.kubernetes.io/managed-by": "istio-traffic-workshop"}
    assert levels(look())["rights"] == {"ok"}


def test_without_the_right_to_exec_there_is_a_warning(api: ApiServer):
    api.denied = {"create pods/exec", "get pods/exec"}
    (finding,) = look()["rights"]
    assert finding.level == "warning" and "awaited by what requests show" in finding.detail


def test_a_namespace_of_somebody_else(api: ApiServer):
    api.namespaces["workshop-ada"] = {"team": "payments"}
    (finding,) = look()["namespace"]
    assert finding.level == "error" and "WORKSHOP_NAMESPACE" in finding.remedy


def test_nodes_that_are_not_ready_or_small(api: ApiServer):
    api.node = {"allocatable": {"memory": f"{2 * 1024**2}Ki"}}
    assert levels(look())["nodes"] == {"warning"}
    api.node = {"conditions": [{"type": "Ready", "status": "False"}]}
    assert levels(look())["nodes"] == {"error"}


def test_images_that_no_node_tells_of(api: ApiServer, world: World, monkeypatch: pytest.MonkeyPatch):
    world.change(held=["pause"])
    held = look()
    # A node tells of new images late, and of its 50 largest only.
    assert levels(held)["images"] == {"warning"}
    assert "cluster images --push" in held["images"][0].remedy
    monkeypatch.setenv("WORKSHOP_REGISTRY", "registry.example.com/team")
    assert look()["images"][0].detail == "nodes pull them from registry.example.com/team"


def test_the_container_engine_is_a_note_for_a_cluster_elsewhere(world: World):
    (finding,) = cluster.container_engine("cluster")
    assert (finding.level, finding.detail) == ("ok", "Docker 29.0.1")
    world.change(docker_info={**DOCKER_INFO, "MemTotal": 1024**3})
    assert [finding.level for finding in cluster.container_engine("cluster")] == ["ok", "warning"]
    world.fail(docker_info="Cannot connect to the Docker daemon")
    (finding,) = cluster.container_engine("cluster")
    assert finding.level == "note" and "engine does not answer" in finding.detail and finding.remedy


# --- Docker Hub -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "level", "words"),
    [
        (200, {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}, "ok", "76 of 100"),
        (200, {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "3;w=21600"}, "warning", "3 of 100"),
        (429, {}, "warning", "is reached"),
        (200, {}, "ok", "no limit"),
    ],
)
def test_the_limit_of_pulls(
    monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str], level: str, words: str
):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {}, json.dumps({"token": "t"}).encode())

        def do_HEAD(self) -> None:
            self._answer(status if self.headers["Authorization"] == "Bearer t" else 401, headers, b"")

        def _answer(self, code: int, more: dict[str, str], body: bytes) -> None:
            self.send_response(code)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        monkeypatch.setattr(registries, "_TOKEN", f"http://127.0.0.1:{server.server_port}/token")
        monkeypatch.setattr(registries, "_QUESTION", f"http://127.0.0.1:{server.server_port}/manifest")
        try:
            (finding,) = registries.docker_hub()
        finally:
            server.shutdown()
            thread.join()
    assert finding.level == level and words in finding.detail and bool(finding.remedy) == (level != "ok")


def test_a_registry_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registries, "_TOKEN", "http://127.0.0.1:9/token")
    (finding,) = registries.docker_hub()
    assert finding.level == "note" and "--image-archives" in finding.remedy
