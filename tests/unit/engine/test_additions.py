"""What is added to the pods of a workload, and taken away again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from labsupport.engine import additions
from labsupport.engine.podtemplate import concurrency, environment
from labsupport.model import parse
from labsupport.model.reading.documents import read

_CONFIG = "proxy.istio.io/config"


def deployment(annotations: str = "{}", env: str = "", labels: str = "app: shop, version: v1") -> dict[str, Any]:
    text = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop-v1}}
spec:
  selector: {{matchLabels: {{version: v1}}}}
  template:
    metadata: {{labels: {{{labels}}}, annotations: {annotations}}}
    spec: {{containers: [{{name: shop, image: web{env}}}]}}
"""
    raw: dict[str, Any] = yaml.safe_load(text)
    if not raw["spec"]["template"]["metadata"]["annotations"]:
        del raw["spec"]["template"]["metadata"]["annotations"]
    return raw


def added(raw: dict[str, Any]) -> dict[str, Any]:
    completed = copy.deepcopy(raw)
    additions.add(completed)
    template: dict[str, Any] = completed["spec"]["template"]
    return template


def config_of(template: dict[str, Any]) -> Any:
    return yaml.safe_load(template["metadata"]["annotations"][_CONFIG])


def test_a_manifest_that_says_nothing_gets_everything() -> None:
    template = added(deployment())
    assert config_of(template) == additions.PROXY_CONFIG
    names = [entry["name"] for entry in template["spec"]["containers"][0]["env"]]
    assert names == ["POD_NAME", "POD_NAMESPACE", "SERVICE_NAME", "SERVICE_VERSION"]


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_what_only_a_cluster_runs_gets_the_same(kind: str) -> None:
    raw = {**deployment(), "kind": kind}
    template = added(raw)
    assert template == added(deployment())
    completed = {**raw, "spec": {**raw["spec"], "template": template}}
    additions.take_away(completed)
    assert completed == raw


def test_the_manifests_own_fields_win_one_by_one() -> None:
    template = added(deployment(annotations=f'{{{_CONFIG}: "{{concurrency: 2, drainDuration: 5s}}"}}'))
    matcher = additions.PROXY_CONFIG["proxyStatsMatcher"]
    assert config_of(template) == {"concurrency": 2, "drainDuration": "5s", "proxyStatsMatcher": matcher}
    template = added(deployment(env=", env: [{name: SERVICE_NAME, value: mine}]"))
    variables = {entry["name"]: entry.get("value") for entry in template["spec"]["containers"][0]["env"]}
    assert variables["SERVICE_NAME"] == "mine"
    assert list(variables).count("SERVICE_NAME") == 1


def test_variables_from_a_whole_config_map_are_not_overridden() -> None:
    template = added(deployment(env=", envFrom: [{configMapRef: {name: settings}}]"))
    names = [entry["name"] for entry in template["spec"]["containers"][0]["env"]]
    assert names == ["POD_NAME", "POD_NAMESPACE"]


def test_a_pod_without_a_sidecar_gets_no_configuration_of_one() -> None:
    template = added(deployment(labels='app: shop, version: v1, "sidecar.istio.io/inject": "false"'))
    assert "annotations" not in template["metadata"]
    assert template["spec"]["containers"][0]["env"]


def test_a_gateway_has_no_program_that_gets_variables() -> None:
    raw = deployment()
    raw["spec"]["template"]["spec"]["containers"][0]["name"] = "istio-proxy"
    template = added(raw)
    assert "env" not in template["spec"]["containers"][0]
    assert config_of(template)["concurrency"] == 1


@pytest.mark.parametrize(
    "written",
    ["not: [closed", "- a list", "a word", "[" * 5000, "{a: " * 400 + "1" + "}" * 400],
    ids=["not closed", "a list", "a word", "deep and not closed", "deep"],
)
def test_a_configuration_that_cannot_be_read_is_left_alone(written: str) -> None:
    raw = deployment(annotations=f"{{{_CONFIG}: {written!r}}}")
    template = added(raw)
    assert template["metadata"]["annotations"][_CONFIG] == written
    assert concurrency({_CONFIG: written}) == 1


@pytest.mark.parametrize(
    "raw",
    [
        deployment(),
        deployment(labels="version: v1"),
        deployment(env=", env: [{name: PORT, value: '1'}, {name: SERVICE_NAME, value: mine}]"),
        deployment(annotations="{a: b}"),
        deployment(annotations=f'{{{_CONFIG}: "concurrency: 2\\n"}}'),
        deployment(labels='app: shop, "sidecar.istio.io/inject": "false"', env=", envFrom: [{secretRef: {name: s}}]"),
        {"kind": "Service", "metadata": {"name": "shop"}, "spec": {}},
        {"kind": "Deployment", "metadata": {"name": "shop"}, "spec": {"template": None}},
    ],
)
def test_what_is_shown_is_what_was_written(raw: dict[str, Any]) -> None:
    completed = copy.deepcopy(raw)
    additions.add(completed)
    additions.take_away(completed)
    assert completed == raw


def test_a_program_of_the_embedded_mesh_gets_the_same_variables() -> None:
    raw = deployment(labels="version: v1")
    pod = {"metadata.name": "shop-v1-abc", "metadata.namespace": "lab"}
    (resource,) = parse(read(yaml.safe_dump(raw)))
    given = environment(resource, resource.spec.template.spec.containers[0], [], pod=pod, labels={"version": "v1"})
    names = {"POD_NAME": "shop-v1-abc", "POD_NAMESPACE": "lab"}
    assert given == {**names, "SERVICE_NAME": "shop-v1", "SERVICE_VERSION": "v1"}
