"""Options and rules for every test, the cells of the notebooks included (nbval makes a test of each code cell)."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from typing import Any

import pytest

ENGINES = ("embedded", "cluster")
_CELL_TIMEOUT_S = 300
_IN_CI = bool(os.environ.get("CI"))
_FAILED_CELL = pytest.StashKey[str]()
_MISSING = pytest.StashKey[str]()
# Folders of tests that open a lab, so that every one of their tests needs an Envoy.
_WITH_MESH = ("behaviour", "contract", "exercises", "kubectl", "tasks", "bench", "browser")


def _given() -> str:
    return " ".join(sys.argv)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # pyproject.toml blocks nbval, whose import takes seconds, until somebody asks for it. xdist's workers are not told.
    if "--nbval" in _given() or "PYTEST_XDIST_WORKER" in os.environ:
        pluginmanager.unblock("nbval")
        pluginmanager.import_plugin("nbval", consider_entry_points=True)
    parser.addoption(
        "--engine",
        choices=ENGINES,
        default=os.environ.get("WORKSHOP_ENGINE") or "embedded",
        help="the engine that tests and notebooks with a mesh run on",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Notebooks are written with Lab(), and their kernels inherit this.
    os.environ["WORKSHOP_ENGINE"] = config.getoption("--engine")
    if config.pluginmanager.has_plugin("nbval"):
        config.option.nbval_current_env = True
        if "--nbval-cell-timeout" not in _given():
            config.option.nbval_cell_timeout = _CELL_TIMEOUT_S
        if config.option.nbval or config.option.nbval_lax:
            _keep_all_messages()
            _start_kernels_without_ports()


def _keep_all_messages() -> None:
    """Let no output of a cell be dropped: nbval reads them after the cell has ended, and a ZMQ socket queues 1000."""
    import zmq
    from jupyter_client.connect import ConnectionFileMixin

    connect = ConnectionFileMixin.connect_iopub

    def connect_unbounded(self: Any, identity: bytes | None = None) -> Any:
        self.context.setsockopt(zmq.RCVHWM, 0)  # for the sockets made from now on
        return connect(self, identity)

    setattr(ConnectionFileMixin, "connect_iopub", connect_unbounded)  # noqa: B010 - mypy forbids to assign a method


def _start_kernels_without_ports() -> None:
    import nbval.kernel
    from socket_kernels import SocketKernelManager

    nbval.kernel.KernelManager = SocketKernelManager


def _is_cell(item: pytest.Item) -> bool:
    return type(item).__name__ == "IPyNbCell"


def _envoy_is_missing() -> str:
    from labsupport.engine.embedded.envoy.binary import binary
    from labsupport.errors import EnvoyMissingError

    try:
        binary()
    except EnvoyMissingError as error:
        return str(error)
    return ""


def _needs_envoy(item: pytest.Item) -> bool:
    if item.config.getoption("--engine") != "embedded":
        return False
    return _is_cell(item) or item.get_closest_marker("envoy") is not None or item.path.parent.name in _WITH_MESH


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    engine = config.getoption("--engine")
    for other in ENGINES:
        if other == engine:
            continue
        skip = pytest.mark.skip(reason=f"is about the engine {other}: --engine {other}")
        for item in items:
            if item.get_closest_marker(other) is not None:
                item.add_marker(skip)
    if any(_needs_envoy(item) for item in items):
        config.stash[_MISSING] = _envoy_is_missing()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if (reason := item.config.stash.get(_MISSING, "")) and _needs_envoy(item):
        # A green CI without an Envoy would have tested nothing that matters.
        (pytest.fail if _IN_CI else pytest.skip)(f"no Envoy: {reason}")
    if _is_cell(item) and item.parent is not None and (first := item.parent.stash.get(_FAILED_CELL, "")):
        pytest.skip(f"an earlier cell of this notebook failed: {first}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _is_cell(item) and item.parent is not None and report.failed and report.when in ("setup", "call"):
        item.parent.stash.setdefault(_FAILED_CELL, item.name)
    return report
