"""What is told of a route of the Gateway API when it is applied."""

from __future__ import annotations

import pytest

from labsupport.engine.routestatus import route_notes
from labsupport.model import parse
from labsupport.model.kinds.index import placed
from labsupport.model.reading.documents import read

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: other}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
"""
THERE = "backendRefs: [{name: web, port: 8080}]"


def noted(*rules: str) -> list[str]:
    route = f"""
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {{name: web, namespace: default}}
        spec:
          parentRefs: [{{group: "", kind: Service, name: web, port: 8080}}]
          rules: [{", ".join(f"{{{rule}}}" for rule in rules)}]
    """
    objects = [placed(resource, "default") for text in (SERVICES, route) for resource in parse(read(text))]
    return route_notes(objects, objects)


@pytest.mark.parametrize(
    "rules",
    [
        (THERE,),
        ("backendRefs: [{name: web, namespace: other, port: 80}, {name: web, port: 8080, weight: 0}]",),
        # Of no weight, whatever its port.
        ("backendRefs: [{name: web, port: 8080}, {name: web, port: 1, weight: 0}]",),
        ("filters: [{type: RequestRedirect, requestRedirect: {hostname: a.example}}]",),
        (f"matches: [{{path: {{value: /a}}}}], {THERE}", f"matches: [{{path: {{value: /b}}}}, {{}}], {THERE}"),
        (f"matches: [{{headers: [{{name: a, value: b}}]}}], {THERE}", THERE),
    ],
)
def test_nothing_is_told_of_what_is_sound(rules: tuple[str, ...]) -> None:
    assert noted(*rules) == []


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (
            ("backendRefs: [{name: web, port: 80}]",),
            "spec.rules[0].backendRefs[0].port: Service/web has port 8080, and not 80; its share gets 500",
        ),
        (
            (f"filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: web, port: 1}}}}}}], {THERE}",),
            "spec.rules[0].filters[0].port: Service/web has port 8080, and not 1; no copies are sent",
        ),
        (
            (THERE, "backendRefs: [{name: nobody, port: 80}], matches: [{path: {value: /a}}]"),
            "spec.rules[1].backendRefs[0]: ResolvedRefs is False (BackendNotFound), "
            "backend(nobody.default.svc.cluster.local) not found; its share gets 500",
        ),
        (
            ("backendRefs: [{name: web, port: 8080, weight: 0}]",),
            "spec.rules[0]: no backend with a weight, and no redirect: every request gets 500",
        ),
        (
            (f"matches: [{{path: {{value: /a}}}}], {THERE}", f"matches: [{{path: {{value: /a}}}}], {THERE}"),
            "spec.rules[1].matches[0]: never reached: spec.rules[0].matches[0] says the same and comes first",
        ),
        ((THERE, THERE), "spec.rules[1].matches[0]: never reached: spec.rules[0].matches[0] says the same"),
    ],
)
def test_what_leads_nowhere_is_told(rules: tuple[str, ...], told: str) -> None:
    (note,) = noted(*rules)
    assert note.startswith(f"HTTPRoute/web {told}")
