"""Our verdicts on Kubernetes' own kinds against a real API server's, written down by regenerate_kubernetes.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kubernetes_objects import OBJECTS

from labsupport.errors import ManifestError
from labsupport.model import parse
from labsupport.model.reading.documents import of_data

GOLDEN = json.loads((Path(__file__).parent / "validation" / "kubernetes.json").read_text(encoding="utf-8"))["verdicts"]
# What a registry's password looks like, and the node ports that are left, the lab does not judge.
LOOSER = {"secret docker", "service nodePort cluster"}


@pytest.mark.parametrize("name", OBJECTS)
def test_values_are_refused_where_an_api_server_refuses_them(name: str) -> None:
    try:
        parse(of_data(OBJECTS[name], file="odd.yaml"))
    except ManifestError as error:
        assert GOLDEN[name], error
        assert all(problem.message and len(str(problem)) < 1000 for problem in error.problems)
    else:
        assert not GOLDEN[name] or name in LOOSER, GOLDEN[name]


def test_the_corpus_has_both_sides() -> None:
    assert OBJECTS.keys() == GOLDEN.keys()
    assert sum(map(bool, GOLDEN.values())) > 100 and sum(not fields for fields in GOLDEN.values()) > 50
