"""The same rules as HTTPRoutes: bound to a Service, they count for all of its clients."""

from __future__ import annotations

import pytest
from contract_mesh import URL, Mesh, weights
from scipy.stats import binom

from labsupport.errors import ManifestError
from labsupport.explain import explain
from labsupport.records import Ref

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: "", kind: Service, name: web, port: 8080}]
  rules: [%s]
"""
SAFE = "{name: web-safe, port: 8080, weight: %d}"
RISK = "{name: web-risk, port: 8080, weight: %d}"


def to(*backends: str, more: str = "") -> str:
    return f"{{{more}backendRefs: [{', '.join(backends)}]}}"


pytestmark = pytest.mark.usefixtures("with_gateway_api")


def test_weights_send_shares_to_services(split: Mesh) -> None:
    split.apply(ROUTE % to(SAFE % 100, RISK % 0))
    assert split.versions(URL, 100) == {"safe": 100}
    split.apply(ROUTE % to(SAFE % 90, RISK % 10))
    seen = split.versions(URL, 600)
    low, high = binom.interval(0.99999, 600, 0.1)
    assert low <= seen["risk"] <= high


def test_the_most_specific_rule_wins_whatever_the_order(split: Mesh) -> None:
    header = "matches: [{headers: [{name: x-user, value: tester}]}], "
    split.apply(ROUTE % ", ".join((to(SAFE % 1), to(RISK % 1, more=header))))
    assert split.versions(URL, 20) == {"safe": 20}
    assert split.versions(URL, 20, headers={"x-user": "tester"}) == {"risk": 20}


def test_a_prefix_counts_elements_of_the_path(split: Mesh) -> None:
    prefix = "matches: [{path: {value: /v2}}], "
    split.apply(ROUTE % ", ".join((to(SAFE % 1), to(RISK % 1, more=prefix))))
    assert split.versions(f"{URL}v2/x", 10) == {"risk": 10}
    assert split.versions(f"{URL}v2x", 10) == {"safe": 10}


def test_a_backend_that_is_not_there_answers_500_and_the_apply_says_so(split: Mesh) -> None:
    result = split.apply(ROUTE % to("{name: nobody, port: 80}"))
    (note,) = [text for text in result.notes if "nobody" in text]
    assert "ResolvedRefs is False (BackendNotFound)" in note and "gets 500" in note
    seen = split.send(URL, 3)
    assert {response.status for response in seen} == {500}
    assert split.engine.access_records(request_ids=[seen[0].request_id])[0].flags == "NC"


def test_no_weight_at_all_answers_500(split: Mesh) -> None:
    split.apply(ROUTE % to(SAFE % 0))
    assert {response.status for response in split.send(URL, 3)} == {500}


def test_a_parent_that_is_not_there_is_told(split: Mesh) -> None:
    result = split.apply((ROUTE % to(RISK % 1)).replace("kind: Service, name: web,", "kind: Service, name: nobody,"))
    assert any("Accepted is False (NoMatchingParent)" in text for text in result.notes)
    assert split.versions(URL, 5).keys() <= {"safe", "risk"}


def test_it_is_in_force_with_its_proxies_and_its_conditions(split: Mesh) -> None:
    split.apply(ROUTE % to(RISK % 1))
    (status,) = [rule for rule in split.engine.rules() if rule.ref.kind == "HTTPRoute"]
    assert any(name.startswith("client-") for name in status.proxies) and status.in_force_since_s
    assert status.conditions == ("Accepted: True (Accepted)", "ResolvedRefs: True (ResolvedRefs)")
    split.engine.delete([Ref("HTTPRoute", "web")])
    assert set(split.versions(URL, 60)) == {"safe", "risk"}


def test_an_explanation_names_the_route_and_its_rule(split: Mesh) -> None:
    header = "matches: [{headers: [{name: x-user, value: tester}]}], "
    split.apply(ROUTE % ", ".join((to(SAFE % 1), to(RISK % 1, more=header))))
    objects, pods = split.engine.get("*"), split.engine.pods()
    client = next(pod for pod in pods if pod.workload == "client")
    said = explain(
        objects, pods, url=URL, headers={"x-user": "tester"}, source=client, namespace=split.engine.namespace
    )
    assert said.chosen is not None
    assert (said.chosen.object, said.chosen.kind, said.chosen.index) == ("HTTPRoute/web", "rules", 1)
    assert [destination.host for destination in said.destinations] == [split.host("web-risk")]


def test_of_both_notations_for_one_host_the_private_rule_wins_and_then_the_route(split: Mesh) -> None:
    rule = weights(safe=1).replace("subset: safe", "subset: undefined")
    everywhere = rule.replace("spec:", 'spec:\n  exportTo: ["*"]')
    assert everywhere != rule
    split.apply(everywhere)
    split.apply(ROUTE % to(RISK % 1))
    assert split.versions(URL, 10) == {"risk": 10}
    split.apply(everywhere.replace('"*"', '"."'))
    assert {response.status for response in split.send(URL, 10)} == {503}


def test_a_service_of_another_group_is_refused_with_the_right_one(split: Mesh) -> None:
    with pytest.raises(ManifestError, match=r'parentRefs\[0\].*no Service is in the group gateway.*add group: ""'):
        split.apply((ROUTE % to(RISK % 1)).replace('group: "", ', ""))


def test_a_port_that_the_parent_lacks_is_told(split: Mesh) -> None:
    result = split.apply((ROUTE % to(RISK % 1)).replace("name: web, port: 8080", "name: web, port: 80"))
    (note,) = result.notes
    assert "spec.parentRefs[0].port: Service/web has port 8080; nothing is routed by it at 80" in note


BYTES = """
apiVersion: v1
kind: Service
metadata: {name: bytes}
spec: {selector: {app: web}, ports: [{name: tcp, port: 9000, targetPort: 5000}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: bytes}
spec:
  parentRefs: [{group: "", kind: Service, name: bytes}]
  rules: [{backendRefs: [%s]}]
"""


def test_calls_of_a_service_go_by_a_grpc_route(split: Mesh) -> None:
    rules = to(SAFE % 1) + ", " + to(RISK % 1, more="matches: [{method: {service: shop.Cart}}], ")
    split.apply((ROUTE % rules).replace("HTTPRoute", "GRPCRoute"))
    assert split.versions(f"{URL}shop.Cart/Add", 10) == {"risk": 10}
    assert split.versions(f"{URL}shop.Carts/Add", 10) == {"safe": 10}
    (status,) = [rule for rule in split.engine.rules() if rule.ref.kind == "GRPCRoute"]
    assert any(name.startswith("client-") for name in status.proxies) and status.in_force_since_s


def test_connections_go_by_a_tcp_route(split: Mesh) -> None:
    split.apply(BYTES % (RISK % 1))
    assert split.versions("http://bytes:9000/", 10) == {"risk": 10}
    (status,) = [rule for rule in split.engine.rules() if rule.ref.kind == "TCPRoute"]
    assert any(name.startswith("client-") for name in status.proxies) and status.in_force_since_s
    result = split.apply(BYTES % "{name: nobody, port: 80}")
    (note,) = [text for text in result.notes if "nobody" in text]
    assert "ResolvedRefs is False (BackendNotFound)" in note and "share of the connections is closed" in note
    assert {response.path for response in split.send("http://bytes:9000/", 3)} == {()}


def test_a_policy_of_tls_is_refused_with_what_to_write_instead(split: Mesh) -> None:
    policy = """
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: web}
spec:
  targetRefs: [{group: "", kind: Service, name: web}]
  validation: {hostname: web.example, wellKnownCACertificates: System}
"""
    with pytest.raises(ManifestError, match=r"trafficPolicy\.tls of a DestinationRule"):
        split.apply(policy)
