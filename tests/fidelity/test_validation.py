"""Our verdicts against real istiod's, written down by regenerate_validation.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mutate import Mutator, as_yaml

from labsupport.errors import ManifestError
from labsupport.model import parse
from labsupport.model.reading.documents import read
from labsupport.model.schema.names import label_issues
from labsupport.model.validation import validate

CORPUS = Path(__file__).parent / "validation"
GOLDEN = json.loads((CORPUS / "verdicts.json").read_text(encoding="utf-8"))
FILES = sorted(path.name for path in CORPUS.glob("*.yaml"))


def split(words: str) -> tuple[bool, bool]:
    """Read a golden entry: refused, warned."""
    return any(word != "warned" for word in words.split()), "warned" in words.split()


@pytest.mark.parametrize("file", FILES)
def test_verdicts_equal_istiods(file: str) -> None:
    verdicts = validate(read(CORPUS / file))
    ours = {f"{v.kind}/{v.namespace}/{v.name}": (bool(v.errors), bool(v.warnings)) for v in verdicts}
    assert ours == {key: split(words) for key, words in GOLDEN["verdicts"][file].items()}


@pytest.mark.parametrize("file", FILES)
def test_parse_refuses_what_istiod_refuses_and_passes_its_warnings_on(file: str) -> None:
    # Names with dots are valid to the API server, so parse goes by the same verdicts here.
    for document, words in zip(read(CORPUS / file), GOLDEN["verdicts"][file].values(), strict=True):
        refused, warned = split(words)
        # Labels are looked at by the API server, before istiod is asked.
        if refused or any(label_issues(str(document.raw.get("kind")), document.raw)):
            with pytest.raises(ManifestError) as caught:
                parse([document])
            assert all(problem.line and problem.object for problem in caught.value.problems)
        else:
            assert bool(parse([document])[0].warnings) == warned


@pytest.mark.parametrize("base", ["valid.yaml", "gatewayapi-valid.yaml"])
def test_no_mutation_ends_in_a_traceback(base: str) -> None:
    mutator = Mutator(20261121, base)
    for index in range(1200):
        documents = read(as_yaml([mutator.make(index)]))
        (verdict,) = validate(documents)
        try:
            accepted = parse(documents)
        except ManifestError as error:
            assert str(error)
        else:
            assert not verdict.errors
            assert bool(accepted[0].warnings) == bool(verdict.warnings)


def test_the_corpus_is_large_and_has_both_sides() -> None:
    entries = [split(words) for verdicts in GOLDEN["verdicts"].values() for words in verdicts.values()]
    assert sum(refused or warned for refused, warned in entries) >= 300
    assert sum(not refused and not warned for refused, warned in entries) >= 100
    assert GOLDEN["versions"]["istio"].startswith("1.31")
