"""Random rules whose policies bite while requests are under way: short limits, small pools, quick ejections."""

from __future__ import annotations

import re
from collections.abc import Sequence

from draw_requests import Drawing, Request
from draw_world import Json

FAILING = ("/status/503", "/status/500", "/slow?seconds=0.2")


class Biting(Drawing):
    """Draws one set of rules and requests; equal seeds draw equal ones."""

    def requests(self, count: int) -> list[Request]:
        """As drawn, but half of them ask for what a limit or an ejection is for."""
        return [self._failing(request) if self.maybe(0.5) else request for request in super().requests(count)]

    def match(self, name: str, gateways: Sequence[str], ports: Sequence[int]) -> Json:
        """Draw one match entry; most say nothing of the path, so that failing and slow paths fit."""
        drawn = super().match(name, gateways, ports)
        if self.maybe(0.7):
            drawn.pop("uri", None)
        return drawn

    def _rule(self, name: str, namespace: str) -> Json:
        rule = super()._rule(name, namespace)
        return rule if "route" in rule or self.maybe(0.3) else super()._rule(name, namespace)

    def _failing(self, request: Request) -> Request:
        if request.body is not None:
            return request
        way = re.match(r"(\w+://[^/]+|gateway:\d*)", request.url)
        assert way is not None, request
        request.url = way[1] + self.pick(FAILING)
        return request

    def _policy(self, share: float) -> Json:
        if not self.maybe(min(1.0, 2 * share)):
            return {}
        policy: Json = {}
        if self.maybe(0.6):
            policy["connectionPool"] = self.pick(
                (
                    {"tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}},
                    {"http": {"http2MaxRequests": 1}},
                    {"http": {"maxRequestsPerConnection": 1, "maxRetries": 1}},
                )
            )
        if self.maybe(0.8):
            policy["outlierDetection"] = {
                self.pick(("consecutive5xxErrors", "consecutiveGatewayErrors")): self.pick((1, 2)),
                "interval": "0.05s",
                "baseEjectionTime": self.pick(("0.2s", "30s")),
                "maxEjectionPercent": self.pick((50, 100, 100)),
            }
        if self.maybe(0.3):
            policy["loadBalancer"] = self._balancer()
        if self.maybe(0.3):
            port = self.pick(self.pick(self.drawn.focus).ports)
            policy["portLevelSettings"] = [{"port": {"number": port}, "loadBalancer": self._balancer()}]
        return {"trafficPolicy": policy} if policy else {}

    def _add_policies(self, rule: Json, namespace: str) -> None:
        super()._add_policies(rule, namespace)
        if self.maybe(0.3):
            rule["timeout"] = self.pick(("30ms", "80ms", "150ms"))
        elif self.maybe(0.5):
            rule.pop("timeout", None)
            rule["retries"] = {
                "attempts": self.pick((1, 2)),
                "backoff": "1ms",
                "perTryTimeout": self.pick(("20ms", "60ms")),
                **self.pick(({}, {"retryOn": "5xx"}, {"retryOn": "gateway-error,connect-failure"})),
            }
        if self.maybe(0.15):
            rule["fault"] = {"delay": {"fixedDelay": "50ms", "percentage": {"value": self.pick((50, 100))}}}
