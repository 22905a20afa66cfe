"""HTTPS at the gateway: certificates, server names, clients that show themselves, and what a client sees otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from behaviour_mesh import Mesh, gateway, secret, server, to, versions, versions_of, virtual_service

from labsupport.certificates import Authority
from labsupport.records import Response
from labsupport.traffic.tls import Tls

Json = dict[str, Any]


def https(*hosts: str, mode: str = "SIMPLE", credential: str = "shop", number: int = 443, **tls: Any) -> Json:
    """An HTTPS server."""
    made = server(*(hosts or ("shop.example",)), number=number, protocol="HTTPS")
    made["port"]["name"] = f"https-{number}-{made['hosts'][0]}".replace("*", "any").replace(".", "-")
    return {**made, "tls": {"mode": mode, **({"credentialName": credential} if credential else {}), **tls}}


def everywhere(**more: Any) -> Json:
    """All hosts of the gateway ``entrance`` lead to web."""
    return virtual_service({"route": [to()]}, hosts=["*"], gateways=["entrance"], name="everywhere", **more)


@pytest.fixture
def shop(mesh: Mesh, authority: Authority) -> Mesh:
    """A gateway that serves shop.example in TLS."""
    mesh.apply(secret(authority.server("shop.example").secret("shop")), gateway(https()), everywhere())
    return mesh


def closed(seen: Response) -> bool:
    """Whether the gateway closed the connection instead of answering the client's greeting."""
    return seen.outcome == "connection" and "closed the connection during the handshake" in seen.error


def test_a_client_that_trusts_the_authority_is_served(shop: Mesh, authority: Authority) -> None:
    seen = shop.request("https://shop.example/name", tls=Tls(ca=authority))
    assert shop.verdict(seen) == (200, "", "via_upstream")
    assert (seen.tls["version"], seen.tls["alpn"], seen.tls["names"]) == ("TLSv1.3", "http/1.1", "shop.example")
    assert shop.own(seen).authority == "shop.example"


def test_the_scheme_that_applications_are_told_is_https(shop: Mesh, authority: Authority) -> None:
    told = shop.echo("https://shop.example/headers", tls=Tls(ca=authority))
    assert told["headers"]["x-forwarded-proto"] == "https"
    assert told["headers"]["host"] == "shop.example"


def test_a_client_that_trusts_somebody_else_ends_the_handshake(shop: Mesh) -> None:
    seen = shop.request("https://shop.example/", tls=Tls(ca=Authority("Behaviour CA")))
    assert (seen.outcome, seen.status) == ("connection", 0)
    assert "does not trust who signed" in seen.error


def test_a_server_name_that_nobody_serves_is_closed_and_logged(shop: Mesh, authority: Authority) -> None:
    seen = shop.request("https://else.example/", tls=Tls(ca=authority))
    assert closed(seen)
    assert [(connection.flags, connection.status) for connection in shop.connections(seen, "else.example")] == [
        ("NR", 0)
    ]


def test_a_host_that_the_server_does_not_have_is_404_under_its_certificate(shop: Mesh, authority: Authority) -> None:
    seen = shop.request("https://shop.example/", tls=Tls(ca=authority), headers={"Host": "else.example"})
    assert shop.verdict(seen) == (404, "NR", "route_not_found")


def test_a_server_without_rules_and_a_path_without_rule_are_404(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(secret(authority.server("shop.example").secret("shop")), gateway(https()))
    assert mesh.verdict(mesh.request("https://shop.example/", tls=Tls(ca=authority))) == (404, "NR", "route_not_found")
    only = {"match": [{"uri": {"exact": "/only"}}], "route": [to()]}
    mesh.apply(virtual_service(only, hosts=["shop.example"], gateways=["entrance"]))
    assert mesh.verdict(mesh.request("https://shop.example/else", tls=Tls(ca=authority))) == (
        404,
        "NR",
        "route_not_found",
    )
    assert mesh.request("https://shop.example/only", tls=Tls(ca=authority)).outcome == "http_error"


def test_a_destination_that_does_not_exist_is_503_as_without_tls(mesh: Mesh, authority: Authority) -> None:
    wrong = virtual_service({"route": [to(subset="v9")]}, hosts=["*"], gateways=["entrance"])
    mesh.apply(secret(authority.server("shop.example").secret("shop")), gateway(https()), wrong)
    assert mesh.verdict(mesh.request("https://shop.example/", tls=Tls(ca=authority))) == (
        503,
        "NC",
        "cluster_not_found",
    )


def test_plain_http_on_a_port_of_tls_is_no_http(shop: Mesh) -> None:
    seen = shop.request("gateway:443/")
    assert (seen.outcome, seen.status) == ("connection", 0)


def test_tls_on_a_port_of_plain_http_is_no_tls(mesh: Mesh) -> None:
    mesh.apply(gateway(), everywhere())
    seen = mesh.request("https://shop.example:80/")
    assert seen.outcome == "connection" and "TLS" in seen.error


# --- clients that show themselves -------------------------------------------------------------------------------


@pytest.fixture(params=["beside", "generic", "of its own"])
def mutual(mesh: Mesh, authority: Authority, request: pytest.FixtureRequest) -> Mesh:
    """A gateway that wants client certificates; whom it trusts is written in one of three ways."""
    own = authority.server("shop.example")
    secrets = {
        "beside": [own.secret("shop", ca=authority)],
        "generic": [own.secret("shop", ca=authority, generic=True)],
        "of its own": [own.secret("shop"), authority.secret("shop-cacert")],
    }
    mesh.apply(*map(secret, secrets[request.param]), gateway(https(mode="MUTUAL")), everywhere())
    return mesh


def test_mutual_serves_clients_of_its_authority_only(mutual: Mesh, authority: Authority) -> None:
    assert (
        mutual.request("https://shop.example/", tls=Tls(ca=authority, certificate=authority.client("alice"))).status
        == 200
    )
    nobody = mutual.request("https://shop.example/", tls=Tls(ca=authority))
    assert (nobody.outcome, nobody.error) == (
        "connection",
        "TLS: the server wants a client certificate, and none was shown",
    )
    stranger = Authority("Behaviour CA").client("alice")
    other = mutual.request("https://shop.example/", tls=Tls(ca=authority, certificate=stranger))
    assert other.outcome == "connection" and "client's certificate" in other.error
    expired = mutual.request(
        "https://shop.example/", tls=Tls(ca=authority, certificate=authority.client("alice", days=-1))
    )
    assert expired.outcome == "connection" and "client's certificate" in expired.error


@pytest.mark.parametrize("service", ["web", "bare"])
def test_an_application_is_told_who_the_client_is(mutual: Mesh, authority: Authority, service: str) -> None:
    mutual.apply(virtual_service({"route": [to(service)]}, hosts=["*"], gateways=["entrance"], name="everywhere"))
    claims = {"x-forwarded-client-cert": 'Subject="CN=mallory"'}
    alice = authority.client("alice")
    told = mutual.echo("https://shop.example/headers", tls=Tls(ca=authority, certificate=alice), headers=claims)
    shown = told["headers"]["x-forwarded-client-cert"]
    assert "CN=alice" in shown and "mallory" not in shown


@pytest.mark.parametrize("url", ["http://web:8080/headers", "http://bare:8080/headers"])
def test_nobody_inside_can_claim_to_be_a_client_of_the_gateway(mesh: Mesh, url: str) -> None:
    claims = {"x-forwarded-client-cert": 'Subject="CN=mallory"'}
    assert "mallory" not in str(mesh.echo(url, headers=claims)["headers"])


def test_optional_mutual_serves_who_shows_nothing_but_not_a_stranger(mesh: Mesh, authority: Authority) -> None:
    own = authority.server("shop.example").secret("shop", ca=authority)
    mesh.apply(secret(own), gateway(https(mode="OPTIONAL_MUTUAL")), everywhere())
    assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).status == 200
    assert (
        mesh.request("https://shop.example/", tls=Tls(ca=authority, certificate=authority.client("alice"))).status
        == 200
    )
    stranger = Authority("Behaviour CA").client("alice")
    assert mesh.request("https://shop.example/", tls=Tls(ca=authority, certificate=stranger)).outcome == "connection"


def test_subject_alt_names_restrict_whom_a_gateway_takes(mesh: Mesh, authority: Authority) -> None:
    own = authority.server("shop.example").secret("shop", ca=authority)
    only = https(mode="MUTUAL", subjectAltNames=["alice@workshop.example"])
    mesh.apply(secret(own), gateway(only), everywhere())
    assert (
        mesh.request("https://shop.example/", tls=Tls(ca=authority, certificate=authority.client("alice"))).status
        == 200
    )
    bob = mesh.request("https://shop.example/", tls=Tls(ca=authority, certificate=authority.client("bob")))
    assert bob.outcome == "connection"


# --- several servers --------------------------------------------------------------------------------------------


def test_each_server_name_has_its_own_certificate_and_rules(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(
        versions(),
        secret(authority.server("a.example").secret("a")),
        secret(authority.server("b.example").secret("b")),
        gateway(https("a.example", credential="a"), https("b.example", credential="b")),
        virtual_service({"route": [to(subset="v1")]}, hosts=["a.example"], gateways=["entrance"], name="a"),
        virtual_service({"route": [to(subset="v2")]}, hosts=["b.example"], gateways=["entrance"], name="b"),
    )
    for name, version in (("a", "v1"), ("b", "v2")):
        seen = mesh.send(f"https://{name}.example/", 6, tls=Tls(ca=authority))
        assert versions_of(seen) == {version: 6}
        assert {response.tls["names"] for response in seen} == {f"{name}.example"}


def test_a_wildcard_serves_the_names_below_it_and_an_exact_name_comes_first(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(
        secret(authority.server("*.shop.example").secret("any")),
        secret(authority.server("vip.shop.example").secret("vip")),
        gateway(https("*.shop.example", credential="any"), https("vip.shop.example", credential="vip")),
        everywhere(),
    )
    for host, shown in (("a", "*"), ("b", "*"), ("vip", "vip")):
        seen = mesh.request(f"https://{host}.shop.example/", tls=Tls(ca=authority))
        assert (seen.status, seen.tls["names"]) == (200, f"{shown}.shop.example")
    assert closed(mesh.request("https://shop.example/"))


def test_gateways_are_merged_and_the_older_one_keeps_a_name(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(
        secret(authority.server("a.example").secret("a")),
        secret(authority.server("a.example", "b.example").secret("b")),
        gateway(https("a.example", credential="a")),
        everywhere(),
    )
    mesh.apply(
        gateway(https("a.example", credential="b"), https("b.example", credential="b"), name="second"),
        virtual_service({"route": [to()]}, hosts=["b.example"], gateways=["second"], name="second"),
    )
    assert mesh.request("https://a.example/", tls=Tls(ca=authority)).tls["names"] == "a.example"
    assert mesh.request("https://b.example/", tls=Tls(ca=authority)).tls["names"] == "a.example, b.example"


def test_other_ports_speak_tls_too(mesh: Mesh, authority: Authority) -> None:
    first, two = authority.server("shop.example"), authority.server("shop.example")
    mesh.apply(
        secret(first.secret("shop")),
        secret(two.secret("other")),
        gateway(https(), https(number=8443, credential="other"), https(number=9443)),
        everywhere(),
    )
    # 8443 is what port 443 of the gateway's Service leads to, so the same server name is taken there.
    prints = [
        mesh.request(f"https://shop.example:{port}/", tls=Tls(ca=authority)).tls["fingerprint"]
        for port in (443, 8443, 9443)
    ]
    assert len(set(prints)) == 1
    assert mesh.request("https://shop.example:9443/", tls=Tls(ca=authority)).status == 200
    assert mesh.lab.urls()["gateway:9443"].startswith("https://127.0.0.1:")


# --- redirects, versions, HTTP/2 --------------------------------------------------------------------------------


def test_plain_http_is_sent_to_https(mesh: Mesh, authority: Authority) -> None:
    redirecting = server("shop.example", tls={"httpsRedirect": True})
    mesh.apply(secret(authority.server("shop.example").secret("shop")), gateway(redirecting, https()), everywhere())
    seen = mesh.request("gateway:/cart?a=1", headers={"Host": "shop.example"})
    assert (seen.status, seen.headers["location"]) == (301, "https://shop.example/cart?a=1")
    assert mesh.own(seen).flags == ""
    assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).status == 200


@pytest.mark.parametrize(
    ("limits", "spoken"),
    [
        ({}, {"1.2": "TLSv1.2", "1.3": "TLSv1.3"}),
        ({"minProtocolVersion": "TLSV1_3"}, {"1.3": "TLSv1.3"}),
        ({"maxProtocolVersion": "TLSV1_2"}, {"1.2": "TLSv1.2"}),
        (
            {
                "minProtocolVersion": "TLSV1_0",
                "cipherSuites": ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            },
            {"1.0": "TLSv1", "1.1": "TLSv1.1", "1.2": "TLSv1.2", "1.3": "TLSv1.3"},
        ),
    ],
    ids=["default", "from 1.3", "up to 1.2", "from 1.0"],
)
def test_versions_of_tls(mesh: Mesh, authority: Authority, limits: Json, spoken: dict[str, str]) -> None:
    mesh.apply(secret(authority.server("shop.example").secret("shop")), gateway(https(**limits)), everywhere())
    for version in ("1.0", "1.1", "1.2", "1.3"):
        seen = mesh.request("https://shop.example/", tls=Tls(version=version))
        if version in spoken:
            assert (seen.status, seen.tls["version"]) == (200, spoken[version]), seen.error
        else:
            assert seen.outcome == "connection" and "version of TLS" in seen.error


def test_cipher_suites_are_those_of_the_server(mesh: Mesh, authority: Authority) -> None:
    only = https(cipherSuites=["ECDHE-ECDSA-AES256-GCM-SHA384"])
    mesh.apply(secret(authority.server("shop.example").secret("shop")), gateway(only), everywhere())
    seen = mesh.request("https://shop.example/", tls=Tls(version="1.2"))
    assert (seen.status, seen.tls["cipher"]) == (200, "ECDHE-ECDSA-AES256-GCM-SHA384")
