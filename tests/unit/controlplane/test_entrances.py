"""What the Gateways of a lab open on a pod, and what of it conflicts."""

from __future__ import annotations

from typing import Any

import pytest

from labsupport.controlplane.entrances import carries_connections, conflicts, container_port, port_notes, schemes
from labsupport.controlplane.proxies import PodInfo
from labsupport.engine.embedded.builtin import built_in_objects
from labsupport.engine.embedded.holding import proxies
from labsupport.model import Resource, parse
from labsupport.model.gatewayapi import Facts
from labsupport.model.reading.documents import read

POD = PodInfo(
    "istio-ingressgateway", "istio-system", "10.244.0.1", {"istio": "ingressgateway", "app": "istio-ingressgateway"}
)
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: default}}
spec:
  selector: {{istio: {selects}}}
  servers: [{servers}]
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rule, namespace: default}}
spec: {{hosts: ["*"], gateways: [{gateways}], {kind}: [{{{match}route: [{{destination: {{host: echo}}}}]}}]}}
"""


def server(number: int, protocol: str, hosts: str = "'*'", tls: str = "") -> str:
    more = f", tls: {tls}" if tls else ""
    return f"{{port: {{number: {number}, name: p{number}, protocol: {protocol}}}, hosts: [{hosts}]{more}}}"


def gateway(*servers: str, name: str = "one", selects: str = "ingressgateway") -> str:
    return GATEWAY.format(name=name, selects=selects, servers=", ".join(servers))


def objects(*texts: str) -> list[Resource]:
    return [*built_in_objects("default"), *parse(read("---".join(texts)))]


def test_each_port_says_what_is_spoken_on_it() -> None:
    simple, passing = "{mode: SIMPLE, credentialName: c}", "{mode: PASSTHROUGH}"
    seen = objects(
        gateway(
            server(80, "HTTP"), server(443, "HTTPS", tls=simple), server(8081, "GRPC"), server(9000, "TCP"),
            server(9443, "TLS", tls=passing),
        ),
        gateway(server(80, "TCP"), server(7000, "MONGO"), name="younger"),
        gateway(server(81, "HTTP"), name="elsewhere", selects="another"),
    )  # fmt: skip
    expected = {80: "http", 443: "https", 7000: "tcp", 8081: "http", 9000: "tcp", 9443: "tls"}
    assert schemes(seen, POD.labels) == expected


def test_a_port_of_the_service_leads_to_its_target_and_any_other_to_itself() -> None:
    seen = objects(gateway(server(80, "HTTP")))
    assert [container_port(seen, POD, number) for number in (80, 443, 8081)] == [8080, 8443, 8081]


def test_ports_that_the_service_lacks_are_told_once_each() -> None:
    news = objects(gateway(server(80, "HTTP"), server(8081, "HTTP"), server(9000, "TCP")))
    notes = port_notes(news, news, POD)
    assert len(notes) == 2 and all("Service istio-ingressgateway" in text for text in notes)
    assert "port 8081" in notes[0] and "gateway:9000" in notes[1]
    assert port_notes(built_in_objects("default"), news, POD) == []


@pytest.mark.parametrize(
    ("kind", "gateways", "expected"),
    [
        ("tcp", "one", True),
        ("tls", "one", True),
        ("http", "one", False),
        ("tcp", "two", False),
        ("tcp", "default/one", True),
    ],
)
def test_rules_for_connections_belong_to_the_gateways_they_name(kind: str, gateways: str, expected: bool) -> None:
    match = "match: [{sniHosts: [a.example]}], " if kind == "tls" else ""
    seen = objects(
        gateway(server(9000, "TCP")),
        gateway(server(9000, "TCP"), name="two", selects="another"),
        RULE.format(gateways=gateways, kind=kind, match=match),
    )
    assert carries_connections(seen[-1], seen, POD.labels) is expected


def test_proxies_of_a_rule_are_told_by_marks_and_by_what_leaves_none() -> None:
    seen = objects(
        gateway(server(9000, "TCP")),
        gateway(server(9000, "TCP"), name="two", selects="another"),
        RULE.format(gateways="one", kind="tcp", match=""),
    )
    http = parse(read(RULE.format(gateways="one", kind="http", match="")))[0]
    origins = {"client": {"/apis/x/namespaces/default/virtual-service/rule"}, POD.name: set[str]()}
    at = (POD.name, POD.labels)

    def holders(resource: Resource, concerned: frozenset[str] = frozenset({"client"})) -> set[str]:
        return proxies(resource, seen, origins, facts=Facts.of(seen), gateway=at, concerned=concerned)

    first, two, tcp = seen[-3:]
    assert holders(first) == {POD.name} and holders(two) == set()
    assert holders(tcp) == {"client", POD.name} and holders(http) == {"client"}


def listener(*matches: dict[str, Any]) -> dict[str, Any]:
    chains = [{"filter_chain_match": match} if match else {} for match in matches]
    address = {"socket_address": {"address": "0.0.0.0", "port_value": 8443}}
    return {"x": {"name": "x", "address": address, "filter_chains": chains}}


def test_servers_that_take_the_same_connections_are_named_with_what_they_share() -> None:
    seen = objects(gateway(server(443, "TCP")), gateway(server(443, "TCP"), name="two"))
    (problem,) = conflicts(listener({}, {}), seen, POD)
    assert (
        problem.object == "Gateway/two" and "Gateway/one" in problem.message and "every connection" in problem.message
    )
    (problem,) = conflicts(listener({"server_names": ["a", "b"]}, {"server_names": ["b"]}), seen, POD)
    assert "the server name b" in problem.message and problem.line
    distinct = listener({"server_names": ["a"]}, {"server_names": ["*.a"]}, {}, {"server_names": ["a"], "x": "tls"})
    assert conflicts(distinct, seen, POD) == []
