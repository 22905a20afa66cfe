"""What the translation promises to those who call it; equality with istiod is proven in tests/fidelity."""

from __future__ import annotations

from datetime import timedelta

import pytest

from labsupport import model
from labsupport.controlplane.offline.translate_files import run
from labsupport.controlplane.proxies import PodInfo, Proxy
from labsupport.controlplane.registry.registry import Registry
from labsupport.controlplane.translate import translate, unsupported
from labsupport.controlplane.translate.names import duration
from labsupport.errors import ManifestError, UsageError
from labsupport.model import parse_duration
from labsupport.model.reading import documents

MESH = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 8080, targetPort: 5000}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http:
  - route:
    - {destination: {host: web, subset: safe}, weight: 90}
    - {destination: {host: web, subset: risk}, weight: 10}
"""
POD = PodInfo("web-0", "default", "10.244.0.2", labels={"app": "web"})


def test_a_weighted_rule_becomes_weighted_clusters() -> None:
    resources = translate(Registry(model.parse(documents.read(MESH)), [POD]), Proxy("sidecar", POD))
    (host, _) = resources.routes["8080"]["virtual_hosts"]
    assert host["routes"][0]["route"]["weighted_clusters"]["clusters"] == [
        {"name": "outbound|8080|safe|web.default.svc.cluster.local", "weight": 90},
        {"name": "outbound|8080|risk|web.default.svc.cluster.local", "weight": 10},
    ]


@pytest.mark.parametrize(("policy", "name"), [("ALLOW_ANY", "allow_any"), ("REGISTRY_ONLY", "block_all")])
def test_unknown_hosts_are_passed_or_blocked_as_the_mesh_says(policy: str, name: str) -> None:
    registry = Registry(model.parse(documents.read(MESH)), [POD], outbound_traffic_policy=policy)
    hosts = translate(registry, Proxy("sidecar", POD)).routes["8080"]["virtual_hosts"]
    assert hosts[-1]["name"] == name
    assert hosts[-1]["domains"] == ["*"]


def test_a_gateway_without_a_gateway_object_listens_for_nothing() -> None:
    gateway = PodInfo("gate", "istio-system", "10.244.0.9", labels={"istio": "ingressgateway"})
    resources = translate(Registry(model.parse(documents.read(MESH)), [gateway]), Proxy("gateway", gateway))
    assert resources.listeners == {}
    assert resources.routes == {}
    assert "PassthroughCluster" not in resources.clusters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", "0s"),
        ("1.5s", "1.500s"),
        ("250ms", "0.250s"),
        ("1h", "3600s"),
        ("100us", "0.000100s"),
        ("1ns", "0.000000001s"),
    ],
)
def test_durations_are_written_as_proto_json_does(text: str, expected: str) -> None:
    assert duration(parse_duration(text)) == expected


def test_a_plain_timedelta_is_a_duration_too() -> None:
    assert duration(timedelta(milliseconds=1)) == "0.001s"


def test_what_is_not_translated_is_named() -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gate, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: c}}
  - {port: {number: 8443, name: mutual, protocol: HTTPS}, hosts: ["*"], tls: {mode: ISTIO_MUTUAL}}
"""
    (gateway,) = model.parse(documents.read(text))
    assert [path for path, _ in unsupported(gateway)] == ["spec.servers[1].tls.mode"]
    assert all(unsupported(resource) == [] for resource in model.parse(documents.read(MESH)))


def test_the_command_prints_the_shape_of_the_oracle_sorted_by_name() -> None:
    result = run([MESH], "sidecar:client.default")
    assert set(result) == {"clusters", "listeners", "routes", "endpoints", "info"}
    names = [cluster["name"] for cluster in result["clusters"]]
    assert names == sorted(names)
    assert result["info"]["proxy"]["id"] == "client.default"


def test_objects_that_admission_refuses_are_left_out_and_named() -> None:
    bad = MESH.replace("weight: 90", "weight: 0").replace("weight: 10", "weight: 0")
    result = run([bad], "sidecar:client.default")
    assert [(item["kind"], item["name"]) for item in result["info"]["rejected"]] == [("VirtualService", "web")]
    (table,) = (table for table in result["routes"] if table["name"] == "8080")
    assert table["virtual_hosts"][0]["routes"][0]["name"] == "default"


@pytest.mark.parametrize("text", ["web", "sidecar:web", "router:web.default", "sidecar:.default"])
def test_a_proxy_that_is_named_wrongly_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(UsageError, match="sidecar:<pod or Deployment>"):
        run([MESH], text)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("connectTimeout: 24h", "connectTimeout must be between 1ms and 1h, got 24h"),
        ("connectTimeout: 5", "connectTimeout must be a duration"),
        ("protocolDetectionTimeout: 1.5ms", "protocolDetectionTimeout must be whole milliseconds"),
        ("outboundTrafficPolicy: {mode: OFTEN}", "outboundTrafficPolicy.mode must be one of REGISTRY_ONLY"),
        ("localityLbSetting: {failover: [{from: a, to: a}]}", "localityLbSetting.failover[0] from and to"),
        ("defaultTrafficPolicy: {connectionPool: {}}", "defaultTrafficPolicy.connectionPool must have http or tcp"),
        ("defaultServiceExportTo: all", "defaultServiceExportTo must be a list"),
        ("'[]'", "must be a mapping"),
        ("accessLogFile: [x", "is no YAML"),
    ],
)
def test_a_mesh_configuration_that_istiod_refuses_is_refused(written: str, told: str) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n"
    with pytest.raises(ManifestError, match="istiod refuses the mesh configuration") as caught:
        run([f"{text}    {written}"], "sidecar:web-0.default")
    assert told in str(caught.value)
