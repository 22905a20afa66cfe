"""Drawing Gateways of the Gateway API, with routes, grants and rules of Istio around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml
from cases import BASES
from draw import Json
from draw_gatewayapi import DrawGatewayApi

__all__ = ["FRONTS", "HOSTS", "PROXIES", "DrawDoors", "doors", "generate_doors"]

_API = "gateway.networking.k8s.io"
FRONTS = (("front", "default"), ("side", "blue"))
HOSTS = ("a.example", "b.a.example", "*.a.example", "*.example", "b.example", "web.test")
_SECRETS = ("other-cert", "no-cert", "bad-cert", "missing")
_PORTS = {"HTTP": (*[80] * 8, 8080, 8080, 81), "HTTPS": (443, 443, 8443), "TLS": (443, 8443), "TCP": (7000, 80, 443)}
_DOORS = list(yaml.safe_load_all((BASES / "doors.yaml").read_text()))
PROXIES = ("gateway:front-istio.default", "gateway:front-istio.default", "gateway:side-istio.blue")


class DrawDoors(DrawGatewayApi):
    """Draws Gateways and routes that are bound to them."""

    fronts = FRONTS
    spaces: tuple[str, ...] = ("default", "default", "blue", "green")
    certificates: Mapping[str, str] = {"default": "shop-cert", "blue": "blue-cert"}

    def front(self) -> tuple[str, str]:
        return self.pick((*self.fronts, self.fronts[0]))

    def selector(self) -> Json:
        conditions = (
            {"key": "team", "operator": "In", "values": ["shop", "bank"]},
            {"key": "team", "operator": "NotIn", "values": ["shop"]},
            {"key": "tier", "operator": "Exists"},
            {"key": "tier", "operator": "DoesNotExist"},
            {"key": "team", "operator": "In", "values": []},
        )
        return self.fill(
            {},
            0.6,
            matchLabels=lambda: self.pick(({"team": "shop"}, {"kubernetes.io/metadata.name": "green"}, {"no": "one"})),
            matchExpressions=lambda: [self.pick(conditions)],
        )

    def allowed(self) -> Json:
        source = self.pick(("Same", "All", "All", "All", "Selector"))
        namespaces: Json = {"from": source} | ({"selector": self.selector()} if source == "Selector" else {})
        result: Json = {"namespaces": namespaces}
        if self.maybe(0.1):
            kinds = self.some(("HTTPRoute", "GRPCRoute", "TCPRoute", "Thing"), 2, 1)
            result["kinds"] = [{"kind": kind} for kind in kinds]
        return result

    def tls(self, protocol: str, namespace: str) -> Json:
        if protocol == "TLS" and self.maybe(0.5):
            return {"mode": "Passthrough"}
        number = self.pick((*[1] * 8, 2, 3))
        references = []
        for _ in range(number):
            space = namespace if self.maybe(0.8) else self.pick(self.spaces)
            name = self.certificates.get(space, "shop-cert") if self.maybe(0.85) else self.pick(_SECRETS)
            reference: Json = {"name": name}
            if space != namespace or self.maybe(0.1):
                reference["namespace"] = space
            if self.maybe(0.05):
                reference["kind"] = "ConfigMap"
            references.append(reference)
        result: Json = {"certificateRefs": references}
        if self.maybe(0.15):
            key = self.pick(("gateway.istio.io/tls-terminate-mode", "gateway.istio.io/tls-cipher-suites"))
            modes = ("MUTUAL", "OPTIONAL_MUTUAL", "ISTIO_SIMPLE", "OTHER")
            suites = ("ECDHE-RSA-AES128-GCM-SHA256, AES256-SHA", "none-such")
            result["options"] = {key: self.pick(modes if key.endswith("mode") else suites)}
        return result

    def listener(self, index: int, namespace: str) -> Json:
        protocol = self.pick((*["HTTP"] * 9, *["HTTPS"] * 5, "TLS", "TCP", self.pick(("http", "UDP", "TCP"))))
        listener: Json = {"name": f"l{index}", "protocol": protocol}
        listener["port"] = self.pick(_PORTS.get(protocol, (80, 9000)))
        if protocol not in ("TCP", "UDP") and self.maybe(0.5):
            listener["hostname"] = self.pick(HOSTS)
        if protocol == "TLS" or (protocol == "HTTPS" and self.maybe(0.97)):
            listener["tls"] = self.tls(protocol, namespace)
        if self.maybe(0.7):
            listener["allowedRoutes"] = self.allowed()
        return listener

    def gateway_api(self, kind: str, name: str, namespace: str, spec: Json, *, version: str = "v1") -> None:
        meta: Json = {"name": name, "namespace": namespace}
        if self.maybe(0.2):
            meta["creationTimestamp"] = self.pick(
                ("2020-01-01T00:00:00Z", "2026-01-01T00:00:05Z", "2026-01-01T00:00:30Z")
            )
        self.objects.append({"apiVersion": f"{_API}/{version}", "kind": kind, "metadata": meta, "spec": spec})

    def door(self, name: str, namespace: str) -> None:
        listeners: dict[tuple[Any, ...], Json] = {}
        for index in range(self.pick((1, 2, 2, 3, 3, 4))):
            item = self.listener(index, namespace)
            listeners.setdefault((item["port"], item["protocol"], item.get("hostname")), item)
        spec: Json = {"gatewayClassName": "istio", "listeners": list(listeners.values())}
        if self.maybe(0.1):
            frontend: Json = {"validation": {"caCertificateRefs": [self.authority()]}}
            if self.maybe(0.3):
                frontend["validation"]["mode"] = "AllowInsecureFallback"
            other: Json = {"perPort": [{"port": 443, "tls": frontend}], "default": {}}
            spec["tls"] = {"frontend": self.pick(({"default": frontend}, other))}
        if self.maybe(0.08):
            spec["addresses"] = self.pick(
                (
                    [{"type": "Hostname", "value": "front-istio"}],
                    [{"type": "Hostname", "value": "front-istio.default.svc.cluster.local"}],
                    [{"type": "IPAddress", "value": "10.0.0.7"}],
                    [{"type": "Hostname", "value": "front-istio"}, {"type": "IPAddress", "value": "10.0.0.7"}],
                )
            )
        if self.maybe(0.04):
            spec["gatewayClassName"] = self.pick(("none", "istio-remote"))
        self.gateway_api("Gateway", name, namespace, spec)

    def authority(self) -> Json:
        reference = self.pick(
            (
                {"group": "", "kind": "Secret", "name": "trusted"},
                {"group": "", "kind": "ConfigMap", "name": "trusted"},
                {"group": "", "kind": "Secret", "name": "missing"},
                {"group": "", "kind": "Service", "name": "trusted"},
            )
        )
        return {**reference, **({"namespace": "default"} if self.maybe(0.3) else {})}

    def grant(self, index: int) -> None:
        kinds = ("HTTPRoute", "HTTPRoute", "Gateway", "GRPCRoute")
        source = {"group": _API, "kind": self.pick(kinds), "namespace": self.pick(self.spaces)}
        target: Json = {"group": "", "kind": self.pick(("Service", "Service", "Secret", "ConfigMap"))}
        if self.maybe(0.4):
            target["name"] = self.pick(("api", "web", "shop-cert", "trusted"))
        spec = {"from": [source], "to": [target]}
        self.gateway_api("ReferenceGrant", f"grant-{index}", self.pick(self.spaces), spec, version="v1beta1")

    def parent(self) -> Json:
        if self.maybe(0.15):
            return super().parent()
        name, namespace = self.front()
        parent: Json = {"kind": "Gateway", "name": name if self.maybe(0.97) else "missing", "namespace": namespace}
        return self.fill(
            parent, 0.15, sectionName=lambda: f"l{self.number(0, 2)}", port=lambda: self.pick((80, 443, 8080))
        )

    def http_route(self, index: int) -> None:
        super().http_route(index)
        route = self.objects[-1]
        route["spec"].pop("hostnames", None)
        if self.maybe(0.5):
            route["spec"]["hostnames"] = self.some(HOSTS, 3, 1)

    def rule_at_a_door(self, index: int) -> None:
        self.virtual_service(index)
        name, namespace = self.front()
        self.objects[-1]["spec"]["gateways"] = [f"{namespace}/{name}", "door-gate"]


def doors(maker: DrawDoors) -> None:
    """Add pods and Services of Gateways, certificates, and mostly the class."""

    def key(item: Json) -> tuple[str, str, str]:
        return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]

    taken = set(map(key, maker.objects))
    listed = [item for item in _DOORS if key(item) not in taken]
    maker.objects += [item for item in listed if item["kind"] != "GatewayClass" or maker.maybe(0.8)]


def generate_doors(seed: int) -> tuple[list[Json], list[str]]:
    """Make a manifest set with Gateways of the Gateway API, and choose proxies for it.

    Args:
        seed: equal seeds make equal sets.

    Returns:
        Objects in order, and proxies.
    """
    maker = DrawDoors(seed)
    maker.cluster()
    doors(maker)
    makers: list[Callable[[], Any]] = []
    makers += [lambda f=front: maker.door(*f) for front in FRONTS if maker.maybe(0.95)]
    makers += [lambda i=index: maker.http_route(i) for index in range(maker.number(2, 6))]
    makers += [lambda i=index: maker.grant(i) for index in range(maker.pick((0, 0, 1, 2)))]
    makers += [lambda i=index: maker.destination_rule(i) for index in range(maker.pick((0, 0, 1)))]
    if maker.maybe(0.15):
        makers.append(lambda: maker.rule_at_a_door(0))
    if maker.maybe(0.1):
        makers.append(lambda: maker.gateway("gate-a"))
    maker.random.shuffle(makers)
    for make in makers:
        make()
    return maker.objects, list(dict.fromkeys(maker.some(PROXIES, 2, 1)))
