"""What the API server, other tools and pods that do not start do to a lab."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator

import pytest
from contract_mesh import GATEWAY, SERVICE, SUBSETS, Mesh, deployment, eventually, weights

from labsupport.engine.cluster import ClusterEngine
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.objects.additions import EXPORT_TO, LAB_LABEL
from labsupport.engine.cluster.objects.removal import remove_namespace
from labsupport.errors import ConfigRejectedError, ManifestError, WaitTimeoutError
from labsupport.records import Ref


@pytest.fixture
def mesh(engine: ClusterEngine) -> Iterator[Mesh]:
    yield Mesh(engine)
    assert engine.reset().remaining == ()


def live(connection: Connection, mesh: Mesh, path: str) -> dict[str, object]:
    group, _, rest = path.partition(":")
    seen: dict[str, object] = connection.get(f"{group}/namespaces/{mesh.engine.namespace}/{rest}")
    return seen


_ISTIO = "/apis/networking.istio.io/v1"


def test_what_the_engine_adds_is_on_the_server_and_not_shown(connection: Connection, mesh: Mesh) -> None:
    mesh.apply(SERVICE, SUBSETS, weights(safe=1), GATEWAY)
    service = live(connection, mesh, "/api/v1:services/web")
    assert service["metadata"]["annotations"][EXPORT_TO] == "."  # type: ignore[index]
    for path in ("virtualservices/web", "destinationrules/web"):
        assert live(connection, mesh, f"{_ISTIO}:{path}")["spec"]["exportTo"] == ["."]  # type: ignore[index]
    gateway = live(connection, mesh, f"{_ISTIO}:gateways/web")["spec"]
    assert gateway["selector"] == {"istio": "ingressgateway", LAB_LABEL: mesh.engine.namespace}  # type: ignore[index]
    shown = json.dumps([resource.raw for resource in mesh.engine.get("*")])
    assert "exportTo" not in shown and LAB_LABEL not in shown


def test_what_another_tool_changes_is_seen_and_compared_with(connection: Connection, mesh: Mesh) -> None:
    mesh.apply(SERVICE, SUBSETS, weights(safe=90, risk=10))
    path = f"{_ISTIO}/namespaces/{mesh.engine.namespace}/virtualservices/web"
    route = [{"destination": {"host": "web", "subset": name}, "weight": 50} for name in ("safe", "risk")]
    connection.request(
        "PATCH",
        path,
        query={"fieldManager": "kubectl-edit"},
        body=json.dumps({"spec": {"http": [{"route": route}]}}),
        content_type="application/merge-patch+json",
    )
    (rule,) = mesh.engine.get("VirtualService")
    assert [destination["weight"] for destination in rule.raw["spec"]["http"][0]["route"]] == [50, 50]
    (change,) = mesh.apply(weights(safe=90, risk=10)).changes
    assert change.details == (
        "spec.http[0].route[0].weight: 50 -> 90",
        "spec.http[0].route[1].weight: 50 -> 10",
    )


def test_what_another_tool_made_is_shown_and_removed_by_reset(connection: Connection, mesh: Mesh) -> None:
    path = f"/api/v1/namespaces/{mesh.engine.namespace}/configmaps"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "by-hand"}, "data": {"a": "b"}}
    connection.request("POST", path, query={"fieldManager": "kubectl-create"}, body=body)
    assert [(resource.kind, resource.name) for resource in mesh.engine.get("*")] == [("ConfigMap", "by-hand")]
    assert [ref.name for ref in mesh.engine.reset().removed] == ["by-hand"]
    assert mesh.engine.get("*") == []


def test_what_the_server_refuses_is_told_with_file_and_line_and_changes_nothing(mesh: Mesh) -> None:
    mesh.apply(SERVICE)
    before = mesh.engine.get("*")
    with pytest.raises(ManifestError, match=r"line 8, Service/web, spec\.ports\[0\]\.nodePort: .*30000-32767"):
        mesh.apply(SUBSETS, SERVICE.replace("31532", "99"))
    with pytest.raises(ManifestError, match=r"Service/web, metadata.namespace: .*only.*'default'"):
        mesh.apply(SERVICE.replace("name: web}", "name: web, namespace: default}"))
    with pytest.raises(ManifestError, match="part of the lab itself"):
        mesh.apply(SERVICE.replace("name: web}", "name: istio-ingressgateway}"))
    assert mesh.engine.get("*") == before


def test_a_deletion_that_an_envoy_refuses_is_taken_back(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh.apply(SERVICE, SUBSETS, weights(safe=1))
    before = mesh.engine.get("*")

    def refused(*_: object, **__: object) -> None:
        raise ConfigRejectedError("web-safe-1: its Envoy refused a listener")

    with monkeypatch.context() as patched:
        patched.setattr(mesh.engine, "_settle", refused)
        with pytest.raises(ConfigRejectedError, match=r"nothing was changed, because web-safe-1"):
            mesh.engine.delete([Ref("VirtualService", "web"), Ref("DestinationRule", "web")])
    assert {(resource.kind, resource.name) for resource in mesh.engine.get("*")} == {
        (resource.kind, resource.name) for resource in before
    }


def test_an_image_that_cannot_be_had_is_told_without_waiting_for_the_time_out(mesh: Mesh) -> None:
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"no node can get the image 'registry\.invalid/web:9'"):
        mesh.apply(deployment("web-safe", "safe", image="registry.invalid/web:9"))
    assert time.monotonic() - began < 45.0
    assert [pod.ready for pod in mesh.engine.pods() if pod.workload == "web-safe"] == [False]


def test_a_program_that_ends_is_told_with_its_last_words(mesh: Mesh) -> None:
    with pytest.raises(WaitTimeoutError, match=r"pod web-safe-\S+ does not start.*nonsense"):
        mesh.apply(SERVICE + deployment("web-safe", "safe", env="[{name: ENDPOINTS, value: /nonsense}]"))
    (pod,) = [pod for pod in mesh.engine.pods() if pod.workload == "web-safe"]
    assert pod.restarts >= 1 and not pod.ready
    assert "nonsense" in pod.last_words
    # A container that was started again just now has said nothing yet.
    deadline = time.monotonic() + 60
    while "nonsense" not in mesh.engine.logs(pod.name):
        assert time.monotonic() < deadline


KERNEL = """
    import sys
    from contract_mesh import SUBSETS, Mesh, web_manifests, weights
    from labsupport.engine.cluster import ClusterEngine
    engine = ClusterEngine(namespace=sys.argv[1])
    print("open", flush=True)
    Mesh(engine).apply(web_manifests(safe=3), SUBSETS, weights(safe=1), "apps/client")
"""


def test_a_kernel_that_is_killed_in_the_middle_of_an_apply_leaves_what_the_next_lab_clears(
    connection: Connection, space: Callable[[str], str]
) -> None:
    name = space("killed")
    folder = next(path for path in sys.path if path.endswith("contract"))
    code = f"import sys; sys.path.insert(0, {folder!r})\n{textwrap.dedent(KERNEL)}"
    process = subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    path = f"/apis/apps/v1/namespaces/{name}/deployments"
    eventually(lambda: len(connection.get(path)["items"]) > 1, timeout_s=30.0)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    began = time.monotonic()
    with ClusterEngine(namespace=name) as engine:
        assert time.monotonic() - began < 30.0
        assert engine.get("*") == []
        assert [pod.workload for pod in engine.pods()] == ["istio-ingressgateway"]
        Mesh(engine).apply(SERVICE, weights(safe=1))
    remove_namespace(namespace=name)
