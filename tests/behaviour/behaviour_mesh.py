"""The mesh that behaviours are shown on, and short forms of rules and questions."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from labsupport.errors import ConfigRejectedError, ManifestError
from labsupport.lab.lab import Lab
from labsupport.lab.refs import ref_of
from labsupport.records import AccessRecord, ApplyResult, Response
from labsupport.traffic.observations import Observations

Json = dict[str, Any]

WEB = "http://web:8080"


def _namespace() -> str:
    if os.environ.get("WORKSHOP_ENGINE") != "cluster":
        return "default"
    from labsupport.engine.cluster.objects.namespace import chosen_name

    return chosen_name(None)


NAMESPACE = _namespace()
"""The lab's namespace on the engine that the tests run on."""
RULES = (
    "VirtualService", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "DestinationRule", "Gateway",
    "KubernetesGateway", "ReferenceGrant", "ServiceEntry", "Sidecar",
)  # fmt: skip
FROM_OUTSIDE = ("gateway:", "gateway/", "https:", "tcp://gateway", "tls:")


def _service(name: str, selector: Mapping[str, str], *ports: tuple[int, int]) -> Json:
    listed = [{"name": f"http-{port}", "port": port, "targetPort": target} for port, target in ports]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": dict(selector), "ports": listed},
    }


def _deployment(name: str, labels: Mapping[str, str], *, replicas: int = 1, inject: bool = True, **env: str) -> Json:
    own = {**labels, "sidecar.istio.io/inject": "true" if inject else "false"}
    values = [{"name": key, "value": value} for key, value in env.items()]
    container = {"name": "web", "image": "web", "ports": [{"containerPort": 5000}], "env": values}
    template = {
        "metadata": {"labels": own},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 5},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": dict(labels)}, "template": template},
    }


_V1 = {"app": "web", "version": "v1", "pool": "mixed"}
_V2 = {"app": "web", "version": "v2"}
_BARE = {"app": "bare", "version": "v1"}

APPLICATIONS = yaml.safe_dump_all(
    [
        _service("web", {"app": "web"}, (8080, 5000)),
        _deployment("web-v1", _V1, replicas=2),
        _deployment("web-v2", _V2),
        # The same pods by other names: what a Service is called and which ports it has costs no program.
        _service("shop", _V2, (80, 5000), (8080, 5000), (9090, 5000)),
        _service("ring", _V1, (8080, 5000)),
        _service("maglev", _V1, (8080, 5000)),
        _service("empty", {"app": "nobody-has-this"}, (8080, 5000)),
        # Two sound pods and one that fails whatever it is asked.
        _service("mixed", {"pool": "mixed"}, (8080, 5000)),
        _deployment("faulty", {"app": "faulty", "version": "v1", "pool": "mixed"}, FAIL_RATE="1", FAIL_STATUS="500"),
        # A pod without a sidecar, and a port at which nothing listens.
        _service("bare", _BARE, (8080, 5000)),
        _service("refusing", _BARE, (8080, 5999)),
        _deployment("bare", _BARE, inject=False),
    ]
)

SUBSETS: Json = {
    "name": "versions",
    "host": "web",
    "subsets": [
        {"name": "v1", "labels": {"version": "v1"}},
        {"name": "v2", "labels": {"version": "v2"}},
        {"name": "nobody", "labels": {"version": "v9"}},
    ],
}


def _rule(kind: str, name: str, spec: Mapping[str, Any]) -> Json:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": dict(spec),
    }


def to(host: str = "web", subset: str = "", *, port: int = 0, weight: int = 0, **more: Any) -> Json:
    """One entry of ``http[].route``."""
    destination: Json = {"host": host}
    if subset:
        destination["subset"] = subset
    if port:
        destination["port"] = {"number": port}
    return {"destination": destination, **({"weight": weight} if weight else {}), **more}


def virtual_service(
    *http: Json, hosts: Sequence[str] = ("web",), gateways: Sequence[str] = (), name: str = "web"
) -> Json:
    """A VirtualService of these rules; a rule without any action goes to the host ``web``."""
    actions = {"route", "redirect", "directResponse"}
    rules = [rule if actions & rule.keys() else {**rule, "route": [to()]} for rule in http]
    spec: Json = {"hosts": list(hosts), "http": rules}
    return _rule("VirtualService", name, {**spec, **({"gateways": list(gateways)} if gateways else {})})


def destination_rule(host: str = "web", *, name: str = "", **spec: Any) -> Json:
    """A DestinationRule."""
    return _rule("DestinationRule", name or host.split(".")[0].replace("*", "any"), {"host": host, **spec})


def gateway(*servers: Json, name: str = "entrance") -> Json:
    """A Gateway; of port 80 for all hosts unless other servers are given."""
    listed = list(servers) or [server()]
    return _rule("Gateway", name, {"selector": {"istio": "ingressgateway"}, "servers": listed})


def server(*hosts: str, number: int = 80, protocol: str = "HTTP", **more: Any) -> Json:
    """A server of a Gateway."""
    port = {"number": number, "name": f"{protocol.lower()}-{number}", "protocol": protocol}
    return {"port": port, "hosts": list(hosts) or ["*"], **more}


def service_entry(host: str, *, name: str = "entry", **spec: Any) -> Json:
    """A ServiceEntry with one HTTP port 80."""
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    return _rule("ServiceEntry", name, {"hosts": [host], "ports": ports, **spec})


def secret(text: str) -> Json:
    """A Secret as ``labsupport.certificates`` writes it, removed after the test."""
    made: Json = yaml.safe_load(text)
    made["metadata"]["labels"] = {"test": "behaviour"}
    return made


def secure_applications(certificate: str, key: str) -> str:
    """A web service that speaks TLS itself, in two versions, and an echo over TCP in two versions."""
    values = {"TLS_CERT": certificate, "TLS_KEY": key}
    seen: list[Json] = []
    for version in ("v1", "v2"):
        seen.append(_deployment(f"secure-{version}", {"app": "secure", "version": version}, **values))
        echo = _deployment(f"echo-{version}", {"app": "echo", "version": version}, inject=version == "v1")
        container = echo["spec"]["template"]["spec"]["containers"][0]
        container |= {"name": "echo", "image": "echo", "ports": [{"containerPort": 9000}]}
        seen.append(echo)
    secure = _service("secure", {"app": "secure"}, (443, 5000))
    secure["spec"]["ports"][0]["name"] = "https"
    echo = _service("echo", {"app": "echo"}, (9000, 9000), (9001, 9001))
    for port in echo["spec"]["ports"]:
        port["name"] = f"tcp-{port['port']}"
    return str(yaml.safe_dump_all([*seen, secure, echo]))


def subsets(host: str, **spec: Any) -> Json:
    """A DestinationRule with the subsets ``v1`` and ``v2``."""
    return destination_rule(host, subsets=SUBSETS["subsets"][:2], **spec)


def versions() -> Json:
    """The DestinationRule with the subsets of ``web``."""
    return destination_rule(name="versions", subsets=SUBSETS["subsets"])


class Mesh:
    """A lab with short verbs for rules and for what became of requests."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def apply(self, *rules: Json) -> ApplyResult:
        return self.lab.apply(yaml.safe_dump_all(rules, sort_keys=False), name="rules")

    def accept(self, rules: Sequence[Json]) -> list[Json]:
        """Apply a set, or what of it is not refused; returns what is in force."""
        wanted = list(rules)
        while wanted:
            try:
                self.apply(*wanted)
            except ManifestError as error:
                out = {problem.object for problem in error.problems}
                kept = [rule for rule in wanted if f"{rule['kind']}/{rule['metadata']['name']}" not in out]
                assert len(kept) < len(wanted), f"{error} names none of the objects"
                wanted = kept
                continue
            except ConfigRejectedError:
                # Rules of connections may say of one server name two things, which istiod leaves to Envoy to refuse.
                return []
            break
        return wanted

    def clear(self) -> None:
        """Remove all rules, of every namespace, and what tests made besides."""
        left = [rule for kind in RULES for rule in self.lab.get(kind, namespace="*")]
        made = [resource for kind in ("Secret", "Service") for resource in self.lab.get(kind)]
        left += [resource for resource in made if resource.metadata.labels.get("test") == "behaviour"]
        if left:
            self.lab.delete(*[ref_of(rule) for rule in left])

    def send(self, url: str, count: int = 1, *, source: str = "", **options: Any) -> Observations:
        """Send from the client's pod, or from outside to a gateway; one request after the other."""
        source = source or ("outside" if url.startswith(FROM_OUTSIDE) else "client")
        if not options.get("simultaneous"):
            options.setdefault("concurrency", 1)
        options.setdefault("keep_body", True)
        return self.lab.send(url, count=count, source=source, **options)

    def request(self, url: str, **options: Any) -> Response:
        """Send one request."""
        (seen,) = self.send(url, **options)
        return seen

    def echo(self, url: str, **options: Any) -> Json:
        """What the application saw of one request: method, path, query and headers."""
        seen = self.request(url, **options)
        assert seen.status == 200, seen
        told: Json = json.loads(seen.body)
        return told

    def records(self, seen: Response) -> list[AccessRecord]:
        return list(self.lab.access_log(seen))

    def connections(self, seen: Response, authority: str) -> list[AccessRecord]:
        """The lines about connections that are not HTTP, from a response on; a line is written when one ends."""
        deadline = time.monotonic() + 60
        while True:
            lines = self.lab.access_log(since_s=seen.started_s)
            told = [line for line in lines if line.protocol == "TCP" and line.authority == authority]
            if told:
                return told
            assert time.monotonic() < deadline, f"no proxy wrote a line about {authority!r}"
            time.sleep(0.02)

    def own(self, seen: Response) -> AccessRecord:
        """The line of the proxy that decided about a request."""
        records = [record for record in self.records(seen) if record.direction in ("outbound", "gateway")]
        assert records, f"no proxy wrote a line about {seen}"
        return records[0]

    def verdict(self, seen: Response) -> tuple[int, str, str]:
        """What the client got and why: status, Envoy's flags, its details."""
        line = self.own(seen)
        assert line.status == seen.status
        return seen.status, line.flags, line.details

    def arrivals(self, seen: Response) -> list[AccessRecord]:
        """The lines that servers' sidecars wrote about a request: one for each try and each copy."""
        return [record for record in self.records(seen) if record.direction == "inbound"]


def versions_of(seen: Observations) -> dict[str, int]:
    """How many requests each version answered."""
    return dict(seen.share("version").counts)
