"""A patched object stays the object that it was, wherever it lies."""

from __future__ import annotations

import pytest

from labsupport.engine.patching import patched
from labsupport.errors import ManifestError
from labsupport.model import parse
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
