"""What the scenarios have in common: a mesh with short verbs, manifests, and waiting for a condition."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable

from labsupport.engine.protocol import Engine
from labsupport.model import parse
from labsupport.model.reading.documents import read
from labsupport.paths import manifests
from labsupport.records import ApplyResult, Response, TrafficSpec


class Mesh:
    """Short forms for what the scenarios do all the time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def gateway(self) -> str:
        """Name of the ingress gateway's pod."""
        return next(pod.name for pod in self.engine.pods() if pod.workload == "istio-ingressgateway")

    def host(self, service: str) -> str:
        """The full name of a Service in the lab's namespace."""
        return f"{service}.{self.engine.namespace}.svc.cluster.local"

    def apply(self, *sources: str) -> ApplyResult:
        """Apply YAML texts, or folders below manifests/ for what has no line break."""
        seen = []
        for source in sources:
            seen += parse(read(source if "\n" in source else manifests() / source))
        return self.engine.apply(seen)

    def send(self, url: str, count: int = 20, *, source: str = "client", **options: object) -> list[Response]:
        return list(self.engine.send(TrafficSpec(url, source=source, count=count, **options)))  # type: ignore[arg-type]

    def versions(self, url: str, count: int = 20, **options: object) -> dict[str, int]:
        seen = self.send(url, count, **options)  # type: ignore[arg-type]
        return dict(
            collections.Counter(response.path[0].version if response.path else response.outcome for response in seen)
        )


def web_manifests(*, inject: str = "true", safe: int = 2, risk: int = 1) -> str:
    return (
        SERVICE
        + deployment("web-safe", "safe", inject=inject, replicas=safe)
        + deployment("web-risk", "risk", inject=inject, replicas=risk)
    )


def deployment(
    name: str,
    version: str,
    *,
    inject: str = "true",
    replicas: int = 1,
    image: str = "web",
    env: str = "[]",
    proxy: str = "",
) -> str:
    annotations = f'{{proxy.istio.io/config: "{proxy}"}}' if proxy else "{}"
    return f"""
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web, version: {version}}}}}
  template:
    metadata:
      labels: {{app: web, version: {version}, sidecar.istio.io/inject: "{inject}"}}
      annotations: {annotations}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - {{name: web, image: {image}, ports: [{{containerPort: 5000}}], env: {env},
         readinessProbe: {{httpGet: {{path: /healthz, port: 5000}}, periodSeconds: 1}}}}
"""


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 8080, targetPort: 5000, nodePort: 31532}]
"""

VERSION = """
---
apiVersion: v1
kind: Service
metadata: {name: web-%s}
spec: {selector: {app: web, version: %s}, ports: [{name: http, port: 8080, targetPort: 5000}]}
"""

SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets:
  - {name: safe, labels: {version: safe}}
  - {name: risk, labels: {version: risk}}
  - {name: nobody, labels: {version: no-pod-has-this}}
"""


def weights(**shares: int) -> str:
    routes = "".join(
        f"\n    - {{destination: {{host: web, subset: {subset}}}, weight: {weight}}}"
        for subset, weight in shares.items()
    )
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web}}
spec:
  hosts: [web]
  http:
  - route:{routes}
"""


GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web-from-outside}
spec:
  hosts: ["*"]
  gateways: [web]
  http: [{route: [{destination: {host: web, port: {number: 8080}}}]}]
"""

URL = "http://web:8080/"


def eventually(condition: Callable[[], bool], seen: Callable[[], object] = lambda: "", timeout_s: float = 60.0) -> None:
    """Wait for a condition, and tell what was seen last when it does not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s; last seen: {seen()}"
        time.sleep(0.02)
