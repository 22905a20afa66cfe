"""Random Gateways of the Gateway API with routes at their listeners, and requests that come in there."""

from __future__ import annotations

from collections.abc import Sequence

from draw_httproutes import DrawRoutes, RouteDrawing
from draw_requests import Drawing, Request
from draw_rules import Aim
from draw_world import Json, World

from draw_doors import HOSTS, DrawDoors  # isort: skip
from draw_otherroutes import DrawOtherRoutes  # isort: skip
from labsupport.model.hosts import intersection
from labsupport.model.kinds.gatewayapi.gateway import GATEWAY_NAME

__all__ = ["CERTIFICATES", "FrontDrawing"]

CERTIFICATES = {"default": "shop-cert", "other": "cart-cert"}
_ECHOES = ("echo", "echo-v1", "echo-v2", "empty-echo")
_OWN_NAME = "kubernetes.io/metadata.name"


class _DrawFronts(DrawDoors, DrawRoutes, DrawOtherRoutes):
    """Gateways that the embedded mesh runs, and routes at their listeners and in the mesh.

    Attributes:
        listeners: by the name of their Gateway in URLs.
        asked: what of TLS clients are asked for there.
    """

    fronts = (("front", "default"), ("side", "other"))
    spaces = ("default", "default", "other")
    names = HOSTS
    certificates = CERTIFICATES

    def __init__(self, seed: int, drawing: RouteDrawing) -> None:
        super().__init__(seed, drawing)
        self.listeners: dict[str, list[Json]] = {}
        self.asked: dict[str, Json] = {}
        for name, namespace in self.fronts:
            self.door(name, namespace)

    def connection_route(self, index: int) -> None:
        self.space = self.pick(self.spaces)
        super().connection_route(index)
        route = self.objects.pop()
        route["metadata"]["namespace"] = self.space
        route["spec"]["parentRefs"] = [entry for entry in route["spec"]["parentRefs"] if entry["kind"] == "Gateway"]
        elsewhere = {"namespace": "default"} if self.space != "default" else {}
        for reference in route["spec"]["rules"][0]["backendRefs"]:
            name, port = ("sealed", 443) if route["kind"] == "TLSRoute" else (self.pick(_ECHOES), 9000)
            weight = {"weight": reference["weight"]} if "weight" in reference else {}
            reference.clear()
            reference.update({"name": name, "port": port, **weight, **elsewhere})
        self.objects += [route] if route["spec"]["parentRefs"] else []

    def selector(self) -> Json:
        known = {"key": _OWN_NAME, "operator": "In", "values": ["default", "other"]}
        return self.pick(
            ({"matchLabels": {_OWN_NAME: "other"}}, {"matchLabels": {"no": "one"}}, {"matchExpressions": [known]})
        )

    def tls(self, protocol: str, namespace: str) -> Json:
        tls = super().tls(protocol, namespace)
        # Certificates of the mesh's own are not there.
        if "ISTIO_SIMPLE" in tls.get("options", {}).values():
            del tls["options"]
        return tls

    def door(self, name: str, namespace: str) -> None:
        super().door(name, namespace)
        spec = self.objects[-1]["spec"]
        spec["gatewayClassName"] = "istio"
        spec.pop("addresses", None)
        # Where TLS is passed on and ended on one port, a TLSRoute can give Envoy the same name twice.
        passing = {item["port"] for item in spec["listeners"] if item.get("tls", {}).get("mode") == "Passthrough"}
        spec["listeners"] = [
            item
            for item in spec["listeners"]
            if item["port"] not in passing or item.get("tls", {}).get("mode") == "Passthrough"
        ]
        front = _called(name, namespace)
        self.listeners[front] = spec["listeners"]
        self.asked[front] = {"mode": "MUTUAL"} if "tls" in spec else {}

    def http_route(self, index: int) -> None:
        if self.maybe(0.15):
            self.grpc_route(index)
            self.objects[-1]["spec"] |= {"hostnames": self.some(HOSTS, 3, 1)} if self.maybe(0.5) else {}
        else:
            super().http_route(index)
        parents = self.objects[-1]["spec"]["parentRefs"]
        parent = parents[0]
        if parent["kind"] == "Gateway" and "port" not in parent and self.maybe(0.15):
            parents[:1] = [{**parent, "sectionName": f"l{number}"} for number in range(2)]


class FrontDrawing(RouteDrawing):
    """Draws one set of Gateways, HTTPRoutes and Istio's rules, and requests; equal seeds draw equal ones."""

    maker = _DrawFronts
    routes: _DrawFronts

    def __init__(self, seed: int, world: World) -> None:
        super().__init__(seed, world)
        maker = self.routes
        for index in range(maker.pick((0, 1, 2, 3))):
            maker.grant(index)
        for index in range(maker.pick((0, 1, 2))):
            maker.connection_route(index)
        self.drawn.objects += maker.objects
        self.dice.shuffle(self.drawn.objects)
        for front, listeners in maker.listeners.items():
            for listener in listeners:
                if listener["protocol"] not in ("HTTP", "HTTPS", "TCP", "TLS"):
                    continue
                port = {"number": listener["port"], "protocol": listener["protocol"]}
                server: Json = {"port": port, "hosts": [listener.get("hostname", "*")], "tls": maker.asked[front]}
                if port["protocol"] in ("TCP", "TLS"):
                    server |= {"front": front, "tls": listener.get("tls", {})}
                self.opened.servers += [(front, server), (f"{front}#{listener['name']}", server)]
        # Most is about what comes in.
        self.drawn.aims[:] = [aim for aim in self.drawn.aims if aim.gateways or maker.maybe(0.05)]

    def _delegate(self) -> None:
        """Draw none."""

    def draw_gateway(self, name: str) -> None:
        """Draw one of Istio's for the pod of a Gateway, now and then."""
        if self.maybe(0.15):
            Drawing.draw_gateway(self, name)
            self.drawn.objects[-1]["spec"]["selector"] = {GATEWAY_NAME: "front"}

    def _virtual_service(self, name: str) -> None:
        super()._virtual_service(name)
        rule = self.drawn.objects[-1]
        if rule["kind"] == "VirtualService" and "gateways" not in rule["spec"] and self.maybe(0.4):
            rule["spec"]["gateways"] = ["default/front"]

    def called(self, route: Json, parent: Json) -> tuple[list[str], list[str]]:
        if parent["kind"] != "Gateway":
            return super().called(route, parent)
        front = _called(parent["name"], parent["namespace"])
        hosts = route["spec"].get("hostnames", [])
        taking = [
            f"{front}#{listener['name']}"
            for listener in self.routes.listeners.get(front, [])
            if listener["protocol"] in ("HTTP", "HTTPS")
            and _takes(listener, parent, self.routes.space)
            and intersection(hosts or ["*"], [listener.get("hostname", "*")])
        ]
        return hosts, taking if taking and self.maybe(0.9) else [front]

    def _goes_to_gateway(self, aim: Aim) -> bool:
        return self.maybe(0.97 if aim.gateways else 0.3)

    def door(self, aim: Aim) -> str:
        known = [_called(*front) for front in self.routes.fronts]
        name = self.pick(aim.gateways).partition("#")[0] if aim.gateways else self.pick(known)
        # Istio's Gateways are for the pod of the first.
        return f"/{name if name in known else known[0]}"

    def _connection(self, server: Json) -> Request:
        way, number = f"gateway/{server['front']}:", server["port"]["number"]
        port = "" if number == 443 else f":{number}"
        if server["port"]["protocol"] == "TCP":
            return Request(f"{way}tcp://gateway:{number}", "outside", body="hello")
        name = self.pick(self.hosts_at([], server)).replace("*", "deep") if self.maybe(0.9) else "none.test"
        if server["tls"].get("mode") == "Passthrough":
            return Request(f"{way}https://{'deep.test' if name == 'deep' else name}{port}/headers", "outside")
        return Request(f"{way}tls://{'deep.test' if name == 'deep' else name}{port}", "outside", body="hello")

    def hosts_at(self, hosts: Sequence[str], server: Json) -> Sequence[str]:
        if self.maybe(0.1):
            return HOSTS
        return intersection(hosts or ["*"], server.get("hosts", ["*"])) or hosts


def _takes(listener: Json, parent: Json, namespace: str) -> bool:
    """Whether a listener takes a route by way of a parent, as far as requests are aimed by it."""
    spaces = listener.get("allowedRoutes", {}).get("namespaces", {"from": "Same"})["from"]
    return (
        parent.get("sectionName", listener["name"]) == listener["name"]
        and parent.get("port", listener["port"]) == listener["port"]
        and (spaces != "Same" or namespace == parent["namespace"])
    )


def _called(name: str, namespace: str) -> str:
    """A Gateway as URLs name it."""
    return name if namespace == "default" else f"{name}.{namespace}"
