"""GRPCRoutes, TCPRoutes and TLSRoutes as rules of a VirtualService, and their status."""

from __future__ import annotations

import pytest

from labsupport.model import Resource, parse
from labsupport.model.gatewayapi import ROUTES, ConvertedRule, Facts, convert, status_of
from labsupport.model.reading.documents import read

MESH = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {ports: [{name: tcp, port: 5432}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ext, namespace: default}
spec: {hosts: [a.example, b.example], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}
"""
DB = '{group: "", kind: Service, name: db}'
EXT = "{group: networking.istio.io, kind: ServiceEntry, name: ext}"
THERE = "{backendRefs: [{name: db, port: 5432}]}"


def route(kind: str, rules: str, *, parents: str = DB, name: str = "some", more: str = "") -> str:
    return f"""
---
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: {name}, namespace: default}}
spec: {{parentRefs: [{parents}], rules: [{rules}]{more}}}
"""


def objects(*routes: str) -> list[Resource]:
    return parse(read(MESH + "".join(routes)))


def converted(*routes: str) -> tuple[ConvertedRule, ...]:
    listed = objects(*routes)
    return convert([(item, 0.0) for item in listed if isinstance(item, ROUTES)], Facts.of(listed))


def resolved(text: str) -> tuple[str, str]:
    listed = objects(text)
    (status,) = status_of(next(item for item in listed if isinstance(item, ROUTES)), Facts.of(listed))
    condition = status.conditions[1]
    return str(condition["status"]), str(condition["reason"])


def test_calls_and_requests_of_a_host_are_one_list() -> None:
    calls = route("GRPCRoute", f"{{matches: [{{method: {{service: a}}}}], {THERE[1:-1]}}}", name="calls")
    (rule,) = converted(calls, route("HTTPRoute", THERE, name="requests"))
    assert rule.label == "GRPCRoute/calls, HTTPRoute/requests"
    assert [piece.path_of("match[0].uri") for piece in rule.pieces] == [
        "spec.rules[0].matches[0].method",
        "spec.rules[0].matches[0].path",
    ]


def test_of_one_age_a_name_that_goes_on_comes_first() -> None:
    web = [route("HTTPRoute", THERE, name=name) for name in ("web", "web-2")]
    (rule,) = converted(*web)
    assert [piece.route.name for piece in rule.pieces] == ["web-2", "web"]


def test_each_host_of_a_parent_has_a_rule_of_its_own_for_connections() -> None:
    rules = converted(route("TLSRoute", THERE, parents=f"{EXT}, {DB}", more=", hostnames: [a.example, c.example]"))
    assert [(rule.name.split("~")[2], rule.spec.hosts, rule.spec.tls[0].match[0].sni_hosts) for rule in rules] == [
        ("0", ["db.default.svc.cluster.local"], []),
        ("1", ["a.example"], ["a.example"]),
        ("2", ["b.example"], []),
    ]
    assert rules[1].pieces[0].path_of("match[0].sniHosts") == "spec.hostnames"


def test_what_has_no_weight_is_left_out_of_the_numbers() -> None:
    backends = "{backendRefs: [{name: x, port: 1, weight: 0}, {name: db, port: 5432}]}"
    (rule,) = converted(route("TCPRoute", backends))
    assert [item.destination.host.split(".")[0] for item in rule.spec.tcp[0].route] == ["db"]
    assert rule.pieces[0].path_of("route[0].destination") == "spec.rules[0].backendRefs[1].destination"


def test_connections_without_any_weight_go_nowhere() -> None:
    (rule,) = converted(route("TCPRoute", "{backendRefs: [{name: db, port: 5432, weight: 0}]}"))
    (to,) = rule.spec.tcp[0].route
    assert (to.destination.host, to.destination.subset) == ("internal.cluster.local", "zero-weight")
    assert rule.pieces[0].path_of("route[0]") == "spec.rules[0].backendRefs"


def test_a_route_of_connections_of_which_nothing_is_left_still_counts_as_one() -> None:
    (rule,) = converted(route("TCPRoute", "{backendRefs: [{name: db.default, port: 5432}]}"))
    assert (rule.spec.tcp, rule.label) == ([], "TCPRoute/some")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (route("GRPCRoute", THERE), ("True", "ResolvedRefs")),
        (route("TCPRoute", THERE), ("True", "ResolvedRefs")),
        (route("TCPRoute", "{backendRefs: [{name: x, port: 1}]}"), ("False", "BackendNotFound")),
        (
            route("TLSRoute", "{backendRefs: [{kind: Thing, name: x}]}", more=", hostnames: [a]"),
            ("False", "InvalidKind"),
        ),
        (route("TCPRoute", "{backendRefs: [{name: a.b, port: 1}]}"), ("False", "InvalidDestination")),
        (
            route("GRPCRoute", "{filters: [{type: ExtensionRef, extensionRef: {group: a, kind: B, name: c}}]}"),
            ("False", "InvalidFilter"),
        ),
    ],
)
def test_a_status_has_istiods_reasons(text: str, said: tuple[str, str]) -> None:
    assert resolved(text) == said


def test_copies_to_nobody_take_a_route_of_calls_with_them() -> None:
    mirror = "{type: RequestMirror, requestMirror: {backendRef: {name: x, port: 1}}}"
    rule = f"{{filters: [{mirror}], {THERE[1:-1]}}}"
    assert resolved(route("GRPCRoute", rule)) == resolved(route("HTTPRoute", rule)) == ("False", "BackendNotFound")
    assert not converted(route("GRPCRoute", rule))
    assert converted(route("HTTPRoute", rule))
