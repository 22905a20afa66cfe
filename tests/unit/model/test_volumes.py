"""Volumes that an API server refuses."""

from __future__ import annotations

import pytest

from labsupport.errors import ManifestError
from labsupport.model import parse
from labsupport.model.reading.documents import read

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: x}}
spec:
  selector: {{matchLabels: {{app: x}}}}
  template:
    metadata: {{labels: {{app: x}}}}
    spec:
      containers: [{{name: a, image: web, volumeMounts: [{mounts}]}}]
      volumes: [{volumes}]
"""
FINE = "{name: v, secret: {secretName: s}}"


@pytest.mark.parametrize(
    ("volumes", "mounts", "path", "words"),
    [
        ("{name: V}", "", "volumes[0].name", "is not a name of a volume"),
        ("{name: v}, {name: v}", "", "volumes[1].name", "already a volume v"),
        ("{name: v, emptyDir: {}, configMap: {name: c}}", "", "volumes[0]", "several sources: configMap, emptyDir"),
        ("{name: v, configmap: {name: c}}", "", "volumes[0].configmap", "configMap"),
        ("{name: v, configMap: {}}", "", "volumes[0].configMap", "names no object"),
        ("{name: v, secret: {name: s}}", "", "volumes[0].secret.name", "secretName"),
        ("{name: v, secret: {}}", "", "volumes[0].secret", "names no Secret"),
        ("{name: v, secret: {secretName: s, defaultMode: 0o1000}}", "", "volumes[0].secret.defaultMode", "0 to 0777"),
        (
            "{name: v, configMap: {name: c, items: [{key: a, path: ../x}]}}",
            "",
            "volumes[0].configMap.items[0].path",
            "is not a path",
        ),
        ("{name: v, configMap: {name: c, items: [{path: x}]}}", "", "volumes[0].configMap.items[0].key", "no key"),
        (
            "{name: v, projected: {sources: [{configMap: {}}]}}",
            "",
            "volumes[0].projected.sources[0].configMap",
            "names no",
        ),
        (FINE, "{name: w, mountPath: /x}", "containers[0].volumeMounts[0].name", "there is no volume 'w'"),
        (FINE, "{name: v, mountPath: ''}", "containers[0].volumeMounts[0].mountPath", "is empty"),
        (FINE, "{name: v, mountPath: /x, subPath: ../y}", "containers[0].volumeMounts[0].subPath", "leads out"),
        (
            FINE,
            "{name: v, mountPath: /x}, {name: v, mountPath: /x}",
            "containers[0].volumeMounts[1].mountPath",
            "mounted twice",
        ),
    ],
)
def test_a_volume_that_a_cluster_refuses_is_refused_where_it_is_wrong(
    volumes: str, mounts: str, path: str, words: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(read(DEPLOYMENT.format(volumes=volumes, mounts=mounts)))
    (problem,) = caught.value.problems
    assert problem.path == f"spec.template.spec.{path}" and words in f"{problem.message} {problem.remedy}"


def test_every_kind_of_volume_is_known() -> None:
    volumes = f"{FINE}, {{name: a, hostPath: {{path: /}}}}, {{name: b, nfs: {{}}}}, {{name: c, image: {{}}}}"
    mounts = "{name: v, mountPath: /x, readOnly: true}, {name: v, mountPath: /y, subPath: tls.crt}"
    (made,) = parse(read(DEPLOYMENT.format(volumes=volumes, mounts=mounts)))
    assert made.kind == "Deployment"
