"""A pod of the embedded mesh, before it has processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from labsupport.controlplane.proxies import PodInfo
from labsupport.engine.embedded.envoy import admin
from labsupport.engine.embedded.envoy.ads import AdsServer
from labsupport.engine.embedded.pods.pods import Addresses, EnvoyUnit, LivePod
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


@pytest.mark.parametrize("idle", [0, 1])
def test_a_pod_that_is_withdrawn_waits_for_callers_who_hear_of_it_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idle: int
) -> None:
    counted = [(idle, 0), (idle, 0), (1, 1), (1, 1), *[(idle, 0)] * 30]
    told = iter(counted)

    async def statistics(socket_path: str, pattern: str) -> dict[str, int]:
        connections, requests = next(told)
        return {"http.inbound.downstream_cx_active": connections, "http.inbound.downstream_rq_active": requests}

    monkeypatch.setattr(admin, "statistics", statistics)
    unit = object.__new__(EnvoyUnit)
    unit.name, unit.keeper = "web-1", SimpleNamespace(ready=True)
    asyncio.run(unit.drained(timeout_s=60.0))
    looks = len(counted) - len(list(told))
    # Until nothing has been under way for a while since the late request: longer where a connection stays open.
    assert looks == 4 + (20 if idle else 5)
