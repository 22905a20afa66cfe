"""What judges of content rules say: the kind of request, the rule that took it, and why those before did not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_engine import SmallEngine

from labsupport.check.result import FAILED, PASSED
from labsupport.course.probing import Probe, at_most_rules, is_taken, probed, told_by_rules
from labsupport.lab.lab import Lab
from labsupport.records import Pod

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - name: testers
    match: [{headers: {end-user: {exact: tester}}}]
    route: [{destination: {host: web}}]
  - match: [{uri: {prefix: /v2}}]
    rewrite: {uri: /}
    route: [{destination: {host: web}}]
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    pods = [
        Pod("client-1", "default", "client", injected=True, ready=True),
        Pod("web-1", "default", "web", {"app": "web", "version": "safe"}, ready=True),
    ]
    with Lab(SmallEngine(pods=pods)) as opened:
        opened.apply(WEB)
        yield opened


def told(lab: Lab, url: str, **headers: str) -> str:
    explanation = lab.explain(url, source="client", headers=headers, confirm=False).explanation
    return " ".join(told_by_rules(explanation))


def test_the_rule_that_took_a_request_is_named_by_number_and_name(lab: Lab) -> None:
    explanation = lab.explain("http://web:8080/", source="client", headers={"end-user": "tester"}, confirm=False)
    assert [*told_by_rules(explanation.explanation)] == ["Rule 1, testers, of VirtualService/web took it."]


def test_a_rule_that_let_a_request_pass_says_what_it_wants_and_what_came(lab: Lab) -> None:
    said = told(lab, "http://web:8080/v2/a", end="x")
    assert "Rule 2 of VirtualService/web took it." in said
    assert "The application sees the path //a." in said
    assert 'Rule 1 let it pass: headers[end-user] wants exact "tester", the request has nothing' in said


def test_a_request_that_no_rule_takes_is_told_so(lab: Lab) -> None:
    assert told(lab, "http://web:8080/") == (
        'No rule took it. Rule 1 let it pass: headers[end-user] wants exact "tester", the request has nothing. '
        'Rule 2 let it pass: uri wants prefix "/v2", the request has "/".'
    )
    assert not is_taken(lab, Probe("for /", "safe"))
    assert is_taken(lab, Probe("of a tester", "safe", headers={"end-user": "tester"}))


def test_where_no_rule_is_about_a_host_nothing_more_is_said(lab: Lab) -> None:
    lab.delete("vs/web")
    assert told(lab, "http://web:8080/").startswith("No rule routes requests for web.default.svc.cluster.local here")


def test_a_rewrite_that_loses_the_slash_is_told(lab: Lab) -> None:
    lab.apply(WEB.replace("rewrite: {uri: /}", "rewrite: {uri: name}"))
    assert "Its path becomes name, without the slash that every path begins with." in told(lab, "http://web:8080/v2")


def test_a_kind_of_request_that_meets_others_fails_with_its_name(lab: Lab) -> None:
    # The small engine lets risk answer one request of three, whatever the rules say.
    (outcome,) = probed(lab, [Probe("with a header", "safe", headers={"end-user": "tester"})])
    assert outcome.state is FAILED
    assert outcome.lines[0] == "A request with a header meets risk and safe; it is to meet safe."
    assert "Rule 1, testers, of VirtualService/web took it." in outcome.lines


def test_a_path_that_the_application_is_to_see_is_asked_of_the_rules(lab: Lab) -> None:
    asked = {"version": "", "url": "http://web:8080/v2/a", "status": 200}
    (right,) = probed(lab, [Probe("below", path="//a", **asked)])  # type: ignore[arg-type]
    (wrong,) = probed(lab, [Probe("below", path="/a", **asked)])  # type: ignore[arg-type]
    assert (right.state, wrong.state) == (PASSED, FAILED)
    assert wrong.lines[0].endswith("; it is to come to the application as /a.")


def test_the_right_pods_with_the_wrong_answer_are_told_what_is_still_wanted(lab: Lab) -> None:
    (outcome,) = probed(lab, [Probe("for /", "", headers={"end-user": "tester"}, status=404)])
    assert outcome.lines[0].endswith("; it is to be answered 404.")


@pytest.mark.parametrize(("most", "state"), [(2, PASSED), (1, FAILED)])
def test_a_budget_counts_the_rules_of_the_host(lab: Lab, most: int, state: object) -> None:
    outcome = at_most_rules(lab, most)
    assert outcome.state is state
    assert outcome.lines == (f"2 rules for these requests; the budget is {most}.",)
