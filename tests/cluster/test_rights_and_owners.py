"""Who may use which namespace: rights, foreign namespaces, and two labs that want the same one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from contract_mesh import GATEWAY, SERVICE, SUBSETS, URL, Mesh, deployment, web_manifests, weights
from kubeconfigs import raw_kubeconfig, write_kubeconfig

from labsupport.engine.cluster import ClusterEngine
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import MANAGED_BY, Connection
from labsupport.engine.cluster.objects.removal import remove_namespace
from labsupport.errors import EngineError, EngineLostError
from labsupport.records import Ref

_RBAC = "/apis/rbac.authorization.k8s.io/v1"


class Person:
    """A ServiceAccount in a namespace, with the rights that are given to it there."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self.namespace = namespace
        labels = {MANAGED_BY[0]: MANAGED_BY[1], "istio-injection": "enabled"}
        self._create("/api/v1/namespaces", "Namespace", namespace, metadata={"labels": labels})
        self._create(f"/api/v1/namespaces/{namespace}/serviceaccounts", "ServiceAccount", "kim")

    def _create(self, path: str, kind: str, name: str, *, metadata: dict[str, Any] | None = None, **more: Any) -> None:
        version = "rbac.authorization.k8s.io/v1" if path.startswith(_RBAC) else "v1"
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, **(metadata or {})}, **more}
        self._connection.request("POST", path, body=body)

    def may(self, *rules: tuple[str, str, str]) -> None:
        """Give rights: verbs, resources and API groups, separated by spaces."""
        made = [
            {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": groups.split() or [""]}
            for verbs, resources, groups in rules
        ]
        base = f"{_RBAC}/namespaces/{self.namespace}"
        self._create(f"{base}/roles", "Role", "kim", rules=made)
        subject = {"kind": "ServiceAccount", "name": "kim", "namespace": self.namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "kim"}
        self._create(f"{base}/rolebindings", "RoleBinding", "kim", roleRef=reference, subjects=[subject])

    def kubeconfig(self, place: Path) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/kim/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self._connection.request("POST", path, body=body).body["status"]["token"]
        return str(write_kubeconfig(place, raw_kubeconfig()["cluster"], {"token": token}))


@pytest.fixture
def person(connection: Connection, space: Callable[[str], str]) -> Iterator[Person]:
    name = space("kim")
    remove_namespace(namespace=name)
    yield Person(connection, name)
    remove_namespace(namespace=name)


def test_missing_rights_are_all_named_at_once(person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    person.may(("get", "namespaces", ""), ("get list", "pods services", ""))
    monkeypatch.setenv("KUBECONFIG", person.kubeconfig(tmp_path / "kubeconfig"))
    began = time.monotonic()
    with pytest.raises(
        EngineError, match=r"lack rights.*create, patch, delete services.*whoever runs the\s+cluster"
    ) as no:
        ClusterEngine(namespace=person.namespace)
    assert time.monotonic() - began < 10.0
    assert "deployments.apps" in str(no.value) and "pods/proxy" in str(no.value)


def test_a_learner_without_exec_and_cluster_rights_has_a_lab_and_is_told_what_is_left_out(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = "get list create patch delete"
    person.may(
        (change, "services configmaps pods", ""),
        ("get", "namespaces pods/log", ""),
        ("get create update patch delete", "pods/proxy", ""),
        (change, "deployments", "apps"),
        (change, "*", "networking.istio.io telemetry.istio.io"),
        ("get list", "endpointslices", "discovery.k8s.io"),
    )
    monkeypatch.setenv("KUBECONFIG", person.kubeconfig(tmp_path / "kubeconfig"))
    with ClusterEngine(namespace=person.namespace) as engine:
        mesh = Mesh(engine)
        result = mesh.apply(web_manifests(safe=1), SUBSETS, weights(safe=1), "apps/client")
        assert any("pods/exec" in note for note in result.notes)
        assert any("credentialName" in note for note in result.notes)
        assert mesh.versions(URL, 20) == {"safe": 20}
        mesh.apply(weights(risk=1))
        assert mesh.versions(URL, 20) == {"risk": 20}
        assert engine.reset().remaining == ()


def test_a_namespace_of_somebody_else_is_not_touched(connection: Connection) -> None:
    before = connection.get("/api/v1/namespaces/default")["metadata"]
    with pytest.raises(EngineError, match=r"'default'.*not made by the workshop.*kubectl label namespace default"):
        ClusterEngine(namespace="default")
    with pytest.raises(EngineError, match="not made by the workshop"):
        remove_namespace(namespace="default")
    assert connection.get("/api/v1/namespaces/default")["metadata"] == before


def test_the_lab_that_came_first_is_told_when_another_takes_over(engine: ClusterEngine) -> None:
    with ClusterEngine(namespace=engine.namespace) as second:
        Mesh(second).apply(SERVICE)
        with pytest.raises(EngineLostError, match=r"another lab took over.*process \d+.*Lab\(\)"):
            Mesh(engine).apply(weights(safe=1))
        assert [resource.kind for resource in second.get("*")] == ["Service"]
    with pytest.raises(EngineLostError, match="took over"):
        engine.reset()
    # The fixture's lab goes on for the tests after this one.
    engine._space.open()


def test_two_learners_see_nothing_of_each_other(engine: ClusterEngine, space: Callable[[str], str]) -> None:
    with ClusterEngine(namespace=space("two")) as other:
        pairs = ((Mesh(engine), "safe"), (Mesh(other), "risk"))
        notes = [
            mesh.apply(web_manifests(safe=1), SUBSETS, GATEWAY, weights(**{version: 1}), "apps/client").notes
            for mesh, version in pairs
        ]
        # Both ask for the same node port, and one of them can have it at most: the tests beside these use it too.
        assert any("node port 31532 is in use by another namespace" in note for note in (*notes[0], *notes[1]))
        for mesh, version in pairs:
            assert mesh.versions(URL, 20) == {version: 20}
            assert set(mesh.versions("nodeport:web/", 20, source="outside")) <= {"safe", "risk"}
            seen = mesh.send("gateway:/", 10, source="outside")
            assert {response.outcome for response in seen} == {"ok"}
            own = {pod.name for pod in mesh.engine.pods()}
            assert {response.path[0].pod for response in seen} <= own
            records = mesh.engine.access_records(request_ids=[record.request_id for record in seen])
            assert {record.pod for record in records} <= own
            for record in (mesh.engine.proxy_config(mesh.gateway), mesh.engine.proxy_config("client")):
                strangers = other.namespace if mesh.engine is engine else f"{engine.namespace}."
                assert strangers not in str([*record.clusters, *record.routes.values()])
        other.delete([Ref(resource.kind, resource.name) for resource in other.get("VirtualService")])
        assert pairs[0][0].versions(URL, 20) == {"safe": 20}
    remove_namespace(namespace=space("two"))
    assert engine.reset().remaining == ()


def test_a_lab_goes_on_when_its_namespace_is_deleted_only_to_say_so(space: Callable[[str], str]) -> None:
    name = space("brief")
    with ClusterEngine(namespace=name) as engine:
        Mesh(engine).apply(SERVICE + deployment("web-safe", "safe"))
        assert remove_namespace(namespace=name) == (name, True)
        with pytest.raises(EngineLostError, match=rf"{name}.*is gone.*Lab\(\)"):
            engine.reset()
        with pytest.raises(EngineLostError):
            engine.close()
    assert remove_namespace(namespace=name) == (name, False)


def test_a_server_that_says_no_is_an_error_of_ours(connection: Connection) -> None:
    with pytest.raises(ApiError) as refused:
        connection.get("/api/v1/namespaces/default/pods/nobody")
    assert refused.value.missing
