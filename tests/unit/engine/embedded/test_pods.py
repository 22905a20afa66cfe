"""A pod of the embedded mesh, before it has processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from labsupport.controlplane.proxies import PodInfo
from labsupport.engine.embedded.envoy.ads import AdsServer
from labsupport.engine.embedded.pods.pods import Addresses, LivePod
from labsupport.engine.embedded.pods.programs import find_programs
from labsupport.engine.embedded.pods.workplace import Workplace


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[LivePod]:
    addresses = Addresses()
    place = Workplace(tmp_path, find_programs(None), SimpleNamespace(), AdsServer(), lambda: None)
    pod = LivePod(place, addresses, PodInfo("web-1", "default", "10.244.0.1", ready=False))
    yield pod
    asyncio.run(pod.stop(graceful=False))
    addresses.refusing.close()


def test_the_control_plane_sees_a_new_object_only_when_the_pod_has_changed(pod: LivePod) -> None:
    before = pod.info
    assert not before.ready
    program = SimpleNamespace(keeper=SimpleNamespace(ready=True), stop=_nothing)
    pod.apps.append(program)
    ready = pod.info
    assert ready.ready and ready is not before
    # What is made of a pod is found again by the object itself.
    assert pod.info is ready
    program.keeper.ready = False
    assert pod.info == before


async def _nothing(*, grace_s: float) -> None:
    pass
