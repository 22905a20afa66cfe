"""What the tests of the cluster engine have in common: namespaces of their own, and other people's kubeconfigs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labsupport.engine.cluster import ClusterEngine
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.objects.namespace import chosen_name
from labsupport.engine.cluster.objects.removal import remove_namespace

sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def connection() -> Iterator[Connection]:
    """The cluster, as whoever runs the tests reaches it."""
    connection = Connection()
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def space() -> Callable[[str], str]:
    """Names of namespaces for these tests."""
    return lambda name: f"{chosen_name(None)}-{name}"[:63]


@pytest.fixture(scope="module")
def engine(space: Callable[[str], str]) -> Iterator[ClusterEngine]:
    """A lab in a namespace of its own."""
    name = space("one")
    cluster_engine = ClusterEngine(namespace=name)
    yield cluster_engine
    cluster_engine.close()
    remove_namespace(namespace=name)
