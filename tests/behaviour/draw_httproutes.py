"""Random HTTPRoutes beside rules of Istio, with conditions that requests can be aimed at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from draw_requests import Drawing
from draw_rules import ENTRY, Aim
from draw_world import Json, World

sys.path.append(str(Path(__file__).parents[1] / "fidelity"))
from draw_gatewayapi import DrawGatewayApi

__all__ = ["DrawRoutes", "RouteDrawing"]

_PATHS: tuple[Json, ...] = (
    {"type": "Exact", "value": "/headers"},
    {"type": "Exact", "value": "/headers/foo"},
    {"type": "PathPrefix", "value": "/headers"},
    {"type": "PathPrefix", "value": "/headers/"},
    {"type": "PathPrefix", "value": "/headers/foo"},
    {"value": "/headers/foo"},
    {"value": "/"},
    {"type": "RegularExpression", "value": "/headers/v[0-9]/.*"},
    {"type": "RegularExpression", "value": "/(name|other)"},
    {"type": "RegularExpression", "value": ".*"},
)
_OPERATORS = {"Exact": "exact", "PathPrefix": "prefix", "RegularExpression": "regex"}
_VALUES: tuple[Json, ...] = (
    {"value": "jason"},
    {"value": "1", "type": "Exact"},
    {"type": "RegularExpression", "value": "j.*n"},
    {"type": "RegularExpression", "value": "[0-9]+"},
)
_ORIGINS = ("http://a.example", "http://*.example", "http://*", "http://b.example:80", "https://a.example")


class DrawRoutes(DrawGatewayApi):
    """HTTPRoutes about the services of a world.

    Args:
        seed: equal seeds draw equal ones.
        drawing: has the services that most rules of the set are about.
    """

    def __init__(self, seed: int, drawing: RouteDrawing) -> None:
        super().__init__(seed)
        self.drawing, self.space = drawing, ""

    def route_match(self) -> Json:
        return self.fill(super().route_match(), 0.4, path=self.path_match)

    def path_match(self) -> Json:
        return dict(self.pick(_PATHS))

    def values(self, names: tuple[str, ...]) -> list[Json]:
        known = ("x-a", "end-user") if "cookie" in names else ("a", "b")
        return [{"name": name, **self.pick(_VALUES)} for name in self.some(known, 2, 1)]

    def backend(self) -> Json:
        kind = self.number(0, 24)
        if kind == 0:
            return {"group": "a.example", "kind": "Thing", "name": "x", "port": 80}
        if kind == 1:
            return {"name": "missing", "port": 8080}
        if kind == 2 and self.maybe(0.3):
            return {"name": "web.default", "port": 80}
        target = self.drawing.any_target()
        if target is ENTRY:
            hostname = {"group": "networking.istio.io", "kind": "Hostname", "name": target.name}
            return {**hostname, "port": self.pick(target.ports)}
        reference = {"name": target.name, "port": self.pick(target.ports) if self.maybe(0.95) else 9999}
        elsewhere = target.namespace != self.space and self.maybe(0.9)
        return reference | ({"namespace": target.namespace} if elsewhere or self.maybe(0.1) else {})

    def parent(self) -> Json:
        target = self.drawing.any_target()
        if target.namespace != self.space and self.maybe(0.7):
            # A route of neither the client's namespace nor the service's counts for nobody.
            target = self.pick([known for known in self.drawing.world.targets if known.namespace == self.space])
        if target is ENTRY:
            # Its object has a name of its own.
            parent: Json = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "entry"}
        else:
            name = target.name if self.maybe(0.97) else "missing"
            parent = {"group": "", "kind": "Service", "name": name}
        if target.namespace != self.space and self.maybe(0.9):
            parent["namespace"] = target.namespace
        return self.fill(parent, 0.4, port=lambda: self.pick(target.ports))

    def modifier(self) -> Json:
        # What it is added to is the client's own secret.
        changes = super().modifier()
        return {**changes, "add": [entry for entry in changes.get("add", ()) if entry["name"] != "user-agent"]}

    def cors(self) -> Json:
        cors = super().cors()
        cors["cors"] |= {"allowOrigins": self.some(_ORIGINS, 3, 1) if self.maybe(0.8) else ["*"]}
        return cors

    def timeouts(self) -> Json:
        return self.pick(
            (
                {"request": "10s"},
                {"request": "1m", "backendRequest": "7500ms"},
                {"backendRequest": "30s"},
                {"request": "0s", "backendRequest": "20s"},
                {"request": "0s"},
            )
        )

    def retry(self) -> Json:
        return {**super().retry(), "backoff": "1ms"}


class RouteDrawing(Drawing):
    """Draws one set of HTTPRoutes and Istio's rules, and requests; equal seeds draw equal ones."""

    maker: type[DrawRoutes] = DrawRoutes

    def __init__(self, seed: int, world: World) -> None:
        self.routes = self.maker(seed + 1, self)
        super().__init__(seed, world)

    def any_target(self) -> Any:
        """A service that something is about."""
        return self._target()

    def draw_gateway(self, name: str) -> None:
        if self.maybe(0.3):
            super().draw_gateway(name)

    def _virtual_service(self, name: str) -> None:
        if self.maybe(0.15):
            super()._virtual_service(name)
            return
        space = self.routes.space = self._space()
        self.routes.http_route(0)
        route = self.routes.objects.pop()
        route["metadata"] |= {"name": name.replace("vs", "route"), "namespace": space}
        self.drawn.objects.append(route)
        for parent in route["spec"]["parentRefs"]:
            hosts, gateways = self.called(route, parent)
            for rule in route["spec"]["rules"]:
                for match in rule.get("matches") or [{}]:
                    self.drawn.aims.append(Aim(hosts, gateways, _aimed(match, parent), _of_rule(rule), space))

    def called(self, route: Json, parent: Json) -> tuple[list[str], list[str]]:
        """The hosts and the gateways at which a route is met by way of one of its parents."""
        if parent["kind"] == "ServiceEntry":
            return [ENTRY.host], []
        return [f"{parent['name']}.{parent.get('namespace', self.routes.space)}.svc.cluster.local"], []


def _aimed(match: Json, parent: Json) -> Json:
    """The conditions of a match in the words of a VirtualService, by which requests are aimed."""
    aimed: Json = {}
    if path := match.get("path"):
        aimed["uri"] = {_OPERATORS[path.get("type", "PathPrefix")]: path["value"]}
    for field in ("headers", "queryParams"):
        if conditions := match.get(field):
            aimed[field] = {said["name"]: {_OPERATORS[said.get("type", "Exact")]: said["value"]} for said in conditions}
    method = match.get("method")
    if isinstance(method, dict):
        # Of a GRPCRoute: what is called is the path.
        aimed["uri"] = {"exact": f"/{method.get('service', 'shop')}/{method.get('method', 'Get')}"}
    elif method:
        aimed["method"] = {"exact": method}
    return aimed | ({"port": parent["port"]} if "port" in parent else {})


def _of_rule(rule: Json) -> Json:
    """What of a rule asks for requests of a kind of its own."""
    crossing = any(entry["type"] == "CORS" for entry in rule.get("filters", ()))
    return ({"retries": rule["retry"]} if "retry" in rule else {}) | ({"corsPolicy": {}} if crossing else {})
