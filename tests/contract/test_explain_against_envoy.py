"""Explanations against real Envoy: random rule sets, random requests, and what the proxy did with them.

The route tables and the listeners of connections are those that the control plane makes, for sidecars of two
namespaces and for a gateway, all in one Envoy. Every cluster is replaced by an echo that tells path and host as they
arrived, and each route tells in a header which clusters it would have used; each filter chain tells it to whom
connects. So it holds as well what the embedded mesh does not run: other namespaces, mesh-bound rules of connections.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import explain_sets
import pytest
import requests
from explained_features import features

from labsupport.controlplane.proxies import PodInfo, Proxy, ProxyResources
from labsupport.controlplane.registry.registry import Registry
from labsupport.controlplane.translate import translate
from labsupport.engine.embedded.envoy.binary import binary
from labsupport.explain import Explanation, explain
from labsupport.explain.records import ANSWERED_BEFORE

pytestmark = pytest.mark.embedded

SETS = int(os.environ.get("EXPLAIN_SETS", "60"))
SEED = int(os.environ.get("EXPLAIN_SEED", "20261"))
REQUESTS = 20
TYPE = "type.googleapis.com/envoy."
HCM = f"{TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
PODS = {pod.name: pod for pod in explain_sets.PODS}
# How many of a thousand requests usually meet what rules can say. A run has to have a sixth of each, less two: so one
# of a few hundred short runs with other seeds fails by chance, and a long one never does.
RATES = {
    "ends: forwarded": 400, "ends: redirect": 15, "ends: direct_response": 15, "ends: abort": 5, "ends: no_route": 40,
    "ends: no_cluster": 40, "ends: no_endpoints": 10, "ends: unknown_destination": 20, "weights": 40, "subset": 15,
    "by gateway": 100, "by sidecar": 400, "chosen: a delegate's": 5, "held: sniHosts": 3, "failed: sourceLabels": 10,
    "ignored: hidden by exportTo": 15, "ignored: hidden by a Sidecar": 2, "ignored: an older rule on the host": 15,
    "held: sourceNamespace": 3, "held: destinationSubnets": 1, "rules of several objects": 5,
}  # fmt: skip
MOST_UNKNOWN = 0.25


class Made:
    """One rule set, and what the control plane makes of it for each proxy."""

    def __init__(self, seed: int) -> None:
        self.set = explain_sets.make(seed, REQUESTS)
        infos = {
            pod.name: PodInfo(
                name=pod.name,
                namespace=pod.namespace,
                ip=f"10.244.0.{number}",
                labels=pod.labels,
                workload=pod.workload,
                ready=pod.ready,
            )
            for number, pod in enumerate(explain_sets.PODS, start=1)
        }
        self.names = {info.ip: name for name, info in infos.items()}
        registry = Registry(self.set.objects, list(infos.values()))
        self.proxies: dict[str, ProxyResources] = {}
        for name in ("client", "stranger", "istio-ingressgateway"):
            role = "gateway" if name.startswith("istio") else "sidecar"
            self.proxies[name] = translate(registry, Proxy(role=role, pod=infos[name]))  # type: ignore[arg-type]

    def table(self, source: str, port: int, host: str) -> str:
        """The route table for a port, or an empty text; a detected port of a service with an address has its own."""
        name = f"http.{8080 if port == 80 else port}" if source == explain_sets.GATEWAY else str(port)
        return name if name in self.proxies[source].routes else ""

    def connections(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Listeners of connections, with the name of their proxy and their own."""
        for proxy, resources in self.proxies.items():
            for name, config in resources.listeners.items():
                if config.get("traffic_direction") == "OUTBOUND" and name.startswith("10.96."):
                    yield f"{proxy}/{name}", config

    def pods_of(self, source: str, cluster: str) -> set[str]:
        """Names of the pods (or addresses) behind a cluster that take traffic."""
        assignment = self.proxies[source].endpoints.get(cluster, {})
        return {
            self.names.get(address, address)
            for group in assignment.get("endpoints", ())
            for endpoint in group.get("lb_endpoints", ())
            if endpoint.get("health_status", "HEALTHY") in ("HEALTHY", "UNKNOWN")
            for address in [endpoint["endpoint"]["address"]["socket_address"]["address"]]
        }


def marked(route: dict[str, Any]) -> dict[str, Any]:
    """A route that sends to the echo, and tells in a header where it would have sent to."""
    result = {key: value for key, value in route.items() if key != "metadata"}
    if "route" not in route:
        return result
    action = route["route"]
    if "weighted_clusters" in action:
        clusters = [(part["name"], part["weight"]) for part in action["weighted_clusters"]["clusters"]]
    else:
        clusters = [(action["cluster"], 1)]
    kept = ("prefix_rewrite", "regex_rewrite", "host_rewrite_literal")
    result["route"] = {"cluster": "echo", **{key: action[key] for key in kept if key in action}}
    result["response_headers_to_add"] = [{"header": {"key": "x-clusters", "value": json.dumps(clusters)}}]
    return result


def telling(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """A listener of connections that tells each of them which clusters it would have been led to.

    A header of the PROXY protocol stands for the captured address.
    """

    def chain(filter_chain: dict[str, Any]) -> dict[str, Any]:
        proxy = filter_chain["filters"][-1]["typed_config"]
        parts = proxy.get("weighted_clusters", {}).get("clusters") or [{"name": proxy["cluster"], "weight": 1}]
        text = json.dumps([(part["name"], part["weight"]) for part in parts])
        kind = f"{TYPE}extensions.filters.network.direct_response.v3.Config"
        made = {"filters": [{"name": "x", "typed_config": {"@type": kind, "response": {"inline_string": text}}}]}
        return made | (
            {"filter_chain_match": filter_chain["filter_chain_match"]} if filter_chain.get("filter_chain_match") else {}
        )

    inspectors = [
        listener_filter
        for listener_filter in config.get("listener_filters", ())
        if "http_inspector" not in listener_filter["name"]
    ]
    by_proxy = {"@type": f"{TYPE}extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"}
    made = {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "listener_filters": [{"name": "proxy", "typed_config": by_proxy}, *inspectors],
        "filter_chains": [chain(filter_chain) for filter_chain in config["filter_chains"]],
    }
    default = config.get("default_filter_chain")
    return made | ({"default_filter_chain": chain(default)} if default else {})


def listener(name: str, table: dict[str, Any]) -> dict[str, Any]:
    hosts = [{**host, "routes": [marked(route) for route in host.get("routes", ())]} for host in table["virtual_hosts"]]
    filters = [
        {
            "name": f"envoy.filters.http.{kind}",
            "typed_config": {"@type": f"{TYPE}extensions.filters.http.{kind}.v3.{of}"},
        }
        for kind, of in (("fault", "HTTPFault"), ("cors", "Cors"), ("router", "Router"))
    ]
    manager = {
        "@type": HCM,
        "stat_prefix": "x",
        "normalize_path": True,
        "route_config": {**table, "virtual_hosts": hosts},
        "http_filters": filters,
    }
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }


ECHO = {
    "name": "echo",
    "ignore_port_in_host_matching": True,
    "virtual_hosts": [
        {
            "name": "echo",
            "domains": ["*"],
            "routes": [{"match": {"prefix": ""}, "direct_response": {"status": 200}}],
            "response_headers_to_add": [
                {"header": {"key": "x-path-seen", "value": "%REQ(:PATH)%"}},
                {"header": {"key": "x-host-seen", "value": "%REQ(:AUTHORITY)%"}},
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def sets() -> list[Made]:
    return [Made(SEED * 1000 + number) for number in range(SETS)]


@pytest.fixture(scope="module")
def ports(sets: list[Made]) -> Iterator[dict[str, int]]:
    """Port of each route table's listener, in one Envoy, by ``set/proxy/table``."""
    listeners = [
        listener(f"{number}/{name}/{table}", config)
        for number, made in enumerate(sets)
        for name, resources in made.proxies.items()
        for table, config in resources.routes.items()
        if config.get("virtual_hosts")
    ]
    listeners += [
        telling(f"{number}/{name}", config) for number, made in enumerate(sets) for name, config in made.connections()
    ]
    with tempfile.TemporaryDirectory() as folder:
        echo = listener("echo", ECHO)
        pipe = {"pipe": {"path": f"{folder}/echo"}}
        echo["address"] = pipe
        # The echo must not tidy up what it is to tell.
        echo["filter_chains"][0]["filters"][0]["typed_config"]["normalize_path"] = False
        cluster = {
            "name": "echo",
            "type": "STATIC",
            "load_assignment": {
                "cluster_name": "echo",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": pipe}}]}],
            },
        }
        bootstrap = {
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "static_resources": {"listeners": [echo, *listeners], "clusters": [cluster]},
        }
        config = Path(folder, "envoy.json")
        config.write_text(json.dumps(bootstrap))
        admin = Path(folder, "admin")
        with Path(folder, "log").open("w") as log:
            arguments = ["-c", str(config), "--admin-address-path", str(admin), "--disable-hot-restart"]
            process = subprocess.Popen(
                [str(binary()), *arguments, "--concurrency", "1", "-l", "error"], stdout=log, stderr=log
            )
        try:
            yield _ready(process, admin, Path(folder, "log"))
        finally:
            process.terminate()
            process.wait(timeout=20)


def _ready(process: subprocess.Popen[bytes], admin: Path, log: Path) -> dict[str, int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            address = f"http://{admin.read_text().strip()}"
            if requests.get(f"{address}/ready", timeout=5).text.strip() == "LIVE":
                statuses = requests.get(f"{address}/listeners?format=json", timeout=20).json()["listener_statuses"]
                return {
                    status["name"]: status["local_address"]["socket_address"]["port_value"]
                    for status in statuses
                    if "socket_address" in status["local_address"]
                }
        except (OSError, requests.RequestException):
            pass
        time.sleep(0.05)
    raise AssertionError(f"Envoy is not ready: {log.read_text()[-3000:]}")


def send(port: int, explanation: Explanation, target: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(explanation.method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", explanation.authority)
        for name, value in explanation.headers.items():
            if name.lower() != "host":
                connection.putheader(name, value)
        if explanation.method == "POST":
            connection.putheader("Content-Length", "0")
        connection.endheaders()
        reply = connection.getresponse()
        reply.read()
        return reply
    finally:
        connection.close()


def connect(port: int, seen: Explanation, asked: explain_sets.Asked) -> str:
    """What a filter chain tells a connection to an address of the mesh; a TLS client only says hello."""
    hello = b""
    if asked.url.startswith("https:"):
        written = ssl.MemoryBIO()
        context = ssl.create_default_context()
        client = context.wrap_bio(ssl.MemoryBIO(), written, server_hostname=seen.authority.partition(":")[0])
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
        hello = written.read()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"PROXY TCP4 127.0.0.1 {asked.address} 40000 {seen.port}\r\n".encode() + hello)
        told = b""
        with suppress(ConnectionResetError):
            while piece := connection.recv(4096):
                told += piece
        return told.decode()


def led(made: Made, source: str, seen: Explanation, clusters: str) -> str:
    """What differs between an explanation and where Envoy would lead to, with weights; empty if nothing does."""
    kinds = {outcome.kind for outcome in seen.outcomes}
    wanted = json.loads(clusters)
    if wanted[0][0] in ("PassthroughCluster", "BlackHoleCluster"):
        return "" if kinds == {"unknown_destination"} else f"Envoy let it pass, predicted {kinds}"
    total = sum(weight for _, weight in wanted)
    actual = [(name, weight / total) for name, weight in wanted]
    # What a fault or a preflight takes reaches no destination; Envoy's weights divide what is left.
    left = 1 - sum(outcome.share for outcome in seen.outcomes if outcome.kind in ANSWERED_BEFORE)
    predicted = [(item.cluster, item.share / left) for item in seen.destinations] if left else []
    same = [name for name, _ in actual] == [name for name, _ in predicted]
    if not same or [share for _, share in actual] != pytest.approx([share for _, share in predicted]):
        return f"Envoy would use {actual}, predicted {predicted}"
    for item in seen.destinations:
        cluster = made.proxies[source].clusters.get(item.cluster)
        if cluster is not None and cluster["type"] == "ORIGINAL_DST":
            # It connects to the address that the client has looked up.
            problem, pods = "", set(item.pods)
        else:
            pods = made.pods_of(source, item.cluster) if cluster is not None else set()
            problem = "" if pods else "UH" if cluster is not None else "NC"
        if (item.problem, set(item.pods)) != (problem, pods):
            return f"{item.cluster} has {problem or pods}, predicted {item.problem or item.pods}"
    return ""


def compare(made: Made, source: str, seen: Explanation, reply: http.client.HTTPResponse | None) -> str:
    """What differs between an explanation and what Envoy did; empty if nothing does."""
    kinds = {outcome.kind for outcome in seen.outcomes}
    if reply is None:
        return "" if kinds <= {"unknown_destination", "connection"} else f"Envoy has no table, predicted {kinds}"
    clusters = reply.headers.get("x-clusters")
    if clusters is None or "x-path-seen" not in reply.headers:
        location = reply.headers.get("location", "")
        itself = ("no_route", "redirect", "direct_response", "abort", "preflight")
        predicted = [(response.status, response.location) for response in seen.outcomes if response.kind in itself]
        if (reply.status, location) not in predicted:
            return f"Envoy answered {reply.status} {location} itself, predicted {kinds}, {predicted}"
        return ""
    difference = led(made, source, seen, clusters)
    if difference or not seen.destinations:
        return difference
    got = (reply.headers["x-path-seen"], reply.headers["x-host-seen"])
    if got != (seen.upstream_path, seen.upstream_authority):
        return f"the application saw {got}, predicted {(seen.upstream_path, seen.upstream_authority)}"
    return ""


def difference(number: int, made: Made, asked: explain_sets.Asked, seen: Explanation, ports: dict[str, int]) -> str:
    if not asked.method:
        port = ports.get(f"{number}/{asked.source}/{asked.address}_{seen.port}")
        # Without a listener of its own, a connection is passed on as it is.
        told = connect(port, seen, asked) if port else '[["PassthroughCluster", 1]]'
        return led(made, asked.source, seen, told)
    table = made.table(asked.source, seen.port, seen.authority)
    listener = ports.get(f"{number}/{asked.source}/{table}") if table else None
    target = "/" + asked.url.partition("//")[2].partition("/")[2]
    if asked.url.startswith("gateway:"):
        target = asked.url.partition(":")[2].lstrip("0123456789")
    return compare(made, asked.source, seen, send(listener, seen, target) if listener else None)


def test_envoy_does_what_explanations_say(sets: list[Made], ports: dict[str, int]) -> None:
    problems = []
    met: Counter[str] = Counter()
    for number, made in enumerate(sets):
        for asked in made.set.requests:
            seen = explain(
                made.set.objects,
                explain_sets.PODS,
                url=asked.url,
                method=asked.method or "GET",
                headers=asked.headers,
                source=PODS[asked.source],
                namespace="default",
                captured=True,
            )
            met.update(features(seen))
            if text := difference(number, made, asked, seen, ports):
                problems.append(f"set {number}, {asked}: {text}\n{seen}")
    assert not problems, f"{len(problems)} differences, the first:\n" + "\n".join(problems[:3])
    # A generator that never makes some case proves nothing about it.
    sent = sum(len(made.set.requests) for made in sets)
    rare = {name: met[name] for name, rate in RATES.items() if met[name] < rate * sent // 6000 - 2}
    assert not rare, f"of {sent} requests, hardly any met these: {rare}; all of them: {sorted(met.items())}"
    assert met["ends: unknown_destination"] < MOST_UNKNOWN * sent
