"""What kubectl changes is changed as a notebook changes it: one judge, one state, one set of marks."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
from kubectl_program import MANIFESTS, Kubectl

from labsupport.lab.lab import Lab

RULES = "02-canary-by-weight"
WEB = ("-f", "apps/web", "-f", "apps/client", "-f", f"{RULES}/destination-rule-web-versions.yaml")
SPLIT = "{.spec.http[0].route[*].weight}"


@pytest.fixture
def applied(lab: Lab, kubectl: Kubectl) -> Lab:
    kubectl("apply", *WEB)
    kubectl("wait", "--for=condition=Available", "deploy", "--all", "--timeout=60s")
    return lab


def weights(kubectl: Kubectl) -> str:
    return kubectl("get", "vs", "web", "-o", f"jsonpath={SPLIT}")


def test_apply_says_created_configured_unchanged(lab: Lab, kubectl: Kubectl):
    split = f"{RULES}/virtual-service-web-50-50.yaml"
    assert kubectl("apply", *WEB, "-f", split).splitlines()[-1] == "virtualservice.networking.istio.io/web created"
    again = kubectl("apply", *WEB, "-f", split)
    assert {line.split()[-1] for line in again.splitlines()} == {"unchanged"}
    changed = kubectl("apply", "-f", f"{RULES}/virtual-service-web-70-30.yaml")
    assert changed == "virtualservice.networking.istio.io/web configured\n"
    assert weights(kubectl) == "70 30"


def _manifests() -> dict[str, list[str]]:
    """What lessons apply: not what is drawn from a seed first, and no Canary, which the lab keeps and no API server."""
    files: dict[str, list[str]] = {}
    for path in sorted(MANIFESTS.rglob("*.yaml")):
        drawn = {"drawn", "incidents"} & {*path.parts} or "kind: Canary" in path.read_text(encoding="utf-8")
        if "exercises" not in path.parts and not drawn:
            files.setdefault(path.relative_to(MANIFESTS).parts[0], []).append(str(path))
    return files


@pytest.mark.parametrize("folder", _manifests())
def test_every_manifest_of_the_course_is_taken(lab: Lab, kubectl: Kubectl, folder: str):
    files = _manifests()[folder]
    said = kubectl("apply", "--dry-run=server", *(word for path in files for word in ("-f", path)))
    assert len(said.splitlines()) >= len(files)
    assert not lab.get("all")


def test_diff_shows_what_an_apply_would_change(applied: Lab, kubectl: Kubectl):
    kubectl("apply", "-f", f"{RULES}/virtual-service-web-50-50.yaml")
    done = kubectl.run("diff", "-f", f"{RULES}/virtual-service-web-70-30.yaml")
    assert done.returncode == 1 and "-      weight: 50\n+      weight: 70" in done.stdout
    assert kubectl.run("diff", "-f", f"{RULES}/virtual-service-web-50-50.yaml").stdout == ""
    assert weights(kubectl) == "50 50"


def test_traffic_goes_where_the_rule_says_and_the_picture_has_a_mark(applied: Lab, kubectl: Kubectl):
    with applied.traffic("http://web:8080/name", source="client", rate=50) as live:
        kubectl("apply", "-f", f"{RULES}/virtual-service-web-0-100.yaml")
        kubectl("wait", "--for=condition=Reconciled", "vs/web", "--timeout=60s")
        deadline = time.monotonic() + 60
        while not live.marks and time.monotonic() < deadline:
            time.sleep(0.02)
    assert [mark.label for mark in live.marks] == ["kubectl apply 0/100"]
    seen = applied.send("http://web:8080/name", source="client", count=20)
    assert {response.path[0].version if response.path else "risk" for response in seen} == {"risk"}
    (status,) = [rule for rule in applied.status().rules if rule.ref.kind == "VirtualService"]
    assert status.in_force_since_s > 0 and any(name.startswith("client-") for name in status.proxies)


def test_a_notebook_sees_what_was_written_and_changes_it(applied: Lab, kubectl: Kubectl):
    path = f"{RULES}/virtual-service-web-50-50.yaml"
    kubectl("apply", "-f", path)
    shown = applied.get("vs/web")
    assert "last-applied" not in repr(shown) and "managedFields" not in repr(shown)
    assert [change.action for change in applied.apply(path).changes] == ["unchanged"]
    assert kubectl("apply", "-f", path).endswith("unchanged\n")
    result = applied.apply(f"{RULES}/virtual-service-web-70-30.yaml")
    assert all("weight" in line for line in result.changes[0].details)
    assert weights(kubectl) == "70 30"


def test_labels_and_annotations(applied: Lab, kubectl: Kubectl):
    assert kubectl("label", "svc", "web", "team=a") == "service/web labeled\n"
    assert "already has a value" in kubectl.refused("label", "svc", "web", "team=b")
    kubectl("label", "svc", "web", "team=b", "--overwrite")
    assert applied.get("svc/web")[0].metadata.labels["team"] == "b"
    kubectl("label", "svc", "web", "team-")
    assert "team" not in applied.get("svc/web")[0].metadata.labels
    kubectl("annotate", "deploy", "web-risk", "note=x")
    assert applied.get("deploy/web-risk")[0].metadata.annotations["note"] == "x"
    # No default that kubectl has only read is written down.
    assert "progressDeadlineSeconds" not in applied.get("deploy/web-risk")[0].raw["spec"]


def test_scale(applied: Lab, kubectl: Kubectl):
    assert kubectl("scale", "deploy/web-safe", "--replicas=3") == "deployment.apps/web-safe scaled\n"
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=3", "deploy/web-safe", "--timeout=60s")
    assert len([pod for pod in applied.pods() if pod.workload == "web-safe"]) == 3
    assert "Expected replicas to be 7" in kubectl.refused(
        "scale", "deploy/web-safe", "--replicas=2", "--current-replicas=7"
    )
    assert "must be" in kubectl.refused("scale", "deploy/web-safe", "--replicas=-1")
    assert "not found" in kubectl.refused("scale", "deploy/nix", "--replicas=1")


def test_rollout_restart_and_undo(applied: Lab, kubectl: Kubectl):
    before = {pod.name for pod in applied.pods() if pod.workload == "web-risk"}
    kubectl("rollout", "restart", "deploy/web-risk")
    kubectl("rollout", "status", "deploy/web-risk", "--timeout=60s")
    assert not before & {pod.name for pod in applied.pods()}
    kubectl("set", "env", "deploy/web-risk", "COLOUR=red")
    kubectl("rollout", "status", "deploy/web-risk", "--timeout=60s")
    assert "COLOUR" in repr(applied.get("deploy/web-risk")[0].raw)
    assert kubectl("rollout", "undo", "deploy/web-risk") == "deployment.apps/web-risk rolled back\n"
    kubectl("rollout", "status", "deploy/web-risk", "--timeout=60s")
    assert "COLOUR" not in repr(applied.get("deploy/web-risk")[0].raw)
    revisions = [line.split()[0] for line in kubectl("rollout", "history", "deploy/web-risk").splitlines()[2:] if line]
    assert revisions == ["1", "3", "4"]


def test_three_kinds_of_patch(applied: Lab, kubectl: Kubectl):
    kubectl("apply", "-f", f"{RULES}/virtual-service-web-50-50.yaml")
    operations = [
        {"op": "test", "path": "/spec/http/0/route/0/weight", "value": 50},
        {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 60},
        {"op": "replace", "path": "/spec/http/0/route/1/weight", "value": 40},
    ]
    kubectl("patch", "vs", "web", "--type=json", "-p", json.dumps(operations))
    assert weights(kubectl) == "60 40"
    assert "rejected" in kubectl.refused("patch", "vs", "web", "--type=json", "-p", json.dumps(operations))
    kubectl("patch", "vs", "web", "--type=merge", "-p", '{"spec":{"hosts":["web","web.default"]}}')
    assert kubectl("get", "vs", "web", "-o", "jsonpath={.spec.hosts}") == '["web","web.default"]'
    container = {"name": "web", "env": [{"name": "COLOUR", "value": "red"}]}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    kubectl("patch", "deploy", "web-safe", "-p", json.dumps(patch))
    names = "jsonpath={.spec.template.spec.containers[0].env[*].name}"
    assert sorted(kubectl("get", "deploy", "web-safe", "-o", names).split()) == ["COLOUR", "PORT"]


def test_edit_by_a_script(applied: Lab, kubectl: Kubectl, tmp_path: Path):
    kubectl("apply", "-f", f"{RULES}/virtual-service-web-50-50.yaml")
    editor = tmp_path / "editor"
    replace = 'sed \'s/host: web$/host: web.default.svc.cluster.local/\' "$1" >"$1.new" && cat "$1.new" >"$1"'
    editor.write_text(f"#!/bin/sh\n{replace}\n")
    editor.chmod(0o700)
    assert kubectl("edit", "vs", "web", EDITOR=str(editor)) == "virtualservice.networking.istio.io/web edited\n"
    assert "web.default.svc.cluster.local" in kubectl("get", "vs", "web", "-o", "yaml")


def test_replace_minds_what_has_changed_meanwhile(applied: Lab, kubectl: Kubectl):
    kubectl("apply", "-f", f"{RULES}/virtual-service-web-50-50.yaml")
    read = kubectl("get", "vs", "web", "-o", "yaml")
    assert kubectl("replace", "-f", "-", text=read.replace("weight: 50", "weight: 50 # same")).endswith("replaced\n")
    applied.apply(f"{RULES}/virtual-service-web-70-30.yaml")
    assert "the object has been modified" in kubectl.refused("replace", "-f", "-", text=read)
    assert weights(kubectl) == "70 30"


def test_server_side_apply_has_owners(applied: Lab, kubectl: Kubectl):
    path = f"{RULES}/virtual-service-web-50-50.yaml"
    assert kubectl("apply", "--server-side", "-f", path).endswith("serverside-applied\n")
    kubectl(
        "patch", "vs", "web", "--type=merge", "-p", '{"spec":{"http":[{"route":[{"destination":{"host":"web"}}]}]}}'
    )
    said = kubectl.refused("apply", "--server-side", "-f", path)
    assert 'conflict with "kubectl-patch" using networking.istio.io/v1: .spec.http' in said
    kubectl("apply", "--server-side", "--force-conflicts", "-f", path)
    assert weights(kubectl) == "50 50"
    wider = (MANIFESTS / path).read_text().replace("spec:\n", "spec:\n  exportTo: ['.']\n", 1)
    kubectl("apply", "--server-side", "-f", "-", text=wider)
    assert kubectl("get", "vs", "web", "-o", "jsonpath={.spec.exportTo}") == '["."]'
    kubectl("apply", "--server-side", "-f", path)
    assert kubectl("get", "vs", "web", "-o", "jsonpath={.spec.exportTo}") == ""


def test_create_of_every_kind(lab: Lab, kubectl: Kubectl):
    """Typed clients send protobuf."""
    assert kubectl("create", "ns", "shop") == "namespace/shop created\n"
    kubectl("create", "deployment", "hello", "--image=web", "--replicas=2", "--port=5000")
    kubectl("create", "cm", "settings", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "key", "--from-literal=a=b")
    kubectl("create", "sa", "bot", "-n", "shop")
    kubectl("create", "svc", "clusterip", "hello", "--tcp=80:5000")
    kubectl("rollout", "status", "deploy/hello", "--timeout=60s")
    kubectl("expose", "deploy", "hello", "--port=81", "--name=again")
    assert lab.get("cm/settings")[0].raw["data"] == {"a": "b"}
    assert kubectl("get", "secret", "key", "-o", "jsonpath={.data.a}") == base64.b64encode(b"b").decode()
    assert kubectl("get", "svc", "hello", "-o", "jsonpath={.spec.ports[0].targetPort}") == "5000"
    assert kubectl("get", "svc", "again", "-o", "jsonpath={.spec.selector.app}") == "hello"
    # A namespace goes with all that is in it.
    kubectl("delete", "ns", "shop")
    assert not lab.get("sa", namespace="shop")


def test_delete(applied: Lab, kubectl: Kubectl):
    kubectl("apply", "-f", f"{RULES}/virtual-service-web-50-50.yaml")
    kubectl("delete", "vs", "web", "--dry-run=server")
    assert applied.get("vs/web")
    kubectl("delete", "vs", "web")
    assert not applied.get("vs")
    assert "not found" in kubectl.refused("delete", "vs", "web")
    assert kubectl("delete", "vs", "web", "--ignore-not-found") == ""
    kubectl("delete", "dr", "--all")
    kubectl("delete", "deploy", "-l", "app=web", "--wait=true")
    assert [resource.name for resource in applied.get("deploy")] == ["client"]
    kubectl("wait", "--for=delete", "pods", "-l", "app=web", "--timeout=60s")
    assert {pod.workload for pod in applied.pods()} == {"client", "istio-ingressgateway"}


def test_a_watch_tells_what_others_change(applied: Lab, kubectl: Kubectl):
    with kubectl.running("get", "vs", "-w", "--output-watch-events") as watching:
        applied.apply(f"{RULES}/virtual-service-web-50-50.yaml")
        assert watching.until("ADDED").split()[1:3] == ["web", '["web"]']
        applied.patch("vs/web", {"metadata": {"labels": {"a": "b"}}})
        watching.until("MODIFIED")
        applied.delete("vs/web")
        watching.until("DELETED")


def test_logs_go_on(applied: Lab, kubectl: Kubectl):
    with kubectl.running("logs", "deploy/client", "-c", "istio-proxy", "-f") as following:
        for _ in range(3):
            sent = applied.send("http://web:8080/name", source="client", count=1)[0]
            assert '"path":"/name"' in following.until(sent.request_id)
