"""One mesh for all behaviours, on the engine that ``--engine`` names: each test brings only its rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from behaviour_mesh import APPLICATIONS, Mesh

from labsupport.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.apply("apps/client", APPLICATIONS, name="applications")
        yield lab
    assert lab.close().remaining == ()


@pytest.fixture
def mesh(lab: Lab) -> Iterator[Mesh]:
    mesh = Mesh(lab)
    yield mesh
    mesh.clear()
