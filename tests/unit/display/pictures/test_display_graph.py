"""The service graph: counting, layers, badges, drawing."""

import itertools
from dataclasses import replace

import pytest
from display_samples import T0, Page, parsed, texts

from labsupport import model
from labsupport.display.pictures.graph_picture import graph_figure, graph_parts
from labsupport.model.reading import documents
from labsupport.observe.calls import CLIENT, ClientCall, mesh_graph
from labsupport.observe.rule_badges import badges_of
from labsupport.records import AccessRecord, Hop, Pod, Response

PODS = [
    Pod("gw", "istio-system", "istio-ingressgateway", {"app": "istio-ingressgateway"}, injected=False, concurrency=1),
    Pod("page", "default", "productpage-v1", {"app": "productpage", "version": "v1"}, injected=True),
    Pod("rev1", "default", "reviews-v1", {"app": "reviews", "version": "v1"}, injected=True),
    Pod("rev2", "default", "reviews-v2", {"app": "reviews", "version": "v2"}, injected=True),
    Pod("rat", "default", "ratings-v1", {"app": "ratings", "version": "v1"}, injected=True),
    Pod("bare", "default", "bare-v1", {"app": "bare", "version": "v1"}, injected=False),
]
ids = itertools.count()


def called(pod, service, to, *, status=200, duration=0.01, direction="outbound", request=""):
    cluster = f"outbound|9080||{service}.default.svc.cluster.local"
    number = request or str(next(ids))
    return AccessRecord(
        number, T0, pod, direction, status=status, cluster=cluster, upstream_pod=to, duration_s=duration
    )


TRAFFIC = (
    [called("gw", "productpage", "page", direction="gateway") for _ in range(20)]
    + [called("page", "reviews", "rev1", duration=0.02) for _ in range(15)]
    + [called("page", "reviews", "rev2", status=503) for _ in range(5)]
    + [called("rev2", "ratings", "rat") for _ in range(4)]
    + [called("page", "ratings", "rat")]
)


def drawn(records=TRAFFIC, **options):
    return mesh_graph(records, pods=PODS, span_s=10.0, **options)


def graph(records, **options):
    return graph_figure(mesh_graph(records, span_s=10.0, **options))


def edge_of(made, source, target):
    return next(edge for edge in made.edges if (edge.source, edge.target) == (source, target))


def test_a_gateway_of_the_gateway_api_is_told_from_the_ingress_gateway():
    labels = {"gateway.networking.k8s.io/gateway-name": "front"}
    door = Pod("door", "default", "front-istio", labels, injected=False, concurrency=1)
    came = [called("door", "productpage", "page", direction="gateway"), *TRAFFIC]
    made = mesh_graph(came, pods=[*PODS, door], span_s=10.0)
    counts = {edge.source: edge.count for edge in made.edges if edge.target == "productpage"}
    assert counts == {"gateway": 20, "gateway/front": 1}
    assert {name for name, node in made.nodes.items() if node.gateway} == {"gateway", "gateway/front"}
    assert texts(graph(came, pods=[*PODS, door]).body).count("ingress") == 2


def test_calls_are_counted_between_services():
    made = drawn()
    assert edge_of(made, "gateway", "productpage").count == 20
    edge = edge_of(made, "productpage", "reviews")
    assert (edge.count, edge.errors, edge.versions) == (20, 5, {"v1": 15, "v2": 5})
    assert edge.p95_s == pytest.approx(0.02)


def test_services_stand_right_of_all_their_callers():
    made = drawn()
    for edge in made.edges:
        assert made.nodes[edge.source].layer < made.nodes[edge.target].layer


def test_services_that_call_each_other_in_a_circle_are_drawn_all_the_same():
    circle = [called("rev1", "ratings", "rat"), called("rat", "reviews", "rev1"), called("rev1", "reviews", "rev2")]
    parts, wide, high = graph_parts(drawn(circle))
    assert {"edge:reviews>ratings", "edge:ratings>reviews", "edge:reviews>reviews"} <= set(parts)
    assert wide > 0 < high


def test_services_without_traffic_and_pods_without_sidecar_are_seen_as_such():
    made = drawn([])
    assert made.nodes["bare"].injected is False
    figure = graph([], pods=PODS)
    assert "no sidecar" in texts(figure.body)
    assert "Without sidecar: bare" in figure.summary


def test_a_caller_without_proxy_is_known_from_the_server_alone():
    made = drawn([AccessRecord("x", T0, "page", "inbound", status=200, duration_s=0.1)])
    assert edge_of(made, "no proxy", "productpage").count == 1


def test_the_servers_line_of_a_call_is_not_counted_again():
    pair = [called("page", "reviews", "rev1", request="one"), AccessRecord("one", T0, "rev1", "inbound", status=200)]
    assert [edge.count for edge in drawn(pair).edges] == [1]


def test_mirror_copies_are_counted_apart():
    copy = AccessRecord("one", T0, "rev2", "inbound", status=200, mirrored=True)
    made = drawn([called("page", "reviews", "rev1", request="one"), copy])
    edge = edge_of(made, "productpage", "reviews")
    assert (edge.count, edge.copies) == (1, 1)
    assert made.nodes["reviews"].versions == {"v1": 1, "v2": 0}, "a copy is no part of a share"


@pytest.mark.parametrize("narrow", [False, True])
def test_no_two_nodes_cover_each_other_and_all_are_inside(narrow):
    badges = {"reviews": ("one", "two"), "ratings": ("three",)}
    parts, wide, high = graph_parts(drawn(badges=badges), narrow=narrow)
    boxes = []
    for name, markup in parts.items():
        if name.startswith("node:"):
            rect = next(node for node in parsed(markup).iter() if node.tag.endswith("}rect"))
            boxes.append([float(rect.get(key)) for key in ("x", "y", "width", "height")])
    for (x, y, w, h), (u, v, o, p) in itertools.combinations(boxes, 2):
        assert x + w <= u or u + o <= x or y + h <= v or v + p <= y
    assert all(x >= 0 and y >= 0 and x + w <= wide and y + h <= high for x, y, w, h in boxes)


def test_a_small_change_of_numbers_moves_no_node():
    def places(records):
        parts, *_ = graph_parts(drawn(records))
        return {n: parsed(m).find(".//{*}rect").attrib["y"] for n, m in parts.items() if n.startswith("node:")}

    assert places(TRAFFIC) == places(TRAFFIC + TRAFFIC[:7])


def test_the_picture_has_numbers_words_and_a_table():
    figure = graph(TRAFFIC, pods=PODS)
    assert "2/s 25.0 % errors" in texts(figure.body).replace(" · ", " ")
    assert "2/s 25.0 % errors" in texts(figure.narrow[0])
    assert "productpage → reviews: 2/s, 25.0 % errors (503: 5), p95 20 ms, v1 75.0 %, v2 25.0 %" in figure.summary
    page = Page(figure._repr_html_())
    assert len(page.all("table")) == 1


def test_names_from_outside_are_escaped():
    evil = "<script>x</script>"
    figure = graph([called("page", evil, "")], pods=PODS)
    assert not Page(figure._repr_html_()).all("script")


def test_letters_have_their_full_size_in_a_narrow_place():
    _, wide, _ = graph_parts(drawn(), narrow=True)
    assert wide <= 640


def test_a_copy_is_told_by_its_path_where_the_log_does_not_mark_it():
    copy = AccessRecord("one", T0, "rat", "inbound", status=200, path="/x")
    original = called("page", "reviews", "rev1", request="one")
    original = replace(original, path="/x")
    edge = edge_of(drawn([original, copy]), "productpage", "ratings")
    assert (edge.count, edge.copies) == (0, 1)


def test_who_is_asked_and_asks_another_service_for_the_same_path_is_no_copy():
    asked = AccessRecord("one", T0, "page", "inbound", status=200, path="/x")
    asks = replace(called("page", "reviews", "rev1", request="one"), path="/x")
    edge = edge_of(drawn([asked, asks]), CLIENT, "productpage")
    assert (edge.count, edge.copies) == (1, 0)


def test_a_call_without_any_proxy_is_told_by_its_client():
    answer = Response(0, T0, 0.02, "ok", 200, "x", (Hop("bare", "v1", "bare"),))
    refused = Response(1, T0, 0.02, "connection", 0, "y")
    seen = Response(2, T0, 0.02, "ok", 200, "z", (Hop("reviews", "v1", "rev1"),))
    calls = [ClientCall("outside", "bare", answer) for answer in (answer, refused, seen)]
    made = drawn([], sent=calls)
    edge = edge_of(made, "no proxy", "bare")
    assert (edge.count, edge.errors, edge.logged) == (2, 1, False)
    assert [(edge.source, edge.target) for edge in made.edges] == [("no proxy", "bare")]


def test_what_a_proxy_logged_is_not_counted_again_as_its_client_tells_it():
    answer = Response(0, T0, 0.02, "ok", 200, "x", (Hop("bare", "v1", "bare"),))
    made = drawn([called("page", "bare", "bare", request="x")], sent=[ClientCall("outside", "", answer)])
    assert [(edge.source, edge.count) for edge in made.edges] == [("productpage", 1)]


def test_a_call_that_carries_nothing_any_more_is_faded_and_has_no_numbers():
    parts, *_ = graph_parts(drawn([], former=[("gateway", "productpage")]))
    assert 'opacity=".45"' in parts["edge:gateway>productpage"]
    assert parts["label:gateway>productpage"] == ""


def test_counts_stand_in_place_of_rates_where_requests_are_looked_at():
    made = mesh_graph(TRAFFIC, pods=PODS, span_s=0.0)
    assert made.told(edge_of(made, "gateway", "productpage")).startswith("20 requests, ")


RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    fault:
      delay: {percentage: {value: 50}, fixedDelay: 2s}
    route: [{destination: {host: reviews, subset: v2}}]
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
    timeout: 1s
    retries: {attempts: 2}
    mirror: {host: reviews, subset: v3}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy:
    connectionPool: {http: {http1MaxPendingRequests: 1}}
"""


ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews, port: 9080}]
  rules:
  - matches: [{headers: [{name: end-user, value: jason}]}, {path: {value: /old}}]
    timeouts: {request: 1s, backendRequest: 500ms}
    retry: {codes: [503]}
    backendRefs: [{name: reviews-v2, port: 9080}]
  - matches: [{path: {value: /moved}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: a.example}}]
  - filters:
    - {type: RequestMirror, requestMirror: {backendRef: {name: reviews-v3, port: 9080}}}
    - {type: URLRewrite, urlRewrite: {hostname: a.example}}
    backendRefs: [{name: reviews-v1, port: 9080, weight: 90}, {name: reviews-v2, port: 9080, weight: 10}]
---
apiVersion: v1
kind: Service
metadata: {name: reviews-v2}
spec: {selector: {app: reviews, version: v2}, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: reviews-v1}
spec: {selector: {app: primary}, ports: [{name: http, port: 9080}]}
"""


def test_a_route_of_the_gateway_api_has_the_badges_of_such_rules():
    split = ("weights 90/10", "mirror to reviews-v3", "rewrite")
    assert badges_of(model.parse(documents.read(ROUTE))) == {
        # A Service for one version is shown as what its pods are of.
        "reviews": ("timeout 1s", "2 retries", "redirect", *split, "2 match rules"),
        "primary": split,
    }


def test_rules_are_badges_of_the_services_they_send_to():
    badges = badges_of(model.parse(documents.read(RULES)))
    assert badges == {
        "reviews": (
            "delay 2s of 50 % for jason",
            "weights 90/10",
            "timeout 1s",
            "2 retries",
            "mirror to v3",
            "1 match rule",
            "circuit breaker",
        )
    }
