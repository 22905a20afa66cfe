"""Random rules about the applications of these tests, and requests that aim at the rules' conditions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from behaviour_mesh import Json, destination_rule, gateway, server, service_entry, to, virtual_service

PATHS = ("/headers", "/headers/foo", "/headers/foo/bar", "/headers/Foo", "/", "/name", "/headers/v1/x", "/other")
URIS: tuple[Json, ...] = (
    {"exact": "/headers"},
    {"exact": "/headers/foo"},
    {"prefix": "/headers"},
    {"prefix": "/headers/foo"},
    {"prefix": "/headers/"},
    {"prefix": "/"},
    {"prefix": ""},
    {"regex": "/headers/v[0-9]/.*"},
    {"regex": "/(name|other)"},
    {"regex": ".*"},
    {},
)
SAMPLES = {
    "/headers/v[0-9]/.*": ("/headers/v1/x", "/headers/v2/"),
    "/(name|other)": ("/name", "/other"),
    ".*": PATHS,
    "j.*n": ("jason", "jn"),
    "[0-9]+": ("1", "42"),
    "*": ("any",),
    "GET|PUT": ("GET", "PUT"),
    "(?i)web.*": ("WEB", "web.default"),
}
TEXTS: tuple[Json, ...] = (
    {},
    {"exact": "jason"},
    {"exact": "1"},
    {"prefix": "ja"},
    {"prefix": "4"},
    {"regex": "j.*n"},
    {"regex": "[0-9]+"},
    {},
)
NAMES = ("x-a", "end-user", "X-Odd-Case")
MESH_HOSTS = (
    "web",
    "web",
    "shop",
    "web.default.svc.cluster.local",
    "*.default.svc.cluster.local",
    "*.svc.cluster.local",
    "shop",
    "imagined.example",
    "*.example",
    "entry.example",
)
GATEWAY_HOSTS = (
    "*",
    "shop.example",
    "shop.example",
    "shop.example",
    "*.example",
    "web",
    "web.default.svc.cluster.local",
)
CALLED = ("web", "Web.default", "shop", "shop.default.svc", "web.default.svc.cluster.local", "imagined.example")
CALLED_AT_GATEWAY = ("shop.example", "a.example", "web.default.svc.cluster.local", "SHOP.example", "none.test")


@dataclass
class Request:
    """One request, as arguments of ``lab.send`` and ``lab.explain``."""

    url: str
    source: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.url} {self.headers} from {self.source}"


class Drawing:
    """Draws one set of rules and requests; equal seeds draw equal ones."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.matches: list[tuple[list[str], list[str], Json, bool]] = []
        self.rules: list[Json] = []
        for number in range(self.dice.randint(1, 4)):
            self.rules.append(self._virtual_service(f"vs-{number}"))
        for number in range(self.dice.choice((0, 1, 2, 2))):
            self.rules.append(self._destination_rule(f"dr-{number}"))
        for number in range(self.dice.choice((0, 1, 1, 1, 2))):
            self.rules.append(self._gateway(f"gate-{number}"))
        if self._maybe(0.2):
            self.rules.append(service_entry("entry.example", resolution="STATIC"))
        self.dice.shuffle(self.rules)

    def requests(self, count: int) -> list[Request]:
        """Requests, most of which fulfil the conditions of some match entry, or all but one of them."""
        return [self._request() for _ in range(count)]

    def _maybe(self, share: float) -> bool:
        return self.dice.random() < share

    def _pick(self, of: Sequence[Any]) -> Any:
        return self.dice.choice(of)

    # --- rules --------------------------------------------------------------------------------------------------

    def _virtual_service(self, name: str) -> Json:
        gateways = self._pick(([], [], ["mesh"], ["gate-0"], ["gate-0"], ["gate-0", "mesh"], ["gate-0", "gate-1"]))
        mesh = not gateways or "mesh" in gateways
        hosts = [self._pick(MESH_HOSTS if mesh else GATEWAY_HOSTS)]
        if self._maybe(0.3) and "*" not in hosts[0]:
            hosts.append(self._pick([host for host in ("shop", "mixed", "imagined.example") if host not in hosts]))
        rules = []
        for index in range(self.dice.randint(1, 4)):
            rules.append(self._rule(f"{name}-{index}"))
            for match in rules[-1].get("match", ()):
                self.matches.append((hosts, gateways, match, "corsPolicy" in rules[-1]))
        return virtual_service(*rules, hosts=hosts, gateways=gateways, name=name)

    def _rule(self, name: str) -> Json:
        rule: Json = {"name": name}
        if self._maybe(0.75):
            rule["match"] = [{**self._match(), "name": f"m{index}"} for index in range(self.dice.randint(1, 3))]
        kind = self.dice.random()
        if kind < 0.12:
            return {**rule, "directResponse": {"status": self._pick((200, 418, 503))}}
        if kind < 0.24:
            return {**rule, "redirect": self._redirect()}
        rule["route"] = [self._destination() for _ in range(self._pick((1, 1, 1, 2, 3)))]
        if len(rule["route"]) > 1:
            for one in rule["route"]:
                one["weight"] = self._pick((0, 10, 30))
            rule["route"][0]["weight"] = 10
        if self._maybe(0.3):
            rule["rewrite"] = self._rewrite()
        if self._maybe(0.15) and "authority" not in rule.get("rewrite", {}):
            rule["headers"] = {"request": {"set": {self._pick(("Host", "x-a", "x-new")): "set.example"}}}
        if self._maybe(0.15):
            share = self._pick((None, 0, 50, 100))
            percentage = {} if share is None else {"percentage": {"value": share}}
            rule["fault"] = {"abort": {"httpStatus": 421, **percentage}}
        if self._maybe(0.15):
            rule["mirror"] = self._destination()["destination"]
        if self._maybe(0.15):
            rule["retries"] = {"attempts": self._pick((0, 2)), "backoff": "1ms"}
            if not rule["retries"]["attempts"]:
                del rule["retries"]["backoff"]
        if self._maybe(0.15):
            rule["timeout"] = "10s"
        if self._maybe(0.3):
            allowed = self._pick(({"exact": "http://a.example"}, {"prefix": "http://a"}, {"regex": "http://[ab].*"}))
            rule["corsPolicy"] = {"allowOrigins": [allowed]}
        return rule

    def _redirect(self) -> Json:
        choices: tuple[Json, ...] = (
            {"uri": "/new"},
            {"authority": "other.example", "redirectCode": 307},
            {"uri": "/new?z=1", "authority": "other.example"},
            {"scheme": "https"},
            {"port": 8443},
            {"port": 80, "scheme": "https"},
            {"scheme": "https", "derivePort": "FROM_REQUEST_PORT"},
            {"authority": "other.example", "derivePort": "FROM_PROTOCOL_DEFAULT"},
        )
        return dict(self._pick(choices))

    def _rewrite(self) -> Json:
        choices: tuple[Json, ...] = (
            {"uri": "/headers/new"},
            {"uri": "/headers/"},
            {"uri": "/"},
            {"authority": "inner.example"},
            {"uri": "/headers/both", "authority": "inner.example"},
            {"uriRegexRewrite": {"match": "^/headers/(.*)$", "rewrite": "/headers/again/\\1"}},
            {"uriRegexRewrite": {"match": "o", "rewrite": "0"}},
        )
        return dict(self._pick(choices))

    def _destination(self) -> Json:
        subset = self._pick(("", "", "", "v1", "v1", "v2", "v2", "nobody"))
        host = self._pick(
            ("web", "web", "web", "shop", "shop", "bare", "empty", "web.default.svc.cluster.local", "none")
        )
        # A destination without port has that of the request, which only works where both services have it.
        return to(host, subset, port=self._pick((0, 8080, 8080, 80 if host == "shop" else 8080)))

    def _match(self) -> Json:
        match: Json = {}
        if self._maybe(0.65):
            match["uri"] = self._pick(URIS)
            if self._maybe(0.2):
                match["ignoreUriCase"] = True
        if self._maybe(0.3):
            match["headers"] = {self._pick(NAMES): self._pick(TEXTS)}
        if self._maybe(0.12):
            match["withoutHeaders"] = {self._pick(NAMES): self._pick((*TEXTS, {"regex": "*"}))}
        if self._maybe(0.2):
            match["queryParams"] = {self._pick(("a", "b")): self._pick(TEXTS)}
        if self._maybe(0.15):
            match["method"] = self._pick(({"exact": "GET"}, {"prefix": "P"}, {"regex": "GET|PUT"}))
        if self._maybe(0.08):
            match["authority"] = self._pick(({"prefix": "web"}, {"exact": "shop"}, {"regex": "(?i)web.*"}))
        if self._maybe(0.08):
            match["scheme"] = self._pick(({"exact": "http"}, {"prefix": "https"}))
        if self._maybe(0.1):
            match["port"] = self._pick((80, 8080, 9090))
        if self._maybe(0.1):
            match["gateways"] = self._pick((["mesh"], ["gate-0"], ["mesh", "gate-1"]))
        if self._maybe(0.1):
            match["sourceLabels"] = self._pick(({"app": "client"}, {"app": "other"}, {"istio": "ingressgateway"}))
        if self._maybe(0.05):
            match["sourceNamespace"] = self._pick(("default", "istio-system"))
        return match

    def _destination_rule(self, name: str) -> Json:
        known = {"v1": {"version": "v1"}, "v2": {"version": "v2"}, "nobody": {"version": "v9"}}
        chosen = self.dice.sample(sorted(known), self._pick((0, 1, 2, 3, 3, 3)))
        spec: Json = {"subsets": [{"name": one, "labels": known[one]} for one in chosen]}
        if self._maybe(0.4):
            balancer = self._pick(
                (
                    {"simple": "ROUND_ROBIN"},
                    {"simple": "RANDOM"},
                    {"consistentHash": {"httpHeaderName": "x-a"}},
                    {"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 251}}},
                )
            )
            spec["trafficPolicy"] = {"loadBalancer": balancer}
        if self._maybe(0.1):
            spec["workloadSelector"] = {"matchLabels": self._pick(({"app": "client"}, {"app": "other"}))}
        host = self._pick(("web", "web", "shop", "*.default.svc.cluster.local", "web.default.svc.cluster.local"))
        return destination_rule(host, name=name, **spec)

    def _gateway(self, name: str) -> Json:
        offered = self._pick((["*"], ["*"], ["*.example"], ["shop.example", "*.svc.cluster.local"], ["./*"]))
        more: Json = {"tls": {"httpsRedirect": True}} if self._maybe(0.1) else {}
        return gateway(server(*offered, **more), name=name)

    # --- requests -----------------------------------------------------------------------------------------------

    def _request(self) -> Request:
        aimed = bool(self.matches) and self._maybe(0.85)
        hosts, gateways, match, cors = self._pick(self.matches) if aimed else ([], [], {}, False)
        path = self._path(match)
        query = {
            name: value
            for name, wanted in match.get("queryParams", {}).items()
            if (value := self._value(wanted)) is not None
        }
        if self._maybe(0.2):
            query[self._pick(("a", "b"))] = self._pick(("1", "2", "jason"))
        headers = {
            name.lower(): value
            for name, wanted in match.get("headers", {}).items()
            if (value := self._value(wanted)) is not None
        }
        if self._maybe(0.2):
            headers[self._pick(("x-a", "end-user"))] = self._pick(("1", "jason", "2", ""))
        method = self._value(match["method"]) if "method" in match else self._pick(("GET", "GET", "POST"))
        if self._maybe(0.1):
            method = self._pick(("GET", "POST", "DELETE"))
        if self._maybe(0.5 if cors else 0.05):
            method = "OPTIONS"
            headers |= {
                "origin": self._pick(("http://a.example", "http://a.example", "http://b.example", "http://c")),
                "access-control-request-method": "GET",
            }
        # Leaving one condition unfulfilled shows whether it counts.
        if headers and self._maybe(0.2):
            headers.pop(self._pick(sorted(headers)))
        if query and self._maybe(0.2):
            query.pop(self._pick(sorted(query)))
        text = path + ("?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else "")
        at_gateway = self._maybe(0.8) if gateways and "mesh" not in gateways else self._maybe(0.25)
        if at_gateway:
            headers["Host"] = self._host(hosts) if hosts and self._maybe(0.7) else self._pick(CALLED_AT_GATEWAY)
            return Request(f"gateway:{text}", "outside", method, headers)
        called = self._host(hosts) if hosts and self._maybe(0.75) else self._pick(CALLED)
        imagined = called.endswith(".example")
        usual = "" if imagined else ":8080" if called.startswith(("web", "Web")) else self._pick(("", ":8080", ":9090"))
        port = self._pick(("", ":8080", ":9090")) if self._maybe(0.1) else usual
        if "port" in match and self._maybe(0.7):
            port = f":{match['port']}".removesuffix(":80")
        headers["Host"] = called
        return Request(f"http://host{port}{text}", "client", method, headers)

    def _host(self, hosts: Sequence[str]) -> str:
        host: str = self._pick(hosts)
        if host == "*":
            return str(self._pick(CALLED_AT_GATEWAY))
        if host.startswith("*."):
            return str(self._pick(("web", "shop"))) + ".default" + host[1:].removeprefix(".default")
        return host

    def _path(self, match: Json) -> str:
        path = self._value(match["uri"], PATHS) if "uri" in match else self._pick(PATHS)
        kind = next(iter(match.get("uri", ())), "")
        if kind == "prefix" and self._maybe(0.5):
            path += self._pick(("", "x", "/x", "foo"))
        if self._maybe(0.15):
            path = self._pick(PATHS)
        if self._maybe(0.15):
            path = path.swapcase()
        return path if path.startswith("/") and not path.startswith("//") else "/"

    def _value(self, wanted: Json, free: Sequence[str] = ("1", "jason", "")) -> Any:
        """A text that fulfils a condition."""
        if not wanted:
            return self._pick(free)
        ((kind, text),) = wanted.items()
        if kind == "regex":
            return self._pick(SAMPLES.get(text, (text,)))
        if kind == "prefix":
            return {"P": "PUT", "https": "https"}.get(text, text + self._pick(("", "son", "2"))) if text else "/"
        return text
