"""Our xDS equals istiod's for the whole corpus (golden files; no Go needed)."""

from __future__ import annotations

import json
from functools import cache

import pytest
from cases import GOLDEN, Case, cases, golden_base, golden_cases, themes, unpack
from normalise import differences, normalise

from labsupport.controlplane.offline.translate_files import run

ALL = [
    pytest.param(case, proxy, id=f"{case.theme}/{case.name}/{proxy}")
    for theme in themes()
    for case in cases(theme)
    for proxy in case.proxies
]


base_of = cache(golden_base)
changes_of = cache(golden_cases)


@pytest.mark.parametrize(("case", "proxy"), ALL)
def test_translation_equals_istiods(case: Case, proxy: str) -> None:
    theirs = unpack(changes_of(case.theme)[case.name, proxy], base_of(case.base).get(proxy))
    seen = list(differences(normalise(run([case.text], proxy)), theirs))
    assert not seen, "\n".join(seen[:20])


def test_the_corpus_is_as_large_as_it_has_to_be() -> None:
    assert sum(1 for theme in themes() for _ in cases(theme)) >= 200


def test_every_golden_file_is_of_the_reference_version() -> None:
    versions = json.loads((GOLDEN / "versions.json").read_text())
    assert versions["istio"] == "1.31"
