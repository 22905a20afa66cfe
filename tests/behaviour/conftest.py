"""One mesh for all behaviours, on the engine that ``--engine`` names: each test brings only its rules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from behaviour_mesh import APPLICATIONS, NAMESPACE, Mesh, secure_applications

from labsupport.certificates import Authority
from labsupport.lab.lab import Lab


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


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Signs whatever certificate a test needs."""
    return Authority("Behaviour CA")


@pytest.fixture(scope="session")
def secured(lab: Lab, authority: Authority) -> None:
    """Programs that speak TLS, or no HTTP at all."""
    own = authority.server("v1.secure.example", "v2.secure.example", f"secure.{NAMESPACE}.svc.cluster.local")
    lab.apply(secure_applications(own.certificate, own.key), name="secure applications")
