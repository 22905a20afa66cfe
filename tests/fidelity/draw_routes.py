"""Random VirtualServices, with rules of every kind."""

from __future__ import annotations

from draw import GATEWAYS, HEADERS, PATHS, PORTS, SPACES, Draw, Json

__all__ = ["DrawRoutes"]


class DrawRoutes(Draw):
    """Draws VirtualServices."""

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
            allowHeaders=lambda: self.some(HEADERS, 2, 1),
            exposeHeaders=lambda: self.some(HEADERS, 2, 1),
            maxAge=lambda: self.pick(("1s", "24h")),
            allowCredentials=lambda: self.maybe(0.5),
            unmatchedPreflights=lambda: self.pick(("FORWARD", "IGNORE", "UNSPECIFIED")),
        )

    def redirect(self) -> Json:
        result = self.fill(
            {},
            0.5,
            uri=lambda: self.pick(PATHS),
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
            port=lambda: self.pick(PORTS),
            sourceLabels=lambda: {"app": self.pick(("client", "web"))},
            sourceNamespace=lambda: self.pick(SPACES),
            gateways=lambda: self.some(("mesh", *GATEWAYS), 2, 1),
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

    def virtual_service(self, index: int) -> None:
        namespace = self.pick(SPACES)
        hosts = [self.host() for _ in range(self.number(1, 2))]
        if self.maybe(0.15):
            hosts = [self.pick(("*.example.com", "*.default.svc.cluster.local", "*.svc.cluster.local"))]
        spec: Json = {"hosts": sorted(set(hosts))}
        if self.maybe(0.45):
            spec["gateways"] = self.some(("mesh", *GATEWAYS, "default/gate-a"), 3, 1)
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
