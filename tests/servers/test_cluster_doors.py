"""Gateways of the Gateway API on a cluster: what istiod makes of them, against a small server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from fake_api_server import FakeApiServer, fake_api_server, status_object

from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.objects.doors import Doors, made_services
from labsupport.engine.cluster.objects.images import Images
from labsupport.engine.cluster.objects.objects import ObjectStore
from labsupport.engine.cluster.objects.rollout import Rollout
from labsupport.errors import ManifestError, WaitTimeoutError
from labsupport.model import Resource, parse
from labsupport.model.kinds.index import placed
from labsupport.model.reading.documents import read
from labsupport.records import Ref

SPACE = "namespaces/workshop-kim"
GATEWAYS = f"/apis/gateway.networking.k8s.io/v1/{SPACE}/gateways"
ISTIO = f"/apis/networking.istio.io/v1/{SPACE}/gateways"
DEPLOYMENT, SERVICES, PODS = (
    f"/apis/apps/v1/{SPACE}/deployments/front-istio",
    f"/api/v1/{SPACE}/services",
    f"/api/v1/{SPACE}/pods",
)
KINDS = {
    "/api/v1": {"services": "Service", "pods": "Pod"},
    "/apis/apps/v1": {"deployments": "Deployment"},
    "/apis/networking.istio.io/v1": {"gateways": "Gateway"},
    "/apis/gateway.networking.k8s.io/v1": {"gateways": "Gateway", "httproutes": "HTTPRoute"},
}
FRONT = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
MADE = {"gateway.istio.io/managed": "istio.io-gateway-controller", "gateway.networking.k8s.io/gateway-name": "front"}
READY = {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1}


def objects(text: str) -> list[Resource]:
    return [placed(resource, "workshop-kim") for resource in parse(read(text))]


def condition(kind: str, status: str, reason: str, message: str = "", seen: int = 1) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": seen}


def live(*conditions: dict[str, Any], generation: int = 1) -> dict[str, Any]:
    return {"metadata": {"name": "front", "generation": generation}, "status": {"conditions": list(conditions)}}


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with fake_api_server() as server:
        server.answers["/version"] = (200, {"major": "1", "minor": "34"})
        for path, kinds in KINDS.items():
            listed = [{"name": name, "kind": kind} for name, kind in kinds.items()]
            server.answers[path] = (200, {"resources": listed})
            version = path.removeprefix("/api/").removeprefix("/apis/")
            for name in kinds:
                server.answers[f"{path}/{SPACE}/{name}"] = (200, {"apiVersion": version, "items": []})
        owner = [{"kind": "ReplicaSet", "name": "front-istio-1"}]
        labels = {"pod-template-hash": "1"}
        metadata = {"name": "front-istio-1-a", "labels": labels, "ownerReferences": owner, "creationTimestamp": "1"}
        pod = {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        server.answers[PODS] = (200, {"items": [pod]})
        server.answers[DEPLOYMENT] = (
            200,
            {"metadata": {"generation": 1}, "spec": {"replicas": 1}, "status": READY},
        )
        yield server


def opened(api: Api, timeout_s: float = 30.0) -> list[str]:
    front = objects(FRONT)
    return Doors(api, Rollout(api)).opened(front, front, time.monotonic() + timeout_s)


def test_a_gateway_is_waited_for_until_istiod_says_that_it_is_programmed(server: FakeApiServer, api: Api) -> None:
    pending = condition("Programmed", "False", "AddressNotAssigned", "Failed to assign: no instances found")
    stale = condition("Programmed", "True", "Programmed", seen=0)
    done = condition("Programmed", "True", "Programmed")
    states = iter([live(), live(stale), live(stale), live(pending), live(pending)])
    deployments = iter([404, 404])
    asked: list[str] = []

    def respond(method: str, path: str, body: Any) -> Any:
        asked.append(path)
        if path == f"{GATEWAYS}/front":
            return 200, next(states, live(done))
        missing = path == DEPLOYMENT and next(deployments, None)
        return (404, status_object(404, "NotFound", "not found")) if missing else None

    server.respond = respond
    assert opened(api) == []
    assert next(states, None) is None and next(deployments, None) is None, "it did not wait for all of them"
    assert asked[-1] == f"{GATEWAYS}/front"


def test_why_a_gateway_is_not_programmed_is_told_in_istiods_words(server: FakeApiServer, api: Api) -> None:
    wrong = condition("Programmed", "False", "AddressNotUsable", "Failed to assign: port 80 not found")
    server.answers[f"{GATEWAYS}/front"] = (200, live(wrong))
    with pytest.raises(WaitTimeoutError, match=r"AddressNotUsable\), Failed to assign: port 80 not found"):
        opened(api, 0.3)
    server.answers[f"{GATEWAYS}/front"] = (200, live())
    with pytest.raises(WaitTimeoutError, match="istiod has not said anything about it"):
        opened(api, 0.3)


def test_a_gateway_that_istiod_refuses_is_told_and_not_waited_for(server: FakeApiServer, api: Api) -> None:
    del server.answers[DEPLOYMENT]
    refused = condition("Accepted", "False", "InvalidParameters", "no such ConfigMap.")
    server.answers[f"{GATEWAYS}/front"] = (200, live(refused))
    (note,) = opened(api)
    assert note == "KubernetesGateway/front: Accepted is False (InvalidParameters), no such ConfigMap; nobody listens"


def test_a_load_balancer_that_does_not_come_is_no_obstacle(server: FakeApiServer, api: Api) -> None:
    said = "Assigned to service(s) f:80, but failed to assign to all requested addresses: address pending for f"
    server.answers[f"{GATEWAYS}/front"] = (200, live(condition("Programmed", "False", "AddressNotAssigned", said)))
    (note,) = opened(api)
    assert "(AddressNotAssigned)" in note and note.endswith("the lab sends to it all the same")


def test_what_was_made_for_a_gateway_is_gone_with_it(server: FakeApiServer, api: Api) -> None:
    service = {"metadata": {"name": "front-istio", "labels": MADE}}
    other = {"metadata": {"name": "front", "labels": {}}}
    server.answers[SERVICES] = (200, {"apiVersion": "v1", "items": [service, other]})
    server.answers[PODS] = (200, {"items": []})
    server.answers[f"/apis/discovery.k8s.io/v1/{SPACE}/endpointslices"] = (200, {"items": []})
    doors, front = Doors(api, Rollout(api)), objects(FRONT)
    assert made_services(api) == {"front-istio": "front"}
    with pytest.raises(WaitTimeoutError, match="front-istio"):
        doors.closed(front, front, time.monotonic() + 0.3)
    server.answers[SERVICES] = (200, {"apiVersion": "v1", "items": [other]})
    doors.closed(front, front, time.monotonic() + 30.0)


def test_the_status_of_a_route_is_waited_for_as_long_as_it_is_about_a_former_one(
    server: FakeApiServer, api: Api
) -> None:
    def route(seen: int) -> dict[str, Any]:
        parents = [{"conditions": [condition("Accepted", "True", "Accepted", seen=seen)]}]
        return {"metadata": {"generation": 2}, "status": {"parents": parents}}

    states = iter([route(1), route(1), route(2)])
    server.respond = lambda method, path, body: (200, next(states)) if "httproutes" in path else None
    Doors(api, Rollout(api)).statuses_written({("HTTPRoute", "in"): 1}, time.monotonic() + 30.0)
    assert next(states, None) is None


def test_gateways_of_both_groups_are_read_and_deleted_as_what_they_are(server: FakeApiServer, api: Api) -> None:
    fields = {"manager": "kim", "fieldsV1": {"f:spec": {}}}
    status = {"conditions": [condition("Accepted", "True", "Accepted")]}
    metadata = {"name": "front", "namespace": "workshop-kim", "managedFields": [fields]}
    (front,) = objects(FRONT)
    servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]
    for path, spec, more in (
        (GATEWAYS, front.raw["spec"], {"status": status}),
        (ISTIO, {"selector": {"istio": "ingressgateway"}, "servers": servers}, {}),
    ):
        version = path.partition("/apis/")[2].partition(f"/{SPACE}")[0]
        server.answers[path] = (200, {"apiVersion": version, "items": [{"metadata": metadata, "spec": spec, **more}]})
        server.answers[f"{path}/front"] = (200, {})
    store = ObjectStore(api, Images())
    refs = [Ref("KubernetesGateway", "front", "workshop-kim"), Ref("Gateway", "front", "workshop-kim")]
    assert sorted(map(str, store.leftovers())) == sorted(map(str, refs))
    shown = {resource.called: resource.raw.get("status") for resource in store.shown()}
    assert shown == {"KubernetesGateway": status, "Gateway": None}
    assert "status" not in store.find(refs[0]).raw
    store.delete(refs[:1])
    assert [path for method, path, _ in server.asked if method == "DELETE"] == [f"{GATEWAYS}/front"]


def test_kinds_that_are_not_there_name_the_command_that_brings_them_and_are_found_afterwards(
    server: FakeApiServer, api: Api
) -> None:
    group = "/apis/gateway.networking.k8s.io/v1"
    there = server.answers.pop(group)
    store = ObjectStore(api, Images())
    route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: {}\n"
    with pytest.raises(ManifestError) as refusal:
        store.dry_run(objects(FRONT + "---\n" + route))
    assert str(refusal.value).count("kubectl apply --server-side -f ") == 2
    assert store.read() == ()
    server.answers[group] = there
    server.answers[f"{GATEWAYS}/front"] = (200, {})
    assert store.dry_run(objects(FRONT)).bodies[0]["kind"] == "Gateway"
    for kind in ("gateways", "httproutes"):
        del server.answers[f"{group}/{SPACE}/{kind}"]
    assert store.read() == (), "kinds that somebody removes are no obstacle"
