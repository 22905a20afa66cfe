"""Explanations of requests through the ingress gateway."""

from __future__ import annotations

from typing import Any

import pytest
from explain_world import CLIENT, GATEWAY, GATEWAY_POD, PODS, SUBSETS, ask, to, virtual_service

from labsupport.explain import Explanation

BOUND = ", gateways: [front]"


def at_gateway(*texts: str, path: str = "/reviews/0", **options: Any) -> Explanation:
    return ask(*texts, SUBSETS, url=f"gateway:{path}", source=options.pop("source", "outside"), **options)


def test_a_rule_bound_to_the_gateway_decides_and_leads_to_the_pods() -> None:
    seen = at_gateway(GATEWAY, virtual_service(f"[{to('v2')}]", hosts='["*"]', extra=BOUND))
    assert (seen.proxy, seen.proxy_kind) == ("istio-ingressgateway-a", "gateway")
    assert seen.outcomes[0].pods == ("reviews-v2-a",)
    assert seen.hops == (
        "outside",
        "istio-ingressgateway-a (gateway)",
        "reviews-v2-a (sidecar)",
        "reviews-v2-a (application)",
    )


def test_without_a_host_header_the_gateway_is_called_by_an_address_of_this_machine() -> None:
    service = virtual_service(f"[{to('v1', match='[{authority: {exact: localhost}}]')}]", hosts='["*"]', extra=BOUND)
    assert at_gateway(GATEWAY, service).outcomes[0].kind == "forwarded"


def test_the_gateways_pod_as_source_means_the_same() -> None:
    texts = (GATEWAY, virtual_service(f"[{to('v2')}]", hosts='["*"]', extra=BOUND))
    assert at_gateway(*texts, source=GATEWAY_POD).outcomes == at_gateway(*texts).outcomes


def test_at_a_gateway_a_service_with_one_port_needs_none() -> None:
    seen = at_gateway(
        GATEWAY, virtual_service("[{route: [{destination: {host: reviews}}]}]", hosts='["*"]', extra=BOUND)
    )
    assert seen.destinations[0].port == 9080


def test_without_a_gateway_object_nothing_listens() -> None:
    seen = at_gateway(virtual_service(f"[{to('v2')}]", hosts='["*"]', extra=BOUND))
    assert [(item.kind, item.status) for item in seen.outcomes] == [("connection", 0)]
    other = GATEWAY.replace("number: 80", "number: 8443")
    assert at_gateway(other).outcomes[0].kind == "connection"
    assert at_gateway(GATEWAY.replace("istio: ingressgateway", "istio: other")).outcomes[0].kind == "connection"


def test_without_a_gateway_pod_nothing_listens() -> None:
    seen = at_gateway(GATEWAY, pods=[CLIENT])
    assert seen.outcomes[0].kind == "connection"


def test_a_gateway_without_rules_answers_404() -> None:
    (outcome,) = at_gateway(GATEWAY).outcomes
    assert (outcome.kind, outcome.status, outcome.flags) == ("no_route", 404, "NR")


@pytest.mark.parametrize(
    ("server", "rule", "host", "answered"),
    [
        ("*", "shop.example.com", "shop.example.com", True),
        ("*", "shop.example.com", "other.example.com", False),
        ("*.example.com", "*", "shop.example.com", True),
        ("*.example.com", "*", "example.com", False),
        ("*.example.com", "shop.example.com", "SHOP.example.com", True),
        ("shop.example.com", "other.example.com", "shop.example.com", False),
        ("other/*", "*", "shop.example.com", False),
        ("./*", "*", "shop.example.com", True),
        ("default/*", "*", "shop.example.com", True),
    ],
)
def test_hosts_of_server_and_rule_must_meet(server: str, rule: str, host: str, answered: bool) -> None:
    gateway = GATEWAY.replace('["*"]', f'["{server}"]')
    service = virtual_service(f"[{to('v1')}]", hosts=f'["{rule}"]', extra=BOUND)
    seen = at_gateway(gateway, service, headers={"Host": host})
    assert seen.outcomes[0].kind == ("forwarded" if answered else "no_route")


def test_rules_of_one_host_are_merged_and_what_takes_everything_comes_last() -> None:
    everything = virtual_service(f"[{to('v1')}]", name="everything", hosts='["*"]', extra=BOUND)
    special = virtual_service(
        f"[{to('v2', match='[{uri: {prefix: /reviews}}]')}]", name="special", hosts='["*"]', extra=BOUND
    )
    seen = at_gateway(GATEWAY, everything, special)
    assert [(rule.object, rule.verdict) for rule in seen.rules] == [
        ("VirtualService/special", "chosen"),
        ("VirtualService/everything", "not reached"),
    ]
    assert at_gateway(GATEWAY, everything, special, path="/x").destinations[0].subset == "v1"


def test_of_two_that_take_everything_the_older_wins() -> None:
    first = virtual_service(f"[{to('v1')}]", name="one", hosts='["*"]', extra=BOUND)
    two = virtual_service(f"[{to('v2')}]", name="two", hosts='["*"]', extra=BOUND)
    assert at_gateway(GATEWAY, first, two).destinations[0].subset == "v1"
    assert at_gateway(GATEWAY, two, first).destinations[0].subset == "v2"


def test_the_more_specific_host_is_asked_alone() -> None:
    wide = virtual_service(f"[{to('v1')}]", name="wide", hosts='["*"]', extra=BOUND)
    exact = virtual_service(
        f"[{to('v2', match='[{uri: {prefix: /x}}]')}]", name="exact", hosts='["shop.example.com"]', extra=BOUND
    )
    seen = at_gateway(GATEWAY, wide, exact, headers={"Host": "shop.example.com"})
    assert seen.outcomes[0].status == 404
    assert at_gateway(GATEWAY, wide, exact).destinations[0].subset == "v1"


def test_a_rule_for_sidecars_is_named_as_one_that_does_not_count() -> None:
    seen = at_gateway(
        GATEWAY, virtual_service(f"[{to('v1')}]", hosts='["shop.example.com"]'), headers={"Host": "shop.example.com"}
    )
    assert "for sidecars only" in seen.ignored[0].reason


@pytest.mark.parametrize(
    ("hosts", "leads_to", "told"),
    [
        ('["*"]', "details", False),
        ('["*.default.svc.cluster.local"]', "details", False),
        ('["*"]', "reviews", True),
        ('["reviews"]', "details", True),
    ],
)
def test_a_gateways_rule_is_missed_in_sidecars_only_where_it_is_about_the_host(
    hosts: str, leads_to: str, told: bool
) -> None:
    rule = virtual_service(f"[{{route: [{{destination: {{host: {leads_to}}}}}]}}]", hosts=hosts, extra=BOUND)
    assert bool(ask(GATEWAY, rule).ignored) is told


def test_match_gateways_tells_the_gateway_from_the_mesh() -> None:
    rules = f"[{to('v1', match='[{gateways: [mesh]}]')}, {to('v2', match='[{gateways: [front]}]')}]"
    service = virtual_service(rules, hosts='["reviews.default.svc.cluster.local"]', extra=", gateways: [front, mesh]")
    host = {"Host": "reviews.default.svc.cluster.local"}
    assert at_gateway(GATEWAY, service, headers=host).destinations[0].subset == "v2"
    assert ask(service, SUBSETS).destinations[0].subset == "v1"


def test_match_port_is_the_number_written_in_the_gateway() -> None:
    for port, subset in ((80, "v1"), (8080, "v2")):
        rules = f"[{to('v1', match=f'[{{port: {port}}}]')}, {to('v2')}]"
        seen = at_gateway(GATEWAY, virtual_service(rules, hosts='["*"]', extra=BOUND))
        assert seen.destinations[0].subset == subset


def test_https_redirect_sends_plain_http_away() -> None:
    gateway = GATEWAY.replace('hosts: ["*"]', 'hosts: ["shop.example.com"]\n        tls: {httpsRedirect: true}')
    (outcome,) = at_gateway(gateway, headers={"Host": "shop.example.com"}).outcomes
    assert (outcome.status, outcome.location) == (301, "https://shop.example.com/reviews/0")


def test_gateways_in_other_namespaces_are_named_with_them() -> None:
    gateway = GATEWAY.replace("{name: front}", "{name: front, namespace: istio-system}")
    bound = virtual_service(f"[{to('v1')}]", hosts='["*"]', extra=", gateways: [istio-system/front]")
    unbound = virtual_service(f"[{to('v1')}]", hosts='["*"]', extra=BOUND)
    assert at_gateway(gateway, bound).outcomes[0].kind == "forwarded"
    missing = at_gateway(gateway, unbound)
    assert missing.outcomes[0].status == 404
    assert "default/front" in missing.ignored[0].reason


def test_pods_are_the_only_thing_taken_from_the_engine() -> None:
    assert at_gateway(GATEWAY, pods=PODS).proxy == GATEWAY_POD.name
