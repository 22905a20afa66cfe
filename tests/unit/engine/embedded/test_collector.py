"""Where spans go in the embedded mesh, what is kept of them, and what is said of a Telemetry that traces nothing."""

from __future__ import annotations

import asyncio

import pytest

from labsupport.engine.embedded import collector, refuse
from labsupport.engine.embedded.envoy import receiver
from labsupport.engine.embedded.pods.programs import find_programs
from labsupport.errors import ManifestError
from labsupport.model import Resource, Telemetry, parse
from labsupport.model.reading.documents import read

TELEMETRY = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: t, namespace: default}
spec: {tracing: [{providers: [{name: jaeger}]}]}
"""
MESH = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: '%s'}
"""


def objects(*texts: str) -> list[Resource]:
    return [item for text in texts for item in parse(read(text))]


def test_equal_mesh_configurations_are_one_object() -> None:
    assert collector.mesh_of(objects(TELEMETRY)) is collector.mesh_of([])
    (name, provider), = collector.mesh_of([]).tracers  # fmt: skip
    assert (name, provider.service) == ("jaeger", "jaeger-collector.istio-system.svc.cluster.local")


def test_what_the_mesh_configuration_says_of_traces_counts_and_the_rest_does_not() -> None:
    text = "{outboundTrafficPolicy: {mode: ALLOW_ANY}, defaultConfig: {concurrency: 2, tracing: {sampling: 7}}}"
    mesh = collector.mesh_of(objects(MESH % text))
    assert (mesh.sampling, [name for name, _ in mesh.tracers]) == (7.0, ["jaeger"])
    assert mesh.connect_timeout == collector.mesh_of([]).connect_timeout


def test_the_collector_is_there_where_somebody_asks_for_traces() -> None:
    mesh = collector.mesh_of([])

    def services(given: list[Resource]) -> list[str]:
        return [
            item.name for item in collector.with_collector(given, mesh, namespace="default") if item.kind == "Service"
        ]

    assert services([]) == [] and services(objects(TELEMETRY)) == ["jaeger-collector"]


GATEWAY = ("istio-system", {"istio": "ingressgateway"})


@pytest.mark.parametrize(("namespace", "besides"), [("default", [GATEWAY]), ("other", [])])
def test_the_gateway_hears_the_telemetry_of_the_labs_namespace_and_of_no_other(
    namespace: str, besides: list[tuple[str, dict[str, str]]]
) -> None:
    made = collector.with_collector(objects(TELEMETRY), collector.mesh_of([]), namespace=namespace)
    told = [(item.namespace, item.match_labels) for item in made if isinstance(item, Telemetry)]
    assert told == [("default", None), *besides]


def test_a_provider_that_is_not_there_is_told() -> None:
    given = objects(TELEMETRY.replace("jaeger", "zipkin"))
    (note,) = collector.notes(given, given)
    assert note == (
        "Telemetry/t: the mesh configuration has no provider zipkin for traces, so that nothing is traced. "
        "There is: jaeger"
    )
    assert not list(collector.notes(objects(TELEMETRY), objects(TELEMETRY)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extensionProviders: [{name: a, opentelemetry: {service: s, port: 4318, http: {path: /}}}]", "over HTTP"),
        ("extensionProviders: [{name: a, opentelemetry: {service: s, port: [1]}}]", "istiod refuses"),
    ],
)
def test_a_provider_that_the_lab_cannot_play_is_refused(text: str, words: str) -> None:
    (problem,) = refuse.problems(objects(MESH % text), find_programs(None))
    assert words in problem.message and problem.path == "data.mesh"


@pytest.mark.parametrize("field", ["metrics: [{}]", "accessLogging: [{}]", "targetRefs: [{}]"])
def test_what_else_a_telemetry_says_is_refused_by_name(field: str) -> None:
    given = objects(TELEMETRY.replace("tracing: [{providers: [{name: jaeger}]}]", field))
    (problem,) = refuse.problems(given, find_programs(None))
    assert problem.path == f"spec.{field.partition(':')[0]}"


def test_a_percentage_beyond_100_is_refused() -> None:
    with pytest.raises(ManifestError, match="randomSamplingPercentage"):
        objects(TELEMETRY.replace("]}]", "], randomSamplingPercentage: 101}]"))


def test_the_oldest_exports_go_and_numbers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "_KEPT_BYTES", 25)
    monkeypatch.setattr(receiver, "_PART_BYTES", 5)
    kept = receiver.SpanReceiver()
    for number in range(4):
        asyncio.run(kept._export(bytes([number]) * 10, None))
    first = kept.since(0)
    assert first == (3, [b"\x02" * 10])
    assert kept.since(first[0]) == (4, [b"\x03" * 10]) and kept.since(4) == (4, [])
