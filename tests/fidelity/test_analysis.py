"""Our cross-object notes against the analyzers of istioctl, written down by regenerate_analysis.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labsupport.model import parse
from labsupport.model.analysis import PodLabels, analyse
from labsupport.model.reading.documents import read

SETS = Path(__file__).parent / "analysis"
GOLDEN = json.loads((SETS / "notes.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(path.stem for path in SETS.glob("*.yaml")))
def test_notes_equal_istioctls(name: str) -> None:
    notes = analyse(parse(read(SETS / f"{name}.yaml")))
    assert sorted(f"{note.code} {note.kind} {note.namespace}/{note.name}" for note in notes) == GOLDEN[name]
    assert all(note.text and (note.line or not note.path) for note in notes)


def test_every_code_occurs() -> None:
    codes = {entry.partition(" ")[0] for entries in GOLDEN.values() for entry in entries}
    wanted = "IST0101 IST0109 IST0112 IST0118 IST0127 IST0130 IST0131 IST0132 IST0145 IST0173 IST0174"
    assert codes == set(wanted.split())


def test_a_deployments_pods_count_before_they_run() -> None:
    text = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web, version: v1}}, spec: {containers: [{name: web, image: web}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
"""
    objects = parse(read(text))
    assert [(note.code, note.path) for note in analyse(objects)] == [("IST0173", "spec.subsets[1]")]
    assert analyse(objects, pods=[PodLabels("default", {"app": "web", "version": "v2"})]) == []
    scaled = parse(read(text.replace("spec:\n  selector", "spec:\n  replicas: 0\n  selector")))
    assert [note.path for note in analyse(scaled)] == ["spec.subsets[0]", "spec.subsets[1]"]


def test_a_note_names_what_was_probably_meant() -> None:
    text = (SETS / "host-unknown.yaml").read_text(encoding="utf-8")
    (note,) = analyse(parse(read(text, file="rules.yaml")))
    assert (note.ref, note.path) == ("VirtualService/a", "spec.http[0].route[0].destination.host")
    assert "did you mean reviews?" in note.text
    assert str(note).startswith("IST0101 rules.yaml:14, VirtualService/a")


def test_a_note_tells_where_istiod_itself_panics() -> None:
    door = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: %s
"""
    (note,) = analyse(parse(read(door % '["*/*", "./shop.example"]')))
    assert (note.code, note.path, note.line) == ("PANIC", "spec.servers[0].hosts", 9)
    for hosts in ('["./shop.example", "*/*"]', '["*/*", "*/*"]', '["*/*", "default/shop.example"]'):
        assert analyse(parse(read(door % hosts))) == []
    rule = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: far}
spec: {hosts: ["*.far.example"], resolution: DYNAMIC_DNS, ports: [{name: http, number: 80, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: far}
spec: {host: "*.far.example", trafficPolicy: {outlierDetection: {interval: 5s}}}
"""
    assert [note.code for note in analyse(parse(read(rule)))] == ["PANIC"]
    assert (
        analyse(parse(read(rule.replace("outlierDetection: {interval: 5s}", "loadBalancer: {simple: RANDOM}")))) == []
    )


def test_a_note_tells_of_a_host_that_is_ruled_in_both_notations() -> None:
    text = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rule}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route}
spec: {parentRefs: [{group: "", kind: Service, name: web}], rules: [{backendRefs: [{name: web, port: 80}]}]}
"""
    notes = [note for note in analyse(parse(read(text))) if note.code != "IST0118"]
    assert [(note.code, note.ref, note.path) for note in notes if note.code == "NOTATIONS"] == [
        ("NOTATIONS", "VirtualService/rule", "spec.hosts"),
        ("NOTATIONS", "HTTPRoute/route", "spec.parentRefs"),
    ]
    assert "also ruled by HTTPRoute/route" in notes[-2].text
    assert "use only the HTTPRoute, whichever is older" in notes[-2].text
    private = analyse(parse(read(text.replace("hosts: [web]", 'exportTo: ["."], hosts: [web]'))))
    assert "use only the VirtualService, for its exportTo" in private[-1].text
    for other in (
        text.replace("name: web}], rules", "name: other}], rules"),
        text.replace("[web], http", "[a.example], http"),
    ):
        assert "NOTATIONS" not in {note.code for note in analyse(parse(read(other)))}


@pytest.mark.parametrize(("kind", "rules", "told"), [("TCPRoute", "http", False), ("TCPRoute", "tcp", True)])
def test_a_route_of_connections_has_nothing_to_do_with_rules_for_requests(kind: str, rules: str, told: bool) -> None:
    text = f"""
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rule}}
spec: {{hosts: [web], {rules}: [{{route: [{{destination: {{host: web}}}}]}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: route}}
spec: {{parentRefs: [{{group: "", kind: Service, name: web}}], rules: [{{backendRefs: [{{name: web, port: 80}}]}}]}}
"""
    assert ("NOTATIONS" in {note.code for note in analyse(parse(read(text)))}) is told
