"""The engine as a parameter: every scenario here holds for any engine, and is run on those that are there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from contract_mesh import SUBSETS, Mesh, web_manifests

from labsupport.engine.base import Engine


def open_embedded() -> Engine:
    from labsupport.engine.embedded import EmbeddedEngine

    return EmbeddedEngine()


def open_cluster() -> Engine:
    from labsupport.engine.cluster import ClusterEngine

    return ClusterEngine()


ENGINES: dict[str, Callable[[], Engine]] = {"embedded": open_embedded, "cluster": open_cluster}


@pytest.fixture(scope="session", params=["embedded", pytest.param("cluster", marks=pytest.mark.cluster)])
def session_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "cluster" and os.environ.get("WORKSHOP_TEST_CLUSTER") != "1":
        pytest.skip("WORKSHOP_TEST_CLUSTER=1 runs these against the current kubeconfig context")
    engine = ENGINES[request.param]()
    yield engine
    assert engine.close().remaining == ()


@pytest.fixture
def engine(session_engine: Engine) -> Iterator[Engine]:
    yield session_engine
    assert session_engine.reset().remaining == ()


@pytest.fixture
def mesh(engine: Engine) -> Mesh:
    return Mesh(engine)


@pytest.fixture
def web(mesh: Mesh) -> Mesh:
    """The two-version service with sidecars, its subsets, and a client with a sidecar."""
    mesh.apply(web_manifests(), SUBSETS, "apps/client")
    return mesh
