"""The official Python client works on the embedded mesh: typed calls, custom objects, watches."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from labsupport.lab.lab import Lab

RULES = ("networking.istio.io", "v1", "default", "virtualservices")


@pytest.fixture
def api(lab: Lab) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(str(lab.kubeconfig())) as connected:
        yield connected


def test_typed_calls(lab: Lab, api: client.ApiClient):
    lab.apply("apps/web")
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    deployment = apps.read_namespaced_deployment("web-safe", "default")
    assert (deployment.spec.replicas, deployment.status.ready_replicas) == (2, 2)
    assert deployment.spec.template.spec.containers[0].ports[0].container_port == 5000
    pods = core.list_namespaced_pod("default", label_selector="version=safe").items
    assert len(pods) == 2 and all(pod.status.phase == "Running" for pod in pods)
    assert all(status.ready for pod in pods for status in pod.status.container_statuses)
    assert core.read_namespaced_service("web", "default").spec.ports[0].node_port == 31532
    apps.patch_namespaced_deployment_scale("web-safe", "default", {"spec": {"replicas": 1}})
    assert apps.read_namespaced_deployment_scale("web-safe", "default").spec.replicas == 1
    core.create_namespaced_config_map("default", {"metadata": {"name": "settings"}, "data": {"a": "b"}})
    assert lab.get("cm/settings")[0].raw["data"] == {"a": "b"}
    core.delete_namespaced_config_map("settings", "default")
    with pytest.raises(ApiException) as caught:
        core.read_namespaced_config_map("settings", "default")
    assert (caught.value.status, caught.value.reason) == (404, "Not Found")


def test_custom_objects(lab: Lab, api: client.ApiClient):
    rules = client.CustomObjectsApi(api)
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "web"},
        "spec": {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "web"}}]}]},
    }
    created = rules.create_namespaced_custom_object(*RULES, body)
    assert created["metadata"]["generation"] == 1
    body["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"]
    body["spec"]["hosts"] = ["web", "web.default"]
    replaced = rules.replace_namespaced_custom_object(*RULES, "web", body)
    assert replaced["metadata"]["generation"] == 2
    with pytest.raises(ApiException) as caught:
        rules.replace_namespaced_custom_object(*RULES, "web", body)
    assert caught.value.status == 409
    assert lab.get("vs/web")[0].raw["spec"]["hosts"] == ["web", "web.default"]
    rules.delete_namespaced_custom_object(*RULES, "web")
    assert rules.list_namespaced_custom_object(*RULES)["items"] == []


def test_a_watch_goes_on_from_where_a_list_ended(lab: Lab, api: client.ApiClient):
    core = client.CoreV1Api(api)
    listed = core.list_namespaced_config_map("default")
    lab.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n")
    watching = watch.Watch()
    seen = []

    def change(kind: str) -> None:
        seen.append(kind)
        if kind == "ADDED":
            lab.patch("cm/settings", {"data": {"a": "c"}})
        elif kind == "MODIFIED":
            lab.delete("cm/settings")
        else:
            watching.stop()

    version = listed.metadata.resource_version
    for event in watching.stream(
        core.list_namespaced_config_map, "default", resource_version=version, timeout_seconds=30
    ):
        # Another thread, as a notebook would.
        changing = threading.Thread(target=change, args=(event["type"],))
        changing.start()
        changing.join(30)
    assert seen == ["ADDED", "MODIFIED", "DELETED"]


def test_a_version_that_is_none_is_refused(lab: Lab, api: client.ApiClient):
    core = client.CoreV1Api(api)
    stream = watch.Watch().stream(core.list_namespaced_config_map, "default", resource_version="1", timeout_seconds=10)
    with pytest.raises(ApiException) as caught:
        next(iter(stream))
    assert caught.value.status == 410
