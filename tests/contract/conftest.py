"""The engine as a parameter: every scenario here holds for any engine, and runs on the one that ``--engine`` names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from contract_mesh import SUBSETS, Mesh, web_manifests

from labsupport.engine.protocol import Engine

if TYPE_CHECKING:
    from labsupport.engine.embedded.engine import EmbeddedEngine


def open_embedded() -> Engine:
    from labsupport.engine.embedded.engine import EmbeddedEngine

    return EmbeddedEngine()


def open_cluster() -> Engine:
    from labsupport.engine.cluster import ClusterEngine

    return ClusterEngine()


ENGINES: dict[str, Callable[[], Engine]] = {"embedded": open_embedded, "cluster": open_cluster}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "module_engine" in metafunc.fixturenames:
        metafunc.parametrize("module_engine", [metafunc.config.getoption("--engine")], indirect=True, scope="module")


@pytest.fixture(scope="module")
def module_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    # Closed with the module: on a cluster, notebooks that run later take the namespace over.
    engine = ENGINES[request.param]()
    yield engine
    assert engine.close().remaining == ()


@pytest.fixture
def engine(module_engine: Engine) -> Iterator[Engine]:
    yield module_engine
    assert module_engine.reset().remaining == ()


@pytest.fixture
def mesh(engine: Engine) -> Mesh:
    return Mesh(engine)


@pytest.fixture
def web(mesh: Mesh) -> Mesh:
    """The two-version service with sidecars, its subsets, and a client with a sidecar."""
    mesh.apply(web_manifests(), SUBSETS, "apps/client")
    return mesh


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedEngine]:
    """An engine of its own, whose temporary folder nobody else uses."""
    from labsupport.engine.embedded.engine import EmbeddedEngine

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    engine = EmbeddedEngine()
    yield engine
    engine.close()
