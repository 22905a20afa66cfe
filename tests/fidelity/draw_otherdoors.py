"""Drawing GRPCRoutes, TCPRoutes and TLSRoutes that are bound to Gateways of the Gateway API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from draw import Json
from draw_doors import FRONTS, HOSTS, PROXIES, DrawDoors, doors
from draw_otherroutes import DrawOtherRoutes

__all__ = ["DrawOtherDoors", "generate_other_doors"]

_PORTS = {"HTTP": (80, 80, 8080), "TCP": (7000, 7000, 8080), "TLS": (443, 443, 8443, 7000)}


class DrawOtherDoors(DrawDoors, DrawOtherRoutes):
    """Draws Gateways with listeners for connections, and routes of all kinds."""

    names = HOSTS

    def listener(self, index: int, namespace: str) -> Json:
        protocol = self.pick(("HTTP", "TCP", "TLS", "TLS", "TLS"))
        if self.maybe(0.2):
            return super().listener(index, namespace)
        listener: Json = {"name": f"l{index}", "protocol": protocol, "port": self.pick(_PORTS[protocol])}
        if protocol != "TCP" and self.maybe(0.6):
            listener["hostname"] = self.pick(HOSTS)
        if protocol == "TLS":
            listener["tls"] = {"mode": "Passthrough"} if self.maybe(0.6) else self.tls(protocol, namespace)
        if self.maybe(0.7):
            listener["allowedRoutes"] = self.allowed()
        return listener

    def grant(self, index: int) -> None:
        super().grant(index)
        for source in self.objects[-1]["spec"]["from"]:
            source["kind"] = self.pick(("GRPCRoute", "TCPRoute", "TLSRoute"))


def generate_other_doors(seed: int) -> tuple[list[Json], list[str]]:
    """Make a manifest set with Gateways and routes of all kinds, and choose proxies for it.

    Args:
        seed: equal seeds make equal sets.

    Returns:
        Objects in order, and proxies.
    """
    maker = DrawOtherDoors(seed)
    maker.cluster()
    doors(maker)
    makers: list[Callable[[], Any]] = []
    makers += [lambda f=front: maker.door(*f) for front in FRONTS if maker.maybe(0.95)]
    makers += [lambda i=index: maker.http_route(i) for index in range(maker.number(0, 2))]
    makers += [lambda i=index: maker.grpc_route(i) for index in range(maker.number(0, 3))]
    makers += [lambda i=index: maker.connection_route(i) for index in range(maker.number(2, 6))]
    makers += [lambda i=index: maker.grant(i) for index in range(maker.pick((0, 0, 1, 2)))]
    makers += [lambda i=index: maker.destination_rule(i) for index in range(maker.pick((0, 0, 1)))]
    maker.random.shuffle(makers)
    for make in makers:
        make()
    return maker.objects, list(dict.fromkeys(maker.some((*PROXIES, "sidecar:client.default"), 2, 1)))
