"""What judges read from the objects: the exact weights, and which object has the say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_engine import SmallEngine
from small_mesh import response

from labsupport.check.result import FAILED, PASSED
from labsupport.course.acting import explained, reasons_of, rule_says
from labsupport.lab.lab import Lab
from labsupport.records import Pod
from labsupport.traffic.observations import Observations

URL = "http://web:8080/"
SEEN = Observations(response(index, "safe") for index in range(3))
WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets: [{name: safe, labels: {version: safe}}, {name: risk, labels: {version: risk}}]
"""


def rule(name: str, safe: int, risk: int) -> str:
    to = "{{destination: {{host: web, subset: {}}}, weight: {}}}"
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec: {{hosts: [web], http: [{{route: [{to.format("safe", safe)}, {to.format("risk", risk)}]}}]}}
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    web = [
        Pod(f"web-{version}-1", "default", f"web-{version}", {"app": "web", "version": version}, ready=True)
        for version in ("safe", "risk")
    ]
    with Lab(SmallEngine(pods=[Pod("client-1", "default", "client", injected=True, ready=True), *web])) as opened:
        opened.apply(WEB)
        yield opened


def test_the_object_that_acts_is_named_whether_it_says_the_right_thing_or_not(lab: Lab) -> None:
    lab.apply(rule("split", 80, 20))
    lab.apply(rule("web", 90, 10))
    for expected, state in (({"safe": 80, "risk": 20}, PASSED), ({"safe": 90, "risk": 10}, FAILED)):
        outcome = rule_says(lab, URL, expected, source="client", seen=SEEN)
        assert outcome.state is state
        assert outcome.lines[0].startswith("The rule says 80.0 % safe and 20.0 % risk")
        assert outcome.lines[1] == "VirtualService/split acts on these requests."
    assert any(line.startswith("VirtualService/web does not count: ") for line in outcome.lines)


def test_without_a_rule_nothing_divides(lab: Lab) -> None:
    outcome = rule_says(lab, URL, {"safe": 1, "risk": 1}, source="client", seen=SEEN)
    assert outcome.state is FAILED
    assert outcome.lines[0] == f"No rule divides the requests from client to {URL}."
    assert outcome.lines[-1] == "3 requests met 100 % safe."


def test_a_rule_that_sends_nobody_anywhere_says_nothing(lab: Lab) -> None:
    spec = "spec: {hosts: [web], http: [{directResponse: {status: 503}}]}"
    lab.apply(f"{rule('web', 1, 1).partition('spec:')[0]}{spec}")
    outcome = rule_says(lab, URL, {"safe": 1, "risk": 1}, source="client", seen=SEEN)
    assert outcome.lines[0] == "The rule says nothing; expected: 50.0 % safe and 50.0 % risk."


def test_a_caller_without_a_sidecar_is_told_so_and_no_rule_is_blamed() -> None:
    pods = [
        Pod("bare-1", "default", "bare", ready=True),
        Pod("web-safe-1", "default", "web-safe", {"app": "web", "version": "safe"}, ready=True),
    ]
    with Lab(SmallEngine(pods=pods)) as lab:
        lab.apply(WEB)
        lab.apply(rule("web", 90, 10))
        (reason,) = reasons_of(lab, explained(lab, URL, source="bare"))
    assert "bare-1 has no sidecar" in reason
