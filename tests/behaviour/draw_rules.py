"""Random rules about a small world of services, with conditions that requests can be aimed at."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from draw_servers import Servers
from draw_world import Json, Target, World, of_kind

IMAGINED = ("imagined.example", "*.example")
ENTRY = Target("entry.example", (80, 8080), ("v1", "v2"))


@dataclass
class Aim:
    """What a request may be aimed at: one entry of one rule."""

    hosts: Sequence[str]
    gateways: Sequence[str]
    match: Json
    rule: Json
    namespace: str


@dataclass
class Drawn:
    """One set.

    Args:
        objects: in order of age.
        aims: entries of its rules.
        focus: the services that most of it is about.
    """

    objects: list[Json] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    focus: list[Target] = field(default_factory=list)


class Rules(Servers):
    """Draws one set of rules; equal seeds draw equal ones."""

    def __init__(self, seed: int, world: World) -> None:
        self.drawn = Drawn()
        super().__init__(random.Random(seed), world, self.drawn.objects)
        self.drawn.focus = self.dice.sample(list(world.targets), 2)
        self.subsets: dict[str, list[str]] = {}
        self.delegates: list[tuple[str, str]] = []
        for number in range(self.pick((0, 1, 1, 2))):
            self.draw_gateway(f"gate-{number}")
        if self.maybe(0.2):
            self.drawn.objects.append(self._entry())
            self.drawn.focus.append(ENTRY)
        for number in range(self.pick((0, 1, 2, 2, 3))):
            self._destination_rule(f"dr-{number}")
        if self.maybe(0.25):
            self._delegate()
        for number in range(self.pick((1, 1, 2, 2, 3))):
            self._virtual_service(f"vs-{number}")
        for number in range(self.pick((0, 1, 2))):
            self.draw_connection_rules(f"l4-{number}")
        if self.maybe(0.25):
            self._sidecar()
        self.dice.shuffle(self.drawn.objects)

    # --- hosts --------------------------------------------------------------------------------------------------

    def _space(self) -> str:
        return str(self.pick(self.world.spaces))

    def _target(self) -> Target:
        return self.pick(self.drawn.focus) if self.maybe(0.8) else self.pick((*self.world.targets, self.world.empty))

    def _mesh_hosts(self, namespace: str) -> list[str]:
        target = self.pick(self.drawn.focus)
        if self.maybe(0.12):
            return [self.pick((f"*.{target.namespace}.svc.cluster.local", "*.svc.cluster.local", "*.local"))]
        if self.maybe(0.08):
            return [self.pick(IMAGINED)]
        hosts = [self.pick(target.written(namespace))]
        if self.maybe(0.2):
            other = self._target()
            if other.host != target.host:
                hosts.append(self.pick(other.written(namespace)))
        if self.maybe(0.08):
            hosts.append("imagined.example")
        return hosts

    def _gateway_hosts(self) -> list[str]:
        known = [target.host for target in self.drawn.focus]
        choices = (["*"], ["shop.example"], ["shop.example"], ["*.example"], ["shop.example", "a.example"], known[:1])
        return list(self.pick(choices))

    def _destination(self, namespace: str, port: int = 0) -> Json:
        if self.maybe(0.05):
            return {"host": self.pick(("nobody", "wep", f"{self.pick(self.drawn.focus).name}.default"))}
        target = self._target()
        destination: Json = {"host": self.pick(target.written(namespace))}
        known = self.subsets.get(target.host, [])
        if known and self.maybe(0.55):
            destination["subset"] = self.pick(known)
        elif self.maybe(0.05):
            destination["subset"] = self.pick(("v1", "v7", "V1"))
        if self.maybe(0.65):
            destination["port"] = {"number": self.pick(target.ports)}
        elif self.maybe(0.06):
            destination["port"] = {"number": 9999}
        return destination

    # --- VirtualServices ----------------------------------------------------------------------------------------

    def _virtual_service(self, name: str) -> None:
        known = self.opened.gateways
        bound: list[list[str]] = [[], [], ["mesh"]]
        if known:
            bound += [[self.pick(known)], [self.pick(known)], [self.pick(known), "mesh"], known]
        gateways = self.pick(bound) if self.maybe(0.97) else ["gate-7"]
        namespace = self._space()
        mesh = not gateways or "mesh" in gateways
        hosts = self._mesh_hosts(namespace) if mesh else self._gateway_hosts()
        # Gateways of the world are in the first of its namespaces.
        home = self.world.spaces[0]
        named = [gateway if gateway == "mesh" or namespace == home else f"{home}/{gateway}" for gateway in gateways]
        http = self._http(name, hosts, named, namespace)
        for index, rule in enumerate(http[:2]):
            if self.delegates and "route" in rule and "mirror" not in rule and self.maybe(0.5):
                space, delegate = self.pick(self.delegates)
                kept = {key: rule[key] for key in ("name", "match", "timeout", "headers") if key in rule}
                http[index] = {**kept, "delegate": {"name": delegate, "namespace": space}}
        spec: Json = {"hosts": hosts, "http": http}
        if gateways:
            spec["gateways"] = named
        if self.maybe(0.12):
            spec["exportTo"] = [self.pick((".", "*", "elsewhere", *self.world.spaces))]
        self.drawn.objects.append(of_kind("VirtualService", name, namespace, spec))

    def _delegate(self) -> None:
        namespace = self._space()
        http = self._http("sub", [target.host for target in self.drawn.focus], [], namespace)
        spec: Json = {"http": http}
        if self.maybe(0.1):
            spec["exportTo"] = [self.pick((".", "elsewhere"))]
        self.delegates.append((namespace, "sub"))
        self.drawn.objects.append(of_kind("VirtualService", "sub", namespace, spec))

    def _http(self, name: str, hosts: Sequence[str], gateways: Sequence[str], namespace: str) -> list[Json]:
        ports = [port for target in self.drawn.focus for port in target.ports]
        count = self.pick((1, 2, 2, 3, 4))
        rules = []
        for index in range(count):
            rule = self._rule(f"{name}-{index}", namespace)
            if index < count - 1 or self.maybe(0.5):
                entries = range(self.pick((1, 1, 1, 2, 3)))
                rule["match"] = [self.match(f"m{number}", gateways, ports) for number in entries]
                if "prefixRewrite" in rule.get("redirect", {}):
                    rule["match"] = [{**match, "uri": {"prefix": "/headers"}} for match in rule["match"]]
            elif "prefixRewrite" in rule.get("redirect", {}):
                rule["redirect"] = {"uri": "/new"}
            self.drawn.aims += [Aim(hosts, gateways, match, rule, namespace) for match in rule.get("match", ({},))]
            rules.append(rule)
        return rules

    def _rule(self, name: str, namespace: str) -> Json:
        rule: Json = {"name": name} if self.maybe(0.85) else {}
        kind = self.dice.random()
        if kind < 0.08:
            body = {"body": {"string": "said by the proxy"}} if self.maybe(0.5) else {}
            rule |= {"directResponse": {"status": self.pick((200, 418, 503)), **body}}
        elif kind < 0.18:
            rule["redirect"] = self._redirect()
        else:
            rule["route"] = self._route(namespace)
            self._add_policies(rule, namespace)
        if self.maybe(0.2) and "authority" not in rule.get("rewrite", {}):
            rule["headers"] = self._headers("x-new", host="route" in rule)
        return rule

    def _route(self, namespace: str) -> list[Json]:
        routes: list[Json] = [{"destination": self._destination(namespace)} for _ in range(self.pick((1, 1, 1, 2, 3)))]
        for route in routes:
            if len(routes) > 1:
                route["weight"] = self.pick((0, 10, 30))
            if self.maybe(0.12):
                route["headers"] = self._headers("x-there", host=False)
        routes[0] |= {"weight": 10} if len(routes) > 1 else {}
        return routes

    def _add_policies(self, rule: Json, namespace: str) -> None:
        if self.maybe(0.25):
            rule["rewrite"] = self._rewrite()
        if self.maybe(0.12):
            share = self.pick((None, 0, 50, 100, 100))
            percentage = {} if share is None else {"percentage": {"value": share}}
            error = self.pick(({"httpStatus": 421}, {"httpStatus": 421}, {"grpcStatus": "UNAVAILABLE"}))
            rule["fault"] = {"abort": {**error, **percentage}}
        elif self.maybe(0.08):
            share = self.pick(({}, {"percentage": {"value": 100}}))
            rule["fault"] = {"delay": {"fixedDelay": "10ms", **share}}
        if self.maybe(0.12):
            rule["mirror"] = self._destination(namespace)
            if self.maybe(0.3):
                rule["mirrorPercentage"] = {"value": self.pick((0, 100))}
        elif self.maybe(0.06):
            rule["mirrors"] = [{"destination": self._destination(namespace)} for _ in range(2)]
        if self.maybe(0.25):
            attempts = self.pick((0, 1, 3))
            retries: Json = {"attempts": attempts}
            if attempts:
                retries |= {"backoff": "1ms", **self.pick(({"retryOn": "5xx"}, {"retryOn": "503"}, {}))}
            rule["retries"] = retries
        if self.maybe(0.25):
            rule["timeout"] = self.pick(("10s", "1m", "7500ms"))
        if self.maybe(0.18):
            rule["corsPolicy"] = self._cors()

    def _cors(self) -> Json:
        allowed = self.pick(({"exact": "http://a.example"}, {"prefix": "http://a"}, {"regex": "http://[ab].*"}))
        policy: Json = {"allowOrigins": [allowed]} if self.maybe(0.9) else {"allowOrigin": ["http://a.example"]}
        if self.maybe(0.5):
            policy |= {"allowMethods": ["GET", "PUT"], "allowHeaders": ["x-a"], "maxAge": "24h"}
        if self.maybe(0.4):
            policy |= {"exposeHeaders": ["x-b", "x-c"], "allowCredentials": True}
        if self.maybe(0.2):
            policy["unmatchedPreflights"] = "IGNORE"
        return policy

    def _headers(self, new: str, *, host: bool) -> Json:
        request: Json = {}
        if self.maybe(0.7):
            request["set"] = {self.pick(("x-a", new)): self.pick(("set", "100%%", "%REQ(END-USER)%"))}
            if host and self.maybe(0.2):
                request["set"]["Host"] = "set.example"
        if self.maybe(0.4):
            request["add"] = {self.pick(("x-a", "end-user", new)): "added"}
        if self.maybe(0.4):
            request["remove"] = [self.pick(("x-a", "end-user", "user-agent"))]
        response: Json = {}
        if self.maybe(0.5):
            response = {"set": {"x-answer": new}, **({"remove": ["x-path"]} if self.maybe(0.1) else {})}
        return {**({"request": request} if request else {}), **({"response": response} if response else {})}

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
            {"prefixRewrite": "/moved", "port": 81},
        )
        return dict(self.pick(choices))

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
        return dict(self.pick(choices))

    # --- the others ---------------------------------------------------------------------------------------------

    def _destination_rule(self, name: str) -> None:
        namespace = self._space()
        target = self._target()
        host = self.pick(target.written(namespace))
        if self.maybe(0.15):
            host = self.pick((f"*.{target.namespace}.svc.cluster.local", "*.cluster.local"))
        chosen = self.dice.sample(("v1", "v2", "nobody"), self.pick((0, 1, 2, 3, 3)))
        subsets: list[Json] = [
            {"name": subset, "labels": {"version": subset.replace("nobody", "v9")}, **self._policy(0.25)}
            for subset in chosen
        ]
        self.subsets.setdefault(target.host, []).extend(chosen)
        spec: Json = {"host": host, "subsets": subsets, **self._policy(0.5)}
        if self.maybe(0.12):
            spec["workloadSelector"] = {"matchLabels": self.pick(self.world.labels)}
        elif self.maybe(0.15):
            spec["exportTo"] = [self.pick((".", "*", "elsewhere", *self.world.spaces))]
        self.drawn.objects.append(of_kind("DestinationRule", name, namespace, spec))

    def _policy(self, share: float) -> Json:
        if not self.maybe(share):
            return {}
        policy: Json = {"loadBalancer": self._balancer()}
        if self.maybe(0.3):
            policy["connectionPool"] = {"http": {"http1MaxPendingRequests": 100}}
        if self.maybe(0.3):
            port = self.pick(self.pick(self.drawn.focus).ports)
            policy["portLevelSettings"] = [{"port": {"number": port}, "loadBalancer": self._balancer()}]
        return {"trafficPolicy": policy}

    def _balancer(self) -> Json:
        choices: tuple[Json, ...] = (
            {"simple": "ROUND_ROBIN"},
            {"simple": "RANDOM"},
            {"consistentHash": {"httpHeaderName": "x-a"}},
            {"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 251}}},
        )
        return dict(self.pick(choices))

    def _entry(self) -> Json:
        ports = [
            {"number": port, "name": f"http-{port}", "protocol": "HTTP", "targetPort": 5000} for port in ENTRY.ports
        ]
        spec: Json = {"hosts": [ENTRY.host], "ports": ports, "location": "MESH_INTERNAL", "resolution": "STATIC"}
        if self.maybe(0.8):
            spec["workloadSelector"] = {"labels": {"app": "web"}}
        if self.maybe(0.15):
            spec["exportTo"] = ["."]
        return of_kind("ServiceEntry", "entry", self.world.spaces[0], spec)

    def _sidecar(self) -> None:
        target = self.pick(self.drawn.focus)
        other = self.pick(self.world.targets)
        choices = (
            ["./*"],
            ["*/*"],
            [f"*/{target.host}"],
            [f"./{target.host}", f"*/{other.host}"],
            [f"*/*.{target.namespace}.svc.cluster.local"],
            ["*/*", f"~*/{other.host}"],
            ["elsewhere/*"],
        )
        egress: list[Json] = [{"hosts": list(self.pick(choices))}]
        if self.maybe(0.3):
            port = {"number": self.pick(target.ports), "protocol": "HTTP", "name": "http"}
            egress.insert(0, {"port": port, "hosts": [f"*/{target.host}"]})
        spec: Json = {"egress": egress}
        if self.maybe(0.5):
            spec["workloadSelector"] = {"labels": self.pick(self.world.labels)}
        self.drawn.objects.append(of_kind("Sidecar", "limits", self._space(), spec))
