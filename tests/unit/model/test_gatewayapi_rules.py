"""What istiod makes of HTTPRoutes: rules of a VirtualService, their order, and what a status says."""

from __future__ import annotations

import pytest

from labsupport.engine.routestatus import route_notes
from labsupport.model import parse
from labsupport.model.gatewayapi import ConvertedRule, Facts, convert, status_of
from labsupport.model.gatewayapi.filters import quote_meta
from labsupport.model.gatewayapi.rules import pieces
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.reading.documents import read
from labsupport.model.schema.base import Resource

MESH = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {ports: [{name: http, port: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ext, namespace: other}
spec: {hosts: [a.example, "*.b.example"], resolution: NONE, ports: [{number: 80, name: http, protocol: HTTP}]}
"""
ROUTE = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s, namespace: default}
spec:
  parentRefs: [%s]
  rules: [%s]
"""
WEB = '{group: "", kind: Service, name: web}'
EXTERNAL = "{group: networking.istio.io, kind: ServiceEntry, name: ext, namespace: other}"
HERE = "backendRefs: [{name: web, port: 8080}]"


def objects(*routes: str) -> list[Resource]:
    return parse(read(MESH + "".join(routes)))


def converted(*routes: str) -> tuple[ConvertedRule, ...]:
    listed = objects(*routes)
    aged = [(route, float(age)) for age, route in enumerate(listed) if isinstance(route, HTTPRoute)]
    return convert(aged, Facts.of(listed))


def conditions(route: str) -> list[tuple[str, str, str]]:
    listed = objects(route)
    (status,) = status_of(next(item for item in listed if isinstance(item, HTTPRoute)), Facts.of(listed))
    return [(str(item["type"]), str(item["status"]), str(item["reason"])) for item in status.conditions]


def test_a_service_entry_as_parent_stands_for_each_of_its_hosts() -> None:
    rules = converted(ROUTE % ("a", EXTERNAL, f"{{{HERE}}}"))
    assert [rule.spec.hosts for rule in rules] == [["a.example"], ["*.b.example"]]
    assert [rule.name for rule in rules] == ["default~a.example", "default~*.b.example"]


def test_routes_of_one_host_become_one_rule_that_knows_where_its_parts_come_from() -> None:
    exact = f"{{matches: [{{path: {{value: /a}}}}, {{path: {{type: Exact, value: /a}}}}], {HERE}}}"
    (rule,) = converted(ROUTE % ("old", WEB, f"{{{HERE}}}"), ROUTE % ("new", WEB, exact))
    assert rule.label == "HTTPRoute/new, HTTPRoute/old"
    assert [(piece.route.name, piece.rule, piece.match) for piece in rule.pieces] == [
        ("new", 0, 1),
        ("new", 0, 0),
        ("old", 0, 0),
    ]
    assert [part.name for part in rule.spec.http] == ["default.new.0", "default.new.0", "default.old.0"]
    assert rule.pieces[0].path_of("route[0].destination") == "spec.rules[0].backendRefs[0].destination"


def test_a_port_has_a_rule_of_its_own() -> None:
    (rule,) = converted(ROUTE % ("a", WEB[:-1] + ", port: 8080}", f"{{{HERE}}}"))
    assert rule.name == "default~8080~web.default.svc.cluster.local"
    assert [match.port for match in rule.spec.http[0].match] == [8080]


def test_a_fault_that_takes_the_whole_route_leaves_no_rule() -> None:
    route = ROUTE % ("a", WEB, f"{{{HERE}}}, {{backendRefs: [{{name: web.default, port: 8080}}]}}")
    assert converted(route) == ()
    listed = objects(route)
    _, (fault,) = pieces(next(item for item in listed if isinstance(item, HTTPRoute)), Facts.of(listed))
    assert (fault.reason, fault.path) == ("InvalidDestination", "spec.rules[1].backendRefs[0]")


def test_a_parent_that_is_a_gateway_makes_no_rule_of_the_mesh() -> None:
    assert converted(ROUTE % ("a", "{name: front}", f"{{{HERE}}}")) == ()


@pytest.mark.parametrize(
    ("rule", "accepted", "resolved"),
    [
        (HERE, ("True", "Accepted"), ("True", "ResolvedRefs")),
        ("backendRefs: [{name: nobody, port: 80}]", ("True", "Accepted"), ("False", "BackendNotFound")),
        ("backendRefs: [{kind: Thing, name: x, port: 1}]", ("True", "Accepted"), ("False", "InvalidKind")),
        ("backendRefs: [{name: nobody, port: 80, weight: 0}]", ("True", "Accepted"), ("True", "ResolvedRefs")),
        (
            f"{HERE}, filters: [{{type: ExtensionRef, extensionRef: {{group: a, kind: B, name: c}}}}]",
            ("True", "Accepted"),
            ("False", "InvalidFilter"),
        ),
    ],
)
def test_a_status_has_istiods_reasons(rule: str, accepted: tuple[str, str], resolved: tuple[str, str]) -> None:
    assert conditions(ROUTE % ("a", WEB, f"{{{rule}}}")) == [("Accepted", *accepted), ("ResolvedRefs", *resolved)]


def test_what_istiod_says_in_a_sentence_is_told_with_one_end() -> None:
    listed = objects(ROUTE % ("a", WEB, f"{{{HERE}}}, {{backendRefs: [{{name: web.default, port: 8080}}]}}"))
    (note,) = route_notes([item for item in listed if isinstance(item, HTTPRoute)], listed)
    assert note.endswith("must be used, not the hostname; the whole route counts for nothing")


def test_a_parent_that_is_not_there_does_not_accept() -> None:
    route = ROUTE % ("a", WEB.replace("web", "nobody"), f"{{{HERE}}}")
    assert conditions(route)[0] == ("Accepted", "False", "NoMatchingParent")


def test_of_several_faults_the_status_tells_the_last_rules() -> None:
    missing = "{backendRefs: [{name: %s, port: 80}]}"
    listed = objects(ROUTE % ("a", WEB, f"{missing % 'first'}, {missing % 'second'}, {{{HERE}}}"))
    (status,) = status_of(next(item for item in listed if isinstance(item, HTTPRoute)), Facts.of(listed))
    assert status.conditions[1]["message"] == "backend(second.default.svc.cluster.local) not found"
    assert len(status.faults) == 2


def test_text_is_quoted_as_go_quotes_it() -> None:
    assert quote_meta("/a.b+c-d_{e}") == r"/a\.b\+c-d_\{e\}"
