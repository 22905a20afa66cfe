"""What pods may ask for: several containers, init containers, volumes."""

from __future__ import annotations

from pathlib import Path

import pytest

from labsupport.engine.embedded import listening
from labsupport.engine.embedded.pods import demands
from labsupport.engine.embedded.pods.programs import Programs
from labsupport.model import Deployment, parse
from labsupport.model.reading.documents import read

VOLUMES = "volumes: [{name: a, configMap: {name: c}}, {name: b, persistentVolumeClaim: {claimName: d}}], "


@pytest.fixture
def images(tmp_path: Path) -> Programs:
    for name in ("web", "client", "reader"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text("FILES_ROOT" if name == "reader" else "")
    return Programs(tmp_path)


def deployment(containers: str, pod: str = "") -> Deployment:
    (made,) = parse(
        read(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, namespace: default}\n"
            "spec:\n  selector: {matchLabels: {app: x}}\n  template:\n    metadata: {labels: {app: x}}\n"
            f"    spec: {{{pod}containers: [{containers}]}}\n"
        )
    )
    assert isinstance(made, Deployment)
    return made


def refused(containers: str, images: Programs, pod: str = "") -> dict[str, str]:
    """By field path below the pod: why it is refused."""
    listed = list(demands.refusals(deployment(containers, pod), images))
    assert all(remedy for _, _, remedy in listed)
    return {path.removeprefix("spec.template.spec."): reason for path, reason, _ in listed}


WEB = "{name: web, image: web}"


@pytest.mark.parametrize(
    "command",
    [
        "[sh, -c, 'until nslookup db; do echo waiting; sleep 2; done']",
        '[/bin/sh, -c, "until nc -z db 3306 > /dev/null 2>&1\\ndo\\n  sleep 1\\ndone"]',
        "[sleep, '5']",
        "[bash, -ec, 'while ! curl -s http://db/health >/dev/null; do sleep 1; done; echo ready']",
    ],
)
def test_an_init_container_that_only_waits_is_left_out_and_told(images: Programs, command: str) -> None:
    pod = f"initContainers: [{{name: wait, image: busybox, command: {command}}}], "
    assert refused(WEB, images, pod) == {}
    (note,) = demands.notes(deployment(WEB, pod), images)
    assert note == "initContainers of Deployment/x (wait): nothing waits for them here"


@pytest.mark.parametrize(
    "command", ["[sh, -c, 'echo 1 > /data/x']", "[python, migrate.py]", "[sh, -c, 'sleep 1; rm x']", "[]"]
)
def test_an_init_container_that_does_more_is_refused_by_name(images: Programs, command: str) -> None:
    pod = f"initContainers: [{{name: istio-init, image: proxyv2}}, {{name: more, image: x, command: {command}}}], "
    assert refused(WEB, images, pod) == {
        "initContainers[1]": "the embedded mesh runs no init containers, and more does more than wait"
    }


def test_a_script_of_any_length_is_read_in_one_go(images: Programs) -> None:
    script = "until nc; do " + "sleep 1 echo " * 20_000
    assert not refused(WEB, images, f"initContainers: [{{name: a, image: b, command: [sh, -c, '{script}']}}], ")


def test_each_container_is_judged_and_who_plays_it_is_told(images: Programs) -> None:
    several = f"{WEB}, {{name: other, image: none, command: [x]}}, {{name: istio-proxy, image: auto}}"
    assert list(refused(several, images)) == ["containers[1].image", "containers[1].command"]
    known = deployment(f"{WEB}, {{name: other, image: client, env: [{{name: PORT, value: '5001'}}]}}")
    assert list(demands.refusals(known, images)) == []
    (note,) = demands.notes(known, images)
    assert "do not reach each other as localhost" in note
    gateway = refused("{name: istio-proxy, image: auto}", images)
    assert "one gateway" in gateway["containers[0]"]


def test_containers_that_listen_on_one_port_are_refused(images: Programs) -> None:
    port = ", ports: [{containerPort: 80}]"
    twice = deployment(f"{{name: a, image: web{port}}}, {{name: b, image: reader{port}}}")
    (problem,) = listening.clashes([twice], [twice], images)
    assert problem.message.startswith("the programs of a and b both listen on 80")
    other = deployment(f"{{name: a, image: web{port}}}, {{name: b, image: reader{port.replace('80', '81')}}}")
    assert listening.clashes([other], [other], images) == []


def test_volumes_that_nobody_reads_are_told_and_those_that_somebody_reads_are_made_or_refused(images: Programs) -> None:
    mounts = "volumeMounts: [{name: a, mountPath: /a}, {name: b, mountPath: /b}]"
    assert refused(f"{{name: web, image: web, {mounts}}}", images, VOLUMES) == {}
    (note,) = demands.notes(deployment(f"{{name: web, image: web, {mounts}}}", VOLUMES), images)
    assert note.startswith("volumeMounts of Deployment/x: the program web reads no files") and "FILES_ROOT" in note
    (path,) = refused(f"{{name: web, image: reader, {mounts}}}", images, VOLUMES)
    assert path == "volumes[1].persistentVolumeClaim"
    assert list(demands.notes(deployment("{name: web, image: reader}", VOLUMES), images)) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        (
            "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]",
            "env[0].valueFrom.resourceFieldRef",
        ),
        ("volumeMounts: [{name: a, mountPath: /}]", "volumeMounts[0].mountPath"),
        ("volumeMounts: [{name: a, mountPath: /a, subPathExpr: $(A)}]", "volumeMounts[0].subPathExpr"),
    ],
)
def test_what_no_process_can_have_is_refused_by_name(images: Programs, fields: str, path: str) -> None:
    assert list(refused(f"{{name: web, image: reader, {fields}}}", images, "volumes: [{name: a}], ")) == [
        f"containers[0].{path}"
    ]
