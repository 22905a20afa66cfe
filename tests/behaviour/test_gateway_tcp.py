"""Connections that are not HTTP at the gateway: ``tcp`` rules, with and without TLS in front of them."""

from __future__ import annotations

from typing import Any

import pytest
from behaviour_mesh import Mesh, gateway, secret, server, subsets, to, versions_of, virtual_service

from labsupport.certificates import Authority
from labsupport.traffic.tls import Tls

pytestmark = pytest.mark.usefixtures("secured")
Json = dict[str, Any]


def tcp_rules(*rules: Json, hosts: tuple[str, ...] = ("*",), name: str = "connections") -> Json:
    """A VirtualService with ``tcp`` rules of the gateway ``entrance``."""
    made = virtual_service(hosts=hosts, gateways=["entrance"], name=name)
    made["spec"]["tcp"] = list(rules)
    del made["spec"]["http"]
    return made


def opened(*numbers: int) -> Json:
    return gateway(*(server(number=number, protocol="TCP") for number in numbers or (9000,)))


def test_an_echo_answers_through_the_gateway(mesh: Mesh) -> None:
    mesh.apply(subsets("echo"), opened(), tcp_rules({"route": [to("echo", "v1", port=9000)]}))
    seen = mesh.request("tcp://gateway:9000", body="hello")
    assert (seen.outcome, seen.status, seen.body, seen.path[0].version) == ("ok", 0, "v1 hello", "v1")
    assert mesh.request("tcp://gateway:9000", body="one\ntwo\nthree").body == "v1 one\nv1 two\nv1 three"
    (line,) = {
        (connection.cluster, connection.upstream_pod.rsplit("-", 2)[0]) for connection in mesh.connections(seen, "")
    }
    assert line == ("outbound|9000|v1|echo.default.svc.cluster.local", "echo-v1")


def test_pods_without_a_sidecar_are_reached_too(mesh: Mesh) -> None:
    mesh.apply(subsets("echo"), opened(), tcp_rules({"route": [to("echo", "v2", port=9000)]}))
    assert versions_of(mesh.send("tcp://gateway:9000", 5, body="hello")) == {"v2": 5}


def test_weights_are_of_connections(mesh: Mesh) -> None:
    def split(v1: int, v2: int) -> Json:
        routes = [to("echo", "v1", port=9000, weight=v1), to("echo", "v2", port=9000, weight=v2)]
        return tcp_rules({"route": [route for route in routes if route.get("weight")]})

    mesh.apply(subsets("echo"), opened(), split(100, 0))
    assert versions_of(mesh.send("tcp://gateway:9000", 20, body="hello")) == {"v1": 20}
    mesh.apply(split(80, 20))
    seen = mesh.send("tcp://gateway:9000", 400, body="hello")
    # Envoy draws for each connection: of 400 with 20 %, fewer than 40 or more than 125 come once in a million times.
    assert 40 <= versions_of(seen)["v2"] <= 125 and sum(versions_of(seen).values()) == 400
    mesh.apply(split(0, 100))
    assert versions_of(mesh.send("tcp://gateway:9000", 20, body="hello")) == {"v2": 20}


def test_without_a_rule_the_connections_are_spread_over_all_pods(mesh: Mesh) -> None:
    mesh.apply(opened(), tcp_rules({"route": [to("echo", port=9000)]}))
    assert set(versions_of(mesh.send("tcp://gateway:9000", 40, body="hello"))) == {"v1", "v2"}


def test_each_port_has_its_rule(mesh: Mesh) -> None:
    mesh.apply(
        subsets("echo"),
        opened(9000, 9100, 31400),
        tcp_rules(
            {"match": [{"port": 9100}], "route": [to("echo", "v2", port=9000)]},
            {"match": [{"port": 9000}], "route": [to("echo", "v1", port=9000)]},
        ),
    )
    assert versions_of(mesh.send("tcp://gateway:9000", 5, body="hello")) == {"v1": 5}
    assert versions_of(mesh.send("tcp://gateway:9100", 5, body="hello")) == {"v2": 5}
    refused = mesh.request("tcp://gateway:31400", body="hello")
    assert (refused.outcome, refused.connection) == ("connection", -1), "a port without rule has no listener"
    assert {"gateway:9000", "gateway:9100"} <= set(mesh.lab.urls())


def test_a_port_that_no_gateway_opens_refuses_connections(mesh: Mesh) -> None:
    mesh.apply(opened(), tcp_rules({"route": [to("echo", port=9000)]}))
    assert mesh.request("tcp://gateway:9001", body="hello").connection == -1
    mesh.lab.delete("Gateway/entrance")
    assert mesh.request("tcp://gateway:9000", body="hello").outcome == "connection"


@pytest.mark.parametrize(
    ("route", "flags"),
    [
        pytest.param(to("echo", "v9", port=9000), "NC", id="no such subset"),
        pytest.param(to("nobody-knows", port=9000), "NC", id="no such service"),
        pytest.param(to("empty", port=8080), "UH", id="no endpoints"),
        pytest.param(to("echo", "v2", port=9001), "UF", id="nobody listens"),
    ],
)
def test_a_destination_that_cannot_be_reached_ends_the_connection(mesh: Mesh, route: Json, flags: str) -> None:
    mesh.apply(subsets("echo"), opened(), tcp_rules({"route": [route]}))
    seen = mesh.request("tcp://gateway:9000", body="hello")
    assert (seen.outcome, seen.body) == ("connection", "")
    assert any(flags in connection.flags.split(",") for connection in mesh.connections(seen, ""))


def test_a_rule_changes_for_the_next_connection(mesh: Mesh) -> None:
    mesh.apply(subsets("echo"), opened(), tcp_rules({"route": [to("echo", "v1", port=9000)]}))
    for version in ("v2", "v1", "v2"):
        mesh.apply(tcp_rules({"route": [to("echo", version, port=9000)]}))
        assert versions_of(mesh.send("tcp://gateway:9000", 3, body="hello")) == {version: 3}


def test_tls_ends_at_the_gateway_and_a_connection_goes_on(mesh: Mesh, authority: Authority) -> None:
    first = server("a.example", number=9443, protocol="TLS", tls={"mode": "SIMPLE", "credentialName": "a"})
    two = server("b.example", number=9443, protocol="TLS", tls={"mode": "MUTUAL", "credentialName": "b"})
    two["port"]["name"] = "tls-b"
    mesh.apply(
        subsets("echo"),
        secret(authority.server("a.example").secret("a")),
        secret(authority.server("b.example").secret("b", ca=authority)),
        gateway(first, two),
        tcp_rules({"route": [to("echo", "v1", port=9000)]}, hosts=("a.example",), name="a"),
        tcp_rules({"route": [to("echo", "v2", port=9000)]}, hosts=("b.example",), name="b"),
    )
    seen = mesh.request("tls://a.example:9443", body="hello", tls=Tls(ca=authority))
    assert (seen.outcome, seen.body, seen.tls["names"]) == ("ok", "v1 hello", "a.example")
    alice = authority.client("alice")
    assert (
        mesh.request("tls://b.example:9443", body="hello", tls=Tls(ca=authority, certificate=alice)).body == "v2 hello"
    )
    assert "client certificate" in mesh.request("tls://b.example:9443", body="hello", tls=Tls(ca=authority)).error
    assert mesh.request("tls://c.example:9443", body="hello").outcome == "connection"


def test_http_and_tcp_of_one_port_do_not_mix(mesh: Mesh) -> None:
    mesh.apply(
        gateway(server(number=9000), server(number=9000, protocol="TCP")),
        virtual_service({"route": [to()]}, hosts=["*"], gateways=["entrance"]),
        tcp_rules({"route": [to("echo", port=9000)]}),
    )
    assert mesh.request("gateway:9000/").status == 200, "the older server keeps the port"


def test_a_gateway_rule_concerns_the_gateway_only(mesh: Mesh) -> None:
    mesh.apply(subsets("echo"), opened(), tcp_rules({"route": [to("echo", "v1", port=9000)]}))
    concerned = {f"{rule.ref.kind}/{rule.ref.name}": rule.proxies for rule in mesh.lab.status().rules}
    assert concerned["Gateway/entrance"] == ("istio-ingressgateway",)
    assert concerned["VirtualService/connections"] == ("istio-ingressgateway",)
    other = {**opened(), "metadata": {"name": "elsewhere"}}
    other["spec"]["selector"] = {"istio": "another-gateway"}
    mesh.apply(other)
    proxies = [rule.proxies for rule in mesh.lab.status().rules if rule.ref.name == "elsewhere"]
    assert proxies == [()]


def test_plain_http_on_any_port(mesh: Mesh) -> None:
    result = mesh.apply(
        gateway(server(number=8081), server(number=8090)),
        virtual_service({"route": [to()]}, hosts=["*"], gateways=["entrance"]),
    )
    for port in (8081, 8090):
        seen = mesh.request(f"gateway:{port}/")
        assert seen.status == 200 and mesh.own(seen).authority == f"localhost:{port}"
        assert any(f"port {port}" in text and "Service istio-ingressgateway" in text for text in result.notes)
    assert mesh.request("gateway:8082/").outcome == "connection"
