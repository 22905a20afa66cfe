"""Drawing GRPCRoutes, TCPRoutes and TLSRoutes that are bound to Services of the mesh, beside HTTPRoutes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from draw import PORTS, SERVICES, SPACES, Json
from draw_gatewayapi import AGES, HEADERS, PROXIES, DrawGatewayApi

__all__ = ["DrawOtherRoutes", "generate_all_routes"]

_STORE = [("tcp", 7000, 7000), ("tls", 443, 8443), ("https", 8443, 8443), ("guess", 9000, 9000), ("grpc", 9090, 9090)]
_HOSTS = ("store", "store", "store", *SERVICES)
_NAMES = ("store.default.svc.cluster.local", "*.cluster.local", "web.example", "*.example", "store", "api.blue")


class DrawOtherRoutes(DrawGatewayApi):
    """Draws routes of all kinds."""

    names = _NAMES

    def backend(self) -> Json:
        if self.maybe(0.3):
            return {"name": "store", "port": self.pick([port for _, port, _ in _STORE])}
        return super().backend()

    def parent(self) -> Json:
        name = "missing" if self.maybe(0.05) else self.pick(_HOSTS)
        ports = [port for _, port, _ in _STORE] if name == "store" else PORTS
        parent: Json = {"group": "", "kind": "Service", "name": name}
        return self.fill(parent, 0.35, namespace=lambda: self.pick(SPACES), port=lambda: self.pick(ports))

    def route(self, kind: str, name: str, rules: list[Json], **spec: Any) -> None:
        """Add a route; two of one namespace and age never have the same name, which istiod would not put in order."""
        parents: dict[str, Json] = {}
        for _ in range(self.pick((1, 1, 2, 3))):
            parent = self.parent()
            parents.setdefault(f"{parent['name']}", parent)
        meta: Json = {"name": name, "namespace": self.pick(SPACES)}
        if self.maybe(0.3):
            meta["creationTimestamp"] = self.pick(AGES)
        spec = {"parentRefs": list(parents.values()), **spec, "rules": rules}
        self.objects.append(
            {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": meta, "spec": spec}
        )

    def call_match(self) -> Json:
        def method() -> Json:
            both = self.fill({}, 0.7, service=lambda: self.pick(("shop.Cart", "shop", "a.b.C")), method=lambda: "Add")
            return self.fill(both or {"method": "List"}, 0.4, type=lambda: self.pick(("Exact", "RegularExpression")))

        return self.fill({}, 0.7, method=method, headers=lambda: self.values(HEADERS))

    def grpc_route(self, index: int) -> None:
        rules = []
        for number in range(self.pick((1, 1, 2, 3))):
            filters = self.header_filters(0.25) + [self.mirror() for _ in range(self.pick((0, 0, 0, 0, 0, 1)))]
            if self.maybe(0.02):
                filters.append({"type": "ExtensionRef", "extensionRef": {"group": "a", "kind": "B", "name": "c"}})
            rule: Json = {"filters": filters} if filters else {}
            rule = self.fill(
                rule,
                0.85,
                matches=lambda: [self.call_match() for _ in range(self.pick((0, 1, 1, 1, 2, 3)))],
                backendRefs=lambda: [self.weighted() for _ in range(self.pick((1, 1, 1, 2, 3)))],
            )
            rules.append(rule | ({"name": f"rule-{number}"} if self.maybe(0.1) else {}))
        self.route("GRPCRoute", self.pick(("g", "g-2", "route-0-g")) + str(index), rules)

    def connection_route(self, index: int) -> None:
        backends = []
        for _ in range(self.pick((1, 1, 1, 2, 3))):
            reference = self.backend()
            backends.append(self.fill(reference, 0.5, weight=lambda: self.pick((0, 0, 1, 10, 90))))
        rules = [{"backendRefs": backends}]
        if self.maybe(0.5):
            return self.route("TCPRoute", f"c{index}", rules)
        return self.route("TLSRoute", f"s{index}", rules, hostnames=self.some(self.names, 3, 1))


def generate_all_routes(seed: int) -> tuple[list[Json], list[str]]:
    """Make a manifest set with routes of all kinds beside rules of Istio, and choose proxies for it.

    Args:
        seed: equal seeds make equal sets.

    Returns:
        Objects in order, and proxies.
    """
    maker = DrawOtherRoutes(seed)
    maker.cluster()
    maker.service("store", "default", maker.some(_STORE, 5, 2))
    makers: list[Callable[[], Any]] = []
    makers += [lambda i=index: maker.http_route(i) for index in range(maker.pick((0, 0, 1, 2)))]
    makers += [lambda i=index: maker.grpc_route(i) for index in range(maker.number(0, 3))]
    makers += [lambda i=index: maker.connection_route(i) for index in range(maker.number(0, 4))]
    makers += [lambda i=index: maker.virtual_service(i) for index in range(maker.pick((0, 0, 1, 2)))]
    makers += [lambda i=index: maker.destination_rule(i) for index in range(maker.pick((0, 1, 2)))]
    makers += [lambda i=index: maker.service_entry(i) for index in range(maker.pick((0, 0, 1)))]
    if maker.maybe(0.15):
        makers.append(maker.sidecar)
    maker.random.shuffle(makers)
    for make in makers:
        make()
    return maker.objects, maker.some(PROXIES, 2, 1)
