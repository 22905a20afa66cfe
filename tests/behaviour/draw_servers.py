"""Random Gateways, and the rules of connections that are bound to them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from draw_matches import Matches
from draw_world import Json, World, of_kind

GATE_CERT = "gate-cert"
MUTUAL_CERT = "mutual-cert"


@dataclass
class Opened:
    """What random Gateways open.

    Args:
        servers: each behind the name of its Gateway.
        selecting: names of the Gateways that select the ingress gateway's pod.
    """

    servers: list[tuple[str, Json]] = field(default_factory=list)
    selecting: set[str] = field(default_factory=set)

    def of(self, names: set[str]) -> list[Json]:
        """Servers of some Gateways."""
        return [server for name, server in self.servers if name in names]

    @property
    def gateways(self) -> list[str]:
        """Names of all Gateways."""
        return list(dict.fromkeys(name for name, _ in self.servers))


class Servers(Matches):
    """Draws Gateways and what they pass on as connections.

    Args:
        dice: decides.
        world: what there is.
        objects: where objects are put.
    """

    def __init__(self, dice: random.Random, world: World, objects: list[Json]) -> None:
        super().__init__(dice, world)
        self.objects = objects
        self.opened = Opened()

    def draw_gateway(self, name: str) -> None:
        """Draw one Gateway."""
        servers: list[Json] = []
        for number in self.pick(((80,), (80,), (80, 8080), (8080,), (80, 80))):
            offered = (["*"], ["*"], ["*.example"], ["shop.example", "*.svc.cluster.local"], ["./*"], ["a.example"])
            server: Json = {"port": self._port(number, "HTTP", servers), "hosts": self.pick(offered)}
            if self.maybe(0.08):
                server["tls"] = {"httpsRedirect": True}
            servers.append(server)
        if self.world.connections and self.maybe(0.45):
            for _ in range(self.pick((1, 2, 3))):
                servers.append(self._other(servers))
        selector = {"istio": "ingressgateway"} if self.maybe(0.97) else {"istio": "other"}
        self.opened.servers += [(name, server) for server in servers]
        spec = {"selector": selector, "servers": servers}
        self.objects.append(of_kind("Gateway", name, self.world.spaces[0], spec))

    def draw_connection_rules(self, name: str) -> None:
        """Draw a VirtualService for connections, if a Gateway has a server for them."""
        servers = [
            (gate, server) for gate, server in self.opened.servers if server["port"]["protocol"] in ("TCP", "TLS")
        ]
        if not servers:
            return
        gate, chosen = self.pick(servers)
        gateways = [gate] if self.maybe(0.8) else self.opened.gateways
        spec: Json = {"hosts": ["*"], "gateways": gateways}
        if chosen.get("tls", {}).get("mode") == "PASSTHROUGH":
            names = self.pick((["sealed.example"], chosen["hosts"], ["sealed.example", "other.example"]))
            spec["hosts"] = names
            spec["tls"] = [self._tls_rule(names, chosen) for _ in range(self.pick((1, 1, 2)))]
        else:
            spec["hosts"] = self.pick((["*"], ["*"], ["bytes.example"]))
            spec["tcp"] = [self._tcp_rule(chosen, gateways) for _ in range(self.pick((1, 1, 2)))]
        self.objects.append(of_kind("VirtualService", name, self.world.spaces[0], spec))

    def _other(self, before: list[Json]) -> Json:
        """A server that is not plain HTTP."""
        kind = self.dice.choices(("SIMPLE", "MUTUAL", "PASSTHROUGH", "TCP", "TLS"), (5, 2, 4, 3, 2))[0]
        number = self.pick((443, 443, 8443))
        if kind == "TCP":
            return {"port": self._port(self.pick((9000, 9001)), "TCP", before), "hosts": ["*"]}
        if kind == "PASSTHROUGH":
            hosts = self.pick((["sealed.example"], ["sealed.example"], ["*.example"]))
            return {"port": self._port(number, "TLS", before), "hosts": hosts, "tls": {"mode": kind}}
        if kind == "TLS":
            tls = {"mode": "SIMPLE", "credentialName": GATE_CERT}
            return {"port": self._port(number, "TLS", before), "hosts": ["bytes.example"], "tls": tls}
        name = MUTUAL_CERT if kind == "MUTUAL" else GATE_CERT if self.maybe(0.95) else "gate-crt"
        hosts = self.pick((["*"], ["shop.example"], ["*.example"], ["a.example", "shop.example"]))
        port = self._port(number, "HTTPS", before)
        return {"port": port, "hosts": hosts, "tls": {"mode": kind, "credentialName": name}}

    def _port(self, number: int, protocol: str, before: list[Json]) -> Json:
        return {"number": number, "name": f"{protocol.lower()}-{number}-{len(before)}", "protocol": protocol}

    def _tls_rule(self, names: list[str], server: Json) -> Json:
        match: Json = {"sniHosts": [self.pick((*names, "sealed.example"))]}
        if match["sniHosts"][0] not in names and "*.example" not in names:
            match["sniHosts"] = [names[0]]
        if self.maybe(0.2):
            match["port"] = self.pick((server["port"]["number"], 443))
        subset = {"subset": "v1"} if self.maybe(0.15) else {}
        host = "sealed" if self.maybe(0.93) else "nobody"
        port = {"port": {"number": 443}} if self.maybe(0.6) else {}
        return {"match": [match], "route": [{"destination": {"host": host, **subset, **port}}]}

    def _tcp_rule(self, server: Json, gateways: list[str]) -> Json:
        rule: Json = {}
        if self.maybe(0.6):
            match: Json = {"port": self.pick((server["port"]["number"], server["port"]["number"], 9001))}
            if self.maybe(0.2):
                match["gateways"] = [self.pick(gateways)]
            rule["match"] = [match]
        port = {"port": {"number": 9000}} if self.maybe(0.6) else {}
        routes: list[Json] = [{"destination": {"host": self.pick(("echo-v1", "echo-v2", "echo")), **port}}]
        if self.maybe(0.4):
            routes.append({"destination": {"host": self.pick(("echo", "empty-echo")), **port}})
            routes = [
                {**route, "weight": weight} for route, weight in zip(routes, self.pick(((1, 1), (5, 0))), strict=True)
            ]
        rule["route"] = routes
        return rule
