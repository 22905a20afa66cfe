"""One mesh for the tasks of Istio's documentation; each module begins and ends with nothing in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from task_manifests import MANIFESTS, Apply

from labsupport.lab.lab import Lab


@pytest.fixture(scope="session")
def opened() -> Iterator[Lab]:
    with Lab("embedded") as lab:
        yield lab
    assert lab.close().remaining == ()


@pytest.fixture(scope="module")
def lab(opened: Lab) -> Iterator[Lab]:
    yield opened
    assert opened.reset().remaining == ()


@pytest.fixture(scope="module")
def apply(lab: Lab) -> Apply:
    """Apply files of a task by their names, one after the other, as they are."""

    def applied(*names: str) -> None:
        for name in names:
            lab.apply(MANIFESTS / f"{name}.yaml")

    return applied
