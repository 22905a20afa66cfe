"""A patched object stays the object that it was, wherever it lies."""

from __future__ import annotations

import pytest

from labsupport.engine.patching import patched
from labsupport.errors import ManifestError
from labsupport.model import parse
from labsupport.model.analysis.spellings import old_spellings
from labsupport.model.kinds.index import placed
from labsupport.model.reading import documents

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


def test_what_was_applied_to_a_namespace_stays_there_although_it_does_not_name_it() -> None:
    (service,) = parse(documents.read(SERVICE))
    there = placed(service, "models")
    (changed,) = patched(there, {"spec": {"type": "NodePort"}}, namespace="default")
    assert (changed.namespace, changed.name) == ("models", "web")
    (changed,) = patched(service, {"spec": {"type": "NodePort"}}, namespace="default")
    assert changed.namespace == "default"


def test_another_name_is_another_object() -> None:
    (service,) = parse(documents.read(SERVICE))
    with pytest.raises(ManifestError, match="cannot change an object's kind or name"):
        patched(service, {"metadata": {"name": "other"}}, namespace="default")


TWO_RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http:
  - match:
    - headers:
        end-user: {exact: tester}
        x-beta:
    route: [{destination: {host: web}}]
  - timeout: 3s
    route: [{destination: {host: web}}]
"""


def test_lines_go_with_what_a_patch_leaves_where_it_was() -> None:
    (rule,) = parse(documents.read(TWO_RULES))
    http = rule.raw["spec"]["http"]
    told = [path for path, _ in old_spellings(rule)]
    assert told == ["spec.http[0].match[0].headers.x-beta"]
    (later,) = patched(rule, {"spec": {"http": [http[0], {**http[1], "timeout": "5s"}]}}, namespace="default")
    assert later.origin.lines == rule.origin.lines and [path for path, _ in old_spellings(later)] == told
    (other,) = patched(rule, {"spec": {"http": [http[1]]}}, namespace="default")
    assert [*old_spellings(other)] == []
    assert other.origin.line_of("spec.http[0].timeout") == rule.origin.line_of("spec.http") > 0
