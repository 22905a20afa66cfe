"""What a gateway agrees on with a client (ALPN), and TLS that it does not end but passes on by server name."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from behaviour_mesh import (
    NAMESPACE,
    Mesh,
    destination_rule,
    gateway,
    secret,
    server,
    subsets,
    to,
    versions_of,
    virtual_service,
)
from plain_http2 import get, negotiated

from labsupport.certificates import Authority
from labsupport.traffic.tls import Tls

Json = dict[str, Any]
V1, V2 = "v1.secure.example", "v2.secure.example"


def port_of(mesh: Mesh, name: str = "gateway:443") -> int:
    port = urlsplit(mesh.lab.urls()[name]).port
    assert port
    return port


def tls_rules(*rules: Json, hosts: tuple[str, ...] = (V1, V2), name: str = "passing", **more: Any) -> Json:
    """A VirtualService with ``tls`` rules of the gateway ``entrance``."""
    made = virtual_service(hosts=hosts, gateways=["entrance"], name=name)
    made["spec"] = {**made["spec"], "tls": list(rules), **more}
    del made["spec"]["http"]
    return made


def passing(number: int = 443, *hosts: str) -> Json:
    return server(*(hosts or (V1, V2)), number=number, protocol="TLS", tls={"mode": "PASSTHROUGH"})


def by_name(host: str, subset: str) -> Json:
    return {"match": [{"sniHosts": [host]}], "route": [to("secure", subset)]}


# --- HTTP/2 -----------------------------------------------------------------------------------------------------


def test_clients_that_offer_it_speak_http_2(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(
        secret(authority.server("shop.example").secret("shop")),
        gateway(server("shop.example", number=443, protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": "shop"})),
        virtual_service({"route": [to()]}, hosts=["shop.example"], gateways=["entrance"]),
    )
    port, ca = port_of(mesh), authority.certificate
    assert negotiated(port, "shop.example", ca, ["h2", "http/1.1"]) == "h2"
    assert negotiated(port, "shop.example", ca, ["http/1.1"]) == "http/1.1"
    assert get(port, "shop.example", "/name", ca) == 200
    assert get(port, "shop.example", "/status/404", ca) == 404
    protocols = {record.protocol for record in mesh.lab.access_log() if record.authority == "shop.example"}
    assert "HTTP/2" in protocols


# --- PASSTHROUGH ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("secured")
def test_the_server_name_chooses_the_version(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(subsets("secure"), gateway(passing()), tls_rules(by_name(V1, "v1"), by_name(V2, "v2")))
    for host, version in ((V1, "v1"), (V2, "v2")):
        seen = mesh.send(f"https://{host}/", 5, tls=Tls(ca=authority))
        assert versions_of(seen) == {version: 5}
        assert {response.tls["names"] for response in seen} == {f"{V1}, {V2}, secure.{NAMESPACE}.svc.cluster.local"}
    assert mesh.request(f"https://{V1}/name", tls=Tls(ca=authority)).tls["alpn"] == "http/1.1"
    elsewhere = mesh.request("https://else.example/")
    assert elsewhere.outcome == "connection"


@pytest.mark.usefixtures("secured")
def test_what_passes_through_is_a_connection_in_the_log_and_not_a_request(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(subsets("secure"), gateway(passing()), tls_rules(by_name(V1, "v1")))
    seen = mesh.request(f"https://{V1}/", tls=Tls(ca=authority))
    lines = mesh.connections(seen, V1)
    assert [(line.method, line.status, line.cluster, line.protocol) for line in lines] == [
        ("", 0, f"outbound|443|v1|secure.{NAMESPACE}.svc.cluster.local", "TCP")
    ]
    assert lines[0].upstream_pod.startswith("secure-v1-")


@pytest.mark.usefixtures("secured")
def test_weights_count_connections(mesh: Mesh, authority: Authority) -> None:
    halves = {"match": [{"sniHosts": [V1, V2]}], "route": [to("secure", "v1", weight=100), to("secure", "v2")]}
    mesh.apply(subsets("secure"), gateway(passing()), tls_rules(halves))
    assert versions_of(mesh.send(f"https://{V1}/", 20, tls=Tls(ca=authority))) == {"v1": 20}
    one_connection = mesh.send(f"https://{V1}/", 10, tls=Tls(ca=authority), reuse_connections=True)
    assert {response.connection for response in one_connection} == {0}


@pytest.mark.usefixtures("secured")
def test_an_exact_name_comes_before_a_wildcard(mesh: Mesh, authority: Authority) -> None:
    mesh.apply(
        subsets("secure"),
        gateway(passing(443, "*.secure.example")),
        tls_rules(by_name("*.secure.example", "v2"), by_name(V1, "v1"), hosts=("*.secure.example",)),
    )
    assert versions_of(mesh.send(f"https://{V1}/", 3)) == {"v1": 3}
    assert versions_of(mesh.send("https://any.secure.example/", 3)) == {"v2": 3}


@pytest.mark.usefixtures("secured")
def test_passing_on_and_ending_share_a_port_by_name(mesh: Mesh, authority: Authority) -> None:
    ending = server("shop.example", number=443, protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": "shop"})
    mesh.apply(
        subsets("secure"),
        secret(authority.server("shop.example").secret("shop")),
        gateway(ending, passing()),
        tls_rules(by_name(V2, "v2")),
        virtual_service({"route": [to()]}, hosts=["shop.example"], gateways=["entrance"], name="ending"),
    )
    assert versions_of(mesh.send(f"https://{V2}/", 3, tls=Tls(ca=authority))) == {"v2": 3}
    assert mesh.request("https://shop.example/", tls=Tls(ca=authority)).path[0].service == "web"


@pytest.mark.usefixtures("secured")
def test_another_port_and_its_own_rules(mesh: Mesh, authority: Authority) -> None:
    other = {"match": [{"sniHosts": [V1], "port": 9443}], "route": [to("secure", "v2")]}
    usual = {"match": [{"sniHosts": [V1], "port": 443}], "route": [to("secure", "v1")]}
    mesh.apply(subsets("secure"), gateway(passing(), {**passing(9443)}), tls_rules(other, usual))
    assert versions_of(mesh.send(f"https://{V1}/", 3)) == {"v1": 3}
    assert versions_of(mesh.send(f"https://{V1}:9443/", 3)) == {"v2": 3}


# --- TLS that a proxy begins ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("secured")
def test_a_proxy_begins_tls_towards_a_server_that_wants_it(mesh: Mesh) -> None:
    begins = {"mode": "SIMPLE", "insecureSkipVerify": True}
    mesh.apply(
        gateway(),
        virtual_service({"route": [to("secure", port=443)]}, hosts=["*"], gateways=["entrance"]),
        destination_rule("secure", trafficPolicy={"tls": begins}),
    )
    seen = mesh.request("gateway:/")
    assert (seen.status, seen.path[0].service) == (200, "secure")


@pytest.mark.usefixtures("secured")
def test_a_sidecar_begins_tls_as_well(mesh: Mesh) -> None:
    # The pattern of egress: the application speaks HTTP, and its sidecar TLS.
    mesh.apply(virtual_service({"route": [to("secure", port=443)]}))
    assert mesh.request("http://web:8080/").status != 200
    begins = {"mode": "SIMPLE", "insecureSkipVerify": True}
    mesh.apply(destination_rule("secure", trafficPolicy={"tls": begins}))
    seen = mesh.request("http://web:8080/")
    assert (seen.status, seen.path[0].service) == (200, "secure")


@pytest.mark.usefixtures("secured")
def test_a_proxy_that_does_not_trust_the_server_answers_503(mesh: Mesh, authority: Authority) -> None:
    route = virtual_service({"route": [to("secure", port=443)]}, hosts=["*"], gateways=["entrance"])
    mesh.apply(gateway(), route, destination_rule("secure", trafficPolicy={"tls": {"mode": "SIMPLE"}}))
    host = {"Host": f"secure.{NAMESPACE}.svc.cluster.local"}
    seen = mesh.request("gateway:/", headers=host)
    status, flags, details = mesh.verdict(seen)
    assert (status, "UF" in flags, "CERTIFICATE_VERIFY_FAILED" in details.upper()) == (503, True, True)
    trusted = {"mode": "SIMPLE", "credentialName": "trust", "sni": V1, "subjectAltNames": [V1]}
    mesh.apply(secret(authority.secret("trust-cacert")), destination_rule("secure", trafficPolicy={"tls": trusted}))
    assert mesh.request("gateway:/", headers=host).status == 200
