"""The engine as a parameter: every scenario here holds for any engine, and runs on the one that ``--engine`` names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from contract_mesh import SERVICE, SUBSETS, VERSION, Mesh, deployment, web_manifests

from labsupport.engine.protocol import Engine
from labsupport.model import Resource
from labsupport.records import Ref

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


@pytest.fixture
def with_gateway_api(module_engine: Engine) -> None:
    """Its kinds are no part of Istio: a cluster may do without them."""
    if module_engine.name == "cluster":
        from labsupport.engine.cluster.api.api import Api
        from labsupport.engine.cluster.api.connect import Connection

        if not Api(Connection(), module_engine.namespace).path_of("HTTPRoute"):
            pytest.skip("the cluster has no CRDs of the Gateway API")


@pytest.fixture(scope="module")
def module_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    # Closed with the module: on a cluster, notebooks that run later take the namespace over.
    engine = ENGINES[request.param]()
    yield engine
    assert engine.close().remaining == ()


@pytest.fixture(scope="module")
def kept() -> dict[str, State]:
    """What a scenario left as it had got it, by the fixture that makes it: its pods need not be started anew."""
    return {}


@pytest.fixture
def engine(module_engine: Engine, kept: dict[str, State], request: pytest.FixtureRequest) -> Iterator[Engine]:
    if not set(kept) <= set(request.fixturenames):
        kept.clear()
        assert module_engine.reset().remaining == ()
    yield module_engine
    if any(not _restored(module_engine, state) for state in kept.values()):
        kept.clear()
    if not kept:
        assert module_engine.reset().remaining == ()


State = tuple[list[Resource], list[tuple[str, int]]]


def _state(engine: Engine) -> State:
    return engine.get("*"), sorted((pod.name, pod.restarts) for pod in engine.pods())


def _restored(engine: Engine, state: State) -> bool:
    """Delete what a test has added, if nothing else is different from what it had got."""
    objects, pods = _state(engine)
    former = {Ref(resource.kind, resource.name): resource for resource in state[0]}
    now = {Ref(resource.kind, resource.name): resource for resource in objects}
    if pods != state[1] or any(
        ref not in now or now[ref].model_dump(exclude=_CHANGES) != resource.model_dump(exclude=_CHANGES)
        for ref, resource in former.items()
    ):
        return False
    added = now.keys() - former.keys()
    if added:
        engine.delete(added)
    return True


_CHANGES = {"origin", "raw", "status"}


@pytest.fixture
def mesh(engine: Engine) -> Mesh:
    return Mesh(engine)


@pytest.fixture
def web(mesh: Mesh, kept: dict[str, State]) -> Mesh:
    """The two-version service with sidecars, its subsets, and a client with a sidecar."""
    return made(mesh, kept, "web", web_manifests(), SUBSETS, "apps/client")


@pytest.fixture
def split(mesh: Mesh, kept: dict[str, State]) -> Mesh:
    """Two versions with a Service each, one for both, and a client with a sidecar."""
    services = "".join(VERSION % (version, version) for version in ("safe", "risk"))
    apps = SERVICE + services + deployment("web-safe", "safe") + deployment("web-risk", "risk")
    return made(mesh, kept, "split", apps, "apps/client")


def made(mesh: Mesh, kept: dict[str, State], name: str, *sources: str) -> Mesh:
    """A scenario, which the next test gets as it is if this one changes nothing of it."""
    if name not in kept:
        mesh.apply(*sources)
        kept[name] = _state(mesh.engine)
    return mesh


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedEngine]:
    """An engine of its own, whose temporary folder nobody else uses."""
    from labsupport.engine.embedded.engine import EmbeddedEngine

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    engine = EmbeddedEngine()
    yield engine
    engine.close()
