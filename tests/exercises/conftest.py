from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labsupport.course import catalogue
from labsupport.lab.lab import Lab


@pytest.fixture(autouse=True)
def own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks of tests are no learner's progress."""
    monkeypatch.setenv("WORKSHOP_STATE", str(tmp_path / "progress.json"))


@pytest.fixture(scope="module")
def opened() -> Iterator[Lab]:
    """A lab for one file of tests: a notebook that another file runs in this process closes it by its own."""
    with Lab() as lab:
        yield lab


@pytest.fixture
def lab(opened: Lab) -> Iterator[Lab]:
    """A lab with nothing in it; the mesh itself is shared by the tests of a file."""
    # An exercise keeps answers and hints for as long as its lab is open.
    catalogue._begun.pop(opened, None)
    yield opened
    left = opened.reset()
    assert left.remaining == ()
