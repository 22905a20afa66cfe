from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from small_engine import SmallEngine

from labsupport import paths
from labsupport.config_lines import block, leaves
from labsupport.config_view import ConfigView, view
from labsupport.engine.base import Pod, ProxyConfig
from labsupport.errors import UsageError
from labsupport.mesh.cli_translate import run
from labsupport.sources import read

LESSON = paths.manifests() / "02-canary-by-weight"
FILES = (
    *(LESSON / "web", LESSON / "destination-rule-web-versions.yaml"),
    *(LESSON / "solution" / "virtual-service-web-90-10.yaml", LESSON / "bookinfo"),
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
    labels = {"app": app or name, "istio": name.removeprefix("istio-")}
    return Pod(f"{name}-1", "default", name, labels, injected, True, concurrency=1)


def config(proxy: str, name: str, files: tuple[Path | str, ...]) -> ProxyConfig:
    made = run(files, proxy)
    named = {kind: {item["name"]: item for item in made[kind]} for kind in ("clusters", "listeners", "routes")}
    endpoints = {item["cluster_name"]: item for item in made["endpoints"]}
    return ProxyConfig(name, **named, endpoints=endpoints, versions={"RDS": "12", "CDS": "3", "LDS": "1"})


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


def test_a_missing_cluster_is_noted() -> None:
    rule = (
        LESSON / "solution" / "virtual-service-web-90-10.yaml",
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
