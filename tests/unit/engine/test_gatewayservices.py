"""The Service that Istio's controller makes for a Gateway of the Gateway API."""

from __future__ import annotations

import pytest

from labsupport.engine.gatewayservices import with_gateway_services
from labsupport.model import Resource, Service, parse
from labsupport.model.reading.documents import read

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, annotations: {%s}}
spec:
  gatewayClassName: %s
  listeners: [%s]
  %s
"""
HTTP = "{name: http, port: 80, protocol: HTTP}"


def made(*, notes: str = "", name: str = "istio", listeners: str = HTTP, more: str = "") -> list[Service]:
    given = parse(read(GATEWAY % (notes, name, listeners, more)))
    return services(with_gateway_services(given))


def services(objects: object) -> list[Service]:
    assert isinstance(objects, list | tuple)
    return [item for item in objects if isinstance(item, Service)]


def test_it_has_a_port_for_each_that_listeners_name() -> None:
    listeners = (
        "{name: a.b, port: 80, protocol: HTTP}, {name: again, port: 80, protocol: HTTP, hostname: x.example}, "
        "{name: a-b, port: 8080, protocol: HTTP}, {name: status-port, port: 7000, protocol: TCP}"
    )
    (service,) = made(listeners=listeners)
    assert [(port.name, port.port, port.app_protocol) for port in service.spec.ports] == [
        ("status-port", 15021, "tcp"),
        ("a-b", 80, "http"),
        ("a-b-8080", 8080, "http"),
        ("status-port-7000", 7000, "tcp"),
    ]
    assert service.spec.selector == {"gateway.networking.k8s.io/gateway-name": "front"}
    assert (service.name, service.spec.type) == ("front-istio", "LoadBalancer")


def test_annotations_say_its_name_and_type() -> None:
    (service,) = made(notes="gateway.istio.io/name-override: door, networking.istio.io/service-type: ClusterIP")
    assert (service.name, service.spec.type) == ("door", "ClusterIP")


@pytest.mark.parametrize(
    ("name", "more"),
    [("none", ""), ("istio-remote", ""), ("istio", "addresses: [{type: Hostname, value: own}]")],
)
def test_nothing_is_made_for_another_controller_or_for_pods_that_are_there(name: str, more: str) -> None:
    assert made(name=name, more=more) == []


def test_a_service_that_is_there_stays() -> None:
    own = "---\napiVersion: v1\nkind: Service\nmetadata: {name: front-istio}\nspec: {ports: [{port: 81}]}\n"
    given: list[Resource] = parse(read(GATEWAY % ("", "istio", HTTP, "") + own))
    (service,) = services(with_gateway_services(given))
    assert [port.port for port in service.spec.ports] == [81]
    assert services(with_gateway_services(given[1:])) == [service]
