"""HTTPRoutes in explanations: their own words, and where they differ from VirtualServices."""

from __future__ import annotations

from pathlib import Path

import pytest
from explain_world import GATEWAY, PODS, ask, pod, virtual_service

from labsupport.display.html.explain_html import explanation_html
from labsupport.display.pictures.explain_picture import way_html
from labsupport.explain import Explanation

REVIEWS = '{group: "", kind: Service, name: reviews}'
BYTES = """
    apiVersion: v1
    kind: Service
    metadata: {name: db}
    spec: {selector: {app: ratings}, ports: [{name: tcp, port: 3306}, {name: tls, port: 3307}]}
"""
THERE = "backendRefs: [{name: ratings, port: 9080}]"


def route(rules: str, *, name: str = "reviews", extra: str = "") -> str:
    return f"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {{name: {name}{extra}}}
        spec: {{parentRefs: [{REVIEWS}], rules: [{rules}]}}
    """


@pytest.mark.parametrize(("path", "chosen"), [("/v2", 0), ("/v2/", 0), ("/v2/x", 0), ("/v2x", 1), ("/V2", 1), ("/", 1)])
def test_a_prefix_ends_where_an_element_ends(path: str, chosen: int) -> None:
    seen = ask(
        route(f"{{matches: [{{path: {{value: /v2/}}}}], {THERE}}}, {{{THERE}}}"), url=f"http://reviews:9080{path}"
    )
    assert seen.chosen is not None
    assert (seen.chosen.object, seen.chosen.kind, seen.chosen.index) == ("HTTPRoute/reviews", "rules", chosen)


def test_a_near_miss_by_characters_is_hinted_at() -> None:
    seen = ask(route(f"{{matches: [{{path: {{value: /v2}}}}], {THERE}}}, {{{THERE}}}"), url="http://reviews:9080/v2x")
    (failed,) = seen.rules[0].failed
    assert failed.hint == "a prefix of the Gateway API ends where an element of the path ends"


def test_rules_are_tried_by_specificity_and_named_by_their_place() -> None:
    rules = f"{{{THERE}}}, {{matches: [{{headers: [{{name: a, value: b}}]}}], {THERE}}}"
    seen = ask(route(rules), headers={"a": "b"})
    assert [trace.index for trace in seen.rules] == [1, 0]
    assert seen.chosen is not None and seen.chosen.place.path == "spec.rules[1]"
    assert "Chosen: HTTPRoute/reviews rules[1]" in seen.decision


@pytest.mark.parametrize("backend", ["{name: nobody, port: 80}", "{kind: Thing, name: x}", "{name: ratings, port: 1}"])
def test_what_is_not_there_answers_500(backend: str) -> None:
    seen = ask(route(f"{{backendRefs: [{backend}]}}"))
    (outcome,) = seen.outcomes
    assert (outcome.kind, outcome.status, outcome.flags) == ("no_cluster", 500, "NC")
    assert "500 NC: " in repr(seen) and "500 NC" in way_html(seen)
    assert not [
        text for text in (repr(seen), way_html(seen), explanation_html(seen)) if " to  " in text or ">:0" in text
    ]


def test_no_weight_at_all_answers_500() -> None:
    (outcome,) = ask(route("{}")).outcomes
    assert (outcome.kind, outcome.status) == ("direct_response", 500)


@pytest.mark.parametrize(("path", "arrives"), [("/api", "/"), ("/api/", "/"), ("/api/x", "/x")])
def test_the_rewrite_to_a_slash_takes_the_prefix_away(path: str, arrives: str) -> None:
    modifier = "{type: ReplacePrefixMatch, replacePrefixMatch: /}"
    rewrite = f"filters: [{{type: URLRewrite, urlRewrite: {{path: {modifier}}}}}]"
    rule = f"{{matches: [{{path: {{value: /api}}}}], {rewrite}, {THERE}}}"
    assert ask(route(rule), url=f"http://reviews:9080{path}").upstream_path == arrives


def test_of_both_notations_the_route_of_the_clients_namespace_counts() -> None:
    seen = ask(virtual_service("[{route: [{destination: {host: reviews}}]}]"), route(f"{{{THERE}}}"))
    assert seen.chosen is not None and seen.chosen.object == "HTTPRoute/reviews"
    (ignored,) = seen.ignored
    assert ignored.object == "VirtualService/reviews"
    assert "HTTPRoute/reviews comes first" in ignored.reason


def other(kind: str, rules: str, *, service: str = "db", more: str = "") -> str:
    return f"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: {kind}
        metadata: {{name: some}}
        spec: {{parentRefs: [{{group: "", kind: Service, name: {service}}}], rules: [{rules}]{more}}}
    """


@pytest.mark.parametrize(("path", "chosen"), [("/shop.Cart/Add", 1), ("/shop.Cart/Remove", 0), ("/shop.Carts/Add", 2)])
def test_a_call_is_a_request_for_a_service_and_a_method(path: str, chosen: int) -> None:
    matches = ("{method: {service: shop.Cart}}", "{method: {service: shop.Cart, method: Add}}")
    rules = ", ".join(f"{{matches: [{match}], {THERE}}}" for match in matches)
    seen = ask(other("GRPCRoute", f"{rules}, {{{THERE}}}", service="reviews"), url=f"http://reviews:9080{path}")
    assert seen.chosen is not None
    assert (seen.chosen.object, seen.chosen.kind, seen.chosen.index) == ("GRPCRoute/some", "rules", chosen)


def test_connections_follow_a_route_that_is_named_as_it_was_written() -> None:
    backends = "{name: nobody, port: 1, weight: 0}, {name: details, port: 9080}, {name: ratings, port: 9080, weight: 3}"
    seen = ask(BYTES, other("TCPRoute", f"{{backendRefs: [{backends}]}}"), url="tcp://db:3306")
    assert [(item.host.partition(".")[0], item.share) for item in seen.destinations] == [
        ("details", 0.25),
        ("ratings", 0.75),
    ]
    assert seen.chosen is not None
    assert (seen.chosen.object, seen.chosen.kind, seen.chosen.index) == ("TCPRoute/some", "rules", 0)
    assert "Chosen: TCPRoute/some rules[0] (" in seen.decision
    assert [item.place.path for item in seen.destinations] == [
        f"spec.rules[0].backendRefs[{number}].destination" for number in (1, 2)
    ]


def test_a_server_name_that_no_route_has_is_hinted_at() -> None:
    rule = other("TLSRoute", f"{{{THERE}}}", more=", hostnames: [db.default.svc.cluster.local]")
    assert (
        ask(BYTES, rule, url="https://db.default.svc.cluster.local:3307/").destinations[0].host.startswith("ratings.")
    )
    short = ask(BYTES, rule, url="https://db:3307/")
    (failed,) = short.rules[0].failed
    assert (failed.field, failed.place.path, failed.place.object) == ("sniHosts", "spec.hostnames", "TLSRoute/some")


def test_connections_without_any_weight_come_to_nothing() -> None:
    seen = ask(BYTES, other("TCPRoute", "{backendRefs: [{name: details, port: 9080, weight: 0}]}"), url="tcp://db:3306")
    assert [outcome.kind for outcome in seen.outcomes] == ["no_cluster"]


# Of the base meshes of the corpus: made for tests, and of nobody.
CERTIFICATE = next(
    part
    for part in (Path(__file__).parents[2] / "fidelity" / "bases" / "doors.yaml").read_text().split("---\n")
    if "kind: Secret" in part and "name: shop-cert" in part
)
DOORS = """
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: front}
    spec:
      gatewayClassName: istio
      listeners:
      - {name: bytes, port: 7000, protocol: TCP}
      - {name: passed, port: 443, protocol: TLS, hostname: "*.example", tls: {mode: Passthrough}}
      - name: ended
        port: 8443
        protocol: TLS
        hostname: "*.example"
        tls: {mode: Terminate, certificateRefs: [{name: shop-cert}]}
"""
FRONT = pod(
    "front",
    name="front-istio-a",
    workload="front-istio",
    labels={"gateway.networking.k8s.io/gateway-name": "front"},
)


def at_front(kind: str, url: str, *, name: str = "some", backend: str = "ratings", more: str = "") -> Explanation:
    route = f"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: {kind}
        metadata: {{name: {name}}}
        spec: {{parentRefs: [{{name: front}}], rules: [{{backendRefs: [{{name: {backend}, port: 9080}}]}}]{more}}}
    """
    services = """
        apiVersion: v1
        kind: Service
        metadata: {name: front-istio, labels: {gateway.networking.k8s.io/gateway-name: front}}
        spec:
          selector: {gateway.networking.k8s.io/gateway-name: front}
          ports: [{name: bytes, port: 7000}, {name: passed, port: 443}, {name: ended, port: 8443}]
    """
    return ask(CERTIFICATE, services, DOORS, route, url=url, source="outside", pods=[*PODS, FRONT])


@pytest.mark.parametrize(
    ("kind", "url", "more"),
    [
        ("TCPRoute", "gateway/front:tcp://gateway:7000", ""),
        ("TLSRoute", "gateway/front:tls://a.example:443", ", hostnames: [a.example]"),
        ("TLSRoute", "gateway/front:tls://a.example:8443", ", hostnames: [a.example]"),
        ("TLSRoute", "gateway/front:tls://b.example:8443", ", hostnames: [a.example]"),
    ],
)
def test_connections_at_a_gateway_follow_a_route(kind: str, url: str, more: str) -> None:
    seen = at_front(kind, url, more=more)
    assert [item.host.partition(".")[0] for item in seen.destinations] == ["ratings"], repr(seen)
    assert seen.chosen is not None
    assert (seen.chosen.object, seen.chosen.kind) == (f"{kind}/some", "rules")


def test_a_gateway_of_istios_at_such_a_pod_listens_on_the_ports_that_it_names() -> None:
    own = GATEWAY.replace("istio: ingressgateway", "gateway.networking.k8s.io/gateway-name: front")
    rule = virtual_service("[{route: [{destination: {host: ratings}}]}]", hosts='["*"]', extra=", gateways: [front]")
    texts = (CERTIFICATE, DOORS, own.replace("number: 80", "number: 8080"), rule)
    kinds = {
        url: ask(*texts, url=url, source="outside", pods=[*PODS, FRONT]).outcomes[0].kind
        for url in ("gateway/front:/", "gateway/front:8080/")
    }
    assert kinds == {"gateway/front:/": "connection", "gateway/front:8080/": "forwarded"}


def test_a_route_of_server_names_without_any_weight_takes_no_connection() -> None:
    for url in ("gateway/front:tls://a.example:443", "gateway/front:tls://a.example:8443"):
        seen = at_front("TLSRoute", url, backend="ratings, weight: 0", more=", hostnames: [a.example]")
        assert [outcome.kind for outcome in seen.outcomes] == ["connection"], repr(seen)


def test_a_server_name_that_no_route_at_a_gateway_has_comes_to_nothing() -> None:
    seen = at_front("TLSRoute", "gateway/front:tls://b.example:443", more=", hostnames: [a.example]")
    assert [outcome.kind for outcome in seen.outcomes] == ["connection"]
