"""Admission warnings are found when manifests are read, and told at apply without another judgement."""

from __future__ import annotations

import pytest

from labsupport import model
from labsupport.engine.warned import warnings
from labsupport.model.kinds.index import placed
from labsupport.model.reading import documents, parse
from labsupport.model.validation import validate, verdict

_SHADOWED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - route: [{destination: {host: web}}]
  - match: [{uri: {prefix: /a}}]
    route: [{destination: {host: web}}]
"""


def test_what_was_found_at_reading_is_told_at_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    read = documents.read(_SHADOWED)
    judged = [f"{entry.kind}/{entry.name}: {text}" for entry in validate(read) for text in entry.warnings]
    resources = model.parse(read)

    def judge_again(*_: object, **__: object) -> None:
        raise AssertionError("an object was judged twice")

    monkeypatch.setattr(verdict, "inspect", judge_again)
    monkeypatch.setattr(parse, "inspect", judge_again)
    told = warnings([placed(resource, "lab") for resource in resources])
    assert told
    assert list(told) == judged
