"""Random rule sets and requests over two namespaces: services of every kind, rules of requests and of connections."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labsupport import model
from labsupport.model.reading.documents import Document
from labsupport.model.schema.base import Origin
from labsupport.records import Pod

sys.path.append(str(Path(__file__).parents[1] / "behaviour"))
from draw_requests import Drawing
from draw_world import Json, Target, World, of_kind

WORLD = World(
    targets=(
        Target("reviews", (9080,), ("v1", "v2")),
        Target("web", (80, 8080), ("v1",)),
        Target("shop", (80, 9080), ("v1",), "other"),
        Target("auto", (7000,), ("v1",)),
    ),
    empty=Target("empty", (8080,)),
    clients=(("client", "default"), ("client", "default"), ("stranger", "other")),
    spaces=("default", "default", "other"),
    labels=({"tier": "gold"}, {"tier": "lead"}, {"app": "client"}),
    door="web.default",
)
GATEWAY = "istio-ingressgateway"
DB, VAULT, CACHE = "10.96.0.11", "10.96.0.12", "10.96.0.13"


def _pod(name: str, namespace: str, **labels: str) -> Pod:
    return Pod(name, namespace, name, labels, injected=True, ready=not name.endswith("-resting"))


PODS = [
    _pod("client", "default", app="client", tier="gold"),
    _pod("stranger", "other", app="client", tier="lead"),
    _pod(GATEWAY, "istio-system", app=GATEWAY, istio="ingressgateway"),
    _pod("reviews-v1", "default", app="reviews", version="v1"),
    _pod("reviews-v2", "default", app="reviews", version="v2"),
    _pod("reviews-v2-resting", "default", app="reviews", version="v2"),
    _pod("web-v1", "default", app="web", version="v1"),
    _pod("shop-v1", "other", app="shop", version="v1"),
    _pod("db-v1", "default", app="db", version="v1"),
    _pod("db-v2", "default", app="db", version="v2"),
]


@dataclass
class Asked:
    """One request: who sends what; without a method it is a connection to an address and port."""

    source: str
    url: str
    method: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    address: str = ""


@dataclass
class RuleSet:
    """Objects in order of age, and requests to try on them."""

    objects: list[model.Resource]
    requests: list[Asked] = field(default_factory=list)


def make(seed: int, requests: int) -> RuleSet:
    """Make one rule set with requests; the same seed makes the same."""
    drawing = Drawing(seed, WORLD)
    dice = random.Random(seed + 1)
    raw = [*_services(dice), *drawing.rules]
    if dice.random() < 0.5:
        raw += [_connection_rule(dice, f"l4-{number}") for number in range(dice.randint(1, 2))]
    for item in raw:
        if dice.random() < 0.08:
            item["metadata"]["creationTimestamp"] = f"{dice.choice((2020, 2021, 2031))}-01-01T00:00:00Z"
    objects = model.parse([Document(raw=item, origin=Origin(file="made.yaml")) for item in raw])
    asked = []
    for request in drawing.requests(requests):
        source = GATEWAY if request.url.startswith("gateway:") else request.source
        asked.append(Asked(source, request.url, request.method, request.headers))
    return RuleSet(objects, asked + [_connection(dice) for _ in range(requests // 5)])


def _service(name: str, namespace: str, *ports: tuple[str, int], **spec: Any) -> Json:
    listed = [{"name": kind, "port": port, "targetPort": 5000} for kind, port in ports]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "annotations": {}},
        "spec": {"selector": {"app": name}, "ports": listed, **spec},
    }


def _services(dice: random.Random) -> list[Json]:
    made = [
        _service("reviews", "default", ("http", 9080)),
        _service("web", "default", ("http", 80), ("http-alt", 8080)),
        _service("shop", "other", ("http", 80), ("http-alt", 9080)),
        _service("auto", "default", ("unnamed", 7000), selector={"app": "web"}),
        _service("empty", "default", ("http", 8080)),
        _service("db", "default", ("tcp", 3306), clusterIP=DB),
        _service("vault", "default", ("tls", 443), clusterIP=VAULT, selector={"app": "db"}),
        _service("cache", "default", ("tcp", 6379), clusterIP=CACHE, selector={"app": "db", "version": "v2"}),
        _service(GATEWAY, "istio-system", selector={"istio": "ingressgateway"}),
    ]
    made[-1]["spec"]["ports"] = [
        {"name": "http2", "port": 80, "targetPort": 8080},
        {"name": "https", "port": 443, "targetPort": 8443},
    ]
    if dice.random() < 0.15:
        hidden = dice.choice(made[:3])
        hidden["metadata"]["annotations"]["networking.istio.io/exportTo"] = dice.choice((".", "other", "*"))
    if dice.random() < 0.2:
        made[0]["spec"]["clusterIP"] = "None"
    if dice.random() < 0.2:
        made.append(_service("alias", "default", ("http", 80), type="ExternalName"))
        made[-1]["spec"] |= {"externalName": "web.default.svc.cluster.local"}
        del made[-1]["spec"]["selector"]
    return made


def _connection_rule(dice: random.Random, name: str) -> Json:
    """A rule of connections for sidecars."""
    kind = dice.choice(("tcp", "tcp", "tls"))
    host = "vault" if kind == "tls" else dice.choice(("db", "cache"))
    rules = []
    for index in range(dice.randint(1, 2)):
        match: Json = {"sniHosts": [f"{host}.default.svc.cluster.local"]} if kind == "tls" else {}
        if dice.random() < 0.3:
            match["port"] = dice.choice((3306, 443, 6379))
        if dice.random() < 0.3:
            match["sourceLabels"] = {"tier": dice.choice(("gold", "lead"))}
        if dice.random() < 0.2:
            match["sourceNamespace"] = dice.choice(("default", "other"))
        # Envoy refuses a listener in which two rules have the same block of addresses.
        if kind == "tcp" and not index and name.endswith("-0") and dice.random() < 0.6:
            match["destinationSubnets"] = [dice.choice((f"{DB}/32", "10.96.0.8/29", "10.97.0.0/16"))]
        routes: list[Json] = []
        for _ in range(dice.choice((1, 1, 2))):
            port = dice.choice(({}, {"port": {"number": dice.choice((3306, 6379))}}))
            subset = {"subset": dice.choice(("v1", "v9"))} if dice.random() < 0.3 else {}
            routes.append({"destination": {"host": dice.choice(("db", "cache", "vault", "nobody")), **port, **subset}})
        if len(routes) > 1:
            routes = [{**route, "weight": weight} for route, weight in zip(routes, (10, 30), strict=True)]
        rules.append({"route": routes, **({"match": [match]} if match else {})})
    spec: Json = {"hosts": [f"{host}.default.svc.cluster.local"], kind: rules}
    if dice.random() < 0.15:
        spec["exportTo"] = [dice.choice((".", "other"))]
    return of_kind("VirtualService", name, dice.choice(("default", "default", "other")), spec) | {
        "spec": _in_full(spec, "default")
    }


def _in_full(spec: Json, namespace: str) -> Json:
    """The same with full names, so that it means the same in every namespace."""
    for kind in ("tcp", "tls"):
        for rule in spec.get(kind, ()):
            for route in rule["route"]:
                route["destination"]["host"] += f".{namespace}.svc.cluster.local"
    return spec


def _connection(dice: random.Random) -> Asked:
    source, space = dice.choice(WORLD.clients)
    name, port, address = dice.choice((("db", 3306, DB), ("cache", 6379, CACHE), ("vault", 443, VAULT)))
    host = name if space == "default" and dice.random() < 0.5 else f"{name}.default.svc.cluster.local"
    if name == "vault":
        return Asked(source, f"https://{host}/", address=address)
    return Asked(source, f"http://{host}:{port}/", address=address)
