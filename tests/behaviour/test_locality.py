"""Where pods run, by their label: shares by ``distribute``, and ``failover`` when those nearby are ejected."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from behaviour_mesh import Mesh, destination_rule, versions_of

from labsupport import check
from labsupport.lab.lab import Lab

Json = dict[str, Any]
URL = "http://places:8080/"
CLUSTER = "outbound|8080||places.default.svc.cluster.local"


def _deployment(name: str, app: str, locality: str, *, image: str = "web", **env: str) -> Json:
    labels = {"app": app, "version": name}
    values = [{"name": key, "value": value} for key, value in env.items()]
    container = {"name": image, "image": image, "ports": [{"containerPort": 5000}], "env": values}
    template = {"metadata": {"labels": {**labels, "istio-locality": locality}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{app}-{name}"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }


@pytest.fixture(scope="module", autouse=True)
def places(lab: Lab) -> Iterator[None]:
    applied = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "places"},
            "spec": {"selector": {"app": "places"}, "ports": [{"name": "http", "port": 8080, "targetPort": 5000}]},
        },
        _deployment("near", "places", "west.one", FAIL_RATE="1", FAIL_STATUS="503"),
        _deployment("next", "places", "west.two"),
        _deployment("far", "places", "east.one"),
        _deployment("other", "places", "north.one"),
        _deployment("here", "caller", "west.one", image="client"),
    ]
    lab.apply(yaml.safe_dump_all(applied), name="places")
    yield
    lab.delete(*[f"{item['kind']}/{item['metadata']['name']}" for item in applied])


def balanced(setting: Json, **more: Any) -> Json:
    return destination_rule("places", trafficPolicy={"loadBalancer": {"localityLbSetting": setting}, **more})


EJECTING = {
    "outlierDetection": {
        "consecutive5xxErrors": 2,
        "interval": "0.05s",
        "baseEjectionTime": "600s",
        "maxEjectionPercent": 100,
    }
}


def met(mesh: Mesh, count: int) -> set[str]:
    return {response.path[0].version for response in mesh.send(URL, count, source="caller-here")}


def until_ejected(mesh: Mesh) -> None:
    """Envoy ejects a moment after the second error of a pod; where errors went elsewhere, too, more have to come."""
    deadline = time.monotonic() + 20
    while not mesh.lab.stats("caller-here").of("outlier_detection_ejections_active").get(CLUSTER):
        assert time.monotonic() < deadline, "nobody is ejected"
        met(mesh, 1)


def test_distribute_gives_each_place_its_share(mesh: Mesh) -> None:
    shares = {"west/one/*": 70, "west/two/*": 20, "east/*": 10}
    mesh.apply(balanced({"enabled": True, "distribute": [{"from": "west/*", "to": shares}]}))
    seen = mesh.send(URL, 300, source="caller-here")
    assert check.share(seen, {"near": 70, "next": 20, "far": 10}, by="version")
    # A caller of no place is in no rule's place.
    assert versions_of(mesh.send(URL, 60)).keys() == {"near", "next", "far", "other"}
    why = mesh.lab.explain(URL, source="caller-here")
    assert why.agrees
    assert {pod.split("-")[1] for pod in why.explanation.destinations[0].pods} == {"near", "next", "far"}


def test_distribute_that_names_no_place_of_the_pods_leaves_nobody(mesh: Mesh) -> None:
    mesh.apply(balanced({"enabled": True, "distribute": [{"from": "west/one/*", "to": {"south/*": 100}}]}))
    assert mesh.verdict(mesh.request(URL, source="caller-here"))[:2] == (503, "UH")
    why = mesh.lab.explain(URL, source="caller-here")
    assert why.agrees
    assert "distribute" in why.explanation.outcomes[0].text


@pytest.mark.parametrize(
    ("setting", "first", "then"),
    [
        # Istio's default: the closest place that has sound pods.
        ({}, {"near"}, {"next"}),
        ({"enabled": True, "failoverPriority": ["topology.kubernetes.io/region=north"]}, {"other"}, {"other"}),
        ({"enabled": True, "distribute": [{"from": "west/*", "to": {"west/*": 100}}]}, {"near", "next"}, {"next"}),
    ],
)
def test_failover_goes_to_the_closest_place_and_needs_ejections(
    mesh: Mesh, setting: Json, first: set[str], then: set[str]
) -> None:
    mesh.apply(balanced(setting, **EJECTING))
    assert met(mesh, 2) <= first
    if "near" in first:
        until_ejected(mesh)
    assert met(mesh, 4) == then
    mesh.clear()
    mesh.apply(balanced(setting))
    if "failoverPriority" in setting or not setting:
        # Without outlier detection nobody would notice that a place fails.
        assert len(versions_of(mesh.send(URL, 60, source="caller-here"))) == 4


def test_failover_leads_from_a_region_to_the_one_that_is_named(mesh: Mesh) -> None:
    mesh.apply(balanced({"enabled": True, "failover": [{"from": "west", "to": "north"}]}, **EJECTING))
    mesh.lab.scale("deploy/places-next", 0)
    try:
        assert met(mesh, 2) == {"near"}
        until_ejected(mesh)
        assert met(mesh, 4) == {"other"}
        assert mesh.lab.explain(URL, source="caller-here").agrees
    finally:
        mesh.lab.scale("deploy/places-next", 1)
