"""Drawing objects at random, but reproducibly: the small choices that everything else is made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

__all__ = ["Draw", "Json"]

T = TypeVar("T")
Json = dict[str, Any]

SPACES = ("default", "blue", "green")
SERVICES = ("web", "reviews", "ratings", "api", "multi", "plain", "nodes")
FOREIGN = ("api.example.com", "www.example.com", "db.example.org")
PORTS = (80, 443, 8080, 9080, 9090, 7000)
PORT_NAMES = ("http", "http2", "grpc", "tcp", "https", "tls", "guess", "http-x", "grpc-web", "mongo", "redis", "")
SUBSETS = ("v1", "v2", "v3")
GATEWAYS = ("gate-a", "gate-b")
HEADERS = ("end-user", "x-version", "x-a", "user-agent", "cookie")
PATHS = ("/", "/a", "/a/", "/a/b", "/reviews", "/v1/x")


class Draw:
    """Draws objects; every choice comes from one generator of random numbers."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.objects: list[Json] = []
        self.places = False

    def node(self) -> Json:
        return {"nodeName": f"node-{self.number(0, 2)}"} if self.places else {}

    def maybe(self, share: float) -> bool:
        return self.random.random() < share

    def pick(self, values: Sequence[T]) -> T:
        return self.random.choice(values)

    def some(self, values: Sequence[T], most: int, least: int = 0) -> list[T]:
        return self.random.sample(list(values), self.random.randint(least, min(most, len(values))))

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def fill(self, result: Json, share: float, **fields: Callable[[], Any]) -> Json:
        for name, make in fields.items():
            if self.maybe(share):
                result[name] = make()
        return result

    def add(self, api: str, kind: str, name: str, namespace: str, **content: Any) -> None:
        meta: Json = {"name": name, "namespace": namespace}
        for key in ("labels", "annotations"):
            if key in content:
                meta[key] = content.pop(key)
        if api.startswith("networking") and self.maybe(0.1):
            meta["creationTimestamp"] = self.pick(
                ("2020-01-01T00:00:00Z", "2021-05-05T00:00:00Z", "2026-01-01T00:00:07Z", "2026-01-01T00:00:13Z")
            )
        if api.startswith("networking"):
            api = f"networking.istio.io/{self.pick(('v1', 'v1', 'v1', 'v1beta1', 'v1alpha3'))}"
        self.objects.append({"apiVersion": api, "kind": kind, "metadata": meta, **content})

    def host(self) -> str:
        name = self.pick(SERVICES)
        return self.pick(
            (
                name,
                name,
                name,
                f"{name}.{self.pick(SPACES)}.svc.cluster.local",
                f"{name}.{self.pick(SPACES)}.svc.cluster.local",
                self.pick(FOREIGN),
                f"{name}.default",
            )
        )

    def text(self, values: Sequence[str], *, presence: bool = True, prefix: bool = True) -> Json:
        kinds = ["exact", "exact", "regex"] + (["prefix"] if prefix else []) + (["none"] if presence else [])
        kind = self.pick(kinds)
        if kind == "none":
            return {}
        value = self.pick(values)
        return {kind: f"{value}.*" if kind == "regex" else value}

    def duration(self) -> str:
        return self.pick(("1ms", "250ms", "1s", "1.5s", "2m", "1h30m", "10s"))

    def share(self) -> Json:
        return {"value": self.pick((0.0001, 0.1, 1, 12.5, 33.3333, 50, 99.9, 100, 0.29))}

    def headers(self) -> Json:
        def operations() -> Json:
            return self.fill(
                {},
                0.6,
                set=lambda: {name: f"s{self.number(0, 9)}" for name in self.some((*HEADERS, "X-Upper"), 3, 1)},
                add=lambda: {name: f"a{self.number(0, 9)}" for name in self.some(HEADERS, 2, 1)},
                remove=lambda: self.some(HEADERS, 2, 1),
            )

        result = self.fill({}, 0.7, request=operations, response=operations)
        if self.maybe(0.1):
            name = self.pick(("host", "Host", ":authority"))
            result["request"] = {"set": {name: "other.example"}}
        return result

    def destination(self) -> Json:
        return self.fill(
            {"host": self.host()},
            0.4,
            subset=lambda: self.pick(SUBSETS),
            port=lambda: {"number": self.pick(PORTS)},
        )

    def match(self) -> Json:
        labels = ({"app": "client"}, {"app": "web"}, {"app": "web", "version": "v1"}, {"tier": "x"})
        return self.fill(
            {},
            0.18,
            name=lambda: self.pick(("m1", "m2")),
            uri=lambda: self.text(PATHS),
            headers=lambda: {name: self.text(("a", "b")) for name in self.some(HEADERS, 3, 1)},
            withoutHeaders=lambda: {name: self.text(("a", "b")) for name in self.some(HEADERS, 2, 1)},
            queryParams=lambda: {name: self.text(("1", "on")) for name in self.some(("q", "r"), 2, 1)},
            method=lambda: self.text(("GET", "POST"), presence=False),
            scheme=lambda: {"exact": "https"},
            authority=lambda: self.text(("web", "api.example.com"), presence=False),
            port=lambda: self.pick(PORTS),
            sourceLabels=lambda: self.pick(labels),
            sourceNamespace=lambda: self.pick(SPACES),
            gateways=lambda: self.some(("mesh", *GATEWAYS), 2, 1),
            ignoreUriCase=lambda: self.maybe(0.5),
            statPrefix=lambda: "sp",
        )
