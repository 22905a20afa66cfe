"""Connections of a pod that are no requests: named, unnamed and foreign protocols, and the rules that are for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from behaviour_mesh import NAMESPACE, Mesh, service_entry, subsets, to, versions_of, virtual_service

from labsupport import check
from labsupport.lab.lab import Lab
from labsupport.traffic.tls import Tls

pytestmark = pytest.mark.usefixtures("secured")
Json = dict[str, Any]

PORTS: Json = {
    # What Istio takes for TCP by its name, and what it has to find out.
    "passed": ({"app": "web"}, {"name": "tcp-web", "port": 7000, "targetPort": 5000}),
    "guessed": ({"app": "web"}, {"port": 7001, "targetPort": 5000}),
    "unnamed": ({"app": "echo"}, {"port": 9000}),
    "twice": (
        {"app": "echo"},
        {"name": "tcp-1", "port": 9001, "targetPort": 9000},
        {"name": "tcp-2", "port": 9002, "targetPort": 9000},
    ),
    "nothing": ({"app": "nobody-has-this"}, {"name": "tcp", "port": 9000}),
    # The same port number as HTTP elsewhere.
    "beside": ({"app": "web"}, {"name": "tcp", "port": 8080, "targetPort": 5000}),
}


@pytest.fixture(scope="module", autouse=True)
def ports(lab: Lab, secured: None) -> Iterator[None]:
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": ports},
        }
        for name, (labels, *ports) in PORTS.items()
    ]
    lab.apply("apps/client-plain", "apps/bookinfo", yaml.safe_dump_all(services), name="ports")
    yield
    lab.delete("apps/client-plain", "apps/bookinfo", *[f"service/{name}" for name in PORTS], missing_ok=True)


def tcp(*rules: Json, host: str = "twice", kind: str = "tcp") -> Json:
    """A VirtualService of sidecars with ``tcp`` or ``tls`` rules."""
    made = virtual_service(hosts=[host], name="connections")
    made["spec"][kind] = list(rules)
    del made["spec"]["http"]
    return made


@pytest.mark.parametrize("source", ["client", "client-plain"])
def test_a_line_reaches_an_echo_whatever_its_port_is_called(mesh: Mesh, source: str) -> None:
    for url in ("tcp://echo:9000", "tcp://unnamed:9000", f"tcp://twice.{NAMESPACE}.svc.cluster.local:9001"):
        seen = mesh.send(url, 30, source=source, body="hello")
        assert {response.outcome for response in seen} == {"ok"}, url
        assert versions_of(seen).keys() == {"v1", "v2"}, url


@pytest.mark.parametrize("source", ["client", "client-plain"])
def test_requests_pass_a_port_that_is_tcp_by_its_name(mesh: Mesh, source: str) -> None:
    for url in ("http://passed:7000/", "http://guessed:7001/", "http://beside:8080/", "http://web:8080/"):
        assert check.ok(mesh.send(url, 20, source=source)), url


def test_http_rules_do_not_count_on_a_tcp_port_and_do_where_http_is_detected(mesh: Mesh) -> None:
    teapot = {"directResponse": {"status": 418}}
    mesh.apply(
        virtual_service(teapot, hosts=["passed"], name="passed"),
        virtual_service(teapot, hosts=["guessed"], name="guessed"),
    )
    assert mesh.request("http://passed:7000/").status == 200
    assert mesh.request("http://guessed:7001/").status == 418
    why = mesh.lab.explain("http://passed:7000/", source="client")
    assert why.agrees
    assert not why.explanation.rules


def test_weights_of_tcp_rules_share_connections_out(mesh: Mesh) -> None:
    routes = [to("twice", "v1", port=9001, weight=80), to("twice", "v2", port=9001, weight=20)]
    applied = mesh.apply(subsets("twice"), tcp({"match": [{"port": 9001}], "route": routes}))
    assert {change.proxy.rsplit("-", 2)[0] for change in applied.proxies} >= {"client"}
    assert check.share(mesh.send("tcp://twice:9001", 300, body="hello"), {"v1": 80, "v2": 20}, by="version")
    assert mesh.lab.explain("tcp://twice:9001", source="client", body="hello").agrees
    mesh.apply(tcp({"match": [{"port": 9001}], "route": routes[:1]}))
    assert versions_of(mesh.send("tcp://twice:9001", 20, body="hello")) == {"v1": 20}
    # The rule is for one of the ports.
    assert versions_of(mesh.send("tcp://twice:9002", 40, body="hello")).keys() == {"v1", "v2"}


def test_requests_of_an_application_enter_connections_too(mesh: Mesh) -> None:
    port = {"port": 9080, "targetPort": 9080}
    mesh.apply(virtual_service({"directResponse": {"status": 418}}, hosts=["details"], name="details"))
    try:
        mesh.lab.patch("service/details", {"spec": {"ports": [{**port, "name": "tcp"}]}})
        seen = mesh.request("http://productpage:9080/productpage", source="client")
        assert "details" in {hop.service for hop in seen.path}
    finally:
        mesh.lab.patch("service/details", {"spec": {"ports": [{**port, "name": "http"}]}})
    assert "details" not in {hop.service for hop in mesh.request("http://productpage:9080/productpage").path}


def test_tls_of_a_pods_own_is_led_by_its_server_name(mesh: Mesh, authority: Any) -> None:
    trusting = Tls(ca=authority.certificate)
    seen = mesh.request(f"https://secure.{NAMESPACE}.svc.cluster.local/", source="client", tls=trusting)
    assert (seen.outcome, seen.status) == ("ok", 200)
    host = f"secure.{NAMESPACE}.svc.cluster.local"
    rule = {"match": [{"sniHosts": [host], "port": 443}], "route": [to("secure", "v2", port=443)]}
    mesh.apply(subsets("secure"), tcp(rule, host=host, kind="tls"))
    assert versions_of(mesh.send(f"https://{host}/", 20, source="client", tls=trusting)) == {"v2": 20}
    assert mesh.lab.explain(f"https://{host}/", source="client").agrees


def test_a_service_entry_of_protocol_tcp_leads_to_pods_of_the_lab(mesh: Mesh) -> None:
    entry = service_entry("echo.example", resolution="STATIC", location="MESH_INTERNAL")
    entry["spec"] |= {
        "addresses": ["240.0.0.7"],
        "ports": [{"number": 4000, "name": "tcp", "protocol": "TCP", "targetPort": 9000}],
        "workloadSelector": {"labels": {"app": "echo", "version": "v2"}},
    }
    mesh.apply(entry)
    assert versions_of(mesh.send("tcp://echo.example:4000", 20, body="hello")) == {"v2": 20}
    assert mesh.lab.explain("tcp://echo.example:4000", source="client", body="hello").agrees
    del entry["spec"]["addresses"]
    mesh.apply(entry)
    assert versions_of(mesh.send("tcp://echo.example:4000", 20, body="hello")) == {"v2": 20}


@pytest.mark.parametrize(
    ("url", "outcome"),
    [
        ("tcp://nothing:9000", "connection"),
        ("tcp://web:8080", "connection"),
        ("tcp://unheard-of:9000", "connection"),
        ("http://unheard-of:9000/", "unknown_destination"),
        ("https://web:8080/", "connection"),
        # What answers speaks HTTP, and is sent none; and the other way round.
        ("tcp://passed:7000", "connection"),
        ("tcp://guessed:7001", "connection"),
        ("http://echo:9000/", "connection"),
    ],
)
def test_what_is_not_asked_for_is_never_ok_and_explained(mesh: Mesh, url: str, outcome: str) -> None:
    options = {"body": "hello"} if url.startswith("tcp:") else {}
    assert mesh.request(url, source="client", **options).outcome == outcome
    assert mesh.lab.explain(url, source="client", **options).agrees is not False
