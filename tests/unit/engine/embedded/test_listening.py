"""What is told of a Service whose port leads where no program listens."""

from __future__ import annotations

import pytest

from labsupport.engine.embedded import listening
from labsupport.engine.embedded.pods.programs import find_programs
from labsupport.model import parse
from labsupport.model.reading.documents import read

OBJECTS = """
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: default}}
spec: {{selector: {{app: web}}, ports: [{{port: 80{target}}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web-v1, namespace: default}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: {image}, ports: [{{name: http, containerPort: 5000}}]{more}}}]}}
"""


def told(target: str = "", image: str = "web", more: str = "") -> list[str]:
    objects = parse(read(OBJECTS.format(target=target, image=image, more=more)))
    assert listening.notes([], objects, find_programs(None)) == []
    return listening.notes(objects, objects, find_programs(None))


@pytest.mark.parametrize(
    ("target", "image", "more"),
    [
        (", targetPort: 5000", "web", ""),
        (", targetPort: http", "web", ""),
        ("", "web", ", env: [{name: PORT, value: '80'}]"),
        (", targetPort: 9001", "istio/tcp-echo-server:1", ""),
        (", targetPort: 8080", "httpbin", ", command: [gunicorn, '-b', '[::]:8080', 'httpbin:app']"),
    ],
)
def test_a_port_at_which_a_program_listens_needs_no_word(target: str, image: str, more: str) -> None:
    assert told(target, image, more) == []


@pytest.mark.parametrize(
    ("target", "image", "more", "words"),
    [
        ("", "web", "", "port 80 leads to port 80, but the program of Deployment/web-v1 (web) listens on 5000"),
        (", targetPort: rpc", "web", "", "leads to a port named 'rpc', which is missing, but"),
        (", targetPort: 5000", "curlimages/curl", "", "listens on no port"),
        (", targetPort: 5000", "web", ", env: [{name: PORT, value: '81'}]", "listens on 81"),
        (", targetPort: 9003", "tcp-echo-server", "", "listens on 9000, 9001 and 9002"),
    ],
)
def test_a_port_at_which_nobody_listens_is_told(target: str, image: str, more: str, words: str) -> None:
    (text,) = told(target, image, more)
    assert text.startswith("Service/web: port 80 leads to ") and words in text


def test_a_service_that_chooses_nobody_is_not_meant() -> None:
    objects = parse(read(OBJECTS.format(target="", image="web", more="").replace("app: web}, ports", "app: x}, ports")))
    assert listening.notes(objects, objects, find_programs(None)) == []
