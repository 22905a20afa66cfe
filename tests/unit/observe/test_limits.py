"""How long the caller of a hop waits, read from Deployments and rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labsupport.model import parse
from labsupport.model.reading.documents import read
from labsupport.observe.limits import Limit, limits_of
from labsupport.records import AccessRecord, Pod, Ref, RuleStatus

PAGE = Pod("productpage-v1-1", "default", "productpage-v1", {"app": "productpage"}, injected=True, ready=True)
CALL = AccessRecord(
    *("id", 0.0, PAGE.name, "outbound", "GET", "reviews:9080", "/reviews/0"),
    status=200,
    cluster="outbound|9080||reviews.default.svc.cluster.local",
)
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
"""


def deployment(env: str) -> str:
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: productpage-v1, namespace: default}}
spec:
  selector: {{matchLabels: {{app: productpage}}}}
  template:
    metadata: {{labels: {{app: productpage}}}}
    spec:
      containers: [{{name: bookinfo, image: bookinfo, env: [{env}]}}]
"""


def rules(*http: str) -> str:
    listed = "".join(f"\n  - {{{rule}route: [{{destination: {{host: reviews}}}}]}}" for rule in http)
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: default}}
spec:
  hosts: [reviews]
  http:{listed}
"""


TESTER = "match: [{headers: {end-user: {exact: tester}}}], "


def told(*manifests: str, call: AccessRecord = CALL) -> list[str]:
    resources = [resource for text in (SERVICE, *manifests) for resource in parse(read(text))]
    return [str(limit) for limit in limits_of(call, resources=resources, pods=[PAGE], namespace="default")]


def test_without_a_rule_and_a_variable_nobody_is_said_to_wait() -> None:
    assert told() == []
    assert told(deployment(""), rules("")) == []


@pytest.mark.parametrize(
    ("env", "waits"),
    [
        ("{name: REVIEWS_TIMEOUT_S, value: '0.3'}", ["productpage waits 300 ms"]),
        ("{name: REVIEWS_TIMEOUT_S, value: '3'}, {name: TIME_SCALE, value: '10'}", ["productpage waits 300 ms"]),
        ("{name: RATINGS_TIMEOUT_S, value: '3'}", []),
        ("{name: REVIEWS_TIMEOUT_S, value: long}", []),
        ("{name: REVIEWS_TIMEOUT_S, value: '3'}, {name: TIME_SCALE, value: '0'}", []),
    ],
)
def test_a_program_waits_as_long_as_its_deployment_says(env: str, waits: list[str]) -> None:
    assert told(deployment(env)) == waits


def test_a_rule_limits_the_call_and_each_try() -> None:
    rule = rules("timeout: 2s, retries: {attempts: 2, perTryTimeout: 500ms}, ")
    assert told(rule) == ["vs/reviews timeout 2 s", "vs/reviews perTryTimeout 500 ms"]


def test_where_headers_decide_between_rules_that_differ_nothing_is_said() -> None:
    assert told(rules(TESTER + "timeout: 1s, ", "timeout: 2s, ")) == []
    assert told(rules(TESTER + "timeout: 1s, ", "")) == []
    assert told(rules(TESTER + "timeout: 1s, ", "timeout: 1s, ")) == ["vs/reviews timeout 1 s"]


def test_what_the_log_tells_decides_between_rules() -> None:
    by_path = rules("match: [{uri: {prefix: /other}}], timeout: 1s, ", "timeout: 2s, ", "timeout: 3s, ")
    assert told(by_path) == ["vs/reviews timeout 2 s"]
    by_name = rules("name: slow, " + TESTER + "timeout: 1s, ", "name: fast, timeout: 2s, ")
    assert told(by_name, call=replace(CALL, route="slow")) == ["vs/reviews timeout 1 s"]
    delayed = "fault: {delay: {fixedDelay: 1s, percentage: {value: 100}}}, timeout: 4s, "
    by_flag = rules(TESTER + delayed, "timeout: 2s, ")
    assert told(by_flag, call=replace(CALL, flags="DI")) == ["vs/reviews timeout 4 s"]


def test_the_clocks_of_a_rule_do_not_run_while_its_own_fault_holds_the_call() -> None:
    rule = rules("fault: {delay: {fixedDelay: 1s, percentage: {value: 50}}}, timeout: 4s, ")
    waits = deployment("{name: REVIEWS_TIMEOUT_S, value: '0.6'}")
    for never_sent in (replace(CALL, status=0, flags="DI,DC"), replace(CALL, status=503, flags="FI")):
        assert told(rule, waits, call=never_sent) == ["productpage waits 600 ms"]
    resources = parse(read(SERVICE)) + parse(read(rule))
    held = [
        limit.held_s
        for flags in ("DI", "")
        for limit in limits_of(replace(CALL, flags=flags), resources=resources, pods=[PAGE], namespace="default")
    ]
    assert held == [1.0, 0.0]
    limit = Limit("vs/reviews timeout", 4.0, "UT", held_s=1.0)
    assert [limit.cut(replace(CALL, flags="DI,UT", duration_s=seconds)) for seconds in (3.5, 5.0)] == [False, True]


def test_a_rule_that_came_into_force_after_the_call_says_nothing_about_it() -> None:
    resources = parse(read(SERVICE)) + parse(read(rules("timeout: 2s, ")))
    call = replace(CALL, time_s=100.0, duration_s=1.0)
    for since_s, said in ((101.5, []), (100.5, ["vs/reviews timeout 2 s"]), (99.0, ["vs/reviews timeout 2 s"])):
        known = [RuleStatus(Ref("VirtualService", "reviews", "default"), since_s)]
        # A namesake of another kind has no limits.
        known.append(RuleStatus(Ref("DestinationRule", "reviews", "default"), 101.5))
        limits = limits_of(call, resources=resources, pods=[PAGE], namespace="default", rules=known.copy)
        assert [str(limit) for limit in limits] == said


def test_the_age_of_rules_is_not_asked_where_none_of_them_limits_the_call() -> None:
    resources = parse(read(SERVICE)) + parse(read(rules("")))
    assert limits_of(CALL, resources=resources, pods=[PAGE], namespace="default", rules=pytest.fail) == ()


def test_the_server_has_no_limit_and_neither_has_an_odd_line() -> None:
    rule = rules("timeout: 2s, ")
    assert told(rule, call=replace(CALL, direction="inbound")) == []
    assert told(rule, call=replace(CALL, pod="gone")) == []
    assert told(rule, call=replace(CALL, authority="", path="*")) == []


@pytest.mark.parametrize(
    ("flags", "duration_s", "cut"),
    [("DC", 0.29, True), ("DI,DC", 0.31, True), ("DC", 0.1, False), ("", 0.31, False), ("UT", 0.3, False)],
)
def test_a_call_was_cut_off_if_it_lasted_as_long_and_its_caller_left(flags: str, duration_s: float, cut: bool) -> None:
    assert Limit("productpage waits", 0.3, "DC").cut(replace(CALL, flags=flags, duration_s=duration_s)) is cut


ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews, namespace: default}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews, port: 9080}]
  rules:
  - matches: [{path: {value: /slow}}]
    timeouts: {request: 3s, backendRequest: 1s}
    retry: {attempts: 2}
    backendRefs: [{name: reviews, port: 9080}]
  - timeouts: {request: 500ms}
    backendRefs: [{name: reviews, port: 9080}]
"""


def test_a_route_of_the_gateway_api_says_how_long_as_a_virtual_service_does() -> None:
    assert told(ROUTE, call=replace(CALL, route="default.reviews.1")) == ["httproute/reviews timeout 500 ms"]
    slow = replace(CALL, route="default.reviews.0", path="/slow/1")
    assert told(ROUTE, call=slow) == ["httproute/reviews timeout 3 s", "httproute/reviews perTryTimeout 1 s"]
    # The route was changed after the call.
    resources = [resource for text in (SERVICE, ROUTE) for resource in parse(read(text))]
    status = RuleStatus(Ref("HTTPRoute", "reviews"), 1.0, (PAGE.name,))
    assert limits_of(slow, resources=resources, pods=[PAGE], namespace="default", rules=lambda: [status]) == ()
