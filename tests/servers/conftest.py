"""What tests of a cluster's engine share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api_server import FakeApiServer, write_kubeconfig

from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.api.connect import Connection


@pytest.fixture
def api(server: FakeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
    connection = Connection(timeout_s=30.0)
    api = Api(connection, "workshop-kim")
    yield api
    api.close()
    connection.close()
