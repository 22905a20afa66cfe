"""What is refused, and in whose words."""

from __future__ import annotations

import pytest
from kubectl_program import MANIFESTS, Kubectl

from labsupport.lab.lab import Lab

SPLIT = (MANIFESTS / "02-canary-by-weight" / "virtual-service-web-50-50.yaml").read_text()
DEPLOYMENT = (MANIFESTS / "apps" / "web" / "deployment-web-risk.yaml").read_text()

# What is applied, and part of what kubectl says.
WRONG = {
    "an unknown field": (SPLIT.replace("route:", "rout:"), 'strict decoding error: unknown field "spec.http[0].rout"'),
    "a wrong type": (SPLIT.replace("weight: 50", "weight: a"), "spec.http[0].route[0].weight: Invalid value"),
    "a rule of istiod": (SPLIT.replace("weight: 50", "weight: 0"), 'admission webhook "validation.istio.io" denied'),
    "an unknown kind": (SPLIT.replace("kind: VirtualService", "kind: Virtual"), 'no matches for kind "Virtual"'),
    "another namespace": (SPLIT.replace("name: web", "name: web\n  namespace: nix"), 'namespaces "nix" not found'),
    "a wrong name": (SPLIT.replace("name: web", "name: Web_1"), "Invalid"),
    "what only a cluster has": (DEPLOYMENT.replace("image: web", "image: busybox"), "there is no image 'busybox'"),
    "a selector that fits no pod": (
        DEPLOYMENT.replace("version: risk", "version: other", 2),
        "the selector does not match",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_manifest_changes_nothing(lab: Lab, kubectl: Kubectl, what: str):
    text, said = WRONG[what]
    assert said in kubectl.refused("apply", "-f", "-", text=text)
    assert not lab.get("all")


# Command, and part of what kubectl says.
REFUSED = [
    ("get vs nix", 'virtualservices.networking.istio.io "nix" not found'),
    ("get nix", 'the server doesn\'t have a resource type "nix"'),
    ("get nodes", 'the server doesn\'t have a resource type "nodes"'),
    ("get pods -l =", "unable to parse"),
    ("get pods --field-selector=nix", "invalid selector"),
    ("logs nix", 'pods "nix" not found'),
    ("run x --image=web", "makes and ends pods as their Deployments want"),
    ("delete svc -n istio-system istio-ingressgateway", "belongs to every mesh"),
    ("explain vs.spec.nix", 'field "nix" does not exist'),
    ("create -f apps/nix.yaml", "does not exist"),
    ("rollout undo deploy/nix", "not found"),
]


@pytest.mark.parametrize(("command", "said"), REFUSED)
def test_what_is_not_there_or_not_done(lab: Lab, kubectl: Kubectl, command: str, said: str):
    assert said in kubectl.refused(*command.split())


def test_what_a_pod_of_this_mesh_cannot_do_is_said(lab: Lab, kubectl: Kubectl):
    lab.apply("apps/client")
    assert "nothing is run in it" in kubectl.refused("exec", "deploy/client", "--", "ls")
    assert "there is no port to forward" in kubectl.refused("port-forward", "svc/client", ":8080")
    assert "is not valid for pod" in kubectl.refused("logs", "deploy/client", "-c", "nix")
    name = next(pod.name for pod in lab.pods() if pod.workload == "client")
    assert "as their Deployments want" in kubectl.refused("delete", "pod", name)


def test_an_unknown_field_is_a_warning_where_that_is_asked_for(lab: Lab, kubectl: Kubectl):
    text = SPLIT.replace("spec:\n", "spec:\n  nix: 1\n", 1)
    done = kubectl.run("apply", "--validate=warn", "-f", "-", text=text)
    assert done.returncode == 0 and 'Warning: unknown field "spec.nix"' in done.stderr
    assert "nix" not in lab.get("vs/web")[0].raw["spec"]


def test_selectors_do_not_change(lab: Lab, kubectl: Kubectl):
    kubectl("apply", "-f", "apps/web/deployment-web-risk.yaml")
    patch = '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'
    assert "field is immutable" in kubectl.refused("patch", "deploy", "web-risk", "-p", patch)
    assert "already exists" in kubectl.refused("create", "-f", "apps/web/deployment-web-risk.yaml")


def test_a_pod_that_does_not_start_is_shown_with_its_reason(lab: Lab, kubectl: Kubectl):
    broken = DEPLOYMENT.replace("value: slow,status,headers,hold", "value: nix")
    kubectl("apply", "-f", "-", text=broken)
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff"
    kubectl("wait", f"--for={reason}", "pods", "--all", "--timeout=60s")
    assert "0/1" in kubectl("get", "pods")
    assert "BackOff" in kubectl("get", "events")
    assert "its last words" in kubectl("describe", "pods", "-l", "app=web")
    # Nobody has to wait for it.
    kubectl("delete", "deploy", "web-risk", "--timeout=60s")
