"""Drawing routes of the Gateway API that are bound to Services and ServiceEntries of the mesh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from draw import PORTS, SERVICES, SPACES, Json
from draw_odd import DrawOdd

__all__ = ["AGES", "HEADERS", "PROXIES", "DrawGatewayApi", "generate_routes"]

PROXIES = ("sidecar:client.default", "sidecar:web-v1.default", "sidecar:api.blue", "sidecar:outsider.nowhere")
_PATHS = ("/", "/a", "/a/", "/a/b", "/reviews", "/v1/x", "/a.b", "/longer/path/here")
HEADERS = ("end-user", "x-version", "X-Upper", "user-agent", "cookie")
AGES = ("2020-01-01T00:00:00Z", "2026-01-01T00:00:05Z", "2026-01-01T00:00:13Z")
_ORIGINS = ("https://shop.example", "http://*.example:8080", "https://*", "http://a.example:80", "https://*.b.example")


class DrawGatewayApi(DrawOdd):
    """Draws HTTPRoutes."""

    def path_match(self) -> Json:
        kind = self.pick(("PathPrefix", "PathPrefix", "Exact", "RegularExpression"))
        value = self.pick(_PATHS)
        return self.fill({}, 0.8, type=lambda: kind) | {"value": f"{value}.*" if kind[0] == "R" else value}

    def values(self, names: tuple[str, ...]) -> list[Json]:
        return [
            self.fill({"name": name, "value": self.pick(("a", "b.*", "1"))}, 0.4, type=lambda: self.pick(_TYPES))
            for name in self.some(names, 3, 1)
        ]

    def route_match(self) -> Json:
        return self.fill(
            {},
            0.4,
            path=self.path_match,
            headers=lambda: self.values(HEADERS),
            queryParams=lambda: self.values(("q", "r")),
            method=lambda: self.pick(("GET", "POST", "DELETE")),
        )

    def modifier(self) -> Json:
        return self.fill(
            {},
            0.6,
            set=lambda: [{"name": name, "value": f"s{self.number(0, 9)}"} for name in self.some(HEADERS, 3, 1)],
            add=lambda: [{"name": name, "value": f"a{self.number(0, 9)}"} for name in self.some(HEADERS, 2, 1)],
            remove=lambda: self.some((*HEADERS, "host"), 2, 1),
        ) or {"add": [{"name": self.pick(("host", "Host", "x-a")), "value": "other.example"}]}

    def header_filters(self, share: float) -> list[Json]:
        filters = []
        for kind, field in (
            ("RequestHeaderModifier", "requestHeaderModifier"),
            ("ResponseHeaderModifier", "responseHeaderModifier"),
        ):
            if self.maybe(share):
                filters.append({"type": kind, field: self.modifier()})
        return filters

    def backend(self) -> Json:
        kind = self.number(0, 19)
        if kind == 0:
            return {"group": "networking.istio.io", "kind": "Hostname", "name": "api.example.com", "port": 80}
        if kind == 1:
            return {"group": "a.example", "kind": "Thing", "name": "x", "port": 80}
        if kind == 2:
            return {"name": "missing", "port": self.pick(PORTS)}
        if kind == 3 and self.maybe(0.3):
            return {"name": "web.default", "port": 80}
        return self.fill(
            {"name": self.pick(SERVICES), "port": self.pick(PORTS)}, 0.25, namespace=lambda: self.pick(SPACES)
        )

    def weighted(self) -> Json:
        reference = self.fill(self.backend(), 0.6, weight=lambda: self.pick((0, 1, 1, 10, 90, 100)))
        filters = self.header_filters(0.15)
        return reference | ({"filters": filters} if filters else {})

    def path_modifier(self, *, prefix: bool) -> Json:
        if prefix and self.maybe(0.6):
            value = self.pick(("/", "", "/new", "/new/", "/a.b"))
            return {"type": "ReplacePrefixMatch", "replacePrefixMatch": value}
        return {"type": "ReplaceFullPath", "replaceFullPath": self.pick(("/", "/full", "/a\\1"))}

    def mirror(self) -> Json:
        mirror: Json = {"backendRef": self.backend()}
        if self.maybe(0.4):
            mirror["percent"] = self.pick((0, 1, 50, 100))
        elif self.maybe(0.4):
            mirror["fraction"] = self.fill({"numerator": self.pick((0, 1, 3))}, 0.6, denominator=lambda: 7)
        return {"type": "RequestMirror", "requestMirror": mirror}

    def cors(self) -> Json:
        cors = self.fill(
            {},
            0.6,
            allowOrigins=lambda: self.some(_ORIGINS, 3, 1) if self.maybe(0.8) else ["*"],
            allowMethods=lambda: self.some(("GET", "POST", "PUT"), 3, 1),
            allowHeaders=lambda: self.some(("x-a", "x-b"), 2, 1),
            exposeHeaders=lambda: ["x-c"],
            allowCredentials=lambda: self.maybe(0.5),
            maxAge=lambda: self.pick((1, 60, 3600)),
        )
        return {"type": "CORS", "cors": cors}

    def filters(self, *, prefix: bool) -> tuple[list[Json], bool]:
        filters = self.header_filters(0.25)
        answered = self.maybe(0.15)
        if answered:
            redirect = self.fill(
                {},
                0.4,
                scheme=lambda: self.pick(("http", "https")),
                hostname=lambda: "new.example",
                port=lambda: self.pick((80, 443, 8443)),
                statusCode=lambda: self.pick((301, 302, 303, 307, 308)),
                path=lambda: self.path_modifier(prefix=prefix),
            )
            filters.append({"type": "RequestRedirect", "requestRedirect": redirect})
        elif self.maybe(0.25):
            rewrite = self.fill({}, 0.6, hostname=lambda: "in.example", path=lambda: self.path_modifier(prefix=prefix))
            filters.append({"type": "URLRewrite", "urlRewrite": rewrite})
        if self.maybe(0.15):
            filters.append(self.cors())
        filters += [self.mirror() for _ in range(self.pick((0, 0, 0, 0, 1, 2)))]
        if self.maybe(0.02):
            filters.append({"type": "ExtensionRef", "extensionRef": {"group": "a", "kind": "B", "name": "c"}})
        self.random.shuffle(filters)
        return filters, answered

    def timeouts(self) -> Json:
        return self.pick(
            (
                {"request": "2s"},
                {"request": "1m30s", "backendRequest": "500ms"},
                {"backendRequest": "3s"},
                {"request": "0s", "backendRequest": "1s"},
                {"request": "0s"},
                {"request": "1500ms", "backendRequest": "0s"},
            )
        )

    def retry(self) -> Json:
        return self.fill(
            {},
            0.6,
            attempts=lambda: self.number(1, 4),
            codes=lambda: self.some((404, 500, 503, 599), 3, 1),
            backoff=lambda: self.pick(("25ms", "1s")),
        )

    def rule(self) -> Json:
        matches = [self.route_match() for _ in range(self.pick((1, 1, 1, 2, 3)))]
        rule: Json = {}
        if self.maybe(0.8):
            rule["matches"] = matches
        elif self.maybe(0.2):
            rule["matches"] = []
        one = rule.get("matches", [{}])
        prefix = len(one) == 1 and one[0].get("path", {}).get("type", "PathPrefix") == "PathPrefix"
        filters, answered = self.filters(prefix=prefix)
        if filters:
            rule["filters"] = filters
        if not answered and self.maybe(0.95):
            rule["backendRefs"] = [self.weighted() for _ in range(self.pick((1, 1, 1, 2, 3)))]
        return self.fill(rule, 0.15, timeouts=self.timeouts, retry=self.retry)

    def parent(self) -> Json:
        # No ServiceEntry: the oracle's controller of these routes sees none.
        name = "missing" if self.maybe(0.05) else self.pick(SERVICES)
        parent: Json = {"group": "", "kind": "Service", "name": name}
        return self.fill(parent, 0.35, namespace=lambda: self.pick(SPACES), port=lambda: self.pick(PORTS))

    def http_route(self, index: int) -> None:
        parents: dict[str, Json] = {}
        for _ in range(self.pick((1, 1, 2))):
            parent = self.parent()
            parents.setdefault(f"{parent['kind']}/{parent['name']}", parent)
        rules = [self.rule() for _ in range(self.pick((1, 1, 2, 3)))]
        for number, rule in enumerate(rules):
            if self.maybe(0.1):
                rule["name"] = f"rule-{number}"
        spec: Json = {"parentRefs": list(parents.values()), "rules": rules}
        if self.maybe(0.1):
            spec["hostnames"] = ["ignored.example"]
        meta: Json = {"name": f"route-{index}", "namespace": self.pick(SPACES)}
        if self.maybe(0.2):
            meta["creationTimestamp"] = self.pick(AGES)
        # Of older versions nothing reaches the oracle's istiod, as no API server converts them.
        self.objects.append(
            {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta, "spec": spec}
        )


_TYPES = ("Exact", "RegularExpression")


def generate_routes(seed: int) -> tuple[list[Json], list[str]]:
    """Make a manifest set with HTTPRoutes beside rules of Istio, and choose proxies for it.

    Args:
        seed: equal seeds make equal sets.

    Returns:
        Objects in order, and proxies.
    """
    maker = DrawGatewayApi(seed)
    maker.cluster()
    makers: list[Callable[[], Any]] = []
    makers += [lambda i=index: maker.http_route(i) for index in range(maker.number(1, 5))]
    makers += [lambda i=index: maker.virtual_service(i) for index in range(maker.pick((0, 0, 1, 2)))]
    makers += [lambda i=index: maker.destination_rule(i) for index in range(maker.pick((0, 1, 2)))]
    makers += [lambda i=index: maker.service_entry(i) for index in range(maker.pick((0, 0, 1, 2)))]
    if maker.maybe(0.2):
        makers.append(maker.sidecar)
    maker.random.shuffle(makers)
    for make in makers:
        make()
    return maker.objects, maker.some(PROXIES, 2, 1)
