"""Snapshots and serialisation: consistent, versioned by type, each resource serialised once."""

from __future__ import annotations

from typing import Any

import pytest

from labsupport.controlplane.encode import Encoder
from labsupport.controlplane.proxies import ProxyResources
from labsupport.controlplane.snapshot import InconsistentSnapshot, build
from labsupport.engine.embedded.envoy.kubeproxy import NodePort, balance, node_port_cluster
from labsupport.engine.embedded.envoy.localize import LocalizedResources


def cluster(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}}, **more}


def endpoints(name: str, port: int = 80) -> dict[str, Any]:
    address = {"socket_address": {"address": "10.244.0.1", "port_value": port}}
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}


def test_a_resource_is_serialised_once_and_equal_ones_are_found_by_name() -> None:
    encoder = Encoder()
    original = cluster("a")
    made = encoder.encode("CDS", original)
    assert encoder.encode("CDS", original) is made
    encoder.forget_unused()
    assert encoder.encode("CDS", cluster("a")) is made
    assert encoder.encode("CDS", cluster("a", lb_policy="RANDOM")) != made


def test_what_is_no_resource_is_told_with_its_field() -> None:
    with pytest.raises(ValueError, match=r"CDS a.*lb_polcy"):
        Encoder().encode("CDS", cluster("a", lb_polcy="RANDOM"))


def test_the_rule_behind_a_resource_is_known() -> None:
    path = "/apis/networking.istio.io/v1/namespaces/default/destination-rule/web"
    made = Encoder().encode("CDS", cluster("a", metadata={"filter_metadata": {"istio": {"config": path}}}))
    assert made.origins == {path}


def test_a_cluster_without_its_endpoints_is_not_published() -> None:
    encoder = Encoder()
    with pytest.raises(InconsistentSnapshot, match="EDS lacks a"):
        build({"CDS": [encoder.encode("CDS", cluster("a"))]}, version="1")


def test_only_types_that_differ_get_a_new_version() -> None:
    encoder = Encoder()
    clusters = [encoder.encode("CDS", cluster("a"))]
    first = build({"CDS": clusters, "EDS": [encoder.encode("EDS", endpoints("a"))]}, version="1")
    second = build({"CDS": clusters, "EDS": [encoder.encode("EDS", endpoints("a", 81))]}, previous=first, version="2")
    assert (second.versions["CDS"], second.versions["EDS"]) == ("1", "2")
    assert second.changed(first) == ("EDS",)


def test_callers_without_a_sidecar_get_names_and_pods_but_no_rule() -> None:
    name = "outbound|8080||web.default.svc.cluster.local"
    retries = {"retry_on": "connect-failure", "num_retries": 2}
    route = {"match": {"prefix": "/"}, "route": {"cluster": name, "retry_policy": retries, "timeout": "3s"}}
    table = {"name": "8080", "virtual_hosts": [{"name": "web", "domains": ["web"], "routes": [route]}]}
    rules = {"circuit_breakers": {"thresholds": [{"max_connections": 1}]}, "lb_policy": "ROUND_ROBIN"}
    view = ProxyResources(
        clusters={name: cluster(name, **rules)}, routes={"8080": table}, endpoints={name: endpoints(name)}
    )
    made = balance(
        {"default": view},
        endpoints={("10.244.0.1", 80): 4711},
        listeners={"default": 15001},
        node_ports=[NodePort(name, "nodeport_web", 31532), NodePort("outbound|1||absent", "nodeport_absent", 31533)],
        memo=LocalizedResources(),
    )
    action = made.routes["default/8080"]["virtual_hosts"][0]["routes"][0]["route"]
    assert action.keys() == {"cluster", "timeout", "hash_policy"}
    assert (made.clusters[name]["lb_policy"], action["timeout"]) == ("MAGLEV", "0s")
    assert made.clusters[name]["circuit_breakers"]["thresholds"][0]["max_connections"] == 4294967295
    assert made.clusters[node_port_cluster(name)]["lb_policy"] == "RANDOM"
    assert set(made.listeners) == {"plain_default", "nodeport_web"}
    encoder = Encoder()
    build(
        {
            "CDS": [encoder.encode("CDS", cluster) for cluster in made.clusters.values()],
            "EDS": [encoder.encode("EDS", endpoint) for endpoint in made.endpoints.values()],
            "LDS": [encoder.encode("LDS", listener) for listener in made.listeners.values()],
            "SRDS": [encoder.encode("SRDS", scope) for scope in made.scopes.values()],
            "RDS": [encoder.encode("RDS", route) for route in made.routes.values()],
        },
        version="1",
    )
