"""The translation is linear in the mesh, and a change costs no more than what it concerns."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import bench_mesh
import pytest

from labsupport.controlplane.registry.memo import MEMO
from labsupport.controlplane.translate import translate
from labsupport.model import Resource


def elapsed_s(work: Callable[[], object]) -> float:
    """How long something takes; what is there already is kept out of the collector's way, as a supervisor does."""
    gc.collect()
    gc.freeze()
    started = time.perf_counter()
    work()
    elapsed = time.perf_counter() - started
    gc.unfreeze()
    return elapsed


def first_translation_s(count: int) -> float:
    running = bench_mesh.pods(count)
    listed = bench_mesh.objects(count)
    return elapsed_s(lambda: translate(bench_mesh.registry(listed, running), bench_mesh.sidecar(running[0])))


@pytest.mark.slow
def test_a_thousand_services_take_no_minutes_and_the_time_is_linear() -> None:
    first_translation_s(50)
    small = min(first_translation_s(250) for _ in range(3))
    large = min(first_translation_s(1000) for _ in range(3))
    # 0.3 s on a quick machine, 2 s on a slow and busy one.
    assert large < 20
    # Four times the services; twice as much again is left for a busy machine.
    assert large / small < 8, f"250 services {small:.3f} s, 1000 services {large:.3f} s"


def replaced(listed: list[Resource], i: int, rule: Resource) -> list[Resource]:
    return [rule if resource.kind == "VirtualService" and resource.name == f"s{i}" else resource for resource in listed]


def test_a_changed_rule_makes_only_its_own_routes_again() -> None:
    count = 60
    running = bench_mesh.pods(count)
    listed = bench_mesh.objects(count)
    proxies = [bench_mesh.sidecar(pod) for pod in running[:6]]
    before = bench_mesh.registry(listed, running)
    old = [translate(before, proxy) for proxy in proxies]
    changed = replaced(listed, 7, bench_mesh.weighted(7, 50))
    after = bench_mesh.registry(changed, running)
    made = MEMO.made
    new = [translate(after, proxy) for proxy in proxies]
    # The rule itself and its routes; everything else was known.
    assert MEMO.made - made <= 2
    for mine, other in zip(old, new, strict=True):
        assert all(other.clusters[name] is cluster for name, cluster in mine.clusters.items())
        assert all(other.endpoints[name] is assignment for name, assignment in mine.endpoints.items())
        assert all(other.listeners[name] is listener for name, listener in mine.listeners.items())
        assert other.routes["8080"] != mine.routes["8080"]


def test_equal_resources_of_different_proxies_are_one_object() -> None:
    count = 20
    running = bench_mesh.pods(count)
    desired = bench_mesh.registry(bench_mesh.objects(count), running)
    first, second = (translate(desired, bench_mesh.sidecar(pod)) for pod in running[:2])
    assert first.routes["8080"] is second.routes["8080"]
    shared = [name for name in first.clusters if name.startswith("outbound")]
    assert len(shared) == 3 * count
    assert all(first.clusters[name] is second.clusters[name] for name in shared)
    assert all(first.endpoints[name] is second.endpoints[name] for name in shared)


def test_an_unchanged_mesh_is_translated_much_faster_the_second_time() -> None:
    count = 200
    running = bench_mesh.pods(count)
    listed = bench_mesh.objects(count)
    first = elapsed_s(lambda: translate(bench_mesh.registry(listed, running), bench_mesh.sidecar(running[0])))
    again = min(
        elapsed_s(lambda: translate(bench_mesh.registry(listed, running), bench_mesh.sidecar(running[0])))
        for _ in range(5)
    )
    assert again < first / 2
