"""Manifests of tutorials run as they are: their images are played by the workshop's programs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labsupport.errors import ManifestError
from labsupport.lab.lab import Lab
from labsupport.records import ApplyResult

pytestmark = pytest.mark.embedded

BOOK = "registry.example.com/istio/examples-bookinfo"


def workload(app: str, image: str, port: int, *, version: str = "v1", more: str = "", service_port: int = 0) -> str:
    """A Deployment and its Service, as samples write them."""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {app}, labels: {{app: {app}}}}}
spec:
  selector: {{app: {app}}}
  ports: [{{name: http, port: {service_port or port}, targetPort: {port}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {app}-{version}, labels: {{app: {app}, version: {version}}}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {app}, version: {version}}}}}
  template:
    metadata: {{labels: {{app: {app}, version: {version}}}}}
    spec:
      serviceAccountName: {app}
      containers:
      - name: {app}
        image: {image}
        imagePullPolicy: IfNotPresent
        ports: [{{containerPort: {port}}}]
{more}
---
"""


# Other tests of this mesh may have services of the same names, with versions that answer otherwise.
SAMPLES = "samples"
SPACE = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {SAMPLES}, labels: {{istio-injection: enabled}}}}
"""
CURL = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: curl}
spec:
  selector: {matchLabels: {app: curl}}
  template:
    metadata: {labels: {app: curl}}
    spec:
      containers:
      - {name: curl, image: curlimages/curl, command: [/bin/sleep, infinity]}
---
"""
ENTRANCE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: tcp-echo}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 31400, name: tcp, protocol: TCP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tcp-echo}
spec:
  hosts: ["*"]
  gateways: [tcp-echo]
  tcp:
  - match: [{port: 31400}]
    route: [{destination: {host: tcp-echo, port: {number: 9001}}}]
"""
ECHO = workload(
    "tcp-echo", "docker.io/istio/tcp-echo-server:1.3", 9000, more='        args: ["9000,9001,9002", "one"]'
).replace("targetPort: 9000}", "targetPort: 9000}, {name: tcp-other, port: 9001}", 1)


@pytest.fixture(scope="module")
def applied(lab: Lab) -> Iterator[ApplyResult]:
    """The applications of Istio's samples, in the shape in which they are published."""
    texts = [
        CURL,
        workload("details", f"{BOOK}-details-v1:1.20.3", 9080),
        workload("ratings", f"{BOOK}-ratings-v1:1.20.3", 9080),
        workload("reviews", f"{BOOK}-reviews-v3:1.20.3", 9080, version="v3"),
        workload("productpage", f"{BOOK}-productpage-v1:1.20.3", 9080),
        workload("helloworld", "docker.io/istio/examples-helloworld-v2:1.0", 5000, version="v2"),
        workload(
            "httpbin",
            "docker.io/kennethreitz/httpbin@sha256:0",
            8080,
            more='        command: [gunicorn, "--access-logfile", "-", -b, "[::]:8080", "httpbin:app"]',
            service_port=8000,
        ),
        ECHO,
    ]
    lab.apply(SPACE, name="space")
    yield lab.apply("---".join(texts), namespace=SAMPLES, name="samples")
    lab.delete(f"ns/{SAMPLES}")


def test_samples_answer_as_they_are_written(lab: Lab, applied: ApplyResult) -> None:
    source = f"deploy/curl.{SAMPLES}"
    page = lab.send(f"http://productpage.{SAMPLES}:9080/productpage", source=source)[0]
    assert page.status == 200
    assert {hop.service for hop in page.path} == {"productpage", "details", "reviews", "ratings"}
    stars = lab.send(f"http://reviews.{SAMPLES}:9080/reviews/0", source=source, keep_body=True)[0]
    assert '"color":"red"' in stars.body.replace(" ", "")

    hello = lab.send(f"http://helloworld.{SAMPLES}:5000/hello", source=source, keep_body=True)[0]
    assert hello.body.startswith("Hello version: v2, instance: helloworld-v2-")
    teapot = lab.send(f"http://httpbin.{SAMPLES}:8000/status/418", source=source)[0]
    assert teapot.status == 418
    lab.apply(ENTRANCE, namespace=SAMPLES, name="entrance")
    assert lab.send("tcp://gateway:31400", body="hello")[0].body == "one hello"


def test_who_plays_an_image_is_told_once(lab: Lab, applied: ApplyResult) -> None:
    assert f"{BOOK}-reviews-v3:1.20.3 is played by the workshop's bookinfo" in applied.notes
    assert "curlimages/curl is played by the workshop's client" in applied.notes
    assert not any("is played by" in note for note in lab.apply(CURL, namespace=SAMPLES, name="again").notes)


def test_a_program_listens_where_its_image_does_whatever_the_manifest_declares(lab: Lab) -> None:
    made = lab.apply(CURL, workload("elsewhere", "web", 8080), name="elsewhere")
    (told,) = (note for note in made.notes if note.startswith("Service/elsewhere: port 8080 leads to port 8080, but "))
    assert told.endswith("the program of Deployment/elsewhere-v1 (web) listens on 5000")
    assert lab.send("http://elsewhere:8080/", source="curl")[0].status == 503
    made = lab.apply(workload("elsewhere", "web", 5000, service_port=8080), name="elsewhere")
    assert not any("listens on" in note for note in made.notes)
    assert lab.send("http://elsewhere:8080/", source="curl")[0].status == 200
    lab.delete("deploy/elsewhere-v1", "svc/elsewhere", "deploy/curl")


def test_an_image_of_any_other_name_is_played_for_one_apply(lab: Lab) -> None:
    text = workload("other", "registry.example/shop/cart:7", 5000)
    with pytest.raises(ManifestError, match="there is no image"):
        lab.apply(text, name="other")
    lab.apply(CURL, text, name="other", images={"registry.example/shop/cart": "web"})
    assert lab.send("http://other:5000/", source="curl")[0].status == 200
    lab.delete("deploy/other-v1", "svc/other", "deploy/curl")


def test_a_command_that_means_something_else_is_refused_by_name(lab: Lab) -> None:
    other = CURL.replace("[/bin/sleep, infinity]", '[nc, "-l", "80"]')
    with pytest.raises(ManifestError, match="does not honour command"):
        lab.apply(other, name="other")
