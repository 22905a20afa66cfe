"""Which services and rules a proxy sees, and in which order they count."""

from __future__ import annotations

from labsupport import model
from labsupport.controlplane.proxies import PodInfo, Proxy
from labsupport.controlplane.registry.memo import Memo
from labsupport.controlplane.registry.registry import Registry
from labsupport.controlplane.registry.scope import scope_of
from labsupport.model.hosts import fqdn, gateway_name, intersection, matches, most_specific, subset_of
from labsupport.model.protocols import kubernetes_protocol
from labsupport.model.reading import documents

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: web}]}
"""


def registry(text: str, *pods: PodInfo) -> Registry:
    return Registry(model.parse(documents.read(text)), pods)


def pod(name: str, ip: str, **labels: str) -> PodInfo:
    return PodInfo(name, "default", ip, labels=labels, ports={"web": 8080})


def test_endpoints_are_the_pods_that_the_selector_finds() -> None:
    (service,) = registry(SERVICE, pod("a", "1.1.1.1", app="web"), pod("b", "1.1.1.2", app="other")).services
    assert [(endpoint.address, endpoint.port) for endpoint in service.endpoints] == [("1.1.1.1", 8080)]


def test_a_pod_that_is_not_ready_is_an_endpoint_without_traffic() -> None:
    unready = PodInfo("a", "default", "1.1.1.1", labels={"app": "web"}, ports={"web": 8080}, ready=False)
    (service,) = registry(SERVICE, unready).services
    assert [endpoint.healthy for endpoint in service.endpoints] == [False]


def test_a_pod_without_the_named_target_port_is_no_endpoint() -> None:
    nameless = PodInfo("a", "default", "1.1.1.1", labels={"app": "web"})
    (service,) = registry(SERVICE, nameless).services
    assert service.endpoints == ()


def test_records_of_unchanged_objects_are_the_same_objects_in_the_next_registry() -> None:
    objects = model.parse(documents.read(SERVICE))
    running = [pod("a", "1.1.1.1", app="web")]
    first, second = Registry(objects, running), Registry(objects, running)
    assert first.services[0] is second.services[0]
    moved = Registry(objects, [pod("a", "1.1.1.9", app="web")])
    assert moved.services[0] is not first.services[0]


def test_older_rules_come_first_and_a_timestamp_decides_over_the_order_given() -> None:
    rule = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: default{stamp}}}
spec: {{hosts: [web], http: [{{route: [{{destination: {{host: web}}}}]}}]}}
"""
    text = "---".join(
        (rule.format(name="b", stamp=""), rule.format(name="a", stamp=', creationTimestamp: "2020-01-01T00:00:00Z"'))
    )
    assert [rule.name for rule in registry(text).virtual_services.rules] == ["a", "b"]


def test_the_scope_of_a_namespace_is_made_once() -> None:
    desired = registry(SERVICE)
    proxy, other = (Proxy("sidecar", PodInfo(name, "default", ip)) for name, ip in (("a", "1.1.1.1"), ("b", "1.1.1.2")))
    assert scope_of(desired, proxy) is scope_of(desired, other)


def test_short_names_are_expanded_and_dotted_ones_are_not() -> None:
    assert fqdn("reviews", "shop") == "reviews.shop.svc.cluster.local"
    assert fqdn("reviews.shop", "other") == "reviews.shop"
    assert fqdn("*", "shop") == "*"


def test_gateway_names_are_expanded() -> None:
    assert gateway_name("mesh", "a") == "mesh"
    assert gateway_name("gate", "a") == "a/gate"
    assert gateway_name("./gate", "a") == "a/gate"
    assert gateway_name("b/gate", "a") == "b/gate"
    assert gateway_name("gate.b.svc.cluster.local", "a") == "b/gate"


def test_hosts_overlap_in_both_directions() -> None:
    assert matches("*.example.com", "a.example.com")
    assert matches("*.a.example.com", "*.example.com")
    assert not matches("*.example.com", "example.com")
    assert subset_of("a.example.com", "*.example.com")
    assert not subset_of("*.example.com", "a.example.com")
    assert intersection(["*", "*.b.com"], ["a.com", "*.com"]) == ["a.com", "*.com", "*.b.com"]


def test_the_longest_wildcard_counts_and_an_exact_host_before_all() -> None:
    wildcards = {"*": 1, "*.com": 2, "*.example.com": 3}
    assert most_specific("a.example.com", {"a.example.com": 0}, wildcards) == 0
    assert most_specific("b.example.com", {}, wildcards) == 3
    assert most_specific("b.org", {}, wildcards) == 1
    assert most_specific("b.org", {}, {}) is None


def test_protocols_come_from_app_protocol_or_the_name_of_a_port() -> None:
    assert kubernetes_protocol(80, "http-web", "TCP", None) == "HTTP"
    assert kubernetes_protocol(80, "web", "TCP", None) == ""
    assert kubernetes_protocol(80, "web", "TCP", "kubernetes.io/h2c") == "HTTP2"
    assert kubernetes_protocol(3306, "", "TCP", None) == "TCP"
    assert kubernetes_protocol(53, "http", "UDP", None) == "UDP"
    assert kubernetes_protocol(80, "grpc-web-x", "TCP", None) == "GRPC-Web"


def test_a_memo_forgets_the_least_recently_used_and_keeps_inputs_alive() -> None:
    memo = Memo(limit=2)
    inputs = [object(), object(), object()]
    for given in (inputs[0], inputs[1], inputs[0], inputs[2]):
        memo.get("kind", (given,), (), object)
    assert memo.made == 3
    memo.get("kind", (inputs[0],), (), object)
    assert memo.made == 3
    memo.get("kind", (inputs[1],), (), object)
    assert memo.made == 4


def test_a_memo_returns_the_equal_object_it_has_seen() -> None:
    memo = Memo(limit=2)
    first = {"a": [1]}
    assert memo.intern("name", first) is first
    assert memo.intern("name", {"a": [1]}) is first
    assert memo.intern("name", {"a": [2]}) is not first
