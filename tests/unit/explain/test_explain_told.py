"""What explanations once told wrongly, or did not tell."""

from __future__ import annotations

import pytest
from explain_world import GATEWAY, SUBSETS, ask, to, virtual_service

HASHED = """
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: reviews}
    spec:
      host: reviews
      subsets:
      - name: v1
        labels: {version: v1}
        trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: %s}}}
      - name: v2
        labels: {version: v2}
        trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-b, maglev: {tableSize: 101}}}}
      - {name: v3, labels: {version: v3}}
"""
SPLIT = """[{route: [
    {destination: {host: reviews, subset: v1}, weight: 40},
    {destination: {host: reviews, subset: v2}, weight: 40},
    {destination: {host: reviews, subset: v3}, weight: 20}]}]"""
ROOT = "[{name: root, match: [{uri: {%s}}], delegate: {name: leaf%s}}]"


def leaf(match: str, more: str = "") -> str:
    return f"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: leaf}}
        spec: {{http: [{{match: [{{uri: {{{match}}}}}], route: [{{destination: {{host: reviews}}}}]}}]{more}}}
    """


def at_gateway(name: str, hosts: str) -> str:
    http = "[{route: [{destination: {host: reviews}}]}]"
    return virtual_service(http, name=name, hosts=hosts, extra=", gateways: [front]")


def balancing(*texts: str) -> list[str]:
    return [
        next(policy.text for policy in destination.policies if policy.name == "loadBalancer")
        for destination in ask(*texts).destinations
    ]


def test_hash_policies_of_a_weighted_route_count_together() -> None:
    first, second, third = balancing(HASHED % "x-a", virtual_service(SPLIT))
    together = "consistent hash of header x-a and of header x-b together, as a weighted route has one list of them "
    assert (first, second, third) == (f"{together}(ring)", f"{together}(Maglev)", "LEAST_REQUEST")


def test_equal_hash_policies_of_a_weighted_route_are_told_as_they_are() -> None:
    first, second, _ = balancing(HASHED % "x-b", virtual_service(SPLIT))
    assert (first, second) == ("consistent hash of header x-b (ring)", "consistent hash of header x-b (Maglev)")


def test_a_limit_of_0_sets_nothing() -> None:
    pool = "{tcp: {maxConnections: 0}, http: {http1MaxPendingRequests: 0, maxRetries: 2}}"
    rule = SUBSETS.replace("host: reviews", f"host: reviews\n      trafficPolicy: {{connectionPool: {pool}}}")
    policies = {policy.name: policy.text for policy in ask(rule).destinations[0].policies}
    assert policies["connectionPool"] == (
        "tcp.maxConnections 0, which sets nothing, http.http1MaxPendingRequests 0, which sets nothing, "
        "http.maxRetries 2"
    )


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (
            (ROOT % ("prefix: /reviews", ""), leaf("prefix: /ratings")),
            "does not fit into that of VirtualService/reviews",
        ),
        ((ROOT % ("prefix: /reviews", ""), leaf('regex: "/reviews.*"')), "a regex is never part of another condition"),
        ((ROOT % ("prefix: /reviews", ""),), "there is no VirtualService default/leaf to delegate to"),
        ((ROOT % ("prefix: /reviews", ", namespace: far"),), "there is no VirtualService far/leaf to delegate to"),
        (
            (ROOT % ("prefix: /reviews", ""), leaf("prefix: /reviews", ", hosts: [other]")),
            "VirtualService/leaf has hosts, so nobody can delegate to it",
        ),
    ],
)
@pytest.mark.parametrize("way", ["sidecar", "gateway"])
def test_what_is_lost_in_a_delegation_is_told(texts: tuple[str, ...], reason: str, way: str) -> None:
    rest = ", {route: [{destination: {host: reviews}}]}]"
    http = f"{texts[0][:-1]}{rest}"
    if way == "sidecar":
        told = ask(virtual_service(http), *texts[1:])
    else:
        rule = virtual_service(http, hosts="[shop.example]", extra=", gateways: [front]")
        told = ask(
            GATEWAY, rule, *texts[1:], url="gateway:/reviews/0", headers={"Host": "shop.example"}, source="outside"
        )
    (lost,) = [item for item in told.ignored if reason in item.reason]
    assert lost.place.line and f"does not count: {lost.reason}" in repr(told)


def test_a_wildcard_behind_an_exact_host_is_told_at_the_gateway() -> None:
    rules = at_gateway("exact", '["shop.example"]'), at_gateway("wide", '["*.example"]'), at_gateway("all", '["*"]')
    told = ask(GATEWAY, *rules, url="gateway:/", headers={"Host": "shop.example"}, source="outside")
    assert told.chosen is not None and told.chosen.object == "VirtualService/exact"
    assert [(item.object, item.reason.partition(",")[0]) for item in told.ignored] == [
        ("VirtualService/wide", "its host *.example is less exact than shop.example"),
        ("VirtualService/all", "its host * is less exact than shop.example"),
    ]


def test_a_short_host_at_the_gateway_is_told() -> None:
    told = ask(GATEWAY, at_gateway("short", "[shop]"), url="gateway:/", headers={"Host": "shop"}, source="outside")
    (item,) = told.ignored
    assert item.reason.startswith("its host shop is short for shop.default.svc.cluster.local; write a name with a dot")


def test_a_connection_does_not_begin_with_a_method() -> None:
    told = ask(GATEWAY, url="tcp://gateway:9000", source="outside")
    assert repr(told).startswith("tcp://gateway:9000 from outside\n")


def test_a_condition_that_only_the_query_would_meet_says_so() -> None:
    rule = virtual_service('[{match: [{uri: {regex: ".*user=ann.*"}}], route: [{destination: {host: reviews}}]}]')
    told = ask(rule, url="http://reviews:9080/reviews?user=ann")
    (condition,) = told.rules[0].failed
    assert condition.hint == "the query is no part of the uri; match it by queryParams"


def test_a_rule_without_subsets_is_said_to_have_none() -> None:
    bare = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: bare}\nspec: {host: reviews}\n"
    (destination,) = ask(bare, virtual_service(f"[{to('old')}]")).destinations
    assert destination.reason == "DestinationRule/bare defines no subset, so there is no subset old"
