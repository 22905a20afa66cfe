"""What is in another namespace than the lab's: a cluster refuses it by name, and asks the API server for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_api_server import FakeApiServer, fake_api_server, write_kubeconfig

from labsupport.engine.cluster import ClusterEngine
from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.objects.images import Images
from labsupport.engine.cluster.objects.objects import ObjectStore
from labsupport.errors import ManifestError, UsageError
from labsupport.lab import current
from labsupport.lab.lab import Lab

NAMESPACE = "workshop-kim"
RULES = f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices"
RULE = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "web", "namespace": NAMESPACE},
    "spec": {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}]}]},
}
OWNED = {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {"f:hosts": {}, "f:http": {}}}}
LIVE = {**RULE, "metadata": {"name": "web", "namespace": NAMESPACE, "managedFields": [OWNED]}}


class Opened(ClusterEngine):
    """An engine that found its namespace as it has to be."""

    def __init__(self, connection: Connection) -> None:
        self.namespace = NAMESPACE
        self._lock = threading.RLock()
        self.connection = connection
        self._api = Api(connection, NAMESPACE)
        self.images = Images(None, None)
        self._objects = ObjectStore(self._api, self.images)

    def _check(self, *, fresh: bool = False) -> None:
        pass

    def close(self):
        self._api.close()
        self.connection.close()


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with fake_api_server() as server:
        server.answers["/version"] = (200, {"major": "1", "minor": "34"})
        server.answers["/apis/networking.istio.io/v1"] = (
            200,
            {"resources": [{"name": "virtualservices", "kind": "VirtualService"}]},
        )
        server.answers[RULES] = (
            200,
            {"apiVersion": "networking.istio.io/v1", "kind": "VirtualServiceList", "items": [LIVE]},
        )
        yield server


@pytest.fixture
def lab(server: FakeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
    yield Lab(Opened(Connection(timeout_s=30.0)))
    current.replace(None)


@pytest.mark.parametrize(
    "verb",
    [
        lambda lab: lab.get("vs/web.shop"),
        lambda lab: lab.get("vs", namespace="shop"),
        lambda lab: lab.config("vs/web.shop"),
        lambda lab: lab.delete("vs/web.shop"),
        lambda lab: lab.delete("vs/web", namespace="shop", missing_ok=True),
        lambda lab: lab.patch("vs/web.shop", {"spec": {"hosts": ["x"]}}),
        lambda lab: lab.scale("web", 3, namespace="shop"),
        lambda lab: lab.apply({**RULE, "metadata": {"name": "web", "namespace": "shop"}}),
    ],
    ids=["get one", "get all", "config", "delete", "delete what there is", "patch", "scale", "apply"],
)
def test_another_namespace_is_left_alone(lab: Lab, server: FakeApiServer, verb: Callable[[Lab], object]) -> None:
    with pytest.raises((UsageError, ManifestError), match=NAMESPACE):
        verb(lab)
    assert not [path for method, path, _ in server.asked if method != "GET" or "/namespaces/shop" in path]


@pytest.mark.parametrize("named", ["vs/web", f"vs/web.{NAMESPACE}"])
def test_the_labs_own_namespace_may_be_named(lab: Lab, named: str) -> None:
    assert lab.get(named)[0].namespace == NAMESPACE


def test_all_namespaces_are_the_labs_own(lab: Lab) -> None:
    assert [rule.namespace for rule in lab.get("vs", namespace="*")] == [NAMESPACE]
