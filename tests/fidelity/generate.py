"""Random but reproducible manifest sets, compared with real istiod where it is present.

ISTIO_ORACLE=<path of the istio-oracle program> python tests/fidelity/generate.py FIRST_SEED COUNT
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import yaml

__all__ = ["PROXIES", "generate", "to_text"]

T = TypeVar("T")
Json = dict[str, Any]

PROXIES = (
    "sidecar:client.default",
    "sidecar:web-v1.default",
    "sidecar:api.blue",
    "sidecar:outsider.nowhere",
    "gateway:istio-ingressgateway.istio-system",
)
_SPACES = ("default", "blue", "green")
_SERVICES = ("web", "reviews", "ratings", "api", "multi", "plain", "nodes")
_FOREIGN = ("api.example.com", "www.example.com", "db.example.org")
_PORTS = (80, 443, 8080, 9080, 9090, 7000)
_PORT_NAMES = ("http", "http2", "grpc", "tcp", "https", "tls", "guess", "http-x", "grpc-web", "mongo", "redis", "")
_SUBSETS = ("v1", "v2", "v3")
_GATEWAYS = ("gate-a", "gate-b")
_HEADERS = ("end-user", "x-version", "x-a", "user-agent", "cookie")
_PATHS = ("/", "/a", "/a/", "/a/b", "/reviews", "/v1/x")


class _Maker:
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

    # ------------------------------------------------------------------ Kubernetes

    def cluster(self) -> None:
        for name, namespace, ports in (
            ("web", "default", [("http", 8080, 5000)]),
            ("reviews", "default", [("http", 9080, 9080)]),
            ("ratings", "default", [("http", 9080, 9080), ("grpc", 9090, 9090)]),
            ("api", "blue", [("http", 80, 8080)]),
        ):
            self.service(name, namespace, ports)
        self.add("v1", "Namespace", "blue", "")
        if self.maybe(0.5):
            names = self.some([name for name in _PORT_NAMES if name], 4, 1)
            numbers = self.some(_PORTS, len(names), len(names))
            ports = [(name, number, number + 1000) for name, number in zip(names, numbers, strict=True)]
            self.service("multi", self.pick(_SPACES), ports)
        if self.maybe(0.3):
            self.service("plain", "default", [("", self.pick(_PORTS), 8080)])
        if self.maybe(0.2):
            self.service(
                "nodes", "default", [(self.pick(_PORT_NAMES) or "http", self.pick(_PORTS), 8080)], headless=True
            )
        if self.maybe(0.2):
            self.service(
                "api", "green", [("http", 80, 8080), ("tcp", 7000, 7000)], export=self.pick((".", "blue,.", "*"))
            )
        if self.maybe(0.15):
            # Not one of the mesh: whether such an alias or its target gets a name is then random in istiod.
            target = self.pick(("api.example.com", "outside.example"))
            spec = {
                "type": "ExternalName",
                "externalName": target,
                "ports": [{"name": "http", "port": self.pick(_PORTS)}],
            }
            self.add("v1", "Service", "alias", "default", spec=spec)
        if self.maybe(0.2):
            self.places = True
            for index, (region, zone) in enumerate((("eu", "eu-a"), ("eu", "eu-b"), ("us", "us-a"))):
                labels = {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone}
                self.add("v1", "Node", f"node-{index}", "", labels=labels)
        if self.maybe(0.15):
            policy = {"mode": self.pick(("REGISTRY_ONLY", "ALLOW_ANY"))}
            mesh = {"outboundTrafficPolicy": policy, "connectTimeout": self.pick(("250ms", "3s", "1m"))}
            self.add("v1", "ConfigMap", "istio", "istio-system", data={"mesh": yaml.safe_dump(mesh)})
        if self.maybe(0.3):
            conditions = [{"type": "Ready", "status": self.pick(("True", "False"))}]
            self.add(
                "v1",
                "Pod",
                "lone",
                "default",
                labels={"app": self.pick(("web", "reviews")), "version": "v3"},
                spec={"containers": [{"name": "app", "image": "web"}], **self.node()},
                status={"conditions": conditions},
            )
        for name, namespace, labels in (
            ("web-v1", "default", {"app": "web", "version": "v1"}),
            ("web-v2", "default", {"app": "web", "version": "v2"}),
            ("reviews-v1", "default", {"app": "reviews", "version": "v1"}),
            ("client", "default", {"app": "client"}),
            ("api", "blue", {"app": "api", "version": "v1"}),
        ):
            self.deployment(name, namespace, labels)

    def service(
        self,
        name: str,
        namespace: str,
        ports: Sequence[tuple[str, int, int]],
        *,
        headless: bool = False,
        export: str = "",
    ) -> None:
        spec: Json = {"selector": {"app": self.pick((name, name, "web", "api"))}}
        spec["ports"] = [
            {"port": port, "targetPort": self.pick((target, target, "serve")), **({"name": label} if label else {})}
            for label, port, target in ports
        ]
        if headless:
            spec["clusterIP"] = "None"
        if export:
            self.add("v1", "Service", name, namespace, spec=spec, annotations={"networking.istio.io/exportTo": export})
        else:
            self.add("v1", "Service", name, namespace, spec=spec)

    def container(self) -> Json:
        result: Json = {"name": "app", "image": "web"}
        if self.maybe(0.5):
            result["ports"] = [self.fill({"name": "serve", "containerPort": 8081}, 0.5, protocol=lambda: "TCP")]
        return result

    def deployment(self, name: str, namespace: str, labels: dict[str, str]) -> None:
        if self.maybe(0.15):
            labels = {**labels, "sidecar.istio.io/inject": "false"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [self.container()], **self.node()}}
        spec: Json = {"selector": {"matchLabels": {"app": labels["app"]}}, "template": template}
        if self.maybe(0.4):
            spec["replicas"] = self.number(0, 3)
        self.add("apps/v1", "Deployment", name, namespace, spec=spec)

    # ------------------------------------------------------------------ pieces

    def host(self) -> str:
        name = self.pick(_SERVICES)
        return self.pick(
            (
                name,
                name,
                name,
                f"{name}.{self.pick(_SPACES)}.svc.cluster.local",
                f"{name}.{self.pick(_SPACES)}.svc.cluster.local",
                self.pick(_FOREIGN),
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
                set=lambda: {name: f"s{self.number(0, 9)}" for name in self.some((*_HEADERS, "X-Upper"), 3, 1)},
                add=lambda: {name: f"a{self.number(0, 9)}" for name in self.some(_HEADERS, 2, 1)},
                remove=lambda: self.some(_HEADERS, 2, 1),
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
            subset=lambda: self.pick(_SUBSETS),
            port=lambda: {"number": self.pick(_PORTS)},
        )

    def match(self) -> Json:
        labels = ({"app": "client"}, {"app": "web"}, {"app": "web", "version": "v1"}, {"tier": "x"})
        return self.fill(
            {},
            0.18,
            name=lambda: self.pick(("m1", "m2")),
            uri=lambda: self.text(_PATHS),
            headers=lambda: {name: self.text(("a", "b")) for name in self.some(_HEADERS, 3, 1)},
            withoutHeaders=lambda: {name: self.text(("a", "b")) for name in self.some(_HEADERS, 2, 1)},
            queryParams=lambda: {name: self.text(("1", "on")) for name in self.some(("q", "r"), 2, 1)},
            method=lambda: self.text(("GET", "POST"), presence=False),
            scheme=lambda: {"exact": "https"},
            authority=lambda: self.text(("web", "api.example.com"), presence=False),
            port=lambda: self.pick(_PORTS),
            sourceLabels=lambda: self.pick(labels),
            sourceNamespace=lambda: self.pick(_SPACES),
            gateways=lambda: self.some(("mesh", *_GATEWAYS), 2, 1),
            ignoreUriCase=lambda: self.maybe(0.5),
            statPrefix=lambda: "sp",
        )

    def retries(self) -> Json:
        if self.maybe(0.15):
            return {"attempts": 0}
        return self.fill(
            {"attempts": self.number(1, 5)},
            0.4,
            perTryTimeout=self.duration,
            retryOn=lambda: ",".join(
                self.some(("5xx", "503", "reset", "504", "gateway-error", "retriable-status-codes"), 4, 1)
            ),
            backoff=self.duration,
            retryIgnorePreviousHosts=lambda: self.maybe(0.5),
            retryRemoteLocalities=lambda: self.maybe(0.5),
        )

    def fault(self) -> Json:
        delay = lambda: self.fill({"fixedDelay": self.duration()}, 0.7, percentage=self.share)  # noqa: E731
        kinds = ({"httpStatus": self.number(200, 599)}, {"grpcStatus": self.pick(("UNAVAILABLE", "NOT_FOUND", "OK"))})
        abort = lambda: self.fill(dict(self.pick(kinds)), 0.7, percentage=self.share)  # noqa: E731
        return self.fill({}, 0.5, delay=delay, abort=abort) or {"delay": delay()}

    def cors(self) -> Json:
        return self.fill(
            {},
            0.5,
            allowOrigins=lambda: [self.text(("https://a", "b"), presence=False) for _ in range(self.number(1, 2))],
            allowOrigin=lambda: ["*"],
            allowMethods=lambda: self.some(("GET", "POST", "*"), 2, 1),
            allowHeaders=lambda: self.some(_HEADERS, 2, 1),
            exposeHeaders=lambda: self.some(_HEADERS, 2, 1),
            maxAge=lambda: self.pick(("1s", "24h")),
            allowCredentials=lambda: self.maybe(0.5),
            unmatchedPreflights=lambda: self.pick(("FORWARD", "IGNORE", "UNSPECIFIED")),
        )

    def redirect(self) -> Json:
        result = self.fill(
            {},
            0.5,
            uri=lambda: self.pick(_PATHS),
            authority=lambda: "other.example",
            scheme=lambda: self.pick(("http", "https")),
            redirectCode=lambda: self.pick((301, 302, 303, 307, 308, 304)),
        )
        if self.maybe(0.4):
            result.update(
                self.pick(
                    (
                        {"port": 80},
                        {"port": 443},
                        {"port": 8443},
                        {"derivePort": "FROM_REQUEST_PORT"},
                        {"derivePort": "FROM_PROTOCOL_DEFAULT"},
                    )
                )
            )
        if "uri" not in result and self.maybe(0.3):
            result["prefixRewrite"] = "/p"
        return result if set(result) - {"redirectCode"} else {**result, "uri": "/moved"}

    def http(self, *, last: bool) -> Json:
        rule: Json = {}
        if self.maybe(0.4):
            rule["name"] = f"rule-{self.number(0, 9)}"
        if not last or self.maybe(0.4):
            rule["match"] = [self.match() for _ in range(self.number(1, 3))]
        if self.maybe(0.25):
            rule["headers"] = self.headers()
        kind = self.random.random()
        if kind < 0.08:
            rule["redirect"] = self.redirect()
            return rule
        if kind < 0.14:
            rule["directResponse"] = self.fill({"status": self.number(200, 599)}, 0.5, body=lambda: {"string": "fixed"})
            return rule
        rule["route"] = [self.fill({"destination": self.destination()}, 0.25, headers=self.headers)]
        if self.maybe(0.4):
            rule["route"].append(self.fill({"destination": self.destination()}, 0.25, headers=self.headers))
            for route in rule["route"]:
                route["weight"] = self.pick((0, 1, 10, 50, 90, 100))
            if not any(route["weight"] for route in rule["route"]):
                rule["route"][0]["weight"] = 5
        self.fill(
            rule,
            0.2,
            timeout=self.duration,
            retries=self.retries,
            fault=self.fault,
            corsPolicy=self.cors,
            rewrite=lambda: self.pick(
                (
                    {"uri": "/n"},
                    {"authority": "new.example"},
                    {"uri": "/", "authority": "n.example"},
                    {"uriRegexRewrite": {"match": "^/a/(.*)$", "rewrite": "/\\1"}},
                )
            ),
        )
        if self.maybe(0.15):
            rule["mirror"] = self.destination()
            self.fill(rule, 0.5, mirrorPercentage=self.share)
        elif self.maybe(0.1):
            rule["mirrors"] = [
                self.fill({"destination": self.destination()}, 0.5, percentage=self.share)
                for _ in range(self.number(1, 2))
            ]
        return rule

    def l4_match(self, *, sni: str = "") -> Json:
        result = self.fill(
            {},
            0.25,
            port=lambda: self.pick(_PORTS),
            sourceLabels=lambda: {"app": self.pick(("client", "web"))},
            sourceNamespace=lambda: self.pick(_SPACES),
            gateways=lambda: self.some(("mesh", *_GATEWAYS), 2, 1),
            destinationSubnets=lambda: self.some(("10.0.0.0/8", "192.168.1.1", "10.96.0.0/16"), 2, 1),
        )
        if sni:
            result["sniHosts"] = [sni]
        return result

    def l4_route(self) -> list[Json]:
        routes: list[Json] = [{"destination": self.destination()}]
        if self.maybe(0.4):
            routes.append({"destination": self.destination()})
            for route in routes:
                route["weight"] = self.pick((1, 20, 80))
        return routes

    # ------------------------------------------------------------------ Istio

    def virtual_service(self, index: int) -> None:
        namespace = self.pick(_SPACES)
        hosts = [self.host() for _ in range(self.number(1, 2))]
        if self.maybe(0.15):
            hosts = [self.pick(("*.example.com", "*.default.svc.cluster.local", "*.svc.cluster.local"))]
        spec: Json = {"hosts": sorted(set(hosts))}
        if self.maybe(0.45):
            spec["gateways"] = self.some(("mesh", *_GATEWAYS, "default/gate-a"), 3, 1)
            if "mesh" not in spec["gateways"] and self.maybe(0.4):
                spec["hosts"] = self.pick((["*"], ["a.example.com"], ["*.example.com", "web.test"]))
        if self.maybe(0.15):
            spec["exportTo"] = self.pick((["."], ["*"], ["default", "blue"], ["istio-system", "."]))
        rules = self.number(1, 4)
        kind = self.random.random()
        if kind < 0.85:
            spec["http"] = [self.http(last=number == rules - 1) for number in range(rules)]
        if kind > 0.75:
            spec["tcp"] = [
                self.fill({"route": self.l4_route()}, 0.6, match=lambda: [self.l4_match()])
                for _ in range(self.number(1, 2))
            ]
        if kind > 0.9:
            sni = self.pick(spec["hosts"])
            if "." in sni and not sni.startswith("*"):
                spec["tls"] = [{"match": [self.l4_match(sni=sni)], "route": self.l4_route()}]
        if "http" in spec and self.maybe(0.15):
            self.delegate(index, spec)
        self.add("networking", "VirtualService", f"vs-{index}", namespace, spec=spec)

    def delegate(self, index: int, root: Json) -> None:
        """Move the routing of one rule into a VirtualService of its own."""
        rule: Json = self.fill({}, 0.3, timeout=self.duration, retries=self.retries, headers=self.headers)
        rule["name"] = "root"
        if self.maybe(0.6):
            rule["match"] = [self.match() for _ in range(self.number(1, 2))]
        rule["delegate"] = {"name": self.pick((f"leaf-{index}", "nowhere")), "namespace": "green"}
        root["http"].insert(0, rule)
        count = self.number(1, 3)
        leaf: Json = {"http": [self.http(last=number == count - 1) for number in range(count)]}
        if self.maybe(0.2):
            leaf["exportTo"] = [self.pick((".", "*", "default"))]
        self.add("networking", "VirtualService", f"leaf-{index}", "green", spec=leaf)

    def load_balancer(self) -> Json:
        if self.maybe(0.4):
            key = self.pick(
                (
                    {"httpHeaderName": "x-user"},
                    {"useSourceIp": True},
                    {"httpQueryParameterName": "q"},
                    {"httpCookie": {"name": "c", "ttl": "10s"}},
                    {"httpCookie": {"name": "c"}},
                )
            )
            how = self.pick(
                ({}, {}, {"ringHash": {"minimumRingSize": 64}}, {"maglev": {"tableSize": 101}}, {"minimumRingSize": 32})
            )
            return {"consistentHash": {**key, **how}}
        result: Json = {
            "simple": self.pick(("ROUND_ROBIN", "LEAST_REQUEST", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "UNSPECIFIED"))
        }
        if self.maybe(0.2):
            result["warmup"] = self.fill({"duration": "30s"}, 0.5, minimumPercent=lambda: 20, aggression=lambda: 1.5)
        if self.maybe(0.2):
            result["localityLbSetting"] = self.pick(
                ({"enabled": False}, {"enabled": True}, {"failoverPriority": ["version"]})
            )
        return result

    def connection_pool(self) -> Json:
        tcp = lambda: self.fill(  # noqa: E731
            {},
            0.5,
            maxConnections=lambda: self.number(1, 99),
            connectTimeout=self.duration,
            idleTimeout=self.duration,
            maxConnectionDuration=self.duration,
            tcpKeepalive=lambda: self.fill({}, 0.5, probes=lambda: 3, time=lambda: "60s", interval=lambda: "5s"),
        )
        http = lambda: self.fill(  # noqa: E731
            {},
            0.4,
            http1MaxPendingRequests=lambda: self.number(1, 99),
            http2MaxRequests=lambda: self.number(1, 99),
            maxRequestsPerConnection=lambda: self.number(0, 9),
            maxRetries=lambda: self.number(1, 9),
            idleTimeout=self.duration,
            h2UpgradePolicy=lambda: self.pick(("DEFAULT", "UPGRADE", "DO_NOT_UPGRADE")),
            maxConcurrentStreams=lambda: self.number(1, 50),
        )
        return self.fill({}, 0.7, tcp=tcp, http=http) or {"tcp": {"maxConnections": 1}}

    def outlier(self) -> Json:
        return self.fill(
            {},
            0.5,
            consecutive5xxErrors=lambda: self.number(0, 9),
            consecutiveGatewayErrors=lambda: self.number(0, 9),
            interval=self.duration,
            baseEjectionTime=self.duration,
            maxEjectionPercent=lambda: self.number(0, 100),
            minHealthPercent=lambda: self.number(0, 100),
            splitExternalLocalOriginErrors=lambda: True,
        )

    def policy(self, *, ports: bool = True) -> Json:
        result = self.fill(
            {},
            0.4,
            loadBalancer=self.load_balancer,
            connectionPool=self.connection_pool,
            outlierDetection=self.outlier,
            tls=lambda: self.pick(
                (
                    {"mode": "DISABLE"},
                    {"mode": "SIMPLE"},
                    {"mode": "ISTIO_MUTUAL"},
                    {"mode": "SIMPLE", "sni": "x.example"},
                )
            ),
        )
        if ports and self.maybe(0.3):
            numbers = self.some(_PORTS, 2, 1)
            result["portLevelSettings"] = [
                {"port": {"number": number}, **self.policy(ports=False)} for number in numbers
            ]
        return result or {"loadBalancer": {"simple": "RANDOM"}}

    def destination_rule(self, index: int) -> None:
        spec: Json = {
            "host": self.pick((self.host(), self.host(), self.host(), "*.default.svc.cluster.local", "*.example.com"))
        }
        if self.maybe(0.6):
            spec["trafficPolicy"] = self.policy()
        if self.maybe(0.7):
            spec["subsets"] = [
                self.fill({"name": name, "labels": {"version": self.pick(_SUBSETS)}}, 0.4, trafficPolicy=self.policy)
                for name in self.some(_SUBSETS, 3, 1)
            ]
        if self.maybe(0.15):
            spec["workloadSelector"] = {"matchLabels": {"app": self.pick(("client", "web", "api"))}}
        elif self.maybe(0.15):
            spec["exportTo"] = self.pick((["."], ["*"], ["default", "blue"]))
        self.add("networking", "DestinationRule", f"dr-{index}", self.pick((*_SPACES, "istio-system")), spec=spec)

    def gateway(self, name: str) -> None:
        servers = []
        for index in range(self.number(1, 3)):
            kind = self.pick(("HTTP", "HTTP", "HTTP", "HTTPS", "TLS", "TCP", "GRPC"))
            number = self.pick({"HTTPS": (443, 8443), "TLS": (443, 9443), "TCP": (7000, 80)}.get(kind, (80, 8080, 81)))
            hosts = self.some(
                ("*", "*.example.com", "a.example.com", "default/web.test", "./b.example.com", "*/c.example.com"), 3, 1
            )
            server: Json = {"port": {"number": number, "name": f"p{index}", "protocol": kind}, "hosts": hosts}
            if kind == "HTTPS":
                server["tls"] = self.pick(
                    (
                        {"mode": "SIMPLE", "credentialName": "c"},
                        {"mode": "MUTUAL", "credentialName": "c"},
                        {"mode": "PASSTHROUGH"},
                    )
                )
            elif kind == "TLS":
                server["tls"] = self.pick(({"mode": "PASSTHROUGH"}, {"mode": "SIMPLE", "credentialName": "c"}))
            elif kind == "HTTP" and self.maybe(0.2):
                server["tls"] = {"httpsRedirect": True}
            servers.append(server)
        selector = self.pick(
            (
                {"istio": "ingressgateway"},
                {"istio": "ingressgateway"},
                {"app": "istio-ingressgateway"},
                {"istio": "none"},
            )
        )
        self.add(
            "networking",
            "Gateway",
            name,
            self.pick(("default", "default", "blue")),
            spec={"selector": selector, "servers": servers},
        )

    def service_entry(self, index: int) -> None:
        resolution = self.pick(("STATIC", "DNS", "NONE", "DNS"))
        names = self.some(("http", "tls", "tcp", "https", "grpc"), 2, 1)
        ports = [
            {"number": number, "name": name, "protocol": name.upper()}
            for name, number in zip(names, self.some(_PORTS, len(names), len(names)), strict=True)
        ]
        hosts = [self.pick(_FOREIGN)]
        if resolution == "NONE" and self.maybe(0.4):
            hosts = ["*.example.com"]
        spec: Json = {
            "hosts": hosts,
            "resolution": resolution,
            "ports": ports,
            "location": self.pick(("MESH_EXTERNAL", "MESH_INTERNAL")),
        }
        if resolution == "STATIC" or (resolution == "DNS" and self.maybe(0.4)):
            spec["endpoints"] = [
                self.fill(
                    {"address": f"{self.number(1, 9)}.1.1.{number}"},
                    0.4,
                    labels=lambda: {"version": self.pick(_SUBSETS)},
                    weight=lambda: self.number(1, 9),
                )
                for number in range(1, self.number(2, 4))
            ]
        if self.maybe(0.2):
            spec["exportTo"] = self.pick((["."], ["*"], ["default"]))
        self.add("networking", "ServiceEntry", f"se-{index}", self.pick(_SPACES), spec=spec)

    def workload_entry(self) -> None:
        labels = {"app": self.pick(("web", "vm")), "version": self.pick(_SUBSETS)}
        spec = self.fill(
            {"address": "172.16.0.9", "labels": labels},
            0.4,
            weight=lambda: self.number(1, 9),
            serviceAccount=lambda: "vm",
            ports=lambda: {"http": 8888},
        )
        self.add("networking", "WorkloadEntry", "vm", self.pick(("default", "green")), spec=spec)
        ports = [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}]
        entry = {"hosts": ["vm.example.com"], "resolution": "STATIC", "ports": ports, "location": "MESH_INTERNAL"}
        entry["workloadSelector"] = {"labels": {"app": self.pick(("web", "vm"))}}
        self.add("networking", "ServiceEntry", "vm", self.pick(("default", "green")), spec=entry)

    def sidecar(self) -> None:
        hosts = self.some(
            (
                "./*",
                "*/*",
                "blue/*",
                "default/web.default.svc.cluster.local",
                "*/*.example.com",
                "green/*",
                "istio-system/*",
            ),
            3,
            1,
        )
        spec: Json = {"egress": [{"hosts": hosts}]}
        if self.maybe(0.25):
            number = self.pick(_PORTS)
            port = {"number": number, "name": "p", "protocol": self.pick(("HTTP", "TCP", "TLS"))}
            first = self.fill({"port": port, "hosts": hosts}, 0.3, bind=lambda: "127.0.0.1", captureMode=lambda: "NONE")
            spec["egress"].insert(0, first)
        if self.maybe(0.25):
            port = {
                "number": self.pick((5000, 8080, 9999)),
                "name": "i",
                "protocol": self.pick(("HTTP", "TCP", "GRPC")),
            }
            target = self.pick(("127.0.0.1:8080", "0.0.0.0:8081", "unix:///x.sock"))
            spec["ingress"] = [self.fill({"port": port}, 0.5, defaultEndpoint=lambda: target)]
        if self.maybe(0.2):
            spec["inboundConnectionPool"] = self.connection_pool()
        if self.maybe(0.4):
            spec["outboundTrafficPolicy"] = {"mode": self.pick(("REGISTRY_ONLY", "ALLOW_ANY"))}
        if self.maybe(0.3):
            spec["workloadSelector"] = {"labels": {"app": self.pick(("client", "web"))}}
        self.add("networking", "Sidecar", "scope", self.pick((*_SPACES, "istio-system")), spec=spec)


def generate(seed: int) -> tuple[list[Json], list[str]]:
    """Make a manifest set and choose proxies for it.

    Args:
        seed: equal seeds make equal sets.

    Returns:
        Objects in order, and proxies.
    """
    maker = _Maker(seed)
    maker.cluster()
    makers: list[Callable[[], None]] = []
    makers += [lambda i=index: maker.virtual_service(i) for index in range(maker.number(0, 4))]
    makers += [lambda i=index: maker.destination_rule(i) for index in range(maker.number(0, 4))]
    makers += [lambda i=index: maker.service_entry(i) for index in range(maker.number(0, 2))]
    makers += [lambda n=name: maker.gateway(n) for name in maker.some(_GATEWAYS, 2)]
    if maker.maybe(0.25):
        makers.append(maker.sidecar)
    if maker.maybe(0.2):
        makers.append(maker.workload_entry)
    maker.random.shuffle(makers)
    for make in makers:
        make()
    return maker.objects, [maker.pick(PROXIES[:4]), PROXIES[4]] if maker.maybe(0.5) else [maker.pick(PROXIES)]


def to_text(objects: Sequence[Json]) -> str:
    """The set as YAML documents."""
    return "---\n".join(yaml.safe_dump(item, sort_keys=False) for item in objects)


def main(first: int, count: int) -> int:
    """Compare some seeds with istiod; print every difference."""
    from cases import ask_oracle
    from normalise import differences, normalise

    from labsupport.mesh.cli_translate import run

    bad = compared = rejected = 0
    for seed in range(first, first + count):
        objects, proxies = generate(seed)
        for proxy in proxies:
            try:
                theirs = ask_oracle(to_text(objects), proxy)
            except RuntimeError as error:
                print(f"seed {seed} {proxy}: {str(error).splitlines()[0]}")
                bad += 1
                continue
            out = {(item["kind"], item["namespace"], item["name"]) for item in theirs["info"]["rejected"]}
            rejected += len(out)
            kept = [
                item
                for item in objects
                if (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]) not in out
            ]
            found = list(differences(normalise(run([to_text(kept)], proxy)), normalise(theirs)))
            compared += 1
            if found:
                bad += 1
                print(f"seed {seed} {proxy}: {len(found)} differences")
                for line in found[:5]:
                    print(f"    {line}")
    print(f"{compared} compared, {bad} differ, {rejected} objects refused by admission")
    return bad


if __name__ == "__main__":
    sys.exit(1 if main(int(sys.argv[1]), int(sys.argv[2])) else 0)
