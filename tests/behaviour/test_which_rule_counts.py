"""Order: rules of one VirtualService, several VirtualServices on a host, and Gateways that share a port."""

from __future__ import annotations

from typing import Any

import pytest
from behaviour_mesh import (
    NAMESPACE,
    WEB,
    Json,
    Mesh,
    destination_rule,
    gateway,
    server,
    service_entry,
    to,
    versions,
    virtual_service,
)

from labsupport.records import Response

SHOP = {"Host": "shop.example"}


def answer(status: int, *match: Json) -> Json:
    return {"directResponse": {"status": status}, **({"match": list(match)} if match else {})}


def at(path: str) -> Json:
    return {"uri": {"prefix": path}}


def test_the_first_rule_that_fits_takes_the_request(mesh: Mesh) -> None:
    mesh.apply(virtual_service(answer(201, at("/a")), answer(202, at("/a/b")), answer(203)))
    assert [mesh.request(f"{WEB}{path}").status for path in ("/a", "/a/b", "/c")] == [201, 201, 203]
    mesh.apply(virtual_service(answer(202, at("/a/b")), answer(201, at("/a")), answer(203)))
    assert [mesh.request(f"{WEB}{path}").status for path in ("/a", "/a/b", "/c")] == [201, 202, 203]


@pytest.mark.parametrize(
    "everything",
    [
        pytest.param([], id="no match"),
        pytest.param([at("/")], id="prefix /"),
        pytest.param([{"uri": {"regex": ".*"}}], id="regex .*"),
        pytest.param([{"uri": {}}], id="an empty condition"),
        pytest.param([at("/only"), at("/")], id="one entry of several"),
    ],
)
def test_a_rule_after_one_that_takes_everything_never_fires(mesh: Mesh, everything: list[Json]) -> None:
    mesh.apply(virtual_service(answer(201, *everything), answer(202, at("/a"))))
    assert {mesh.request(f"{WEB}{path}").status for path in ("/", "/a", "/only")} == {201}


def test_an_empty_prefix_takes_every_path(mesh: Mesh) -> None:
    mesh.apply(virtual_service(answer(201, {"uri": {"prefix": ""}}), answer(202, at("/a"))))
    assert {mesh.request(f"{WEB}{path}").status for path in ("/", "/a")} == {201}


def test_the_oldest_rule_of_a_host_counts_alone_in_sidecars(mesh: Mesh) -> None:
    mesh.apply(virtual_service(answer(202, at("/b")), name="zz-older"))
    mesh.apply(virtual_service(answer(201, at("/a")), answer(203), name="aa-younger"))
    assert [mesh.request(f"{WEB}{path}").status for path in ("/a", "/b")] == [404, 202]
    mesh.lab.delete("VirtualService/zz-older")
    assert [mesh.request(f"{WEB}{path}").status for path in ("/a", "/b")] == [201, 203]


def test_changing_a_rule_does_not_make_it_younger(mesh: Mesh) -> None:
    mesh.apply(virtual_service(answer(201), name="older"))
    mesh.apply(virtual_service(answer(202), name="younger"))
    mesh.apply(virtual_service(answer(203), name="older"))
    assert mesh.request(f"{WEB}/").status == 203


def test_an_older_rule_without_routes_for_this_proxy_gives_way(mesh: Mesh) -> None:
    mesh.apply(virtual_service(answer(201, {"sourceLabels": {"app": "somebody-else"}}), name="older"))
    mesh.apply(virtual_service(answer(202), name="younger"))
    assert mesh.request(f"{WEB}/").status == 202


def test_an_exact_host_counts_before_a_wildcard_however_old(mesh: Mesh) -> None:
    mesh.apply(virtual_service(answer(201), hosts=[f"*.{NAMESPACE}.svc.cluster.local"], name="wide"))
    assert [mesh.request(f"http://{host}:8080/").status for host in ("web", "shop")] == [201, 201]
    mesh.apply(virtual_service(answer(202), name="exact"))
    assert [mesh.request(f"http://{host}:8080/").status for host in ("web", "shop")] == [202, 201]


def test_a_rule_for_several_hosts(mesh: Mesh) -> None:
    mesh.apply(virtual_service(answer(201), hosts=["web", f"shop.{NAMESPACE}.svc.cluster.local"]))
    assert [mesh.request(f"http://{host}:8080/").status for host in ("web", "shop", "ring")] == [201, 201, 200]


def test_a_host_that_is_no_service_works_on_port_80(mesh: Mesh) -> None:
    mesh.apply(virtual_service({"route": [to("web", port=8080)]}, hosts=["imagined.example"]))
    assert mesh.request("http://imagined.example/").status == 200
    assert mesh.request("http://imagined.example:8080/").outcome == "unknown_destination"


def test_a_rule_for_a_service_entry(mesh: Mesh) -> None:
    mesh.apply(
        service_entry("paid.example", resolution="STATIC"),
        virtual_service({"route": [to("web", port=8080)]}, hosts=["paid.example"]),
    )
    assert mesh.request("http://paid.example/").status == 200


# --- gateways ---------------------------------------------------------------------------------------------------


def at_gateway(mesh: Mesh, path: str, host: str = "shop.example") -> Response:
    return mesh.request(f"gateway:{path}", headers={"Host": host})


def public(*http: Json, name: str, hosts: list[str] | None = None, **options: Any) -> Json:
    return virtual_service(*http, name=name, hosts=hosts or ["shop.example"], gateways=["entrance"], **options)


def test_a_gateway_merges_rules_of_a_host_in_order_of_age(mesh: Mesh) -> None:
    mesh.apply(gateway(), public(answer(201, at("/a")), name="older"))
    mesh.apply(public(answer(202, at("/a")), answer(203, at("/b")), name="younger"))
    assert [at_gateway(mesh, path).status for path in ("/a", "/b", "/c")] == [201, 203, 404]


def test_a_gateway_puts_what_takes_everything_last(mesh: Mesh) -> None:
    mesh.apply(gateway(), public(answer(201), name="older"))
    mesh.apply(public(answer(202, at("/b")), answer(203), name="younger"))
    assert [at_gateway(mesh, path).status for path in ("/", "/b")] == [201, 202]


@pytest.mark.parametrize(
    ("offered", "asked", "served"),
    [
        pytest.param(["*"], ["shop.example"], {"shop.example": True, "other.example": False}, id="any and one"),
        pytest.param(["shop.example"], ["*"], {"shop.example": True, "other.example": False}, id="one and any"),
        pytest.param(["*.example"], ["shop.example"], {"shop.example": True, "a.example": False}, id="wide and one"),
        pytest.param(["*.example"], ["*"], {"shop.example": True, "example": False, "shop.test": False}, id="wide"),
        pytest.param(["a.example"], ["b.example"], {"a.example": False, "b.example": False}, id="nothing in common"),
        pytest.param(["./shop.example"], ["shop.example"], {"shop.example": True}, id="of the Gateway's namespace"),
        pytest.param(["elsewhere/shop.example"], ["shop.example"], {"shop.example": False}, id="of another namespace"),
        pytest.param(["*"], ["shop.example"], {"SHOP.Example": True, "shop.example:1234": True}, id="case and port"),
        pytest.param(["*"], ["web"], {"web": False, f"web.{NAMESPACE}.svc.cluster.local": True}, id="a short name"),
    ],
)
def test_hosts_of_gateway_and_rule(mesh: Mesh, offered: list[str], asked: list[str], served: dict[str, bool]) -> None:
    mesh.apply(gateway(server(*offered)), public(answer(201), name="rule", hosts=asked))
    assert {host: at_gateway(mesh, "/", host).status == 201 for host in served} == served


def test_the_more_specific_host_counts_at_a_gateway(mesh: Mesh) -> None:
    mesh.apply(gateway(), public(answer(201), name="all", hosts=["*"]))
    mesh.apply(public(answer(202), name="wide", hosts=["*.example"]), public(answer(203), name="exact"))
    seen = [at_gateway(mesh, "/", host).status for host in ("other.test", "a.example", "b.a.example", "shop.example")]
    assert seen == [201, 202, 202, 203]
    # The hosts are not merged: what the exact one does not have is not looked for in the wider ones.
    mesh.apply(public(answer(203, at("/a")), name="exact"))
    assert at_gateway(mesh, "/").status == 404


def test_gateways_of_one_port_share_it(mesh: Mesh) -> None:
    mesh.apply(
        gateway(server("a.example"), name="entrance"),
        gateway(server("b.example"), name="side-door"),
        public(answer(201), name="a", hosts=["*"]),
        virtual_service(answer(202), name="b", hosts=["*"], gateways=["side-door"]),
    )
    assert [at_gateway(mesh, "/", host).status for host in ("a.example", "b.example", "c.example")] == [201, 202, 404]


def test_a_gateway_can_send_everybody_to_https(mesh: Mesh) -> None:
    mesh.apply(gateway(server("shop.example", tls={"httpsRedirect": True})), public({"route": [to()]}, name="rule"))
    seen = at_gateway(mesh, "/a?b=c")
    assert (seen.status, seen.headers["location"]) == (301, "https://shop.example/a?b=c")


def test_the_same_subsets_count_at_gateway_and_sidecar(mesh: Mesh) -> None:
    rule = {"route": [to(subset="v2")]}
    mesh.apply(versions(), gateway(), public(rule, name="public"), virtual_service(rule))
    assert {response.path[0].version for response in mesh.send("gateway:/", 20, headers=SHOP)} == {"v2"}
    assert {response.path[0].version for response in mesh.send(f"{WEB}/", 20)} == {"v2"}


def test_a_gateway_names_itself_and_tells_servers_what_came_in(mesh: Mesh) -> None:
    mesh.apply(gateway(), versions(), public({"route": [to(subset="v2")]}, name="public"))
    seen = mesh.echo("gateway:/headers", headers={**SHOP, "x-forwarded-proto": "https"}, keep_headers=["server"])
    assert seen["headers"]["x-forwarded-proto"] == "http"
    assert seen["headers"]["x-forwarded-for"]
    assert mesh.request("gateway:/", headers=SHOP, keep_headers=["server"]).headers["server"] == "istio-envoy"


# --- DestinationRules -------------------------------------------------------------------------------------------


def subsets(host: str, name: str, *versions: str, **more: Any) -> Json:
    listed = [{"name": version, "labels": {"version": version}} for version in versions]
    return destination_rule(host, name=name, subsets=listed, **more)


def reachable(mesh: Mesh) -> set[str]:
    """Which subsets of ``web`` there are for the client."""
    seen = set()
    for version in ("v1", "v2"):
        mesh.apply(virtual_service({"route": [to(subset=version)]}))
        if mesh.request(f"{WEB}/").status == 200:
            seen.add(version)
    return seen


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([subsets("web", "a", "v1"), subsets("web", "b", "v2")], {"v1", "v2"}, id="one host: merged"),
        pytest.param(
            [subsets("web", "a", "v1"), subsets(f"*.{NAMESPACE}.svc.cluster.local", "b", "v2")],
            {"v1"},
            id="an exact host hides a wildcard",
        ),
        pytest.param([subsets(f"*.{NAMESPACE}.svc.cluster.local", "a", "v1", "v2")], {"v1", "v2"}, id="a wildcard"),
        pytest.param(
            [
                subsets("web", "a", "v1", workloadSelector={"matchLabels": {"app": "client"}}),
                subsets(f"web.{NAMESPACE}.svc.cluster.local", "b", "v2", exportTo=["*"]),
            ],
            {"v1"},
            id="a rule for this workload comes first",
        ),
        pytest.param(
            [
                subsets("web", "a", "v1", workloadSelector={"matchLabels": {"app": "somebody-else"}}),
                subsets(f"*.{NAMESPACE}.svc.cluster.local", "b", "v2"),
            ],
            set(),
            id="a rule for other workloads hides a wildcard all the same",
        ),
    ],
)
def test_which_destination_rules_count(mesh: Mesh, rules: list[Json], expected: set[str]) -> None:
    mesh.apply(*rules)
    assert reachable(mesh) == expected
    for version in ("v1", "v2"):
        mesh.apply(virtual_service({"route": [to(subset=version)]}))
        assert mesh.lab.explain(f"{WEB}/", source="client").agrees
