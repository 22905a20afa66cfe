from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from small_engine import SmallEngine

from labsupport import paths
from labsupport.controlplane.offline.translate_files import run
from labsupport.errors import UsageError
from labsupport.lab.sources import read
from labsupport.model.writing.lines import block, key, leaves
from labsupport.observe.config.listeners import pruned
from labsupport.observe.config.view import ConfigView, view
from labsupport.records import EnvoyConfig, Pod

LESSON = paths.manifests() / "02-canary-by-weight"
FILES = (
    *(LESSON / "web", LESSON / "destination-rule-web-versions.yaml"),
    *(LESSON / "exercises" / "02.1" / "solution.yaml", LESSON / "bookinfo"),
    *(paths.manifests() / "apps" / "client", paths.manifests() / "apps" / "bookinfo"),
)
POLICIES = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool: {tcp: {maxConnections: 7}}
  subsets: [{name: safe, labels: {version: nobody}}]
"""


def pod(name: str, *, injected: bool = True, app: str = "") -> Pod:
    version = name.partition("-")[2]
    labels = {"app": app or name, "istio": name.removeprefix("istio-"), **({"version": version} if app else {})}
    return Pod(f"{name}-1", "default", name, labels, injected, True, concurrency=1)


def config(proxy: str, name: str, files: tuple[Path | str, ...]) -> EnvoyConfig:
    made = run(files, proxy)
    named = {kind: {item["name"]: item for item in made[kind]} for kind in ("clusters", "listeners", "routes")}
    endpoints = {item["cluster_name"]: item for item in made["endpoints"]}
    return EnvoyConfig(name, **named, endpoints=endpoints, versions={"RDS": "12", "CDS": "3", "LDS": "1"})


def engine_of(*files: Path | str) -> SmallEngine:
    engine = SmallEngine(pods=[pod("client"), pod("istio-ingressgateway", injected=False), pod("web-safe", app="web")])
    engine.configs = {
        "client-1": config("sidecar:client.default", "client-1", files),
        "web-safe-1": config("sidecar:web-safe.default", "web-safe-1", files),
        "istio-ingressgateway-1": config("gateway:istio-ingressgateway.istio-system", "istio-ingressgateway-1", files),
    }
    engine.apply(read(list(files)))
    return engine


def shown(engine: SmallEngine, kind: str, name: str, proxy: str = "") -> ConfigView:
    (resource,) = engine.get(kind, name)
    return view(engine, resource, proxy=proxy)


@pytest.fixture(scope="module")
def engine() -> SmallEngine:
    return engine_of(*FILES)


def test_a_virtual_service_is_shown_with_its_routes_and_then_their_clusters(engine: SmallEngine) -> None:
    seen = shown(engine, "VirtualService", "web")
    assert (seen.proxy, seen.role, seen.version) == ("client-1", "sidecar", "12")
    assert [part.title for part in seen.envoy_parts] == [
        "route table 8080, virtual host web.default.svc.cluster.local:8080",
        "cluster outbound|8080|safe|web.default.svc.cluster.local",
        "cluster outbound|8080|risk|web.default.svc.cluster.local",
    ]
    marks = {line.text.strip(): line.mark for line in seen.envoy_parts[0].lines}
    assert marks["weight: 90"] == "written"
    assert marks["timeout: 0s"] == "default"
    assert marks["retry_policy:"] == "default"
    assert {line.text.strip() for line in seen.written if line.mark == "written"} == {"weight: 90", "weight: 10"}
    assert "- web-risk (healthy)" in repr(seen)
    assert repr(seen).count("# default") == 4


def test_endpoints_that_come_after_others_say_so() -> None:
    policy = (
        "  trafficPolicy: {loadBalancer: {localityLbSetting: {failoverPriority: [version=risk]}}, outlierDetection: {}}"
    )
    rule = f"{POLICIES.partition('  trafficPolicy')[0]}{policy}"
    seen = repr(shown(engine_of(LESSON / "web", paths.manifests() / "apps" / "client", rule), "DestinationRule", "web"))
    assert "- web-risk (healthy)" in seen and "web-safe (healthy, priority 1)" in seen


def test_a_destination_rule_is_shown_as_its_clusters(engine: SmallEngine) -> None:
    seen = shown(engine, "DestinationRule", "web")
    assert seen.version == "3"
    assert {part.title.split("|")[2] for part in seen.envoy_parts} == {"", "safe", "risk"}


def test_a_gateway_is_shown_as_listener_and_route_table(engine: SmallEngine) -> None:
    seen = shown(engine, "Gateway", "workshop")
    assert (seen.proxy, seen.role) == ("istio-ingressgateway-1", "gateway")
    assert [part.title for part in seen.envoy_parts] == ["listener 0.0.0.0_8080", "route table http.8080"]


def test_a_gateway_that_selects_no_pod_is_explained(engine: SmallEngine) -> None:
    (resource,) = engine.get("Gateway", "workshop")
    (other,) = read([yaml.safe_dump(resource.raw).replace("ingressgateway", "egressgateway")])
    assert "selector" in view(engine, other).note


def test_a_rule_bound_to_a_gateway_is_looked_for_there(engine: SmallEngine) -> None:
    assert shown(engine, "VirtualService", "productpage").proxy == "istio-ingressgateway-1"


def test_a_service_is_shown_as_its_cluster_with_endpoints(engine: SmallEngine) -> None:
    (part,) = shown(engine, "Service", "web").envoy_parts
    assert part.title == "cluster outbound|8080||web.default.svc.cluster.local"


def test_another_proxy_can_be_named(engine: SmallEngine) -> None:
    assert shown(engine, "VirtualService", "web", "web-safe-1").proxy == "web-safe-1"
    with pytest.raises(UsageError, match="client-1"):
        shown(engine, "VirtualService", "web", "nobody")


def test_a_rule_that_this_proxy_does_not_hold_is_explained(engine: SmallEngine) -> None:
    seen = shown(engine, "VirtualService", "productpage", "client-1")
    assert seen.envoy_parts == ()
    assert "gateways" in seen.note


def test_a_kind_without_configuration_of_its_own_is_a_usage_error(engine: SmallEngine) -> None:
    with pytest.raises(UsageError, match="VirtualService"):
        shown(engine, "Deployment", "client")


def test_what_is_written_is_no_default_and_an_empty_subset_is_noted() -> None:
    engine = engine_of(LESSON / "web", POLICIES, paths.manifests() / "apps" / "client")
    seen = shown(engine, "DestinationRule", "web")
    lines = [line for part in seen.envoy_parts for line in part.lines]
    assert {line.mark for line in lines if line.text.startswith("lb_policy")} == {"written"}
    assert {line.mark for line in lines if "max_connections" in line.text} == {"written"}
    assert {line.mark for line in lines if "max_requests" in line.text} == {"default"}
    assert "503 UH" in seen.note


EVERY_KIND = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec:
  hosts: [db]
  tcp:
  - route:
    - {destination: {host: db}, weight: 70}
    - {destination: {host: web, port: {number: 8080}}, weight: 30}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example], tls: {httpsRedirect: true}}
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [shop.example]
    tls: {mode: MUTUAL, credentialName: shop-cert, minProtocolVersion: TLSV1_3}
  - {port: {number: 443, name: tls, protocol: TLS}, hosts: [db.example], tls: {mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: passthrough}
spec:
  hosts: [db.example]
  gateways: [shop]
  tls: [{match: [{sniHosts: [db.example]}], route: [{destination: {host: db}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example]
  gateways: [shop]
  http: [{route: [{destination: {host: web}}], retries: {attempts: 1, perTryTimeout: 250ms}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [api.example.com]
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: narrow}
spec:
  workloadSelector: {labels: {app: web, version: safe}}
  ingress: [{port: {number: 9999, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:5000"}]
  egress: [{hosts: ["./web.default.svc.cluster.local"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
"""


@pytest.fixture(scope="module")
def every_kind() -> SmallEngine:
    return engine_of(LESSON / "web", paths.manifests() / "apps" / "client", EVERY_KIND)


def marked(view: ConfigView, mark: str = "written") -> list[str]:
    return [line.text.strip(" -") for part in view.envoy_parts for line in part.lines if line.mark == mark]


def test_tcp_rules_are_shown_as_the_filter_chain_that_they_became(every_kind: SmallEngine) -> None:
    seen = shown(every_kind, "VirtualService", "db")
    assert seen.envoy_parts[0].title.startswith("listener ") and "filter chain" in seen.envoy_parts[0].title
    assert {"weight: 70", "weight: 30"} <= set(marked(seen))
    assert [part.title for part in seen.envoy_parts[1:]] == [
        "cluster outbound|5432||db.default.svc.cluster.local",
        "cluster outbound|8080||web.default.svc.cluster.local",
    ]


def test_tls_rules_at_a_gateway_are_found_by_their_names(every_kind: SmallEngine) -> None:
    seen = shown(every_kind, "VirtualService", "passthrough")
    assert seen.role == "gateway"
    assert "db.example" in marked(seen)


def test_a_gateway_is_shown_with_its_certificates_by_name_and_its_redirect(every_kind: SmallEngine) -> None:
    seen = shown(every_kind, "Gateway", "shop")
    text = repr(seen)
    assert "name: kubernetes://shop-cert" in marked(seen)
    assert "tls_minimum_protocol_version: TLSv1_3" in marked(seen)
    assert "require_client_certificate: true" in text
    assert "require_tls: ALL" in text
    assert "tcp_proxy" in text
    assert [part.title.split()[0] for part in seen.envoy_parts] == ["listener", "listener", "route", "route"]


def test_the_same_routes_in_two_tables_are_shown_once(every_kind: SmallEngine) -> None:
    seen = shown(every_kind, "VirtualService", "shop")
    (table,) = [part for part in seen.envoy_parts if part.title.startswith("route table")]
    assert len(table.alike) == 1
    # A duration is the same value in whatever unit it is written.
    assert "per_try_timeout: 0.250s" in marked(seen)


def test_a_host_outside_is_shown_with_its_route_chain_and_clusters(every_kind: SmallEngine) -> None:
    titles = [part.title for part in shown(every_kind, "ServiceEntry", "outside").envoy_parts]
    assert titles[0] == "route table 80, virtual host api.example.com:80"
    assert "listener 0.0.0.0_443, filter chain" in titles
    assert any(title.startswith("cluster outbound|443||api.example.com") for title in titles)


def test_a_sidecar_is_shown_by_what_it_leaves_and_what_it_opens(every_kind: SmallEngine) -> None:
    seen = shown(every_kind, "Sidecar", "narrow")
    assert seen.proxy == "web-safe-1"
    assert "inbound|9999||" in repr(seen)
    assert "outbound|8080||web.default.svc.cluster.local" in repr(seen)
    assert "outbound|80||api.example.com" not in repr(seen)
    assert "block_all" in repr(seen)


def test_what_a_certificate_holds_is_never_shown() -> None:
    context = {"tls_certificates": [{"private_key": {"inline_string": "SECRET"}}], "password": {"inline_bytes": "QUJD"}}
    assert "SECRET" not in str(pruned(context)) and "QUJD" not in str(pruned(context))


def test_numbers_that_mean_the_same_are_the_same() -> None:
    assert key(("a", "numerator"), 250_000) == key(("a", "value"), 25)
    assert key(("a",), "1m30s") == key(("b",), "90s")
    assert key(("a",), "1") == key(("b",), 1) != key(("b",), True)


def test_a_missing_cluster_is_noted() -> None:
    rule = (
        LESSON / "exercises" / "02.1" / "solution.yaml",
        LESSON / "web",
        paths.manifests() / "apps" / "client",
    )
    seen = shown(engine_of(*rule), "VirtualService", "web")
    assert "503 NC" in seen.note
    assert "(missing)" in seen.envoy_parts[-1].title


def test_without_any_proxy_it_says_so() -> None:
    engine = engine_of(*FILES)
    engine._pods = []
    assert "no proxy yet" in repr(shown(engine, "VirtualService", "web"))


@pytest.mark.parametrize(
    "value",
    [
        {"a": [{"b": 1, "c": ["x", []]}, {}], "d": {"e": None, "f": True}, "g": 1.5},
        {
            "texts": [
                "yes",
                "0",
                "1.5",
                "1_0",
                "a: b",
                "- a",
                "#",
                "a #b",
                "",
                " x",
                "*",
                "null",
                "~",
                "a:b",
                "é",
                '"',
                "1e3",
            ]
        },
        {"10.0.0.1": "10.0.0.1", "outbound|80||web": "%REQ(:path)%", "/": "/a,b", "multi": "one\ntwo"},
        [[1, 2], [{"a": {"b": [3]}}]],
    ],
)
def test_lines_are_yaml_of_the_same_value(value: object) -> None:
    text = "\n".join(line.text for line in block(value))
    assert yaml.safe_load(text) == value


def test_leaves_are_found_with_their_paths() -> None:
    assert dict(leaves({"a": [{"b": 1}], "c": 2})) == {("a", 0, "b"): 1, ("c",): 2}


ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: default}
spec:
  parentRefs: [{group: "", kind: Service, name: web}]
  rules:
  - timeouts: {request: 7s}
    backendRefs: [{name: web, port: 8080, weight: 3}, {name: gone, port: 8080}]
"""


def test_an_httproute_is_found_by_what_istiod_makes_of_it() -> None:
    engine = engine_of(LESSON / "web", paths.manifests() / "apps" / "client", ROUTE)
    seen = view(engine, engine.get("HTTPRoute")[0])
    assert (seen.proxy, seen.role) == ("client-1", "sidecar")
    assert "virtual host web.default" in seen.envoy_parts[0].title
    assert marked(seen) == ["weight: 3", "timeout: 7s"]
    assert "gets 500 NC" in seen.note
    lost = engine_of(LESSON / "web", paths.manifests() / "apps" / "client", ROUTE.replace("name: web}]", "name: wbe}]"))
    assert "Check that parentRefs" in view(lost, lost.get("HTTPRoute")[0]).note


def test_a_tcp_route_is_found_by_its_filter_chain() -> None:
    service = """
apiVersion: v1
kind: Service
metadata: {name: bytes, namespace: default}
spec: {selector: {app: web}, ports: [{name: tcp, port: 9000, targetPort: 5000}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: bytes, namespace: default}
spec:
  parentRefs: [{group: "", kind: Service, name: bytes}]
  rules: [{backendRefs: [{name: web, port: 8080, weight: 3}, {name: bytes, port: 9000, weight: 4}]}]
"""
    engine = engine_of(LESSON / "web", paths.manifests() / "apps" / "client", service)
    seen = view(engine, engine.get("TCPRoute")[0])
    assert (seen.proxy, seen.role) == ("client-1", "sidecar")
    assert "filter chain" in seen.envoy_parts[0].title
    assert marked(seen) == ["weight: 3", "weight: 4"]
