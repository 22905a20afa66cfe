"""Paths and lists of objects, against a small server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from fake_api_server import FakeApiServer, fake_api_server, status_object

from labsupport.cli.state import reset
from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.objects.images import Images
from labsupport.engine.cluster.objects.namespace import HOLDER, LabNamespace
from labsupport.engine.cluster.objects.objects import ObjectStore
from labsupport.engine.cluster.objects.rollout import Rollout
from labsupport.engine.cluster.watch.prometheus import ask, dashboards
from labsupport.errors import EngineError, EngineLostError, ManifestError, UsageError, WaitTimeoutError
from labsupport.model import Resource, parse
from labsupport.model.kinds.index import placed
from labsupport.model.reading.documents import read


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with fake_api_server() as fake_api_servers:
        fake_api_servers.answers["/version"] = (200, {"major": "1", "minor": "34+"})
        core = [("services", "Service"), ("services/status", "Service"), ("configmaps", "ConfigMap"), ("pods", "Pod")]
        rules = [("virtualservices", "VirtualService"), ("destinationrules", "DestinationRule")]
        for path, kinds in (
            ("/api/v1", core),
            ("/apis/apps/v1", [("deployments", "Deployment")]),
            ("/apis/networking.istio.io/v1", rules),
        ):
            fake_api_servers.answers[path] = (
                200,
                {"resources": [{"name": name, "kind": kind} for name, kind in kinds]},
            )
        yield fake_api_servers


QUERY = "/api/v1/namespaces/istio-system/services/http:prometheus:9090/proxy/api/v1/query"


def test_the_prometheus_of_a_cluster_is_asked_by_way_of_the_api_server(server: FakeApiServer, api: Api) -> None:
    assert ask(api.connection, "up") is None

    data = {"resultType": "vector", "result": []}
    server.answers[QUERY] = (200, {"status": "success", "data": data})
    assert ask(api.connection, 'up{job="a"} > 1') == data
    assert parse_qs(urlsplit(server.asked[-1][1]).query) == {"query": ['up{job="a"} > 1']}

    for status in (400, 422):
        refused = {"status": "error", "errorType": "bad_data", "error": 'unknown function with name "rat"'}
        server.answers[QUERY] = (status, refused)
        with pytest.raises(UsageError, match='PromQL: unknown function with name "rat"'):
            ask(api.connection, "rat(up)")
    server.answers[QUERY] = (503, status_object(503, "ServiceUnavailable", "no endpoints available for service"))
    assert ask(api.connection, "up") is None


def test_the_dashboards_of_a_cluster_are_those_that_have_a_service(server: FakeApiServer, api: Api) -> None:
    assert dashboards(api.connection) == ()

    items = [{"metadata": {"name": name}} for name in ("istiod", "tracing", "kiali")]
    server.answers["/api/v1/namespaces/istio-system/services"] = (200, {"items": items})
    assert dashboards(api.connection) == ("kiali", "jaeger")


def service(text: str = "ports: [{port: 80, nodePort: 31532}], type: NodePort") -> Resource:
    manifest = f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{{text}}}\n"
    (parsed,) = parse(read(manifest))
    return placed(parsed, "workshop-kim")


_SERVICES = "/api/v1/namespaces/workshop-kim/services"


def test_paths_come_from_what_the_cluster_serves(api: Api) -> None:
    assert api.path_of("Service", "web") == f"{_SERVICES}/web"
    assert api.path_of("VirtualService") == "/apis/networking.istio.io/v1/namespaces/workshop-kim/virtualservices"
    assert api.path_of("Namespace", "x") == "", "a kind that the cluster does not list has no path"
    assert api.path("networking.istio.io/v1beta1", "VirtualService") == ""


def test_kinds_that_may_not_be_read_are_left_out_of_lists(server: FakeApiServer, api: Api) -> None:
    server.answers[_SERVICES] = (200, {"apiVersion": "v1", "items": [{"metadata": {"name": "web"}}]})
    server.answers["/api/v1/namespaces/workshop-kim/configmaps"] = (403, status_object(403, "Forbidden", "no"))
    assert [
        (resource["kind"], resource["metadata"]["name"]) for resource in api.all_items(["Service", "ConfigMap"])
    ] == [("Service", "web")]


def test_after_an_error_nothing_more_is_begun(api: Api) -> None:
    release, begun = threading.Event(), []

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise EngineLostError("gone")
        release.wait(120.0)

    started = time.monotonic()
    try:
        with pytest.raises(EngineLostError, match="gone"):
            api.map(work, range(40))
        assert time.monotonic() - started < 60.0
    finally:
        release.set()
    assert len(begun) < 40


# --- objects --------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(api: Api) -> ObjectStore:
    return ObjectStore(api, Images("registry.test", "1"))


def taken(method: str, path: str, body: object) -> tuple[int, object] | None:
    if method == "PATCH" and "31532" in str(body):
        cause = {
            "field": "spec.ports[0].nodePort",
            "message": "Invalid value: 31532: provided port is already allocated",
        }
        return (422, status_object(422, "Invalid", "Service is invalid", [cause]))
    if method == "PATCH":
        ports = [{"port": 80, "protocol": "TCP", "nodePort": 30007}]
        return (200, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports}})
    return None


def test_a_node_port_of_somebody_else_is_replaced_and_told(server: FakeApiServer, store: ObjectStore) -> None:
    server.respond = taken
    tried = store.dry_run([service()])
    assert tried.bodies[0]["spec"]["ports"] == [{"port": 80}]
    notes = store.apply([service()], tried.bodies, before=())
    assert notes == ["Service/web: node port 31532 is in use by another namespace, so it got 30007"]
    queries = [path for method, path, _ in server.asked if method == "PATCH"]
    assert ["dryRun=All" in query for query in queries] == [True, True, False]
    assert all("fieldManager=istio-traffic-workshop" in query and "force=true" in query for query in queries)


def test_a_node_port_that_is_taken_between_the_dry_run_and_the_change_is_replaced_too(
    server: FakeApiServer, store: ObjectStore
) -> None:
    answer = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    server.respond = lambda method, path, body: (200, answer) if method == "PATCH" else None
    tried = store.dry_run([service()])
    assert tried.bodies[0]["spec"]["ports"] == [{"port": 80, "nodePort": 31532}]
    server.respond = taken
    notes = store.apply([service()], tried.bodies, before=())
    assert notes == ["Service/web: node port 31532 is in use by another namespace, so it got 30007"]


def test_what_the_server_or_a_webhook_refuses_is_a_problem_with_its_place(
    server: FakeApiServer, store: ObjectStore
) -> None:
    said = 'admission webhook "rev.validation.istio.io" denied the request: configuration is invalid: no'
    server.respond = lambda method, path, body: (400, status_object(400, "", said)) if method == "PATCH" else None
    with pytest.raises(ManifestError, match=r"line 1, Service/web: admission webhook.*configuration is invalid: no"):
        store.dry_run([service()])


def test_a_missing_right_is_no_fault_of_the_manifest(server: FakeApiServer, store: ObjectStore) -> None:
    said = 'services "web" is forbidden: User "kim" cannot patch resource "services" in API group ""'
    refusal = (403, status_object(403, "Forbidden", said))
    server.respond = lambda method, path, body: refusal if method == "PATCH" else None
    with pytest.raises(EngineError, match="a right is missing"):
        store.dry_run([service()])


def test_a_quota_is_told_as_a_problem_of_the_object(server: FakeApiServer, store: ObjectStore) -> None:
    said = 'services "web" is forbidden: exceeded quota: services, requested: 1, used: 5, limited: 5'
    refusal = (403, status_object(403, "Forbidden", said))
    server.respond = lambda method, path, body: refusal if method == "PATCH" else None
    with pytest.raises(ManifestError, match="exceeded quota"):
        store.dry_run([service()])


def test_a_set_that_fails_in_the_middle_is_put_back(server: FakeApiServer, store: ObjectStore) -> None:
    rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web}\nspec: {host: web}\n"
    both = [service("ports: [{port: 80}]"), placed(parse(read(rule))[0], "workshop-kim")]

    def respond(method: str, path: str, body: object) -> tuple[int, object] | None:
        if method == "PATCH" and "destinationrules" in path and "dryRun" not in path:
            return (400, status_object(400, "Invalid", "changed its mind"))
        if method == "PATCH":
            live = {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web"},
                "spec": {"ports": [{"port": 80}]},
            }
            return (200, live)
        return (200, {}) if method == "DELETE" else None

    server.respond = respond
    with pytest.raises(ManifestError, match="changed its mind"):
        store.apply(both, store.dry_run(both).bodies, before=())
    assert [path for method, path, _ in server.asked if method == "DELETE"] == [f"{_SERVICES}/web"]


# --- pods -----------------------------------------------------------------------------------------------------------

_PODS = "/api/v1/namespaces/workshop-kim/pods"
_DEPLOYMENT = "/apis/apps/v1/namespaces/workshop-kim/deployments/web"


def pod(name: str, *, ready: bool = True, ending: bool = False, waiting: str = "") -> dict[str, object]:
    metadata: dict[str, object] = {
        "name": name,
        "namespace": "workshop-kim",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"pod-template-hash": "1"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "web-1"}],
    }
    if ending:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:01Z"
    state = {"waiting": {"reason": waiting, "message": "secret not found"}} if waiting else {"running": {}}
    return {
        "metadata": metadata,
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "web", "state": state, "ready": ready}],
        },
    }


def deployment(*, replicas: int, updated: int, seen: int = 2, failure: str = "") -> dict[str, object]:
    conditions = [{"type": "ReplicaFailure", "status": "True", "message": failure}] if failure else []
    counted = {"updatedReplicas": updated, "replicas": updated, "availableReplicas": updated}
    return {
        "metadata": {"generation": 2},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": seen, "conditions": conditions, **counted},
    }


def test_a_deployment_is_ready_when_its_pods_are_and_old_ones_take_no_traffic(server: FakeApiServer, api: Api) -> None:
    endpoints = [{"targetRef": {"name": "web-1-old"}, "conditions": {"ready": True}}]
    slices = "/apis/discovery.k8s.io/v1/namespaces/workshop-kim/endpointslices"
    server.answers[_DEPLOYMENT] = (200, deployment(replicas=1, updated=1))
    server.answers[_PODS] = (200, {"items": [pod("web-1-new"), pod("web-1-old", ending=True)]})
    server.answers[slices] = (200, {"items": [{"endpoints": endpoints}]})
    with pytest.raises(WaitTimeoutError, match="still known as endpoints"):
        Rollout(api).wait(["web"], timeout_s=0.2)
    endpoints[0]["conditions"] = {"ready": False}
    Rollout(api).wait(["web"], timeout_s=0.2)


@pytest.mark.parametrize(
    ("state", "pods", "words"),
    [
        (deployment(replicas=1, updated=1, seen=1), [pod("web-1-a")], "controller has not seen"),
        (deployment(replicas=2, updated=1), [pod("web-1-a")], "1 of 2 pods ready"),
        (
            deployment(replicas=1, updated=0),
            [pod("web-1-a", ready=False)],
            r"web-1-a \(container web runs, not ready yet\)",
        ),
        (deployment(replicas=0, updated=0), [pod("web-1-a")], "1 of 0 pods"),
    ],
)
def test_what_a_deployment_still_waits_for_is_told(
    server: FakeApiServer, api: Api, state: object, pods: list[object], words: str
) -> None:
    server.answers |= {_DEPLOYMENT: (200, state), _PODS: (200, {"items": pods})}
    with pytest.raises(WaitTimeoutError, match=words):
        Rollout(api).wait(["web"], timeout_s=0.1)


def test_pods_that_are_never_made_or_cannot_start_are_told_at_once(server: FakeApiServer, api: Api) -> None:
    server.answers |= {_PODS: (200, {"items": []})}
    server.answers[_DEPLOYMENT] = (200, deployment(replicas=1, updated=0, failure="pods is forbidden: exceeded quota"))
    with pytest.raises(EngineError, match="cannot make pods: pods is forbidden: exceeded quota"):
        Rollout(api).wait(["web"], timeout_s=30.0)
    server.answers[_DEPLOYMENT] = (200, deployment(replicas=1, updated=0))
    server.answers[_PODS] = (200, {"items": [pod("web-1-a", ready=False, waiting="CreateContainerConfigError")]})
    with pytest.raises(WaitTimeoutError, match=r"web-1-a cannot start: CreateContainerConfigError: secret not found"):
        Rollout(api).wait(["web"], timeout_s=30.0)


# --- who holds the namespace ----------------------------------------------------------------------------------------


def test_a_namespace_that_another_lab_holds_is_told(server: FakeApiServer, api: Api) -> None:
    space = LabNamespace(api.connection, "workshop-kim")
    metadata: dict[str, object] = {"annotations": {HOLDER: space.holder}}
    server.answers["/api/v1/namespaces/workshop-kim"] = (200, {"metadata": metadata})
    space.check(fresh=True)
    metadata["annotations"] = {HOLDER: "0123 desk-4 77"}
    space.check()
    with pytest.raises(EngineLostError, match=r"another lab took over.*process 77 on desk-4"):
        space.check(fresh=True)


def test_a_namespace_that_is_gone_is_told(api: Api) -> None:
    with pytest.raises(EngineLostError, match=r"is gone.*Lab\(\)"):
        LabNamespace(api.connection, "workshop-kim").check(fresh=True)


# --- workshop reset --engine cluster --------------------------------------------------------------------------------


def test_reset_deletes_the_learners_namespace_and_waits_until_it_is_gone(server: FakeApiServer, api: Api) -> None:
    path, labels = "/api/v1/namespaces/workshop-kim", {"app.kubernetes.io/managed-by": "istio-traffic-workshop"}
    server.answers[path] = (200, {"metadata": {"labels": labels}})

    def respond(method: str, asked: str, body: object) -> tuple[int, object] | None:
        if method == "DELETE":
            del server.answers[path]
            return (200, {})
        return None

    server.respond = respond
    done = CliRunner().invoke(reset, ["--engine", "cluster", "--namespace", "workshop-kim"], input="y\n")
    assert done.exit_code == 0 and done.stdout == "removed namespace workshop-kim\n"
    done = CliRunner().invoke(reset, ["--engine", "cluster", "--namespace", "workshop-kim", "--yes"])
    assert "there is no namespace workshop-kim" in done.stdout


def test_reset_touches_no_namespace_of_others_and_none_without_an_answer(server: FakeApiServer, api: Api) -> None:
    server.answers["/api/v1/namespaces/default"] = (200, {"metadata": {"labels": {}}})
    arguments = ["--engine", "cluster", "--namespace", "default"]
    assert isinstance(CliRunner().invoke(reset, arguments, input="n\n").exception, UsageError)
    refused = CliRunner().invoke(reset, [*arguments, "--yes"]).exception
    assert isinstance(refused, EngineError) and "not made by the workshop" in str(refused)
    assert isinstance(CliRunner().invoke(reset, ["--namespace", "default"]).exception, UsageError)
    assert not [method for method, _, _ in server.asked if method == "DELETE"]
