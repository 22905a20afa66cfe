"""Which rule took which requests, as told by the route in the access log of the caller's proxy."""

import pytest

from labsupport.model import VirtualService, parse
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCRoute
from labsupport.model.reading.documents import read
from labsupport.observe.taken import rules_taken
from labsupport.records import AccessRecord, Pod

PODS = [Pod("safe-1", "shop", "web-safe", {"version": "safe"}), Pod("risk-1", "shop", "web-risk", {"version": "risk"})]
TESTERS = """
  - name: testers
    match:
    - headers: {end-user: {exact: tester}}
    - name: beta
      headers: {x-beta: {}}
    route:
    - destination: {host: web, subset: risk}
"""
REST = """
  - route:
    - destination: {host: web, subset: safe}
"""


def rule(rules=TESTERS + REST, hosts="[web]", more=""):
    text = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec:
  hosts: {hosts}
{more}  http:{rules}"""
    (resource,) = parse(read(text))
    assert isinstance(resource, VirtualService)
    return resource


def line(route="", subset="safe", *, authority="web:8080", direction="outbound", **more):
    cluster = f"outbound|8080|{subset}|web.shop.svc.cluster.local" if subset else ""
    more = {"upstream_pod": f"{subset}-1" if subset else "", "status": 200} | more
    return AccessRecord("id", 0.0, "client-1", direction, "GET", authority, "/", route=route, cluster=cluster, **more)


def taken(resource, *records):
    return rules_taken(resource, records, objects=[resource], pods=PODS, namespace="shop")


def test_a_request_belongs_to_the_rule_whose_name_the_access_log_has():
    told = taken(rule(), line("testers", "risk"), line("testers.beta", "risk"), line(), line())
    assert [row.title for row in told.rows] == ["1 · testers", "2"]
    assert [dict(row.versions) for row in told.rows] == [{"risk": 2}, {"safe": 2}]
    assert told.rows[0].conditions == ('headers[end-user] exact "tester"', "headers[x-beta] any value")
    assert "1 · testers" in repr(told) and "took 2 (all risk)" in repr(told)


def test_rules_without_a_name_are_told_apart_by_their_destination_and_else_left_open():
    other = REST.replace("safe", "risk")
    told = taken(rule(REST + other), line(subset="risk"), line(subset="safe"))
    assert [row.count for row in told.rows] == [1, 1]
    told = taken(rule(REST + REST), line())
    assert ([row.count for row in told.rows], told.unclear) == ([0, 0], 1)
    assert "Name each rule" in repr(told)


def test_what_no_rule_takes_and_what_meets_none_of_the_rules_is_counted_apart():
    refused = line(subset="", flags="NR", status=404)
    told = taken(rule(TESTERS), refused, line("default", ""))
    assert (told.count, told.unmatched, told.strangers) == (2, 1, 1)
    assert "no rule: took 1 (404 NR)" in repr(told)


def test_what_the_proxy_answers_itself_is_counted_by_status():
    closed = "\n  - name: closed\n    directResponse: {status: 410}\n"
    told = taken(rule(closed), line("closed", "", status=410))
    assert dict(told.rows[0].by_proxy) == {410: 1}
    assert told.rows[0].leads_to == "answered here, with 410"


@pytest.mark.parametrize("authority", ["web", "WEB:8080", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local:80"])
def test_a_service_is_known_by_each_of_its_names(authority):
    assert taken(rule(), line("testers", "risk", authority=authority)).count == 1


@pytest.mark.parametrize(
    "record", [line("testers", authority="other"), line("testers", direction="inbound"), line("testers", mirrored=True)]
)
def test_requests_for_others_and_what_the_callers_proxy_did_not_decide_do_not_count(record):
    told = taken(rule(), record)
    assert told.count == 0
    assert "No caller's proxy" in repr(told)


def test_a_gateway_tries_what_takes_every_request_last():
    told = taken(
        rule(REST + TESTERS, '["*"]', "  gateways: [workshop]\n"), line(direction="gateway", authority="1.2.3.4")
    )
    assert [row.title for row in told.rows] == ["2 · testers", "1"]
    assert [row.count for row in told.rows] == [0, 1]


ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: web, port: 8080}]
  rules:
  - backendRefs: [{name: web-safe, port: 8080}]
  - matches:
    - headers: [{name: end-user, value: tester}]
    - path: {value: /beta}
    backendRefs: [{name: web-risk, port: 8080}, {name: gone, port: 8080}]
"""
PARENT = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 8080}]}
"""


def test_rules_of_an_httproute_stand_in_the_order_in_which_they_are_tried_each_once():
    objects = parse(read(ROUTE + "---" + PARENT))
    route = objects[0]
    assert isinstance(route, HTTPRoute)
    records = [line("shop.web.1", "risk"), line("shop.web.0"), line("shop.web.1", "", flags="NC", status=500)]
    told = rules_taken(route, records, objects=objects, pods=PODS, namespace="shop")
    assert [row.title for row in told.rows] == ["2", "1"]
    assert told.rows[0].conditions == ('path prefix "/beta" by elements', 'headers[end-user] exact "tester"')
    assert told.rows[1].conditions == ()
    assert (dict(told.rows[0].versions), dict(told.rows[0].by_proxy)) == ({"risk": 1}, {500: 1})
    assert told.rows[0].leads_to == "web-risk (1) or gone (1)"
    assert told.resorted and "the most specific first" in repr(told)
    nobody = rules_taken(route, records, objects=[route], pods=PODS, namespace="shop")
    assert nobody.rows == () and "No caller's proxy" in repr(nobody)


def test_calls_are_sorted_by_the_rule_of_a_grpc_route_that_took_them():
    calls = ROUTE.replace("HTTPRoute", "GRPCRoute").replace("path: {value: /beta}", "method: {service: shop.Cart}")
    objects = parse(read(calls + "---" + PARENT))
    assert isinstance(objects[0], GRPCRoute)
    records = [line("shop.web.1", "risk"), line("shop.web.0")]
    told = rules_taken(objects[0], records, objects=objects, pods=PODS, namespace="shop")
    assert told.rule == "GRPCRoute/web"
    assert told.rows[0].conditions == ('path prefix "/shop.Cart" by elements', 'headers[end-user] exact "tester"')
    assert dict(told.rows[0].versions) == {"risk": 1}
