"""Random DestinationRules."""

from __future__ import annotations

from draw import PORTS, SPACES, SUBSETS, Draw, Json

__all__ = ["DrawPolicies"]


class DrawPolicies(Draw):
    """Draws DestinationRules."""

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
            numbers = self.some(PORTS, 2, 1)
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
                self.fill({"name": name, "labels": {"version": self.pick(SUBSETS)}}, 0.4, trafficPolicy=self.policy)
                for name in self.some(SUBSETS, 3, 1)
            ]
        if self.maybe(0.15):
            spec["workloadSelector"] = {"matchLabels": {"app": self.pick(("client", "web", "api"))}}
        elif self.maybe(0.15):
            spec["exportTo"] = self.pick((["."], ["*"], ["default", "blue"]))
        self.add("networking", "DestinationRule", f"dr-{index}", self.pick((*SPACES, "istio-system")), spec=spec)
