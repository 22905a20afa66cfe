"""Each field of each kind of Kubernetes that is taken has its effect, is refused by name, or is told to do nothing."""

from __future__ import annotations

import typing
from collections.abc import Iterator

import pytest

from labsupport.engine.embedded import effects
from labsupport.engine.embedded.pods.programs import find_programs
from labsupport.engine.embedded.refuse import notes
from labsupport.model import parse
from labsupport.model.kinds.index import KINDS
from labsupport.model.reading.documents import of_data, read
from labsupport.model.schema.base import Metadata, Schema
from labsupport.records import Json

# What the API server writes, and what Kubernetes' own names of an object are: no effect is expected of either.
APART = (Metadata,)


def inner(annotation: object) -> list[type[Schema]]:
    """The models in a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in inner(argument)]


def levels(model: type[Schema], path: str = "") -> Iterator[tuple[str, str, list[type[Schema]]]]:
    """Path, name and inner models of every field, as deep as fields have their effect."""
    for name, field in model.model_fields.items():
        alias = str(field.alias or name)
        models = [each for each in inner(field.annotation) if each not in APART]
        yield path, alias, models
        if alias not in ("status",):
            for each in models:
                yield from levels(each, f"{path}.{alias}".lstrip("."))


KUBERNETES = sorted(effects.HONOURED)
FIELDS = [(kind, *level) for kind in KUBERNETES for level in levels(KINDS[kind]) if "initContainers" not in level[0]]


def test_the_fields_are_many_and_every_kind_has_its_levels() -> None:
    assert len(FIELDS) > 150
    known = {(kind, path) for kind, path, _, _ in FIELDS}
    # What is Loose in the model has no model, and a level of its own all the same.
    loose = {("Deployment", "spec.strategy"), ("Deployment", "spec.strategy.rollingUpdate")}
    written = {(kind, path) for kind, of_kind in effects.HONOURED.items() for path in of_kind}
    assert written <= known | loose


@pytest.mark.parametrize(("kind", "path", "name", "models"), FIELDS)
def test_no_field_falls_through(kind: str, path: str, name: str, models: list[type[Schema]]) -> None:
    honoured = effects.HONOURED[kind].get(path)
    if honoured is None:
        # It lies in a field of which the whole is told to have no effect, or that is refused.
        outer, _, last = path.rpartition(".")
        assert last not in effects.HONOURED[kind].get(outer, ())
        return
    if name in honoured or name in effects.REFUSED.get(kind, {}).get(path, ()):
        return
    raw: Json = {name: {"given": "something"}}
    for key in reversed(path.split(".") if path else []):
        raw = {key: raw}
    assert name in list(effects.passed_over(kind, raw))


def told(text: str) -> list[str]:
    return notes(parse(read(text)), find_programs(None), set())


SIDECAR = "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\nspec: {outboundTrafficPolicy: %s}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
            "spec: {sessionAffinity: ClientIP, ipFamilyPolicy: SingleStack, ports: [{port: 80}]}\n",
            "no effect on the embedded mesh: sessionAffinity, ipFamilyPolicy",
        ),
        (
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d}\n"
            "spec: {host: s, trafficPolicy: {portLevelSettings: [{port: {number: 1}, outlierDetection: "
            "{consecutive5xxErrors: 1, outlierDetectionHttpErrorCodes: [500]}}]}}\n",
            "no effect on the embedded mesh: outlierDetectionHttpErrorCodes",
        ),
        (
            SIDECAR % "{mode: ALLOW_ANY}",
            "Sidecar/s: outboundTrafficPolicy lets nothing out",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n"
            "data: {mesh: 'outboundTrafficPolicy: {mode: ALLOW_ANY}'}\n",
            "ConfigMap/istio: outboundTrafficPolicy lets nothing out",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n"
            "data: {mesh: 'connectTimeout: 3s'}\n",
            "ConfigMap/istio: nobody reads the mesh configuration here, so that connectTimeout has no effect",
        ),
        (
            "apiVersion: v1\nkind: Namespace\n"
            "metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient, istio.io/rev: canary}}\n",
            "no effect on the embedded mesh: the label istio.io/dataplane-mode, the label istio.io/rev: canary (the",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: s, labels: {istio.io/use-waypoint: w}, "
            "annotations: {networking.istio.io/exportTo: '*'}}\nspec: {ports: [{port: 80}]}\n",
            "no effect on the embedded mesh: the label istio.io/use-waypoint",
        ),
    ],
)
def test_what_has_no_effect_is_told_by_name(text: str, words: str) -> None:
    (note,) = told(text)
    assert note.startswith(words)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("traffic.sidecar.istio.io/excludeInboundPorts: '80'", "the annotation traffic.sidecar.istio.io/exclude"),
        ("sidecar.istio.io/proxyCPU: 100m", "the annotation sidecar.istio.io/proxyCPU"),
        ("proxy.istio.io/config: 'terminationDrainDuration: 5s'", "terminationDrainDuration in proxy.istio.io/config"),
    ],
)
def test_annotations_of_sidecars_without_effect_are_told_by_name(annotation: str, words: str) -> None:
    (note,) = told(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec:\n  selector: {matchLabels: {app: x}}\n"
        f"  template:\n    metadata: {{labels: {{app: x}}, annotations: {{{annotation}}}}}\n"
        "    spec: {containers: [{name: a, image: web}]}\n"
    )
    assert note.startswith(f"no effect on the embedded mesh: {words}")


def test_what_is_written_as_it_is_by_default_needs_no_word() -> None:
    objects = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "s"}}
    spec = {"sessionAffinity": "None", "externalIPs": [], "ports": [{"port": 80}]}
    assert notes(parse(of_data({**objects, "spec": spec}, file="a")), find_programs(None), set()) == []


def test_what_has_its_effect_is_not_told() -> None:
    assert told("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio.io/rev: default}}\n") == []
    assert told(SIDECAR % "{mode: REGISTRY_ONLY}") == []
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: shop}\ndata: {mesh: 'a: b'}\n"
    assert told(other) == []


@pytest.mark.parametrize(
    ("parent", "told"),
    [('{group: "", kind: Service, name: web}', ["hostnames"]), ("{name: front, sectionName: http}", [])],
)
def test_hosts_of_a_route_count_at_gateways_only(parent: str, told: list[str]) -> None:
    text = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web}\n"
    (route,) = parse(read(f"{text}spec: {{parentRefs: [{parent}], hostnames: [a.example]}}\n"))
    assert list(effects.without_effect(route)) == told
