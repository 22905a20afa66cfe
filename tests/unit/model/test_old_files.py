"""Files of earlier times, parts of files and files of other systems: what to write instead, at the right line."""

from __future__ import annotations

import pytest

from labsupport.errors import ManifestError
from labsupport.model import parse
from labsupport.model.analysis.spellings import old_spellings
from labsupport.model.kinds.index import closest_kind
from labsupport.model.reading.documents import read

RULE = """apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy:
    loadBalancer:
      simple: LEAST_CONN
    outlierDetection:
      consecutiveErrors: 5
  subsets:
  - name: v1
    labels: {version: v1}
    trafficPolicy:
      portLevelSettings:
      - port: {number: 80}
        loadBalancer: {simple: LEAST_CONN}
"""
ROUTES = """apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - match:
    - uri: {regex: "/a.*"}
      ignoreUriCase: true
    route:
    - destination: {host: web}
    mirror: {host: web}
    mirror_percent: 50
"""
CONDITIONS = """headers:
        x-beta:
        x-team: {}
      withoutHeaders: {x-opt-out: }
      queryParams: {v2: {exact: "true"}}"""
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web
        ports: [{name: http, containerPort: 5000}]
"""
SERVICE = """apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 5000}
  - {name: more, port: 81}
"""


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        (RULE, 10, "Use consecutive5xxErrors or consecutiveGatewayErrors."),
        (ROUTES, 13, "Use mirrorPercentage: {value: ...}."),
    ],
)
def test_a_warning_about_an_old_field_stands_at_its_line(text: str, line: int, remedy: str) -> None:
    (resource,) = parse(read(text))
    assert [(warning.line, warning.remedy) for warning in resource.warnings] == [(line, remedy)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            RULE,
            [
                (8, "LEAST_CONN is the old name of LEAST_REQUEST; write LEAST_REQUEST"),
                (17, "LEAST_CONN is the old name of LEAST_REQUEST; write LEAST_REQUEST"),
            ],
        ),
        (
            ROUTES,
            [
                (1, "networking.istio.io/v1alpha3 is an old version of this kind; write networking.istio.io/v1"),
                (9, "ignoreUriCase has no effect on a regex; begin the regex with (?i)"),
            ],
        ),
        (ROUTES.replace("v1alpha3", "v1").replace("regex", "prefix"), []),
        (
            ROUTES.replace("v1alpha3", "v1").replace("regex", "prefix").replace("ignoreUriCase: true", CONDITIONS),
            [
                (10, "x-beta has no value and is dropped; x-beta: {} stands for any value"),
                (12, "x-opt-out has no value and is dropped; x-opt-out: {} stands for any value"),
            ],
        ),
        (SERVICE, []),
    ],
)
def test_an_old_spelling_is_noted_at_its_line(text: str, told: list[tuple[int, str]]) -> None:
    (resource,) = parse(read(text))
    assert [(resource.origin.line_of(path), note) for path, note in old_spellings(resource)] == told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http:\n- route:\n  - destination: {host: web}\n", "a part of a VirtualService. Put it below spec, with"),
        ("host: web\nsubsets: []\n", "a part of a DestinationRule. Put it below spec, with"),
        ("spec:\n  hosts: [web]\n  http: []\n", "spec of a VirtualService without its head. Write apiVersion: netw"),
        ("spec:\n  servers: []\n", "the spec of a Gateway without its head"),
        ("- route:\n  - destination: {host: web}\n", "this is a part of a VirtualService. Put it below spec.http."),
        ("- name: v1\n  labels: {version: v1}\n", "this is a part of a DestinationRule. Put it below spec.subsets."),
        ("- apiVersion: v1\n  kind: Service\n", "this is a list. Separate several objects"),
        ("hosts: [web]\nzork: 1\n", "apiVersion is missing"),
        ("kind: Service\nmetadata: {name: a}\n", "apiVersion is missing. Write apiVersion: v1 at the top level."),
    ],
)
def test_a_part_of_an_object_is_told_where_it_belongs(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(read(text))
    assert message in str(caught.value)
    assert caught.value.problems[0].line == 1


@pytest.mark.parametrize(
    ("version", "kind", "message"),
    [
        ("networking.k8s.io/v1", "Ingress", "Write a Gateway and a VirtualService."),
        ("route.openshift.io/v1", "Route", "is OpenShift's way in. Write a Gateway and a VirtualService"),
        ("maistra.io/v2", "ServiceMeshControlPlane", "installs a mesh on OpenShift. The lab is the mesh already"),
        ("maistra.io/v1", "ServiceMeshMemberRoll", "adds namespaces to a mesh on OpenShift. The lab is the mesh"),
        ("config.istio.io/v1alpha2", "RouteRule", "Write a VirtualService."),
        ("gateway.networking.k8s.io/v1", "ListenerSet", "Write them in the Gateway itself"),
        ("monitoring.coreos.com/v1", "ServiceMonitor", "installs a tool that watches a mesh. Leave it out"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", "gives rights. Leave it out"),
        ("project.openshift.io/v1", "Project", "Write a Namespace of v1"),
        ("v1", "PersistentVolumeClaim", "Let the pod have an emptyDir"),
        ("authentication.istio.io/v1alpha1", "Policy", "Write a PeerAuthentication"),
        ("example.com/v1", "Widget", "Known kinds are"),
    ],
)
def test_a_kind_of_another_system_is_told_what_takes_its_place(version: str, kind: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(read(f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n"))
    assert message in str(caught.value) and "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("word", ["ServiceMeshControlPlane", "ServiceMonitor", "IngressRoute", "Route", "Node", "Job"])
def test_no_kind_is_suggested_that_is_only_a_little_alike(word: str) -> None:
    assert closest_kind(word) == ""


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (DEPLOYMENT.replace("{app: web}}\n  t", "{app: wbe}}\n  t"), "spec.selector.matchLabels.app", "'wbe' here and"),
        (DEPLOYMENT.replace("{matchLabels: {app: web}}", "{}"), "spec.selector", "selects nothing"),
        (DEPLOYMENT.replace("5000", "99999"), "spec.template.spec.containers[0].ports[0].containerPort", "got 99999"),
        (DEPLOYMENT.replace("name: http", "name: 'HTTP'"), "spec.template.spec.containers[0].ports[0].name", "'HTTP'"),
        (DEPLOYMENT.replace("- name: web", "- name: We_b"), "spec.template.spec.containers[0].name", "'We_b'"),
        (SERVICE.replace("{name: more, port: 81}", "{port: 81}"), "spec.ports[1]", "has no name"),
        (SERVICE.replace("more", "http"), "spec.ports[1].name", "already a port http"),
        (SERVICE.replace("81", "80"), "spec.ports[1].port", "port 80 is given twice"),
        (SERVICE.replace("5000", "70000"), "spec.ports[0].targetPort", "got 70000"),
        (SERVICE.replace("5000", "'5000'"), "spec.ports[0].targetPort", "without quotes"),
    ],
)
def test_what_an_api_server_refuses_of_its_own_kinds_is_refused(text: str, path: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(read(text))
    (problem,) = caught.value.problems
    assert problem.path == path and message in str(problem) and problem.line > 1


@pytest.mark.parametrize("text", [DEPLOYMENT, SERVICE, SERVICE.replace("81", "80, protocol: UDP")])
def test_what_an_api_server_takes_is_taken(text: str) -> None:
    assert parse(read(text))
