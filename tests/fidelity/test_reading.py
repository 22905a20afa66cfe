"""Odd files are read as real istiod's tools read them; the answers were written down by reading.py."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from reading import golden, inputs, rows

from labsupport.errors import ManifestError
from labsupport.model.reading.documents import read
from labsupport.model.validation import validate

TEXTS = inputs()
ANSWERS = golden()


@pytest.mark.parametrize("name", TEXTS)
def test_an_odd_file_gets_istiods_verdicts(name: str) -> None:
    if ANSWERS[name] is None:
        with pytest.raises(ManifestError):
            read(TEXTS[name], empty=True, loose=True)
        return
    documents = read(TEXTS[name], empty=True, loose=True)
    assert rows([asdict(verdict) for verdict in validate(documents)]) == ANSWERS[name]
