"""A small mesh for explanations: Bookinfo's services and pods, and rules as text."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

from labsupport import model
from labsupport.explain import Explanation, explain
from labsupport.model.reading import documents
from labsupport.records import Pod

APPS = Path(__file__).parents[3] / "manifests" / "apps"

SUBSETS = """
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: reviews}
    spec:
      host: reviews
      subsets:
      - {name: v1, labels: {version: v1}}
      - {name: v2, labels: {version: v2}}
      - {name: v3, labels: {version: v3}}
"""
GATEWAY = """
    apiVersion: networking.istio.io/v1
    kind: Gateway
    metadata: {name: front}
    spec:
      selector: {istio: ingressgateway}
      servers:
      - port: {number: 80, name: http, protocol: HTTP}
        hosts: ["*"]
"""


def pod(app: str, version: str = "v1", **changes: Any) -> Pod:
    values: dict[str, Any] = {
        "name": f"{app}-{version}-a",
        "namespace": "default",
        "workload": f"{app}-{version}",
        "labels": {"app": app, "version": version},
        "injected": True,
        "ready": True,
    }
    return Pod(**{**values, **changes})


CLIENT = pod("client", labels={"app": "client", "version": "v1", "tier": "gold"})
GATEWAY_POD = pod(
    "istio-ingressgateway",
    name="istio-ingressgateway-a",
    namespace="istio-system",
    workload="istio-ingressgateway",
    labels={"istio": "ingressgateway", "app": "istio-ingressgateway"},
)
PODS = [
    CLIENT,
    GATEWAY_POD,
    pod("productpage"),
    pod("details"),
    pod("ratings"),
    pod("reviews", "v1"),
    pod("reviews", "v2"),
    pod("reviews", "v3"),
    pod("web", "safe", injected=False),
    pod("web", "safe", name="web-safe-b", injected=False),
    pod("web", "risk", injected=False),
]


@cache
def _services() -> tuple[model.Resource, ...]:
    services = [documents.read(APPS / folder) for folder in ("bookinfo", "web")]
    return tuple(model.parse(document for documents in services for document in documents))


def rules(*texts: str) -> list[model.Resource]:
    """Bookinfo's and web's services, then the objects of each text in order of age."""
    text = "\n---\n".join(dedent(part) for part in texts)
    return [*_services(), *(model.parse(documents.read(text, file="rules.yaml")) if texts else ())]


def ask(*texts: str, url: str = "http://reviews:9080/reviews/0", **options: Any) -> Explanation:
    """Explain a request from the client pod, unless a source is given."""
    options.setdefault("source", CLIENT)
    options.setdefault("pods", PODS)
    return explain(rules(*texts), options.pop("pods"), url=url, **options)


def virtual_service(http: str, *, name: str = "reviews", hosts: str = "[reviews]", extra: str = "") -> str:
    """A VirtualService with the given ``http`` rules, as flow YAML."""
    return f"""
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: {name}}}
        spec: {{hosts: {hosts}, http: {http}{extra}}}
    """


def to(subset: str, **more: str) -> str:
    """A rule that sends everything to a subset of reviews, with more fields in front."""
    fields = "".join(f"{key}: {value}, " for key, value in more.items())
    return f"{{{fields}route: [{{destination: {{host: reviews, subset: {subset}}}}}]}}"
