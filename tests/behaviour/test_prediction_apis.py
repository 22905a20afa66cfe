"""The prediction APIs as their original manifests write them: images, gunicorn, ports, labels and subsets."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from labsupport.course.scenes import scene
from labsupport.engine.embedded.pods.programs import find_programs
from labsupport.lab.lab import Lab
from labsupport.records import ApplyResult
from labsupport.traffic.observations import Observations

EXTRA = "" if os.environ.get("CI") else find_programs().lacks("predict")
pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(bool(EXTRA), reason=f"the extra {EXTRA} is not installed"),
]
SPACE = "models"
_DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 1
  selector:
    matchLabels: {{app: {app}}}
  template:
    metadata:
      labels: {{app: {app}{version}}}
      annotations:
        sidecar.istio.io/inject: "true"
        sidecar.istio.io/proxyCPU: "128m"
        sidecar.istio.io/proxyMemory: "128Mi"
        proxy.istio.io/config: "{{'concurrency':'1'}}"
    spec:
      containers:
      - name: container
        image: gcr.io/a-project/{image}-image-gke:latest
        imagePullPolicy: Always
        ports: [{{containerPort: {port}, name: http-server}}]
        env: [{{name: {variable}, value: "{value}"}}]
        command: ["/bin/sh", "-c"]
        args: ["gunicorn app:app --bind 0.0.0.0:{port} -w 1 -k uvicorn.workers.UvicornWorker --reload"]
        resources: {{limits: {{cpu: 500m, memory: "300Mi"}}}}
---
"""
_SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: LoadBalancer
  ports: [{{port: {port}, targetPort: {port}, protocol: TCP}}]
  selector: {{app: {app}}}
---
"""
_RULE = """
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {{name: {host}}}
spec:
  host: {host}
  trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}}}
  subsets:
  - {{name: {pod}-subset{one}, labels: {{version: {pod}-version{one}}}}}
  - {{name: {pod}-subset{two}, labels: {{version: {pod}-version{two}}}}}
---
"""
BY_HEADER = """
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: proxy-server}
spec:
  hosts: [proxy-server]
  http:
  - match: [{headers: {target: {exact: condition1}}}]
    route: [{destination: {host: proxy-server, subset: proxy-pod-subset1}}]
    timeout: 10s
  - route: [{destination: {host: proxy-server, subset: proxy-pod-subset2}}]
    timeout: 10s
"""
CLIENT = """
apiVersion: v1
kind: Namespace
metadata: {name: models, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: curl}
spec:
  selector: {matchLabels: {app: curl}}
  template:
    metadata: {labels: {app: curl}}
    spec:
      containers: [{name: curl, image: curlimages/curl, command: [/bin/sleep, infinity]}]
---
"""


def deployment(name: str, app: str, image: str, port: int, *, version: str = "", **variable: str) -> str:
    ((key, value),) = variable.items()
    label = f", version: {version}" if version else ""
    return _DEPLOYMENT.format(name=name, app=app, version=label, image=image, port=port, variable=key, value=value)


AB_TEST = (
    deployment("predict-pod-a", "predict-pod", "predict", 5000, version="predict-pod-version-a", GRAB_CUT_ITERS="1")
    + deployment("predict-pod-b", "predict-pod", "predict", 5000, version="predict-pod-version-b", GRAB_CUT_ITERS="10")
    + _SERVICE.format(name="predict-server", port=5000, app="predict-pod")
    + _RULE.format(host="predict-server", pod="predict-pod", one="-a", two="-b")
)
MODELS = "".join(
    deployment(
        f"proxy-pod{k}",
        "proxy-pod",
        "proxy",
        5000,
        version=f"proxy-pod-version{k}",
        PREDICT_SERVER_URL=f"http://predict-server{k}:{port}",
    )
    + deployment(f"predict-pod{k}", f"predict-pod{k}", "predict", port, GRAB_CUT_ITERS=iterations)
    + _SERVICE.format(name=f"predict-server{k}", port=port, app=f"predict-pod{k}")
    for k, port, iterations in ((1, 5010, "1"), (2, 5011, "10"))
)
SPECIALISED = (
    MODELS
    + _SERVICE.format(name="proxy-server", port=5000, app="proxy-pod")
    + _RULE.format(host="proxy-server", pod="proxy-pod", one="1", two="2")
    + BY_HEADER
)


@pytest.fixture(scope="module")
def applied(lab: Lab) -> Iterator[ApplyResult]:
    lab.apply(CLIENT, namespace=SPACE, name="client")
    yield lab.apply(AB_TEST, SPECIALISED, namespace=SPACE, name="models")
    lab.delete(f"ns/{SPACE}")


def ask(lab: Lab, server: str, count: int, **headers: str) -> Observations:
    return lab.send(
        f"http://{server}.{SPACE}:5000/predict",
        source=f"deploy/curl.{SPACE}",
        count=count,
        method="POST",
        body=f'{{"image": "{scene(1).base64}"}}',
        headers={"content-type": "application/json", **headers},
        keep_body=True,
    )


def test_who_plays_the_images_is_told(applied: ApplyResult) -> None:
    for program in ("predict", "proxy"):
        assert f"gcr.io/a-project/{program}-image-gke:latest is played by the workshop's {program}" in applied.notes


def test_both_arms_of_the_ab_test_answer_with_their_iterations(lab: Lab, applied: ApplyResult) -> None:
    seen = ask(lab, "predict-server", 8)
    assert [response.status for response in seen] == [200] * 8
    iterations = {(response.path[-1].version, '"iterations":10' in response.body) for response in seen}
    assert iterations == {("predict-pod-version-a", False), ("predict-pod-version-b", True)}


def test_a_header_chooses_the_model_and_none_strays(lab: Lab, applied: ApplyResult) -> None:
    for headers, iterations, names in (
        ({"target": "condition1"}, '"iterations":1,', ["proxy-pod", "predict-pod1"]),
        ({"target": "condition2"}, '"iterations":10,', ["proxy-pod", "predict-pod2"]),
        ({}, '"iterations":10,', ["proxy-pod", "predict-pod2"]),
    ):
        seen = ask(lab, "proxy-server", 20, **headers)
        assert all(response.status == 200 and iterations in response.body for response in seen)
        assert {tuple(hop.service for hop in response.path) for response in seen} == {tuple(names)}


def test_a_model_without_pods_is_told_by_its_proxy(lab: Lab, applied: ApplyResult) -> None:
    lab.scale(f"deploy/predict-pod1.{SPACE}", 0)
    (response,) = ask(lab, "proxy-server", 1, target="condition1")
    assert response.status == 503 and "predict-server answered 503" in response.body
    lab.scale(f"deploy/predict-pod1.{SPACE}", 1)
    assert ask(lab, "proxy-server", 1, target="condition1")[0].status == 200
