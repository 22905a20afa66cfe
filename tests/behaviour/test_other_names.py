"""Other names for Services of the lab: ExternalName Services, and hosts that a ServiceEntry leads to them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from behaviour_mesh import NAMESPACE, Mesh, destination_rule, gateway, service_entry, to, versions_of, virtual_service

from labsupport.errors import ManifestError

Json = dict[str, Any]
WEB = f"web.{NAMESPACE}.svc.cluster.local"


def external(name: str, target: str, *ports: int) -> Json:
    listed = [{"name": f"http-{port}", "port": port} for port in ports]
    spec: Json = {"type": "ExternalName", "externalName": target, "ports": listed}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def looked_up(host: str = "api.example", *addresses: str, resolution: str = "DNS", **more: Any) -> Json:
    endpoints = [{"address": address, "ports": {"http": 8080}} for address in addresses]
    return service_entry(host, resolution=resolution, **({"endpoints": endpoints} if endpoints else {}), **more)


def test_an_external_name_is_another_name_of_a_service_with_its_rules(mesh: Mesh) -> None:
    mesh.lab.apply(yaml.safe_dump(external("nickname", WEB, 8080)))
    try:
        assert versions_of(mesh.send("http://nickname:8080/", 40)).keys() == {"v1", "v2"}
        mesh.apply(virtual_service({"directResponse": {"status": 418}}))
        assert mesh.request("http://nickname:8080/").status == 418
        assert mesh.lab.explain("http://nickname:8080/", source="client").agrees
    finally:
        mesh.lab.delete("service/nickname")


@pytest.mark.parametrize("resolution", ["DNS", "DNS_ROUND_ROBIN"])
@pytest.mark.parametrize("name", [WEB, f"{WEB}.", f"web.{NAMESPACE}.svc"])
def test_a_host_that_is_looked_up_leads_to_the_pods_of_a_service(mesh: Mesh, resolution: str, name: str) -> None:
    mesh.apply(looked_up("api.example", name, resolution=resolution))
    seen = mesh.send("http://api.example/", 60)
    assert versions_of(seen).keys() == {"v1", "v2"}
    assert len(mesh.arrivals(seen[0])) == 1
    why = mesh.lab.explain("http://api.example/", source="client")
    assert why.agrees
    assert {pod[:4] for pod in why.explanation.destinations[0].pods} == {"web-"}


def test_rules_of_such_a_host_count_in_the_mesh_and_at_the_gateway(mesh: Mesh) -> None:
    rule = virtual_service(
        {"timeout": "0.2s", "route": [to("api.example", port=80)]},
        hosts=["api.example"],
        gateways=["mesh", "entrance"],
        name="api",
    )
    mesh.apply(looked_up("api.example", WEB), rule, gateway())
    for url, options in (
        ("http://api.example/slow?seconds=2", {}),
        ("gateway:/slow?seconds=2", {"headers": {"Host": "api.example"}}),
    ):
        assert mesh.verdict(mesh.request(url, **options))[:2] == (504, "UT")


def test_weights_of_endpoints_count_whatever_the_number_of_pods_behind_them(mesh: Mesh) -> None:
    entry = looked_up("api.example", WEB, f"shop.{NAMESPACE}.svc.cluster.local")
    # Two pods of v1 and one of v2 are behind the first name, the latter alone behind the second.
    entry["spec"]["endpoints"][0]["weight"] = 3
    entry["spec"]["endpoints"][1]["weight"] = 1
    mesh.apply(entry, destination_rule("api.example", trafficPolicy={"loadBalancer": {"simple": "ROUND_ROBIN"}}))
    seen = versions_of(mesh.send("http://api.example/", 80))
    assert seen == {"v1": 40, "v2": 40}


def test_pods_come_and_go_behind_a_name(mesh: Mesh) -> None:
    mesh.apply(looked_up("api.example", WEB))
    mesh.lab.scale("deploy/web-v2", 0)
    try:
        assert versions_of(mesh.send("http://api.example/", 20)) == {"v1": 20}
    finally:
        mesh.lab.scale("deploy/web-v2", 1)
    assert versions_of(mesh.send("http://api.example/", 60)).keys() == {"v1", "v2"}


def test_a_service_that_does_not_exist_is_nobody(mesh: Mesh) -> None:
    mesh.apply(looked_up("api.example", f"nobody.{NAMESPACE}.svc.cluster.local"))
    assert mesh.verdict(mesh.request("http://api.example/"))[:2] == (503, "UH")
    assert mesh.lab.explain("http://api.example/", source="client").agrees


@pytest.mark.parametrize(
    "made",
    [
        external("nickname", "out.example", 8080),
        looked_up("api.example"),
        looked_up("api.example", "out.example"),
        looked_up("api.example", WEB, "out.example"),
        looked_up("api.example", f"web.{NAMESPACE}.svc."),
        external("nickname", f"web.{NAMESPACE}.svc", 8080),
        looked_up("api.example", "192.0.2.10"),
        looked_up("api.example", "localhost"),
    ],
)
def test_names_outside_of_the_lab_are_refused(mesh: Mesh, made: Json) -> None:
    with pytest.raises(ManifestError, match=r"asks no name server|connects to no other"):
        mesh.apply(made)
