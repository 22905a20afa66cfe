"""A mesh of any size for the translation's bench: services, each with a VirtualService and a DestinationRule."""

from __future__ import annotations

from labsupport import model
from labsupport.controlplane.proxies import PodInfo, Proxy
from labsupport.controlplane.registry.registry import Registry
from labsupport.model import Resource
from labsupport.model.reading import documents

__all__ = ["addresses", "objects", "pods", "registry", "sidecar", "weighted"]

_SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: s{i}, namespace: default}}
spec: {{selector: {{app: s{i}}}, ports: [{{name: http, port: 8080}}]}}
"""
_RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: s{i}, namespace: default}}
spec:
  hosts: [s{i}]
  http:
  - match: [{{uri: {{prefix: /a}}}}]
    route: [{{destination: {{host: s{i}, subset: v1}}}}]
  - route:
    - {{destination: {{host: s{i}, subset: v1}}, weight: {first}}}
    - {{destination: {{host: s{i}, subset: v2}}, weight: {second}}}
"""
_POLICY = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: s{i}, namespace: default}}
spec:
  host: s{i}
  trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: 10}}}}}}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
"""


def _parse(texts: list[str]) -> list[Resource]:
    return model.parse(documents.read("---".join(texts)))


def weighted(i: int, first: int) -> Resource:
    """The VirtualService of one service with other weights."""
    return _parse([_RULE.format(i=i, first=first, second=100 - first)])[0]


def objects(count: int) -> list[Resource]:
    """All objects, three per service."""
    texts = [template.format(i=i, first=90, second=10) for i in range(count) for template in (_SERVICE, _RULE, _POLICY)]
    return _parse(texts)


def pods(count: int) -> list[PodInfo]:
    """Two versions of each service."""
    return [
        PodInfo(
            name=f"s{i}-v{version}-0",
            namespace="default",
            ip=f"10.{version}.{i // 250}.{i % 250 + 1}",
            labels={"app": f"s{i}", "version": f"v{version}"},
            workload=f"s{i}-v{version}",
        )
        for i in range(count)
        for version in (1, 2)
    ]


def addresses(count: int) -> dict[tuple[str, str], str]:
    """A cluster IP for each service."""
    return {("default", f"s{i}"): f"10.96.{i // 250}.{i % 250 + 1}" for i in range(count)}


def registry(listed: list[Resource], running: list[PodInfo]) -> Registry:
    """The desired state."""
    return Registry(listed, running, addresses=addresses(len(running) // 2))


def sidecar(pod: PodInfo) -> Proxy:
    """The sidecar of a pod."""
    return Proxy("sidecar", pod)
