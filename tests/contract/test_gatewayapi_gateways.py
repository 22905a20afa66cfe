"""Gateways of the Gateway API: each has a way in of its own, and goes with its object."""

from __future__ import annotations

import pytest
from contract_mesh import Mesh

from labsupport.certificates import Authority
from labsupport.errors import ManifestError, NotFoundError
from labsupport.explain import explain
from labsupport.records import Ref, TlsOptions

API = "apiVersion: gateway.networking.k8s.io/v1\n"
GATEWAY = API + "kind: Gateway\nmetadata: {name: %s}\nspec: {gatewayClassName: istio, listeners: [%s]}\n---\n"
ROUTE = API + "kind: HTTPRoute\nmetadata: {name: %s}\nspec: {parentRefs: [{name: %s}], %srules: [%s]}\n---\n"
HTTP = "{name: http, port: 80, protocol: HTTP}"
SAFE = "{backendRefs: [{name: web-safe, port: 8080}]}"
RISK = "{backendRefs: [{name: web-risk, port: 8080}]}"


@pytest.fixture
def doors(with_gateway_api: None, split: Mesh) -> Mesh:
    return split


def outside(mesh: Mesh, url: str, count: int = 4, **options: object) -> dict[str, int]:
    return mesh.versions(url, count, source="outside", **options)


def as_explained(mesh: Mesh, url: str, headers: dict[str, str] | None = None) -> None:
    """The explanation foresees what the mesh answers."""
    engine = mesh.engine
    objects = [*engine.built_in(), *engine.get("*", namespace="*")]
    why = explain(objects, engine.pods(), url=url, headers=headers, namespace=engine.namespace)
    (outcome, *_) = why.outcomes
    (seen,) = mesh.send(url, 1, source="outside", **({"headers": headers} if headers else {}))
    assert (outcome.status or seen.status if outcome.kind == "forwarded" else outcome.status) == seen.status, why


def test_a_gateway_is_a_way_in_and_goes_with_its_object(doors: Mesh) -> None:
    doors.apply(GATEWAY % ("front", HTTP) + ROUTE % ("in", "front", "", SAFE))
    assert outside(doors, "gateway/front:/") == {"safe": 4}
    assert "gateway/front" in doors.engine.urls()
    (pod,) = [pod for pod in doors.engine.pods() if pod.workload == "front-istio"]
    assert pod.labels["gateway.networking.k8s.io/gateway-name"] == "front"
    doors.engine.delete([Ref("KubernetesGateway", "front")])
    assert "gateway/front" not in doors.engine.urls()
    assert not [pod for pod in doors.engine.pods() if pod.workload == "front-istio"]
    with pytest.raises(NotFoundError, match="no Gateway 'front' of the Gateway API"):
        outside(doors, "gateway/front:/")


def test_two_gateways_and_istios_own_do_not_mix(doors: Mesh) -> None:
    text = GATEWAY % ("one", HTTP) + GATEWAY % ("two", HTTP)
    doors.apply(text + ROUTE % ("a", "one", "", SAFE) + ROUTE % ("b", "two", "", RISK))
    assert (outside(doors, "gateway/one:/"), outside(doors, "gateway/two:/")) == ({"safe": 4}, {"risk": 4})
    (refused,) = doors.send("gateway:/", 1, source="outside")
    assert refused.status == 0


def test_the_listener_with_the_closest_host_has_the_route(doors: Mesh) -> None:
    listeners = "{name: any, port: 80, protocol: HTTP}, {name: one, port: 80, protocol: HTTP, hostname: a.example}"
    to_one = ROUTE.replace("{name: %s}], ", "{name: %s, sectionName: one}], ")
    doors.apply(GATEWAY % ("front", listeners) + to_one % ("a", "front", "", RISK) + ROUTE % ("b", "front", "", SAFE))
    assert outside(doors, "gateway/front:/", headers={"Host": "b.example"}) == {"safe": 4}
    for host in ("a.example", "b.example"):
        as_explained(doors, "gateway/front:/", {"Host": host})
    assert outside(doors, "gateway/front:/", headers={"Host": "a.example"}) == {"risk": 4}


def test_a_port_takes_what_its_listener_takes(doors: Mesh) -> None:
    listeners = f"{HTTP}, {{name: alt, port: 8080, protocol: HTTP, hostname: shop.example}}"
    doors.apply(GATEWAY % ("front", listeners) + ROUTE % ("in", "front", "", SAFE))
    assert outside(doors, "gateway/front:8080/", headers={"Host": "shop.example"}) == {"safe": 4}
    assert [seen.status for seen in doors.send("gateway/front:8080/", 1, source="outside")] == [404]
    for host in ("shop.example", "else.example"):
        as_explained(doors, "gateway/front:8080/", {"Host": host})


def test_a_certificate_from_a_secret_is_shown(doors: Mesh) -> None:
    authority = Authority("Contract CA")
    made = authority.server("shop.example").secret("shop")
    listener = "{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: shop}]}}"
    without = doors.apply(GATEWAY % ("front", listener) + ROUTE % ("in", "front", "", SAFE))
    lacking = f"secret {doors.engine.namespace}/shop not found; nobody listens there"
    assert any(lacking in note for note in without.notes)
    (refused,) = doors.send("gateway/front:https://shop.example/", 1, source="outside")
    assert refused.status == 0
    doors.apply(made)
    seen = doors.send(
        "gateway/front:https://shop.example/", 2, source="outside", tls=TlsOptions(ca=authority.certificate)
    )
    assert [response.status for response in seen] == [200, 200]


def test_what_is_wrong_is_told_when_it_is_applied_and_in_the_status(doors: Mesh) -> None:
    elsewhere = "{backendRefs: [{name: web, namespace: istio-system, port: 80}]}"
    told = doors.apply(
        GATEWAY % ("front", f"{HTTP}, {{name: tcp, port: 80, protocol: TCP}}")
        + ROUTE % ("in", "front", "", elsewhere)
        + ROUTE % ("lost", "nowhere", "", SAFE)
    ).notes
    assert any("listener tcp: Conflicted is True (ProtocolConflict)" in note for note in told)
    assert any("(RefNotPermitted)" in note and "its share gets 500" in note for note in told)
    assert any("there is no Gateway nowhere of the Gateway API" in note for note in told)
    states = {str(state.ref): state.conditions for state in doors.engine.rules()}
    assert "Accepted: True (ListenersNotValid)" in states["KubernetesGateway/front"]
    assert "listener tcp: Conflicted: True (ProtocolConflict)" in states["KubernetesGateway/front"]
    assert "ResolvedRefs: False (RefNotPermitted)" in states["HTTPRoute/in"]
    as_explained(doors, "gateway/front:/")


def test_what_the_lab_cannot_make_is_refused_by_name(doors: Mesh) -> None:
    if doors.engine.name == "cluster":
        pytest.skip("a cluster has certificates for mutual TLS")
    option = "{gateway.istio.io/tls-terminate-mode: ISTIO_MUTUAL}"
    listener = f"{{name: s, port: 443, protocol: HTTPS, tls: {{options: {option}}}}}"
    with pytest.raises(ManifestError, match="no certificates for mutual TLS"):
        doors.apply(GATEWAY % ("front", listener))
    assert not doors.engine.get("KubernetesGateway")


def test_calls_and_connections_come_in_by_routes_of_their_own(doors: Mesh) -> None:
    calls = ROUTE.replace("HTTPRoute", "GRPCRoute") % ("calls", "front", "", "{matches: [{method: {service: a}}], %s")
    bytes_ = ROUTE.replace("HTTPRoute", "TCPRoute") % ("bytes", "front", "", RISK)
    text = GATEWAY % ("front", f"{HTTP}, {{name: bytes, port: 7000, protocol: TCP}}")
    doors.apply(text + calls % SAFE[1:] + bytes_)
    assert outside(doors, "gateway/front:/a/Add") == {"safe": 4}
    assert {response.status for response in doors.send("gateway/front:/b/Add", 2, source="outside")} == {404}
    assert outside(doors, "gateway/front:7000/") == {"risk": 4}
    (pod,) = [pod.name for pod in doors.engine.pods() if pod.workload == "front-istio"]
    rules = [rule for rule in doors.engine.rules() if rule.ref.kind in ("GRPCRoute", "TCPRoute")]
    assert [rule.proxies for rule in rules] == [(pod,), (pod,)]
    assert all(rule.in_force_since_s for rule in rules)
    as_explained(doors, "gateway/front:/a/Add")


def test_a_name_that_is_passed_on_and_ended_is_refused_by_the_gateways_name(doors: Mesh) -> None:
    if doors.engine.name == "cluster":
        pytest.skip("a cluster takes it, and Envoy refuses the listener")
    doors.apply(Authority("Contract CA").server("shop.example").secret("shop"))
    ended = "{name: ended, port: 443, protocol: TLS, hostname: a.b, tls: {certificateRefs: [{name: shop}]}}"
    passed = "{name: passed, port: 443, protocol: TLS, tls: {mode: Passthrough}}"
    route = ROUTE.replace("HTTPRoute", "TLSRoute") % ("in", "front", "hostnames: [a.b], ", RISK)
    with pytest.raises(ManifestError, match=r"Gateway/front.*two servers of one port both take the server name a\.b"):
        doors.apply(GATEWAY % ("front", f"{passed}, {ended}") + route)
