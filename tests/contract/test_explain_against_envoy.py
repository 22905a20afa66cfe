"""Explanations against real Envoy: random rule sets, random requests, and what the proxy did with them.

The route tables are those that the control plane makes, in one Envoy, a listener for each. Every cluster is replaced by
an echo that tells path and host as they arrived, and each route tells in a header which clusters it would have used.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import explain_sets
import pytest
import requests

from labsupport.explain import Explanation, explain
from labsupport.mesh.envoy import binary
from labsupport.mesh.records import PodInfo, Proxy, ProxyResources
from labsupport.mesh.registry import Registry
from labsupport.mesh.translate import translate

pytestmark = pytest.mark.embedded

SETS = int(os.environ.get("EXPLAIN_SETS", "60"))
SEED = int(os.environ.get("EXPLAIN_SEED", "20261"))
REQUESTS = 20
TYPE = "type.googleapis.com/envoy."
HCM = f"{TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
PODS = {pod.name: pod for pod in explain_sets.PODS}


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

    def table(self, source: str, port: int) -> str:
        """The route table for a port, or an empty text."""
        name = f"http.{port}" if source.startswith("istio") else str(port)
        return name if name in self.proxies[source].routes else ""

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


def compare(made: Made, source: str, seen: Explanation, reply: http.client.HTTPResponse | None) -> str:
    """What differs between an explanation and what Envoy did; empty if nothing does."""
    kinds = {outcome.kind for outcome in seen.outcomes}
    if reply is None:
        return "" if kinds <= {"unknown_destination", "connection"} else f"Envoy has no table, predicted {kinds}"
    clusters = reply.headers.get("x-clusters")
    if clusters is None or "x-path-seen" not in reply.headers:
        first = seen.outcomes[0]
        if first.kind not in ("no_route", "redirect", "direct_response", "abort"):
            return f"Envoy answered {reply.status} itself, predicted {kinds}"
        location = reply.headers.get("location", "")
        if (reply.status, location) != (first.status, first.location):
            return f"Envoy answered {reply.status} {location}, predicted {first.status} {first.location}"
        return ""
    wanted = json.loads(clusters)
    if wanted[0][0] == "PassthroughCluster":
        return "" if kinds == {"unknown_destination"} else f"Envoy let it pass, predicted {kinds}"
    total = sum(weight for _, weight in wanted)
    actual = [(name, weight / total) for name, weight in wanted]
    predicted = [(item.cluster, item.share) for item in seen.destinations]
    if actual != predicted:
        return f"Envoy would use {actual}, predicted {predicted}"
    for item in seen.destinations:
        exists = item.cluster in made.proxies[source].clusters
        pods = made.pods_of(source, item.cluster) if exists else set()
        problem = "" if pods else "UH" if exists else "NC"
        if (item.problem, set(item.pods)) != (problem, pods):
            return f"{item.cluster} has {problem or pods}, predicted {item.problem or item.pods}"
    got = (reply.headers["x-path-seen"], reply.headers["x-host-seen"])
    if got != (seen.upstream_path, seen.upstream_authority):
        return f"the application saw {got}, predicted {(seen.upstream_path, seen.upstream_authority)}"
    return ""


def test_envoy_does_what_explanations_say(sets: list[Made], ports: dict[str, int]) -> None:
    problems = []
    kinds: set[str] = set()
    for number, made in enumerate(sets):
        for source, method, url, headers in made.set.requests:
            seen = explain(
                made.set.objects,
                explain_sets.PODS,
                url=url,
                method=method,
                headers=headers,
                source=PODS[source],
                namespace="default",
            )
            kinds.update(outcome.kind for outcome in seen.outcomes)
            table = made.table(source, seen.port if not source.startswith("istio") else 8080)
            port = ports.get(f"{number}/{source}/{table}") if table else None
            target = url.partition(":")[2] if url.startswith("gateway:") else "/" + url.split("/", 3)[3]
            difference = compare(made, source, seen, send(port, seen, target) if port else None)
            if difference:
                problems.append(f"set {number}, {method} {url} {headers} from {source}: {difference}\n{seen}")
    assert not problems, f"{len(problems)} differences, the first:\n{problems[0]}"
    # A generator that never makes some case proves nothing about it.
    assert kinds >= {"forwarded", "redirect", "direct_response", "abort", "no_route", "no_cluster", "no_endpoints"}
