"""What kubectl shows of a mesh that a notebook has filled; columns and words are those of a cluster."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import yaml
from kubectl_program import Kubectl

from labsupport.lab.lab import Lab

AGE = r"\d+[smh]\d*s?"
POD = r"[\w-]+-[0-9a-f]{9}-[a-z0-9]{5}"
IP = r"10\.\d+\.\d+\.\d+"

# Command, and a line of what it prints (runs of blanks as one).
SHOWN = [
    ("get pods", f"{POD} 1/1 Running 0 {AGE}"),
    ("get pods -l app=client", f"{POD} 2/2 Running 0 {AGE}"),
    ("get pods -o wide", "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES"),
    ("get pods -o wide", f"{POD} 1/1 Running 0 {AGE} {IP} workshop <none> <none>"),
    ("get po -l version=risk --no-headers", f"web-risk-.* 1/1 Running 0 {AGE}"),
    ("get pods -l 'version in (safe, risk),!nix' -o name", "pod/web-safe-.*"),
    ("get pods --field-selector=status.phase=Pending", ""),
    ("get pods --show-labels", ".*app=web,pod-template-hash=[0-9a-f]{9},sidecar.istio.io/inject=false,version=risk"),
    ("get pods -A", f"istio-system istio-ingressgateway 1/1 Running 0 {AGE}"),
    ("get deploy", "NAME READY UP-TO-DATE AVAILABLE AGE"),
    ("get deploy web-safe", f"web-safe 2/2 2 2 {AGE}"),
    ("get deploy -o wide", f"web-safe 2/2 2 2 {AGE} web web app=web,version=safe"),
    ("get deploy --sort-by=.metadata.name -o name", "deployment.apps/client"),
    ("get deploy -o custom-columns=NAME:.metadata.name,R:.spec.replicas", "web-safe 2"),
    ("get deploy web-safe -o jsonpath={.status.readyReplicas}", "2"),
    ("get deploy web-safe -o go-template={{.spec.strategy.type}}", "RollingUpdate"),
    ("get rs", "NAME DESIRED CURRENT READY AGE"),
    ("get rs -l version=safe", f"web-safe-[0-9a-f]{{9}} 2 2 2 {AGE}"),
    ("get svc", f"web NodePort {IP} <none> 8080:31532/TCP {AGE}"),
    ("get svc -o wide", f"client ClusterIP {IP} <none> 8080/TCP {AGE} app=client"),
    ("get svc -n istio-system", rf"istio-ingressgateway LoadBalancer {IP} 127.0.0.1 80:\d+/TCP,443:\d+/TCP {AGE}"),
    ("get endpointslices", "NAME ADDRESSTYPE PORTS ENDPOINTS AGE"),
    ("get endpointslices", f"web-[0-9a-f]{{5}} IPv4 5000 {IP},{IP},{IP} {AGE}"),
    ("get ns", f"default Active {AGE}"),
    ("get ns default --show-labels", ".*istio-injection=enabled,kubernetes.io/metadata.name=default"),
    ("get dr", f"web web {AGE}"),
    ("get destinationrules.networking.istio.io -o name", "destinationrule.networking.istio.io/web"),
    ("get destinationrules.v1beta1.networking.istio.io web -o jsonpath={.apiVersion}", "networking.istio.io/v1beta1"),
    ("get istio-io -o name", "destinationrule.networking.istio.io/web"),
    ("get all", f"deployment.apps/web-risk 1/1 1 1 {AGE}"),
    ("get deploy,svc,dr -o name", "service/web"),
    ("get events", ""),
    ("describe deploy web-safe", r"Replicas: 2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable"),
    ("describe deploy web-safe", "NewReplicaSet: web-safe-[0-9a-f]{9} (.2/2 replicas created.)"),
    ("describe svc web", f"Endpoints: {IP}:5000,{IP}:5000,{IP}:5000"),
    ("describe pod -l app=client", "Controlled By: ReplicaSet/client-[0-9a-f]{9}"),
    ("describe dr web", "API Version: networking.istio.io/v1"),
    ("describe ns default", "Status: Active"),
    ("explain vs.spec.http.route", "weight <integer>"),
    ("explain vs.spec.http.route", "FIELD: route <.*Object>"),
    ("explain deploy.spec.template.spec.containers.ports", "containerPort <integer> -required-"),
    ("explain dr.spec --recursive", "outlierDetection <Object>"),
    ("explain svc.spec.type", "LoadBalancer"),
    ("api-resources --api-group=networking.istio.io", "virtualservices vs networking.istio.io/v1 true VirtualService"),
    ("api-resources --no-headers --namespaced=false", "namespaces ns v1 false Namespace"),
    ("api-resources --api-group=gateway.networking.k8s.io", "gateways gtw gateway.networking.k8s.io/v1 true Gateway"),
    ("get gc", f"istio istio.io/gateway-controller True {AGE}"),
    ("api-versions", "networking.istio.io/v1beta1"),
    ("version", r"Server Version: v1\.\d+\.\d+\+workshop"),
    ("cluster-info", ".*https://127.0.0.1:.*"),
    ("config current-context", "workshop-embedded"),
    ("auth can-i create vs", "yes"),
    ("top pods", r"web-safe-\S+ \d+m \d+Mi"),
    ("top pods --containers -l app=client", r"client-\S+ istio-proxy \d+m \d+Mi"),
    ("rollout status deploy/web-safe", 'deployment "web-safe" successfully rolled out'),
    ("rollout history deploy/web-safe", "1 <none>"),
    ("wait --for=condition=Available deploy --all", "deployment.apps/client condition met"),
    ("wait --for=condition=Ready pods -l app=web", "pod/web-risk-.* condition met"),
    ("wait --for=condition=Reconciled dr/web", "destinationrule.networking.istio.io/web condition met"),
    ("wait --for=jsonpath={.status.readyReplicas}=2 deploy/web-safe", "deployment.apps/web-safe condition met"),
    ("logs deploy/client -c istio-proxy --tail=1", r".+"),
    ("get --raw /readyz", "ok"),
]


@pytest.mark.parametrize(("command", "line"), SHOWN)
def test_what_is_shown(web: Lab, kubectl: Kubectl, command: str, line: str):
    lines = [" ".join(shown.split()) for shown in kubectl(*shlex.split(command)).splitlines()]
    if line:
        assert any(re.fullmatch(line, shown) for shown in lines), "\n".join(lines)
    else:
        assert lines == []


def test_yaml_and_json_are_what_was_written_with_the_defaults_of_a_cluster(web: Lab, kubectl: Kubectl):
    deployment = yaml.safe_load(kubectl("get", "deploy", "web-safe", "-o", "yaml"))
    assert deployment == json.loads(kubectl("get", "deploy", "web-safe", "-o", "json"))
    spec = deployment["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    (container,) = spec["template"]["spec"]["containers"]
    assert container["imagePullPolicy"] == "Always" and container["ports"][0]["protocol"] == "TCP"
    assert deployment["metadata"]["generation"] == deployment["status"]["observedGeneration"] == 1
    rule = yaml.safe_load(kubectl("get", "dr", "web", "-o", "yaml"))
    assert rule["spec"] == web.get("dr/web")[0].raw["spec"]
    assert rule["status"]["conditions"][0]["type"] == "Reconciled"


def test_a_service_shows_its_addresses(web: Lab, kubectl: Kubectl):
    service = json.loads(kubectl("get", "svc", "web", "-o", "json"))["spec"]
    assert service["clusterIP"].startswith("10.96.") and service["clusterIPs"] == [service["clusterIP"]]
    assert service["ports"] == [
        {"name": "http", "port": 8080, "targetPort": 5000, "nodePort": 31532, "protocol": "TCP"}
    ]
    gateway = json.loads(kubectl("get", "svc", "-n", "istio-system", "istio-ingressgateway", "-o", "json"))
    # The node port of the gateway is where it listens on this machine.
    assert web.urls()["gateway"] == f"http://127.0.0.1:{gateway['spec']['ports'][0]['nodePort']}"


def test_pods_belong_to_replica_sets_and_those_to_deployments(web: Lab, kubectl: Kubectl):
    pod = json.loads(kubectl("get", "pods", "-l", "version=risk", "-o", "json"))["items"][0]
    replica_set = json.loads(kubectl("get", "rs", "-l", "version=risk", "-o", "json"))["items"][0]
    deployment = json.loads(kubectl("get", "deploy", "web-risk", "-o", "json"))
    for owned, owner in ((pod, replica_set), (replica_set, deployment)):
        (reference,) = owned["metadata"]["ownerReferences"]
        assert (reference["uid"], reference["name"]) == (owner["metadata"]["uid"], owner["metadata"]["name"])


def test_a_pod_with_a_sidecar_shows_both(web: Lab, kubectl: Kubectl):
    pod = json.loads(kubectl("get", "pods", "-l", "app=client", "-o", "json"))["items"][0]
    assert [entry["name"] for entry in pod["spec"]["initContainers"]] == ["istio-proxy"]
    assert [entry["name"] for entry in pod["spec"]["containers"]] == ["client"]
    assert pod["metadata"]["name"] in {known.name for known in web.pods()}


def test_requests_are_in_the_log_of_the_sidecar(web: Lab, kubectl: Kubectl):
    seen = web.send("http://web:8080/name", source="client", count=1)
    web.access_log(seen)
    assert seen[0].request_id in kubectl("logs", "deploy/client", "-c", "istio-proxy")
