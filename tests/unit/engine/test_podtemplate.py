"""What a Deployment's pods are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest

from labsupport.engine.podtemplate import (
    LONGEST_VARIABLE,
    MissingReference,
    UnfitVariable,
    concurrency,
    environment,
    image_name,
    injected,
    pod_template,
)
from labsupport.model import Deployment, Resource, parse
from labsupport.model.reading.documents import read


def deployment(container: str = "", labels: str = "", extra: str = "", pod: str = "") -> Deployment:
    text = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: default}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  {extra}
  template:
    metadata: {{labels: {{app: web{labels}}}}}
    spec: {{{pod} containers: [{{name: web, image: web{container}}}]}}
"""
    (made,) = parse(read(text))
    assert isinstance(made, Deployment)
    return made


def variables(made: Deployment, objects: Sequence[Resource], **given: Mapping[str, str]) -> dict[str, str]:
    return environment(made, made.spec.template.spec.containers[0], objects, **given)


@pytest.mark.parametrize(
    ("labels", "annotations", "namespace", "expected"),
    [
        ({}, {}, {}, False),
        ({}, {}, {"istio-injection": "enabled"}, True),
        ({"sidecar.istio.io/inject": "false"}, {}, {"istio-injection": "enabled"}, False),
        ({"sidecar.istio.io/inject": "true"}, {}, {}, True),
        ({}, {"sidecar.istio.io/inject": "true"}, {}, True),
        ({"sidecar.istio.io/inject": "false"}, {"sidecar.istio.io/inject": "true"}, {}, False),
        ({}, {}, {"istio.io/rev": "default"}, True),
        ({"istio.io/rev": "default"}, {}, {}, True),
        ({"istio.io/rev": "default"}, {}, {"istio.io/rev": "canary"}, False),
        ({}, {}, {"istio.io/rev": "default", "istio-injection": "disabled"}, False),
    ],
)
def test_injection_follows_label_annotation_and_namespace(
    labels: dict[str, str], annotations: dict[str, str], namespace: dict[str, str], expected: bool
) -> None:
    assert injected(labels, annotations, namespace) is expected


@pytest.mark.parametrize(
    "image", ["web", "web:1.2", "registry.example:5000/course/web:latest", "web@sha256:0123", "a/b/web"]
)
def test_an_image_stands_for_the_program_of_its_last_segment(image: str) -> None:
    assert image_name(image) == "web"


def test_only_what_is_in_the_template_replaces_pods() -> None:
    plain = pod_template(deployment(), {})
    assert pod_template(deployment(extra="replicas: 3"), {}).digest == plain.digest
    assert pod_template(deployment(labels=", version: v2"), {}).digest != plain.digest
    assert pod_template(deployment(container=", env: [{name: A, value: b}]"), {}).digest != plain.digest
    labelled = pod_template(deployment(), {"istio-injection": "enabled"})
    assert (labelled.injected, labelled.digest) == (True, plain.digest)


def test_the_sidecars_container_is_none_of_the_programs() -> None:
    several = (
        "}, {name: istio-proxy, image: auto}, {name: other, image: httpbin, ports: [{name: http, containerPort: 80}]"
    )
    template = pod_template(deployment(container=several), {})
    assert [container.name for container in template.containers] == ["web", "other"]
    assert template.named_ports == {"http": 80}


@pytest.mark.parametrize(
    ("strategy", "replicas", "surge"),
    [
        ("", 1, 1),
        ("", 10, 3),
        ("rollingUpdate: {maxSurge: 2}", 10, 2),
        ("rollingUpdate: {maxSurge: 0}", 4, 1),
    ],
)
def test_surge_follows_the_strategy(strategy: str, replicas: int, surge: int) -> None:
    extra = f"replicas: {replicas}\n  strategy: {{{strategy}}}"
    assert pod_template(deployment(extra=extra), {}).surge == surge


def test_variables_come_from_everywhere_kubernetes_takes_them() -> None:
    config = parse(
        read(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\ndata: {k: v, j: w}\n---\n"
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\ndata: {p: c2VjcmV0}\n"
        )
    )
    env = (
        ", envFrom: [{prefix: C_, configMapRef: {name: c}}], env: ["
        "{name: A, value: x}, {name: B, value: $(A)-$(NONE)-$$(A)},"
        "{name: K, valueFrom: {configMapKeyRef: {name: c, key: k}}},"
        "{name: P, valueFrom: {secretKeyRef: {name: s, key: p}}},"
        "{name: O, valueFrom: {configMapKeyRef: {name: c, key: none, optional: true}}},"
        "{name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}},"
        "{name: L, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}}]"
    )
    seen = variables(deployment(container=env), config, pod={"metadata.name": "web-1"}, labels={"app": "web"})
    assert seen == {
        "C_k": "v", "C_j": "w", "A": "x", "B": "x-$(NONE)-$(A)", "K": "v", "P": "secret", "ME": "web-1", "L": "web",
        "POD_NAME": "web-1", "POD_NAMESPACE": "",
    }  # fmt: skip


def test_a_missing_key_is_named() -> None:
    env = ", env: [{name: K, valueFrom: {configMapKeyRef: {name: c, key: k}}}]"
    with pytest.raises(MissingReference, match="ConfigMap/c"):
        variables(deployment(container=env), [], pod={}, labels={})


def referring(names: str) -> str:
    """Variables that each stand for ten times what the one before stands for."""
    env = "{name: A, value: abcdefghij}"
    for before, name in pairwise(names):
        env += f", {{name: {name}, value: {f'$({before})' * 10}}}"
    return f", env: [{env}]"


def test_references_to_references_grow_up_to_what_a_program_can_get() -> None:
    seen = variables(deployment(container=referring("ABCDE")), [], pod={}, labels={})
    assert len(seen["E"]) == 100_000
    with pytest.raises(UnfitVariable, match="the variable F grows beyond 131,071 bytes"):
        variables(deployment(container=referring("ABCDEFGH")), [], pod={}, labels={})


@pytest.mark.parametrize(("length", "fits"), [(LONGEST_VARIABLE - len("A="), True), (LONGEST_VARIABLE - 1, False)])
def test_a_long_variable_is_refused_where_linux_refuses_it(length: int, fits: bool) -> None:
    container = f", env: [{{name: A, value: {'x' * length}}}]"
    if fits:
        assert len(variables(deployment(container=container), [], pod={}, labels={})["A"]) == length
        return
    with pytest.raises(UnfitVariable):
        variables(deployment(container=container), [], pod={}, labels={})


def test_many_long_variables_are_refused_together() -> None:
    many = ", ".join(f"{{name: A{index}, value: {'x' * 100_000}}}" for index in range(30))
    with pytest.raises(UnfitVariable, match="with A20 all variables are more than"):
        variables(deployment(container=f", env: [{many}]"), [], pod={}, labels={})


@pytest.mark.parametrize(
    ("written", "workers"),
    [("2", 2), ("'3'", 3), ("2.0", 2), ("0", 1), ("99", 8), ("null", 1), ("true", 1), ("-1", 1), ("²", 1)],
)
def test_the_workers_of_a_sidecar_are_a_number_in_any_form(written: str, workers: int) -> None:
    assert concurrency({"proxy.istio.io/config": f"concurrency: {written}"}) == workers


def test_a_value_that_would_end_in_its_middle_is_refused() -> None:
    config = parse(
        read('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default}\ndata: {k: "a\\0b"}\n')
    )
    with pytest.raises(UnfitVariable, match="the variable k holds a NUL"):
        variables(deployment(container=", envFrom: [{configMapRef: {name: c}}]"), config, pod={}, labels={})
    with pytest.raises(UnfitVariable, match="the variable A holds a NUL"):
        variables(deployment(container=', env: [{name: A, value: "\\0"}]'), [], pod={}, labels={})


@pytest.mark.parametrize(("written", "seconds"), [("", 30), ("0", 0), ("7", 7), ("-1", 1)])
def test_a_negative_time_to_end_is_one_second_as_kubernetes_takes_it(written: str, seconds: int) -> None:
    pod = f"terminationGracePeriodSeconds: {written}," if written else ""
    assert pod_template(deployment(pod=pod), {}).grace_s == seconds
