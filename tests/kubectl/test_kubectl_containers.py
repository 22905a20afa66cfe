"""A pod with several containers, and one that only waits: what runs, and what kubectl shows of it."""

from __future__ import annotations

import shlex
from pathlib import Path

from kubectl_program import Kubectl

from labsupport.lab.lab import Lab

SEVERAL = """
apiVersion: v1
kind: Service
metadata: {name: pair}
spec:
  selector: {app: pair}
  ports: [{name: http, port: 80, targetPort: 5000}, {name: http-more, port: 8000, targetPort: more}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pair}
spec:
  selector: {matchLabels: {app: pair}}
  template:
    metadata: {labels: {app: pair}}
    spec:
      initContainers:
      - {name: wait, image: busybox, command: [sh, -c, "until nslookup db; do sleep 1; done"]}
      containers:
      - {name: main, image: web, ports: [{containerPort: 5000}]}
      - {name: more, image: kennethreitz/httpbin, ports: [{name: more, containerPort: 80}]}
"""


def test_both_containers_of_a_pod_answer_and_are_shown(lab: Lab, kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "pair.yaml").write_text(SEVERAL)
    kubectl("apply", "-f", str(tmp_path / "pair.yaml"))
    kubectl("rollout", "status", "deploy/pair")
    lab.apply("apps/client")
    assert lab.send("http://pair/name", source="client")[0].status == 200
    assert lab.send("http://pair:8000/status/418", source="client")[0].status == 418

    def words(command: str) -> str:
        return " ".join(kubectl(*shlex.split(command)).split())

    assert "3/3 Running 0" in words("get pods -l app=pair")
    containers = words("get pods -l app=pair -o jsonpath={..containerStatuses[*].name}")
    assert containers == "main more"
    states = "get pods -l app=pair -o jsonpath={..initContainerStatuses[*].ready}"
    assert words(states) == "true true"
    assert "/name 200" in words("logs deploy/pair -c main") and "/status/418 418" in words("logs deploy/pair -c more")
    assert words("logs deploy/pair -c wait") == ""
    assert " more " in words("top pods -l app=pair --containers")
