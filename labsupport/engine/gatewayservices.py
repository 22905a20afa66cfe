"""What Istio's controller makes of a Gateway of the Gateway API: here its Service; who runs the pods differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from labsupport.controlplane.registry.memo import MEMO
from labsupport.model import Resource, Service
from labsupport.model.gatewayapi.listeners import is_managed, made_name
from labsupport.model.gatewayapi.surroundings import CONTROLLER, Surroundings
from labsupport.model.kinds.gatewayapi.gateway import GATEWAY_NAME, KubernetesGateway
from labsupport.records import JsonObject

__all__ = ["ADDRESS", "MANAGED", "MANAGER", "made_labels", "run_by_istio", "with_gateway_services"]

ADDRESS = "127.0.0.1"
"""The address of a Gateway's Service, which only the embedded mesh makes: it listens on this machine alone."""

MANAGED, MANAGER = "gateway.istio.io/managed", "istio.io-gateway-controller"
"""The label of what is made for a Gateway, and its value."""
_CLASS = "gateway.networking.k8s.io/gateway-class-name"


def run_by_istio(resources: Iterable[Resource], objects: Sequence[Resource]) -> list[KubernetesGateway]:
    """The Gateways among some objects for which Istio's controller makes a proxy.

    Args:
        resources: the objects.
        objects: all objects.
    """
    gateways = [item for item in resources if isinstance(item, KubernetesGateway) and is_managed(item)]
    classes = Surroundings.of(objects).classes if gateways else {}
    return [item for item in gateways if classes.get(item.spec.gateway_class_name) == CONTROLLER]


def made_labels(gateway: KubernetesGateway) -> dict[str, str]:
    """The labels of Service and pods that are made for a Gateway."""
    made = gateway.spec.infrastructure
    return {
        **(made.labels if made is not None else {}),
        MANAGED: MANAGER,
        _CLASS: gateway.spec.gateway_class_name,
        GATEWAY_NAME: gateway.name,
    }


def with_gateway_services(objects: Sequence[Resource]) -> Sequence[Resource]:
    """The objects, and the Services that are made for Gateways; one that is there already stays as it is.

    Args:
        objects: all objects, with their namespaces.
    """
    gateways = run_by_istio(objects, objects)
    if not gateways:
        return objects
    there = {(item.namespace, item.name) for item in objects if isinstance(item, Service)}
    wanted = [item for item in gateways if (item.namespace, made_name(item)) not in there]
    made = (MEMO.get("Service of a Gateway", (item,), (), partial(_service, item)) for item in wanted)
    return (*objects, *made)


def _service(gateway: KubernetesGateway) -> Service:
    content: JsonObject = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": made_name(gateway),
            "namespace": gateway.namespace,
            "labels": made_labels(gateway),
        },
        "spec": {
            "type": gateway.metadata.annotations.get("networking.istio.io/service-type", "LoadBalancer"),
            "selector": {GATEWAY_NAME: gateway.name},
            "ports": _ports(gateway),
        },
    }
    return Service.model_validate(content)


def _ports(gateway: KubernetesGateway) -> list[JsonObject]:
    """A port for each that listeners name, called as the first of them."""
    ports: dict[int, JsonObject] = {}
    names = {"status-port"}
    for listener in gateway.spec.listeners:
        if listener.port in ports:
            continue
        name = listener.name.replace(".", "-")[:63]
        if name in names:
            name = f"{name[: 62 - len(str(listener.port))]}-{listener.port}"
        names.add(name)
        ports[listener.port] = {
            "name": name,
            "port": listener.port,
            "protocol": "TCP",
            "appProtocol": listener.protocol.lower(),
            "targetPort": listener.port,
        }
    status = {"name": "status-port", "port": 15021, "protocol": "TCP", "appProtocol": "tcp", "targetPort": 15021}
    return [status, *ports.values()]
