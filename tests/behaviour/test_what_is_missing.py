"""What a client sees when something that a rule names, or a rule itself, is missing."""

from __future__ import annotations

from typing import Any

import pytest
from behaviour_mesh import (
    NAMESPACE,
    WEB,
    Mesh,
    destination_rule,
    gateway,
    server,
    service_entry,
    to,
    versions,
    virtual_service,
)


def test_no_rule_of_the_host_matches(mesh: Mesh) -> None:
    mesh.apply(virtual_service({"match": [{"uri": {"exact": "/only"}}]}))
    seen = mesh.request(f"{WEB}/else")
    assert mesh.verdict(seen) == (404, "NR", "route_not_found")
    assert seen.body == ""


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param({"port": 9090}, id="another port"),
        pytest.param({"sourceLabels": {"app": "somebody-else"}}, id="another source"),
        pytest.param({"sourceNamespace": "elsewhere"}, id="another namespace"),
        pytest.param({"gateways": ["entrance"]}, id="a gateway"),
    ],
)
def test_rules_for_other_proxies_leave_the_service_as_it_is(mesh: Mesh, condition: dict[str, Any]) -> None:
    rule = {"match": [condition], "directResponse": {"status": 418}}
    mesh.apply(virtual_service(rule, gateways=["mesh", "entrance"]))
    seen = mesh.request(f"{WEB}/")
    assert mesh.verdict(seen) == (200, "", "via_upstream")
    assert mesh.own(seen).route == "default"


def test_rules_for_this_proxy_count_beside_those_for_others(mesh: Mesh) -> None:
    mesh.apply(
        virtual_service(
            {"match": [{"sourceLabels": {"app": "somebody-else"}}], "directResponse": {"status": 418}},
            {"match": [{"uri": {"exact": "/teapot"}}], "directResponse": {"status": 418}},
        )
    )
    assert mesh.request(f"{WEB}/teapot").status == 418
    # One rule of the VirtualService is for this proxy, so the service's own route is gone.
    assert mesh.verdict(mesh.request(f"{WEB}/")) == (404, "NR", "route_not_found")


@pytest.mark.parametrize(
    "url", ["http://nobody-knows:8080/", "http://web:8081/", "http://web/", "http://elsewhere.example/"]
)
def test_unknown_host_or_port_in_a_sidecar(mesh: Mesh, url: str) -> None:
    seen = mesh.request(url)
    assert (seen.outcome, seen.status, seen.body) == ("unknown_destination", 502, "")


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(to(subset="v1"), id="no DestinationRule"),
        pytest.param(to("nobody-knows"), id="no such service"),
        pytest.param(to(port=8081), id="no such port"),
        pytest.param(to(f"web.{NAMESPACE}"), id="a half-qualified name is not expanded"),
    ],
)
def test_a_destination_that_does_not_exist(mesh: Mesh, route: dict[str, Any]) -> None:
    mesh.apply(virtual_service({"route": [route]}))
    seen = mesh.request(f"{WEB}/")
    assert mesh.verdict(seen) == (503, "NC", "cluster_not_found")
    assert seen.body == ""


def test_a_subset_that_the_destination_rule_does_not_define(mesh: Mesh) -> None:
    mesh.apply(versions(), virtual_service({"route": [to(subset="v3")]}))
    assert mesh.verdict(mesh.request(f"{WEB}/")) == (503, "NC", "cluster_not_found")


def test_a_destination_without_port_takes_the_port_of_the_request(mesh: Mesh) -> None:
    mesh.apply(virtual_service({"route": [to("web")]}, hosts=["shop"]))
    assert mesh.own(mesh.request("http://shop:8080/")).cluster == f"outbound|8080||web.{NAMESPACE}.svc.cluster.local"
    assert mesh.verdict(mesh.request("http://shop/")) == (503, "NC", "cluster_not_found")


def test_a_gateway_finds_the_only_port_of_a_destination_by_itself(mesh: Mesh) -> None:
    mesh.apply(gateway(), virtual_service({"route": [to("web")]}, hosts=["*"], gateways=["entrance"]))
    assert mesh.own(mesh.request("gateway:/")).cluster == f"outbound|8080||web.{NAMESPACE}.svc.cluster.local"


def test_a_gateway_takes_its_own_port_for_a_destination_with_several(mesh: Mesh) -> None:
    mesh.apply(
        gateway(server(number=80), server(number=81)),
        virtual_service({"route": [to("shop")]}, hosts=["*"], gateways=["entrance"]),
    )
    assert mesh.own(mesh.request("gateway:/")).cluster == f"outbound|80||shop.{NAMESPACE}.svc.cluster.local"


def test_deleting_the_subsets_under_a_rule(mesh: Mesh) -> None:
    mesh.apply(versions(), virtual_service({"route": [to(subset="v2")]}))
    assert mesh.request(f"{WEB}/").status == 200
    mesh.lab.delete("DestinationRule/versions")
    assert mesh.verdict(mesh.request(f"{WEB}/")) == (503, "NC", "cluster_not_found")


@pytest.mark.parametrize(
    ("route", "url"),
    [
        pytest.param(to(subset="nobody"), f"{WEB}/", id="a subset whose labels no pod has"),
        pytest.param(to("empty"), f"{WEB}/", id="a service whose selector fits no pod"),
    ],
)
def test_a_destination_without_endpoints(mesh: Mesh, route: dict[str, Any], url: str) -> None:
    mesh.apply(versions(), virtual_service({"route": [route]}))
    seen = mesh.request(url)
    assert mesh.verdict(seen) == (503, "UH", "no_healthy_upstream")
    assert seen.body == "no healthy upstream"


def test_a_static_service_entry_without_endpoints(mesh: Mesh) -> None:
    mesh.apply(service_entry("nothing.example", resolution="STATIC"))
    assert mesh.verdict(mesh.request("http://nothing.example/")) == (503, "UH", "no_healthy_upstream")


def test_an_upstream_that_refuses_connections_is_retried_and_then_503_uf(mesh: Mesh) -> None:
    seen = mesh.request("http://refusing:8080/")
    line = mesh.own(seen)
    assert (seen.status, set(line.flags.split(","))) == (503, {"UF", "URX"})
    assert "remote_connection_failure" in line.details
    assert seen.body.startswith("upstream connect error")


def test_a_refused_connection_without_retries(mesh: Mesh) -> None:
    mesh.apply(virtual_service({"route": [to("refusing")], "retries": {"attempts": 0}}, hosts=["refusing"]))
    assert mesh.own(mesh.request("http://refusing:8080/")).flags == "UF"


def test_a_gateway_without_rules_and_a_host_that_it_does_not_know(mesh: Mesh) -> None:
    mesh.apply(gateway())
    assert mesh.verdict(mesh.request("gateway:/")) == (404, "NR", "route_not_found")
    mesh.apply(virtual_service({"route": [to()]}, hosts=["shop.example"], gateways=["entrance"]))
    assert mesh.verdict(mesh.request("gateway:/", headers={"Host": "else.example"})) == (404, "NR", "route_not_found")
    assert mesh.request("gateway:/", headers={"Host": "shop.example"}).status == 200


def test_a_gateway_port_that_no_server_declares(mesh: Mesh) -> None:
    mesh.apply(gateway(server(number=81)), virtual_service({"route": [to()]}, hosts=["*"], gateways=["entrance"]))
    seen = mesh.request("gateway:/")
    assert (seen.outcome, seen.status) == ("connection", 0)


def test_a_rule_bound_to_a_gateway_only_does_not_count_in_sidecars(mesh: Mesh) -> None:
    mesh.apply(gateway(), virtual_service({"directResponse": {"status": 418}}, gateways=["entrance"]))
    assert mesh.request(f"{WEB}/").status == 200
    assert mesh.request("gateway:/", headers={"Host": f"web.{NAMESPACE}.svc.cluster.local"}).status == 418


def test_a_rule_counts_where_the_client_is_not_where_the_server_is(mesh: Mesh) -> None:
    mesh.apply(virtual_service({"fault": {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}}))
    seen = mesh.request(f"{WEB}/")
    assert mesh.verdict(seen) == (418, "FI", "fault_filter_abort")
    assert mesh.arrivals(seen) == []


def test_destination_rules_do_not_change_who_is_reached(mesh: Mesh) -> None:
    mesh.apply(destination_rule("web", subsets=[{"name": "v1", "labels": {"version": "v1"}}]))
    assert set(mesh.send(f"{WEB}/", 60).share("version").counts) == {"v1", "v2"}
