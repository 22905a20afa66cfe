"""Requests that aim at the conditions of random rules, and miss some of them by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from draw_matches import PATHS
from draw_rules import ENTRY, Aim, Rules
from draw_world import Json, Target

CALLED_AT_GATEWAY = ("shop.example", "a.example", "SHOP.example", "none.test")


@dataclass
class Request:
    """One request, as arguments of ``lab.send`` and ``lab.explain``."""

    url: str
    source: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    certificate: bool = False

    def __str__(self) -> str:
        shown = " with a certificate" if self.certificate else ""
        return f"{self.method} {self.url} {self.headers} from {self.source}{shown}"


class Drawing(Rules):
    """Draws one set of rules and requests; equal seeds draw equal ones."""

    @property
    def rules(self) -> list[Json]:
        """The objects, in order of age."""
        return self.drawn.objects

    def requests(self, count: int) -> list[Request]:
        """Requests, most of which fulfil the conditions of some match entry, or all but one of them."""
        return [self._request() for _ in range(count)]

    def _request(self) -> Request:
        others = [server for _, server in self.opened.servers if server["port"]["protocol"] in ("TCP", "TLS")]
        if others and self.maybe(0.3):
            return self._connection(self.pick(others))
        if not self.drawn.aims or self.maybe(0.1):
            aim = Aim((), (), {}, {}, self.world.spaces[0])
        else:
            aim = self.pick(self.drawn.aims)
        match = aim.match
        query = {name: self.value(wanted) for name, wanted in match.get("queryParams", {}).items()}
        headers = {
            name.lower(): self.value(wanted)
            for name, wanted in match.get("headers", {}).items()
            if not name.startswith(":")
        }
        method = self.value(match["method"]) if "method" in match else self.pick(("GET", "GET", "GET", "POST"))
        if self.maybe(0.15):
            headers[self.pick(("x-a", "end-user"))] = self.pick(("1", "jason", "2", ""))
        if self.maybe(0.1):
            query[self.pick(("a", "b"))] = self.pick(("1", "2", "jason"))
        self._make_cross_origin(aim, headers)
        if "origin" in headers and self.maybe(0.6):
            method = "OPTIONS"
        path = self.path_for(match)
        if "retries" in aim.rule and "uri" not in match and self.maybe(0.5):
            path = "/status/503"
        missed = self.pick(("header", "query", "method", "path")) if self.maybe(0.2) else ""
        # Leaving one condition unfulfilled shows whether it counts.
        if missed == "header" and headers:
            headers.pop(self.pick(sorted(headers)))
        elif missed == "query" and query:
            query.pop(self.pick(sorted(query)))
        elif missed == "method":
            method = self.pick(("GET", "POST", "DELETE"))
        elif missed == "path":
            path = self.pick(PATHS)
        text = path + ("?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else "")
        if self._goes_to_gateway(aim):
            return self._at_gateway(aim, text, method, headers)
        return self._in_mesh(aim, text, method, headers)

    def _make_cross_origin(self, aim: Aim, headers: dict[str, str]) -> None:
        if not self.maybe(0.75 if "corsPolicy" in aim.rule else 0.03):
            return
        headers["origin"] = self.pick(("http://a.example", "http://a.example", "http://b.example", "http://c"))
        if self.maybe(0.85):
            headers["access-control-request-method"] = "GET"

    def _goes_to_gateway(self, aim: Aim) -> bool:
        named = [name for name in aim.gateways if name != "mesh"]
        if not named:
            return self.maybe(0.08)
        mesh_only = aim.match.get("gateways") == ["mesh"]
        return self.maybe(0.1 if mesh_only else 0.5 if "mesh" in aim.gateways else 0.95)

    def _at_gateway(self, aim: Aim, text: str, method: str, headers: dict[str, str]) -> Request:
        bound = {name.partition("/")[2] or name for name in aim.gateways}
        servers = [offered for offered in self.opened.of(bound) if offered["port"]["protocol"] in ("HTTP", "HTTPS")]
        fitting = [offered for offered in servers if offered["port"]["number"] == aim.match.get("port")]
        server = self.pick(fitting or servers) if servers and self.maybe(0.93) else {"port": {"number": 80}}
        number = server["port"]["number"]
        door = self.door(aim)
        host = (
            self._gateway_host(self.hosts_at(aim.hosts, server)) if self.maybe(0.92) else self.pick(CALLED_AT_GATEWAY)
        )
        secure = server["port"].get("protocol") == "HTTPS"
        if self.world.connections and self.maybe(0.02):
            secure = not secure
        if not secure:
            headers["Host"] = host.upper() if self.maybe(0.03) else host
            return Request(f"gateway{door}:{'' if number == 80 else number}{text}", "outside", method, headers)
        if self.maybe(0.12):
            headers["Host"] = self.pick(CALLED_AT_GATEWAY)
        shown = self.maybe(0.75 if server.get("tls", {}).get("mode") == "MUTUAL" else 0.1)
        port = "" if number == 443 else f":{number}"
        way = f"gateway{door}:" if door else ""
        return Request(f"{way}https://{host.lower()}{port}{text}", "outside", method, headers, certificate=shown)

    def hosts_at(self, hosts: Sequence[str], server: Json) -> Sequence[str]:
        """Which of the hosts of an aim are asked for at a server."""
        return hosts

    def door(self, aim: Aim) -> str:
        """Which gateway it is, as a URL has it behind the word; empty for Istio's own."""
        return ""

    def _connection(self, server: Json) -> Request:
        number = server["port"]["number"]
        port = "" if number == 443 else f":{number}"
        if server["port"]["protocol"] == "TCP":
            return Request(f"tcp://gateway:{number}", "outside", body="hello")
        if server["tls"]["mode"] == "PASSTHROUGH":
            name = self.pick(("sealed.example", "sealed.example", "other.example", "other.example", "none.test"))
            return Request(f"https://{name}{port}/headers", "outside")
        name = "bytes.example" if self.maybe(0.9) else "shop.example"
        return Request(f"tls://{name}{port}", "outside", body="hello")

    def _gateway_host(self, hosts: Sequence[str]) -> str:
        if not hosts:
            return str(self.pick(CALLED_AT_GATEWAY))
        host = str(self.pick(hosts))
        if host == "*":
            return str(self.pick(("shop.example", "a.example", "any.example", self.drawn.focus[0].host)))
        if host.startswith("*"):
            return ("deep.a" if self.maybe(0.3) else "a") + host[1:]
        target = self._named(host, "default")
        return target.host if target is not None and "." not in host else host

    def _in_mesh(self, aim: Aim, text: str, method: str, headers: dict[str, str]) -> Request:
        source, space = self.pick(self.world.clients)
        target = self._mesh_target(aim)
        if isinstance(target, str):
            headers["Host"] = target
            port = "" if self.maybe(0.9) else ":8080"
            return Request(f"http://{self.world.door}{port}{text}", source, method, headers)
        number = self.pick(target.ports)
        if aim.match.get("port") in target.ports and self.maybe(0.8):
            number = aim.match["port"]
        if self.maybe(0.03):
            number = 9999
        called = str(self.pick((target.names(space)[0], *target.names(space))))
        if "authority" in aim.match and self.maybe(0.7):
            # The condition looks at the very name that the client calls the service by.
            fitting = [name for name in target.names(space) if self._fits(aim.match["authority"], name)]
            called = self.pick(fitting) if fitting else called
        headers["Host"] = called.title() if self.maybe(0.04) else called
        door = self.world.door if "." in target.name else target.names(space)[0]
        return Request(f"http://{door}{'' if number == 80 else f':{number}'}{text}", source, method, headers)

    @staticmethod
    def _fits(wanted: Json, name: str) -> bool:
        ((kind, text),) = wanted.items()
        return name == text if kind == "exact" else name.startswith(text if kind == "prefix" else ("web", "shop"))

    def _mesh_target(self, aim: Aim) -> Target | str:
        """The service that a request calls, or a host that only rules know."""
        if self.maybe(0.03):
            return str(self.pick(("nobody", "wep", "imagined.example")))
        if not aim.hosts:
            return self.pick((*self.drawn.focus, self.world.empty))
        host = str(self.pick(aim.hosts))
        if host.endswith("example") and host != ENTRY.host:
            return host.replace("*", "a")
        if host.startswith("*"):
            fitting = [target for target in self.drawn.focus if target.host.endswith(host[1:])]
            return self.pick(fitting or list(self.drawn.focus))
        return self._named(host, aim.namespace) or self.pick(self.drawn.focus)

    def _named(self, host: str, namespace: str) -> Target | None:
        if host == ENTRY.host:
            return ENTRY
        full = host if "." in host else f"{host}.{namespace}.svc.cluster.local"
        return self.world.target(full)
