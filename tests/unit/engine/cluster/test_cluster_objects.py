"""What is sent to an API server, and what of its answer people wrote."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from labsupport.engine.cluster.api.istio import parse_version
from labsupport.engine.cluster.objects.additions import EXPORT_TO, LAB_LABEL, added, taken_away
from labsupport.engine.cluster.objects.images import Images
from labsupport.engine.cluster.objects.namespace import chosen_name
from labsupport.engine.cluster.objects.owned import project, written
from labsupport.engine.cluster.objects.refuse import problems
from labsupport.engine.cluster.objects.rollout import is_ready, pod_state, workload_of
from labsupport.engine.cluster.watch.pods import concurrency, has_proxy, is_gateway, program
from labsupport.engine.cluster.watch.statnames import envoy_names
from labsupport.engine.patching import merge_patch, patched
from labsupport.errors import ManifestError, UsageError
from labsupport.model import Resource, parse
from labsupport.model.kinds.index import placed
from labsupport.model.reading.documents import read
from labsupport.records import Sample


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> Images:
    for name in ("WORKSHOP_REGISTRY", "WORKSHOP_IMAGE_TAG"):
        monkeypatch.delenv(name, raising=False)
    return Images("example.test/course", "1.2")


def objects(text: str) -> list[Resource]:
    return [placed(resource, "workshop-kim") for resource in parse(read(text))]


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: web}
      - {name: other, image: "quay.test/other:3", lifecycle: {preStop: {exec: {command: [true]}}}}
"""
OTHERS = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
"""


FRONT = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
"""
OWN = FRONT.replace("istio, ", "istio, infrastructure: {annotations: {a: b}}, ")


@pytest.mark.parametrize(
    "raw", list(yaml.safe_load_all("---".join((DEPLOYMENT, OTHERS, FRONT, OWN)))), ids=lambda raw: raw["kind"]
)
@pytest.mark.parametrize("version", [(1, 29), (1, 34)])
def test_what_is_added_is_taken_away_again(raw: dict[str, Any], images: Images, version: tuple[int, int]) -> None:
    before = copy.deepcopy(raw)
    made = added(raw, "workshop-kim", images, version)
    assert raw == before, "the manifest itself must not be changed"
    assert made != before
    made["metadata"].pop("namespace")
    shown = taken_away(made, images)
    for container in shown["spec"].get("template", {}).get("spec", {}).get("containers", ()):
        container.pop("imagePullPolicy", None)
    assert shown == before


def test_objects_are_closed_to_other_namespaces_unless_they_say_otherwise(images: Images) -> None:
    service, rule, gateway = (added(raw, "workshop-kim", images) for raw in yaml.safe_load_all(OTHERS))
    assert service["metadata"]["annotations"] == {EXPORT_TO: "."}
    assert rule["spec"]["exportTo"] == ["."]
    assert gateway["spec"]["selector"] == {"istio": "ingressgateway", LAB_LABEL: "workshop-kim"}
    _, opened, _ = yaml.safe_load_all(OTHERS)
    opened["spec"]["exportTo"] = ["*"]
    assert added(opened, "workshop-kim", images)["spec"]["exportTo"] == ["*"]


def test_what_is_made_for_a_gateway_of_the_gateway_api_is_as_the_labs_own_gateway(images: Images) -> None:
    made = added(yaml.safe_load(FRONT), "workshop-kim", images)["metadata"]["annotations"]
    assert made[EXPORT_TO] == "." and "concurrency: 1" in made["proxy.istio.io/config"]
    assert made["networking.istio.io/service-type"] == "NodePort"
    # Of a Gateway that says what is annotated, nothing else is copied.
    own = added(yaml.safe_load(OWN), "workshop-kim", images)
    assert list(own["metadata"]["annotations"]) == ["networking.istio.io/service-type"]
    assert own["spec"]["infrastructure"]["annotations"].items() >= {"a": "b", EXPORT_TO: "."}.items()
    asked = yaml.safe_load(FRONT)
    asked["metadata"]["annotations"] = {"networking.istio.io/service-type": "LoadBalancer"}
    shown = added(asked, "workshop-kim", images)
    assert shown["metadata"]["annotations"]["networking.istio.io/service-type"] == "LoadBalancer"
    shown["metadata"].pop("namespace")
    assert taken_away(shown, images) == asked


def test_a_pod_that_was_made_for_a_gateway_is_one() -> None:
    pod = {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "istio-proxy"}]}}
    assert not is_gateway(pod)
    pod["metadata"]["labels"]["gateway.istio.io/managed"] = "istio.io-gateway-controller"
    assert is_gateway(pod)


def test_pods_pause_before_they_end_as_long_as_their_time_allows(images: Images) -> None:
    raw = yaml.safe_load(DEPLOYMENT)
    first, second = added(raw, "n", images)["spec"]["template"]["spec"]["containers"]
    assert first["lifecycle"] == {"preStop": {"sleep": {"seconds": 3}}}
    assert second["lifecycle"] == {"preStop": {"exec": {"command": [True]}}}
    raw["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 2
    assert "lifecycle" not in added(raw, "n", images)["spec"]["template"]["spec"]["containers"][0]


def test_short_names_are_the_courses_images_and_others_stay(images: Images) -> None:
    assert images.full("web") == "example.test/course/web:1.2"
    assert images.short("example.test/course/web:1.2") == "web"
    for name in ("quay.test/web:3", "web:3", "example.test/course/web:9", "example.test/course/unknown:1.2"):
        assert images.full(name) == images.short(name) == name
    assert images.unknown("wbe") and not images.unknown("wbe:1") and not images.unknown("web")


def test_images_are_looked_for_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_REGISTRY", "registry.test/a/")
    monkeypatch.setenv("WORKSHOP_IMAGE_TAG", "x")
    assert Images().full("client") == "registry.test/a/client:x"


def test_what_belongs_elsewhere_is_refused_by_name(images: Images) -> None:
    text = (
        DEPLOYMENT.replace("image: web}", "image: wbe}")
        + "---"
        + OTHERS.replace("{name: web}", "{name: web, namespace: a}", 1)
    )
    text += "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: more}\n"
    seen = problems(objects(text), "workshop-kim", images)
    assert [(response.object, response.path) for response in seen] == [
        ("Deployment/web", "spec.template.spec.containers[0].image"),
        ("Service/web", "metadata.namespace"),
        ("Namespace/more", "kind"),
    ]
    assert all(finding.line and finding.remedy for finding in seen)


def test_gateways_of_the_gateway_api_run_and_their_classes_are_the_clusters(images: Images) -> None:
    route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: in}\n"
    route += "spec: {parentRefs: [{name: front}]}\n"
    assert problems(objects("---\n".join((FRONT, route))), "workshop-kim", images) == []
    own = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: mine}\n"
    (refused,) = problems(objects(own + "spec: {controllerName: istio.io/gateway-controller}\n"), "lab", images)
    assert "the whole cluster's" in refused.message and "gatewayClassName: istio" in refused.remedy


def test_parts_of_the_lab_cannot_be_applied(images: Images) -> None:
    text = OTHERS.replace("{name: web}", "{name: istio-ingressgateway}", 1)
    assert [problem.object for problem in problems(objects(text), "workshop-kim", images)] == [
        "Service/istio-ingressgateway"
    ]


# --- owned fields ---------------------------------------------------------------------------------------------------

LIVE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "web",
        "namespace": "n",
        "uid": "1",
        "labels": {"app": "web", "controller": "x"},
        "managedFields": [
            {
                "manager": "istio-traffic-workshop",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:app": {}}},
                    "f:spec": {
                        "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}},
                        "f:selector": {},
                    },
                },
            },
            {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:type": {}}}},
            {"manager": "kube-controller-manager", "fieldsV1": {"f:metadata": {"f:labels": {"f:controller": {}}}}},
            {"manager": "someone", "subresource": "status", "fieldsV1": {"f:status": {"f:loadBalancer": {}}}},
        ],
    },
    "spec": {
        "clusterIP": "10.0.0.1",
        "type": "NodePort",
        "selector": {"app": "web"},
        "ports": [
            {"name": "http", "port": 80, "protocol": "TCP", "nodePort": 31000},
            {"name": "made", "port": 81, "protocol": "TCP"},
        ],
    },
    "status": {"loadBalancer": {}},
}


def test_only_what_people_own_is_theirs() -> None:
    assert written(LIVE) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "n", "labels": {"app": "web"}},
        "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
    }


def test_an_object_that_only_controllers_wrote_has_no_content() -> None:
    made = {**LIVE, "metadata": {**LIVE["metadata"], "managedFields": LIVE["metadata"]["managedFields"][2:3]}}
    assert set(written(made)) == {"apiVersion", "kind", "metadata"}


def test_items_of_sets_and_places_are_found() -> None:
    assert project(["a", "b"], {'v:"b"': {}}) == ["b"]
    assert project([{"x": 1, "y": 2}, {"x": 3}], {"i:0": {"f:x": {}}}) == [{"x": 1}]


# --- pods -----------------------------------------------------------------------------------------------------------


def pod(*, config: str = "", args: list[str] | None = None, limit: str = "", native: bool = True) -> dict[str, Any]:
    proxy: dict[str, Any] = {"name": "istio-proxy", "args": args or []}
    if limit:
        proxy["resources"] = {"limits": {"cpu": limit}}
    if native:
        proxy["restartPolicy"] = "Always"
    spec: dict[str, Any] = {"containers": [{"name": "web", "image": "web"}]}
    if native:
        spec["initContainers"] = [proxy]
    else:
        spec["containers"].append(proxy)
    annotations = {"proxy.istio.io/config": config} if config else {}
    owner = {"kind": "ReplicaSet", "name": "web-safe-5cb7db5596"}
    labels = {"pod-template-hash": "5cb7db5596"}
    metadata = {
        "name": "web-safe-5cb7db5596-x",
        "annotations": annotations,
        "labels": labels,
        "ownerReferences": [owner],
    }
    return {"metadata": metadata, "spec": spec, "status": {}}


@pytest.mark.parametrize(
    ("options", "workers"),
    [
        ({"config": "concurrency: 1"}, 1),
        ({"config": '{"concurrency": 3}'}, 3),
        ({"config": "holdApplicationUntilProxyStarts: true", "args": ["proxy", "--concurrency", "4"]}, 4),
        ({"limit": "2000m"}, 2),
        ({"limit": "2500m", "native": False}, 3),
        ({"limit": "4"}, 4),
        ({}, 2),
    ],
)
def test_worker_threads_are_read_as_pilot_agent_does(options: dict[str, Any], workers: int) -> None:
    assert concurrency(pod(**options)) == workers
    assert has_proxy(pod(**options))
    assert program(pod(**options)) == {"name": "web", "image": "web"}


def test_a_pod_names_its_deployment() -> None:
    assert workload_of(pod()) == "web-safe"
    assert workload_of({"metadata": {"name": "alone"}}) == "alone"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Pending"}, "pending"),
        (
            {"containerStatuses": [{"name": "web", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}]},
            "container web: ErrImagePull no",
        ),
        (
            {
                "containerStatuses": [{"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}}],
                "phase": "Pending",
            },
            "pending",
        ),
        (
            {"containerStatuses": [{"name": "web", "state": {"terminated": {"exitCode": 3}}}]},
            "container web ended with 3",
        ),
        ({"containerStatuses": [{"name": "web", "state": {"running": {}}}]}, "container web runs, not ready yet"),
        (
            {"containerStatuses": [{"name": name, "state": {"running": {}}} for name in ("web", "istio-proxy")]},
            "containers web and istio-proxy run, not ready yet",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]},
            "no node for it: 0/1 nodes are available",
        ),
    ],
)
def test_what_a_pod_waits_for_is_said_in_few_words(status: dict[str, Any], words: str) -> None:
    assert pod_state({"metadata": {}, "status": status}) == words


def test_a_pod_that_is_about_to_end_takes_no_traffic() -> None:
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}, "metadata": {}}
    assert is_ready(ready)
    assert not is_ready({**ready, "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})


def test_statistics_carry_envoys_own_names_of_labels() -> None:
    own = Sample("client-1", "envoy_cluster_upstream_rq", {"cluster_name": "web", "response_code": "200"}, 1.0)
    istio = Sample("client-1", "istio_requests_total", {"response_code": "200"}, 1.0)
    first, second = envoy_names([own, istio])
    assert first.labels == {"envoy_cluster_name": "web", "envoy_response_code": "200"}
    assert second is istio


# --- names, patches -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("kim", "workshop-kim"),
        ("Kim.Lee@x", "workshop-kim-lee-x"),
        ("äöü", "workshop-me"),
        ("a" * 80, "workshop-" + "a" * 54),
    ],
)
def test_a_learners_namespace_is_named_after_the_user(user: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKSHOP_NAMESPACE", raising=False)
    monkeypatch.setenv("JUPYTERHUB_USER", user)
    assert chosen_name(None) == name
    monkeypatch.setenv("WORKSHOP_NAMESPACE", "team-7")
    assert chosen_name(None) == "team-7"
    assert chosen_name("other") == "other"


def test_what_is_no_name_of_a_namespace_is_refused() -> None:
    with pytest.raises(UsageError, match="lower-case"):
        chosen_name("Kim")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.31.2", (1, 31)),
        ("1.31-alpha.abc", (1, 31)),
        ("v1.24.0-distroless", (1, 24)),
        ("stable", ()),
        ("0.9", ()),
        ("1.31", (1, 31)),
    ],
)
def test_versions_are_read_from_tags(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_a_merge_patch_removes_merges_and_replaces() -> None:
    assert merge_patch({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]}, {"a": None, "b": {"c": 3}, "e": [2]}) == {
        "b": {"c": 3, "d": 2},
        "e": [2],
    }


def test_a_patch_that_makes_another_object_is_refused() -> None:
    (resource,) = objects(DEPLOYMENT)
    with pytest.raises(ManifestError, match="kind or name"):
        patched(resource, {"metadata": {"name": "other"}}, namespace="workshop-kim")
    (made,) = patched(resource, {"spec": {"replicas": 3}}, namespace="workshop-kim")
    assert made.raw["spec"]["replicas"] == 3
