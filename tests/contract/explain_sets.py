"""Random rule sets and requests, made from few names so that they meet often."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from labsupport import model
from labsupport.engine.base import Pod
from labsupport.manifest import Document
from labsupport.model.base import Origin

NETWORKING = "networking.istio.io/v1"
PATHS = ("/", "/foo", "/foo/bar", "/foobar", "/FOO", "/v1/a", "/v2", "/a/../foo", "/a//b", "/foo%2Fbar", "/f%6Fo")
QUERIES = ("", "", "?a=1", "?a=2&b", "?b=1&a=1", "?a=1&a=2")
URI = (
    {"prefix": "/"},
    {"prefix": "/foo"},
    {"prefix": "/foo/"},
    {"prefix": "/v"},
    {"exact": "/foo"},
    {"exact": "/foo/bar"},
    {"regex": "/v[0-9]+(/.*)?"},
    {"regex": ".*"},
    {"regex": "/fo"},
    {"prefix": ""},
    {},
)
TEXTS = ({"exact": "1"}, {"prefix": "1"}, {"regex": "[12]"}, {"regex": ".*"}, {"exact": "jason"}, {})
VALUES = ("1", "12", "2", "jason", "")
MESH_HOSTS = (
    "reviews",
    "web",
    "reviews.default.svc.cluster.local",
    "shop.other.svc.cluster.local",
    "web.default",
    "*.default.svc.cluster.local",
    "*.cluster.local",
    "shop.example.com",
    "*.example.com",
    "ext.example.org",
)
GATEWAY_HOSTS = (*MESH_HOSTS, "*")
CALLED = (
    "reviews",
    "reviews.default",
    "Reviews.default.svc.cluster.local",
    "web",
    "web.default.svc",
    "shop",
    "shop.other",
    "shop.example.com",
    "deep.shop.example.com",
    "ext.example.org",
    "nobody",
)


def _pod(name: str, namespace: str, **labels: str) -> Pod:
    return Pod(name, namespace, name, labels, injected=True, ready=not name.endswith("-resting"))


PODS = [
    _pod("client", "default", app="client", tier="gold"),
    _pod("stranger", "other", app="client", tier="lead"),
    _pod("istio-ingressgateway", "istio-system", app="istio-ingressgateway", istio="ingressgateway"),
    _pod("reviews-v1", "default", app="reviews", version="v1"),
    _pod("reviews-v2", "default", app="reviews", version="v2"),
    _pod("web-v1", "default", app="web", version="v1"),
    _pod("shop-v1", "other", app="shop", version="v1"),
]


@dataclass
class RuleSet:
    """Objects in order of age, and requests to try on them: (source, method, url, headers)."""

    objects: list[model.Resource]
    requests: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)


def make(seed: int, requests: int) -> RuleSet:
    """Make one rule set with requests; the same seed makes the same."""
    dice = random.Random(seed)
    raw = [
        _service("reviews", "default", 9080),
        _service("web", "default", 80, 8080),
        _service("shop", "other", 80, 9080),
        _gateway_service(),
    ]
    if dice.random() < 0.4:
        raw.append(_entry())
    makers = [_virtual_service] * dice.randint(1, 4) + [_destination_rule] * dice.randint(0, 3)
    makers += [_delegate] * dice.choice((0, 0, 1, 2)) + [_sidecar] * dice.choice((0, 0, 0, 1))
    makers += [_gateway] * dice.choice((0, 1, 1, 2))
    dice.shuffle(makers)
    raw += [maker(dice, f"r{number}") for number, maker in enumerate(makers)]
    _refer_to_delegates(dice, raw)
    if any(item["kind"] == "Sidecar" for item in raw):
        # Which hidden services stay known because of a rule then depends on rules for other namespaces; left out here.
        for match in _matches(raw):
            match.pop("sourceNamespace", None)
    for item in raw:
        if dice.random() < 0.1:
            item["metadata"]["creationTimestamp"] = f"{dice.choice((2020, 2021, 2031))}-01-01T00:00:00Z"
    seen: set[tuple[str, str, str]] = set()
    for item in raw:
        # A second Gateway of a name is another object, so that no set has the same object twice.
        key = (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
        item["metadata"]["name"] += f"-{len(seen)}" if key in seen else ""
        seen.add(key)
    objects = model.parse([Document(raw=item, origin=Origin(file="made.yaml")) for item in raw])
    return RuleSet(objects, [_request(dice) for _ in range(requests)])


def _object(kind: str, name: str, namespace: str, spec: dict[str, Any], api: str = NETWORKING) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def _service(name: str, namespace: str, *ports: int) -> dict[str, Any]:
    listed = [{"name": f"http-{port}", "port": port, "targetPort": 5000} for port in ports]
    return _object("Service", name, namespace, {"selector": {"app": name}, "ports": listed}, "v1")


def _gateway_service() -> dict[str, Any]:
    ports = [{"name": "http2", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}]
    spec = {"selector": {"istio": "ingressgateway"}, "ports": ports}
    return _object("Service", "istio-ingressgateway", "istio-system", spec, "v1")


def _entry() -> dict[str, Any]:
    spec = {
        "hosts": ["ext.example.org"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "192.0.2.1"}],
    }
    return _object("ServiceEntry", "ext", "default", spec)


def _some(dice: random.Random, of: Sequence[Any], low: int, high: int) -> list[Any]:
    return dice.sample(list(of), min(len(of), dice.randint(low, high)))


def _virtual_service(dice: random.Random, name: str) -> dict[str, Any]:
    gateways = dice.choice(([], [], ["mesh"], ["front"], ["front", "mesh"], ["other/back"], ["default/front"]))
    mesh = not gateways or "mesh" in gateways
    hosts: list[str] = []
    for host in _some(dice, MESH_HOSTS if mesh else GATEWAY_HOSTS, 1, 2):
        if not any(_overlap(host, other) for other in hosts):
            hosts.append(host)
    spec: dict[str, Any] = {"hosts": hosts, "http": [_rule(dice, number) for number in range(dice.randint(1, 4))]}
    if gateways:
        spec["gateways"] = gateways
    if dice.random() < 0.2:
        spec["exportTo"] = [dice.choice((".", "*", "other", "default"))]
    return _object("VirtualService", name, dice.choice(("default", "default", "other")), spec)


def _delegate(dice: random.Random, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"http": [_rule(dice, number) for number in range(dice.randint(1, 3))]}
    if dice.random() < 0.1:
        spec["exportTo"] = ["."]
    return _object("VirtualService", name, dice.choice(("default", "other")), spec)


def _refer_to_delegates(dice: random.Random, raw: list[dict[str, Any]]) -> None:
    """Let some rules hand over to a delegate."""
    services = [item for item in raw if item["kind"] == "VirtualService"]
    delegates = [item["metadata"] for item in services if "hosts" not in item["spec"]]
    for item in services:
        for rule in item["spec"]["http"]:
            if delegates and "hosts" in item["spec"] and "route" in rule and dice.random() < 0.4:
                del rule["route"]
                chosen = dice.choice(delegates)
                rule["delegate"] = {"name": chosen["name"], "namespace": chosen["namespace"]}


def _matches(raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
    services = [item for item in raw if item["kind"] == "VirtualService"]
    return [match for item in services for rule in item["spec"]["http"] for match in rule.get("match", ())]


def _sidecar(dice: random.Random, name: str) -> dict[str, Any]:
    hosts = dice.choice((["./*"], ["*/*"], ["default/*"], ["other/*", "~/*"], ["*/reviews.default.svc.cluster.local"]))
    spec: dict[str, Any] = {"egress": [{"hosts": hosts}]}
    if dice.random() < 0.5:
        spec["workloadSelector"] = {"labels": {"tier": dice.choice(("gold", "lead"))}}
    return _object("Sidecar", name, dice.choice(("default", "other", "istio-system")), spec)


def _overlap(one: str, other: str) -> bool:
    return one == other or "*" in (one[0], other[0])


def _rule(dice: random.Random, number: int) -> dict[str, Any]:
    rule: dict[str, Any] = {"name": f"n{number}"} if dice.random() < 0.3 else {}
    if dice.random() < 0.8:
        rule["match"] = [_match(dice) for _ in range(dice.randint(1, 3))]
    kind = dice.random()
    if kind < 0.1:
        rule["directResponse"] = {"status": dice.choice((200, 418, 503))}
        return rule
    if kind < 0.2:
        rule["redirect"] = dice.choice(
            (
                {"uri": "/new"},
                {"authority": "other.example.com"},
                {"uri": "/new", "authority": "other.example.com", "redirectCode": 307},
                {"scheme": "https"},
                {"port": 8443},
                {"scheme": "https", "derivePort": "FROM_REQUEST_PORT"},
                {"prefixRewrite": "/moved", "port": 81},
            )
        )
        if "prefixRewrite" in rule["redirect"]:
            rule["match"] = [{**match, "uri": {"prefix": "/foo"}} for match in rule.get("match", [{}])]
        return rule
    rule["route"] = [_destination(dice) for _ in range(dice.choice((1, 1, 2, 3)))]
    if len(rule["route"]) > 1:
        for item in rule["route"]:
            item["weight"] = dice.choice((0, 10, 30))
        rule["route"][0]["weight"] = 10
    if dice.random() < 0.25:
        rule["rewrite"] = dice.choice(
            (
                {"uri": "/new"},
                {"uri": "/"},
                {"authority": "inner.example.com"},
                {"uriRegexRewrite": {"match": "/(f|v)(o*)", "rewrite": "/\\2\\1"}},
            )
        )
    if dice.random() < 0.15:
        rule["headers"] = {"request": {"set": {"x-added": "1", **dice.choice(({}, {"Host": "set.example.com"}))}}}
        if "authority" in rule.get("rewrite", {}):
            rule["headers"]["request"]["set"].pop("Host", None)
    if dice.random() < 0.15:
        rule["fault"] = {
            "abort": {
                "httpStatus": 418,
                **dice.choice(({}, {"percentage": {"value": 100}}, {"percentage": {"value": 0}})),
            }
        }
    return rule


def _destination(dice: random.Random) -> dict[str, Any]:
    host = dice.choice(("reviews", "reviews", "web", "shop.other.svc.cluster.local", "nobody", "reviews.default"))
    destination: dict[str, Any] = {"host": host}
    if dice.random() < 0.5:
        destination["subset"] = dice.choice(("v1", "v2", "v9"))
    if dice.random() < 0.5:
        destination["port"] = {"number": dice.choice((80, 8080, 9080))}
    return {"destination": destination}


def _match(dice: random.Random) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if dice.random() < 0.6:
        match["uri"] = dice.choice(URI)
        if dice.random() < 0.2:
            match["ignoreUriCase"] = True
    if dice.random() < 0.3:
        match["headers"] = {dice.choice(("x-a", "end-user", "X-A", ":method")): dice.choice(TEXTS)}
    if dice.random() < 0.15:
        match["withoutHeaders"] = {dice.choice(("x-a", "end-user")): dice.choice((*TEXTS, {"regex": "*"}))}
    if dice.random() < 0.2:
        match["queryParams"] = {dice.choice(("a", "b")): dice.choice(TEXTS)}
    if dice.random() < 0.15:
        match["method"] = dice.choice(({"exact": "GET"}, {"regex": "P.*"}, {"prefix": "G"}))
    if dice.random() < 0.1:
        match["authority"] = dice.choice(({"prefix": "reviews"}, {"exact": "web:8080"}, {"regex": ".*9080"}))
    if dice.random() < 0.1:
        match["port"] = dice.choice((80, 8080, 9080))
    if dice.random() < 0.1:
        match["gateways"] = dice.choice((["mesh"], ["front"], ["mesh", "default/front"]))
    if dice.random() < 0.1:
        match["sourceLabels"] = {"tier": dice.choice(("gold", "lead"))}
    if dice.random() < 0.1:
        match["sourceNamespace"] = dice.choice(("default", "other"))
    return match


def _destination_rule(dice: random.Random, name: str) -> dict[str, Any]:
    subsets = [{"name": part, "labels": {"version": part}} for part in _some(dice, ("v1", "v2"), 0, 2)]
    if dice.random() < 0.5:
        subsets.append({"name": "v9", "labels": {"version": "v9"}})
    host = dice.choice(("reviews", "reviews.default.svc.cluster.local", "web", "*.default.svc.cluster.local", "shop"))
    spec: dict[str, Any] = {"host": host, "subsets": subsets}
    if dice.random() < 0.15:
        spec["workloadSelector"] = {"matchLabels": {"tier": dice.choice(("gold", "lead"))}}
        return _object("DestinationRule", name, dice.choice(("default", "other")), spec)
    if dice.random() < 0.2:
        spec["exportTo"] = [dice.choice((".", "*", "other"))]
    return _object("DestinationRule", name, dice.choice(("default", "default", "other", "istio-system")), spec)


def _gateway(dice: random.Random, name: str) -> dict[str, Any]:
    where, known = dice.choice((("default", "front"), ("default", "front"), ("other", "back")))
    servers = []
    for number in dice.choice(((80,), (80,), (80, 8080), (8080,))):
        server: dict[str, Any] = {
            "port": {"number": number, "name": f"http-{number}", "protocol": "HTTP"},
            "hosts": dice.choice((["*"], ["*"], ["*.example.com"], ["shop.example.com"], ["./*"], ["other/*"])),
        }
        if dice.random() < 0.1:
            server["tls"] = {"httpsRedirect": True}
        servers.append(server)
    return _object("Gateway", known, where, {"selector": {"istio": "ingressgateway"}, "servers": servers})


def _request(dice: random.Random) -> tuple[str, str, str, dict[str, str]]:
    headers = {name: dice.choice(VALUES) for name in ("x-a", "end-user") if dice.random() < 0.4}
    target = dice.choice(PATHS) + dice.choice(QUERIES)
    method = dice.choice(("GET", "GET", "POST"))
    if dice.random() < 0.35:
        headers["Host"] = dice.choice(CALLED)
        return "istio-ingressgateway", method, f"gateway:{target}" if target[:2] != "//" else "gateway:/", headers
    headers["Host"] = dice.choice(CALLED)
    port = dice.choice(("", ":8080", ":9080", ":9080"))
    return dice.choice(("client", "client", "stranger")), method, f"http://host{port}{target}", headers
