"""Secrets that come, change, go or are broken while the gateway serves: what clients and learners see."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from behaviour_mesh import Mesh, gateway, secret, server, to, virtual_service

from labsupport.certificates import Authority, Certificate
from labsupport.records import Ref
from labsupport.traffic.tls import Tls

Json = dict[str, Any]


def https(*hosts: str, credential: str = "shop", **tls: Any) -> Json:
    """An HTTPS server of port 443, named after its first host."""
    made = server(*hosts, number=443, protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": credential, **tls})
    made["port"]["name"] = f"https-{hosts[0].split('.')[0]}"
    return made


def everywhere() -> Json:
    return virtual_service({"route": [to()]}, hosts=["*"], gateways=["entrance"], name="everywhere")


def pair(certificate: Certificate, key: Certificate) -> Json:
    """A Secret with the certificate of the one and the key of the other."""
    made = secret(certificate.secret("broken"))
    made["data"]["tls.key"] = base64.b64encode(key.key.encode()).decode()
    return made


def closed(mesh: Mesh, url: str = "https://shop.example/") -> bool:
    return "closed the connection during the handshake" in mesh.request(url).error


def restarts(mesh: Mesh) -> int:
    """How often the gateway's Envoy was started again."""
    (restart,) = [pod.restarts for pod in mesh.lab.pods() if pod.workload == "istio-ingressgateway"]
    return restart


def test_a_rule_that_names_no_secret_is_accepted_and_told_by_name(mesh: Mesh, authority: Authority) -> None:
    result = mesh.apply(gateway(https("shop.example", credential="absent")), everywhere())
    (note,) = [text for text in result.notes if "Secret/absent" in text]
    assert "no such Secret" in note and "istio-ingressgateway closes connections" in note
    assert closed(mesh), "in force: the gateway listens, and has nothing to show"
    result = mesh.apply(secret(authority.server("shop.example").secret("absent")))
    assert not [text for text in result.notes if "Secret/absent" in text]
    assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).status == 200


def test_other_servers_of_the_port_do_not_wait_for_a_missing_secret(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(secret(authority.server("shop.example").secret("shop")), gateway(https("shop.example")), everywhere())
    more = https("more.example", credential="missing")
    mesh.apply(gateway(https("shop.example", minProtocolVersion="TLSV1_3"), more))
    assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).status == 200
    assert mesh.request("https://shop.example/", tls=Tls(version="1.2")).outcome == "connection", (
        "the change is in force"
    )
    assert closed(mesh, "https://more.example/")


def test_a_new_certificate_is_shown_without_a_failed_request_or_a_restart(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(secret(authority.server("shop.example").secret("shop")), gateway(https("shop.example")), everywhere())
    before_all = restarts(mesh)
    with mesh.lab.traffic("https://shop.example/", rate=200, tls=Tls(ca=authority)) as live:
        for _ in range(5):
            before = len(live.observations)
            mesh.apply(secret(authority.server("shop.example").secret("shop")))
            deadline = time.monotonic() + 60
            while len(live.observations) < before + 40:
                assert time.monotonic() < deadline
                time.sleep(0.01)
    seen = live.observations
    assert seen.outcomes.counts == {"ok": len(seen)}
    assert len({response.tls["fingerprint"] for response in seen}) == 6, "each certificate was shown"
    assert restarts(mesh) == before_all


def test_a_changed_secret_is_in_force_when_apply_returns(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(gateway(https("shop.example")), everywhere())
    for _ in range(10):
        result = mesh.apply(secret(authority.server("shop.example").secret("shop")))
        assert [proxy.proxy for proxy in result.proxies] == ["istio-ingressgateway"]
        assert result.proxies[0].types == ("SDS",)
        shown = {mesh.request("https://shop.example/", tls=Tls(ca=authority)).tls["fingerprint"] for _ in range(2)}
        assert len(shown) == 1
        last = shown.pop()
    assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).tls["fingerprint"] == last


def test_a_deleted_secret_leaves_the_gateway_with_what_it_has(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(secret(authority.server("shop.example").secret("shop")), gateway(https("shop.example")), everywhere())
    result = mesh.lab.delete("Secret/shop")
    assert any("Secret/shop" in text and "keeps what it had" in text for text in result.notes)
    assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).status == 200
    other = Authority("Other")
    mesh.apply(secret(other.server("shop.example").secret("shop")))
    assert mesh.request("https://shop.example/", tls=Tls(ca=other)).status == 200


def test_a_broken_pair_is_told_by_name_and_the_former_one_stays(mesh: Mesh, authority: Authority) -> None:
    good, other = authority.server("shop.example"), authority.server("shop.example")
    # Names of their own: a listener that ends keeps its certificate for some seconds, also for one that follows it.
    server_of_it = https("shop.example", credential="broken")
    result = mesh.apply(pair(good, other), gateway(server_of_it), everywhere())
    assert any("Secret/broken: tls.key does not belong to tls.crt" in text for text in result.notes)
    assert closed(mesh)
    mesh.apply(pair(good, good))
    shown = mesh.request("https://shop.example/", tls=Tls(ca=authority)).tls["fingerprint"]
    result = mesh.apply(pair(other, good))
    assert any("keeps what it had" in text for text in result.notes)
    assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).tls["fingerprint"] == shown
    mesh.apply(pair(other, other))
    assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).tls["fingerprint"] != shown


def test_an_expired_certificate_is_served_and_told(mesh: Mesh, authority: Authority) -> None:
    old = secret(authority.server("shop.example", days=-2).secret("shop"))
    result = mesh.apply(old, gateway(https("shop.example")), everywhere())
    assert any("Secret/shop: tls.crt expired on" in text for text in result.notes)
    assert "has expired" in mesh.request("https://shop.example/", tls=Tls(ca=authority)).error
    assert mesh.request("https://shop.example/").status == 200


def test_whom_to_trust_changes_at_once(mesh: Mesh, authority: Authority) -> None:
    own, other = authority.server("shop.example"), Authority("Other")
    mesh.apply(secret(own.secret("shop", ca=authority)), gateway(https("shop.example", mode="MUTUAL")), everywhere())
    clients = [authority.client("alice"), other.client("bob")]

    def served() -> list[str]:
        return [
            mesh.request("https://shop.example/", tls=Tls(ca=authority, certificate=client)).outcome
            for client in clients
        ]

    assert served() == ["ok", "connection"]
    mesh.apply(secret(own.secret("shop", ca=other)))
    assert served() == ["connection", "ok"]
    mesh.apply(secret(authority.secret("shop-cacert")))
    assert served() == ["ok", "connection"], "a Secret of its own comes first"
    mesh.lab.delete("Secret/shop-cacert")
    assert served() == ["connection", "ok"]


def test_a_secret_may_lie_where_the_gateway_runs(mesh: Mesh, authority: Authority) -> None:
    there = secret(authority.server("shop.example").secret("shop", namespace="istio-system"))
    mesh.apply(there, gateway(https("shop.example")), everywhere())
    try:
        assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).status == 200
        result = mesh.apply(secret(Authority("Other").server("shop.example").secret("shop")))
        assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).status == 200, (
            "the gateway's namespace comes first"
        )
        assert not result.proxies
    finally:
        mesh.lab.delete(Ref("Secret", "shop", "istio-system"))


def test_a_server_that_comes_back_shows_its_certificate_again(mesh: Mesh, authority: Authority) -> None:
    # Envoy drops a secret with the last listener that uses it, and asks again with the next; both may be one request.
    mesh.apply(secret(authority.server("shop.example").secret("shop")), everywhere())
    for _ in range(8):
        mesh.apply(gateway(https("shop.example")))
        assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).status == 200
        mesh.lab.delete("Gateway/entrance")
        assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).outcome == "connection"


@pytest.mark.parametrize(
    ("tls", "serves"),
    [
        ({}, True),
        ({"credentialName": "told-none"}, False),
        ({"credentialName": "told-trust"}, False),
        ({"credentialName": "told-other-cacert"}, False),
        ({"credentialName": "kubernetes://other/told"}, False),
        ({"mode": "MUTUAL"}, False),
        ({"mode": "OPTIONAL_MUTUAL"}, False),
        ({"mode": "MUTUAL", "credentialName": "told-both"}, True),
        ({"mode": "MUTUAL", "caCertCredentialName": "told-trust-cacert"}, True),
        ({"mode": "MUTUAL", "caCertCredentialName": "told-both"}, False),
    ],
)
def test_explain_knows_what_a_server_lacks(mesh: Mesh, authority: Authority, tls: Json, serves: bool) -> None:
    own = authority.server("shop.example")
    held = [own.secret("told"), own.secret("told-both", ca=authority), own.secret("told-other-cacert")]
    held.append(authority.secret("told-trust"))
    mesh.apply(*map(secret, held), gateway(https("shop.example", **{"credential": "told", **tls})), everywhere())
    client = {"tls": Tls(certificate=authority.client("alice"))}
    (outcome,) = mesh.lab.explain(
        "https://shop.example/", source="outside", confirm=False, **client
    ).explanation.outcomes
    seen = mesh.request("https://shop.example/", **client)
    assert (seen.status == 200) is serves
    assert outcome.kind == ("forwarded" if serves else "connection"), outcome


@pytest.mark.parametrize("kind", ["repr", "yaml", "status", "config"])
def test_nothing_shows_a_private_key(mesh: Mesh, authority: Authority, kind: str) -> None:
    own = authority.server("shop.example")
    result = mesh.apply(secret(own.secret("shop")), gateway(https("shop.example")), everywhere())
    again = mesh.apply(secret(authority.server("shop.example").secret("shop")))
    texts = {
        "repr": f"{result!r}{again!r}{again.changes}{list(mesh.lab.get('Secret'))!r}",
        "yaml": mesh.lab.get("Secret", "shop").yaml,
        "status": repr(mesh.lab.status()),
        "config": repr(mesh.lab._open().proxy_config("istio-ingressgateway")),
    }
    encoded = base64.b64encode(own.key.encode()).decode()
    inner = own.key.splitlines()[1]
    assert encoded not in texts[kind] and inner not in texts[kind] and "PRIVATE KEY" not in texts[kind]
    log = mesh.lab.logs("istio-ingressgateway", container="proxy")
    assert inner not in log
