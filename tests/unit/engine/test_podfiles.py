"""The files that a pod's volumes have."""

from __future__ import annotations

import pytest

from labsupport.engine.dangling import dangling
from labsupport.engine.podfiles import UnfitFile, VolumeFile, volume_files
from labsupport.engine.podtemplate import MissingReference
from labsupport.model import Deployment, Resource, parse
from labsupport.model.reading.documents import read

OBJECTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: c, namespace: default}
data: {a.conf: text, b: other}
binaryData: {c: eA==}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: default}
data: {tls.crt: Y2VydA==}
stringData: {tls.key: key}
"""
POD = {"metadata.name": "web-1", "status.podIP": "10.244.0.1"}


def files(volumes: str, objects: str = OBJECTS) -> dict[str, dict[str, VolumeFile]]:
    return volume_files(deployment(volumes), parsed(objects), pod=POD, labels={"app": "web", "version": 'a"b'})


def parsed(text: str) -> list[Resource]:
    return parse(read(text))


def deployment(volumes: str) -> Deployment:
    (made,) = parsed(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: default}\n"
        "spec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
        f"    spec:\n      containers: [{{name: web, image: web}}]\n      volumes: [{volumes}]\n"
    )
    assert isinstance(made, Deployment)
    return made


def test_each_key_is_a_file_or_each_item_where_there_are_some() -> None:
    made = files(
        "{name: a, configMap: {name: c}},"
        "{name: b, configMap: {name: c, defaultMode: 0400,"
        " items: [{key: b, path: x/y}, {key: c, path: z, mode: 0777}]}},"
        "{name: c, secret: {secretName: s}}, {name: d, emptyDir: {}}, {name: e}"
    )
    assert {path: file.content for path, file in made["a"].items()} == {"a.conf": b"text", "b": b"other", "c": b"x"}
    assert made["b"] == {"x/y": VolumeFile(b"other", 0o400), "z": VolumeFile(b"x", 0o777)}
    assert made["c"] == {"tls.crt": VolumeFile(b"cert", 0o644), "tls.key": VolumeFile(b"key", 0o644)}
    assert made["d"] == made["e"] == {}


def test_a_projected_volume_joins_its_sources_and_fields_of_the_pod_are_files_too() -> None:
    made = files(
        "{name: a, projected: {defaultMode: 0440, sources: [{secret: {name: s, items: [{key: tls.key, path: key}]}},"
        "{configMap: {name: c, items: [{key: b, path: b}]}},"
        "{downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}]}},"
        "{name: b, downwardAPI: {items: [{path: ip, mode: 0600, fieldRef: {fieldPath: status.podIP}}]}}"
    )
    labels = VolumeFile(b'app="web"\nversion="a\\"b"', 0o440)
    assert made["a"] == {"key": VolumeFile(b"key", 0o440), "b": VolumeFile(b"other", 0o440), "labels": labels}
    assert made["b"] == {"ip": VolumeFile(b"10.244.0.1", 0o600)}


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ("configMap: {name: missing, optional: OPTIONAL}", "ConfigMap/missing does not exist"),
        (
            "secret: {secretName: s, optional: OPTIONAL, items: [{key: none, path: x}]}",
            "Secret/s has no key none",
        ),
        ("projected: {sources: [{secret: {name: none, optional: OPTIONAL}}]}", "Secret/none does not exist"),
    ],
)
def test_what_is_not_there_is_named_unless_it_is_optional(volume: str, words: str) -> None:
    needed = f"{{name: a, {volume.replace('OPTIONAL', 'false')}}}"
    with pytest.raises(MissingReference, match=words):
        files(needed)
    (problem,) = dangling([*parsed(OBJECTS), deployment(needed)])
    assert problem.message == words and problem.path == "spec.template.spec.volumes"
    assert files(f"{{name: a, {volume.replace('OPTIONAL', 'true')}}}") == {"a": {}}


def test_more_than_a_pod_may_have_is_refused_before_it_is_made() -> None:
    large = (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: default}}\ndata: {{k: {'x' * 1_000_000}}}\n"
    )
    items = ", ".join(f"{{key: k, path: p{index}}}" for index in range(2000))
    with pytest.raises(UnfitFile, match="more than 16,777,216 bytes"):
        files(f"{{name: a, configMap: {{name: c, items: [{items}]}}}}", large)


@pytest.mark.parametrize("path", ["x" * 256, "/".join(["x" * 200] * 6)])
def test_a_name_that_no_file_can_have_is_refused(path: str) -> None:
    with pytest.raises(UnfitFile, match="too long"):
        files(f"{{name: a, configMap: {{name: c, items: [{{key: b, path: {path}}}]}}}}")
