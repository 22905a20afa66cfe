"""Requests that are held: where each of them is, when nothing moves any more, and that all are let go."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Set

import pytest
from small_mesh import interrupted, response, until

from labsupport.cell import CellRun
from labsupport.errors import TrafficError, UsageError, WaitTimeoutError
from labsupport.lab.running import Running
from labsupport.records import Pod, Response, Sample, TrafficSpec
from labsupport.traffic.held import HeldRequests, waiting_in_proxies
from labsupport.traffic.spec import build_spec


class HoldingSending:
    """A batch of which the test says what an application takes; all others are answered when they are released."""

    def __init__(self, spec: TrafficSpec) -> None:
        self.spec = spec
        self.releases = 0
        self._taken: set[int] = set()
        self._ready: list[Response | BaseException] = []
        self._told = 0
        self._changed = threading.Condition()

    def take(self, *indices: int) -> None:
        self._taken |= set(indices)

    def answer(self, *indices: int, status: int = 503) -> None:
        with self._changed:
            outcome = "ok" if status == 200 else "http_error"
            self._ready += [response(index, outcome=outcome, status=status) for index in indices]
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        with self._changed:
            self._ready.append(error)
            self._changed.notify_all()

    def taken(self) -> Set[int]:
        return frozenset(self._taken)

    def release(self) -> None:
        self.releases += 1
        told = {part.index for part in self._ready if isinstance(part, Response)}
        self.answer(*sorted(set(range(self.spec.count or 0)) - told), status=200)

    def set_rate(self, rate: float) -> None:
        raise AssertionError("a held batch has no rate")

    def stop(self) -> None:
        raise AssertionError("a held batch is released, not stopped")

    def __iter__(self) -> Iterator[Response]:
        for _ in range(self.spec.count or 0):
            with self._changed:
                assert self._changed.wait_for(lambda: len(self._ready) > self._told, 60)
                part = self._ready[self._told]
                self._told += 1
            if isinstance(part, BaseException):
                raise part
            yield part


class HoldingMesh:
    name = "holding"
    namespace = "default"

    def __init__(self) -> None:
        self.batches: list[HoldingSending] = []
        self.pending = 0
        self.looks = 0

    def pods(self) -> list[Pod]:
        return []

    def send(self, spec: TrafficSpec) -> HoldingSending:
        self.batches.append(HoldingSending(spec))
        return self.batches[-1]

    def metrics(self) -> list[Sample]:
        self.looks += 1
        return [gauge("outbound|8080||web.default.svc.cluster.local", self.pending)]


def gauge(cluster: str, value: float, name: str = "envoy_cluster_upstream_rq_pending_active") -> Sample:
    return Sample("client-1", name, {"envoy_cluster_name": cluster}, value)


def hold(mesh: HoldingMesh, count: int = 10, **options) -> tuple[HeldRequests, HoldingSending]:
    spec = build_spec("http://web:8080/", source="client", count=count, simultaneous=True, hold=True)
    held = HeldRequests(mesh, spec, **options)
    return held, mesh.batches[-1]


def test_ten_requests_rest_where_a_full_pool_leaves_them() -> None:
    mesh = HoldingMesh()
    held, sending = hold(mesh)
    sending.take(4)
    sending.answer(0, 1, 2, 3, 5, 6, 7, 8)
    mesh.pending = 1
    held.rest(timeout_s=60)
    assert (held.inside, held.waiting, len(held.answered)) == (1, 1, 8)
    assert "1 inside the application, 1 waiting in a proxy, 8 answered (8 x 503)" in repr(held)
    assert len(held.release()) == 10 and held.answered.count(status=200) == 2
    assert (held.inside, held.waiting) == (0, 0)


def test_an_interrupted_wait_loses_nothing() -> None:
    held, sending = hold(HoldingMesh(), 2)
    with interrupted():
        held.join(60)
    assert not held.join(0.01)
    sending.answer(0, 1)
    assert held.join(60) and len(held.answered) == 2


def test_no_proxy_is_asked_when_all_are_answered_or_inside() -> None:
    mesh = HoldingMesh()
    held, sending = hold(mesh, 2)
    sending.take(0, 1)
    held.rest(timeout_s=60)
    assert mesh.looks == 0
    held.release()


def test_a_request_on_its_way_is_waited_for_and_told() -> None:
    mesh = HoldingMesh()
    held, sending = hold(mesh, 3)
    sending.take(0)
    mesh.pending = 1
    with pytest.raises(WaitTimeoutError, match=r"1 inside the application, 2 waiting"):
        held.rest(timeout_s=2)
    assert mesh.looks > 1
    held.release()


def test_what_others_hold_is_no_waiting_place_of_these() -> None:
    mesh = HoldingMesh()
    mesh.pending = 1
    other, _ = hold(mesh, 1)
    held, _ = hold(mesh, 1, others=lambda: [other, held])
    with pytest.raises(WaitTimeoutError):
        held.rest(timeout_s=0.1)
    mesh.pending = 2
    held.rest(timeout_s=60)
    held.release()
    other.release()


def test_what_waits_for_the_end_of_other_held_requests_says_so_and_can_be_released_after_them() -> None:
    mesh = HoldingMesh()
    other, keeping = hold(mesh, 1)
    keeping.take(0)
    held, stuck = hold(mesh, 1, others=lambda: [other, held])
    answer, stuck.release = stuck.release, lambda: None
    with pytest.raises(UsageError, match=r"1 request of these cannot go on.*Release those first"):
        held.release()
    other.release()
    answer()
    assert [seen.status for seen in held.release()] == [200]


def test_a_block_releases_at_its_end_and_also_when_it_fails() -> None:
    mesh = HoldingMesh()
    with hold(mesh, 2)[0] as held:
        mesh.pending = 2
        held.rest()
    assert held.released and len(held.answered) == 2
    with pytest.raises(ZeroDivisionError), hold(mesh, 1)[0]:
        raise ZeroDivisionError
    assert mesh.batches[-1].releases == 1


def test_a_sender_that_breaks_off_is_told_at_the_next_look() -> None:
    mesh = HoldingMesh()
    held, sending = hold(mesh, 2)
    sending.fail(OSError("the stream broke"))
    until(lambda: not held._thread.is_alive())
    with pytest.raises(TrafficError, match="the stream broke"):
        held.rest()
    with pytest.raises(TrafficError, match="the stream broke"):
        held.release()


def test_only_requests_that_wait_for_services_are_counted() -> None:
    samples = [
        gauge("outbound|8080||web.default.svc.cluster.local", 2),
        gauge("inbound|8080||", 1),
        gauge("xds-grpc", 1),
        gauge("outbound|8080||web.default.svc.cluster.local", 9, "envoy_cluster_upstream_rq_active"),
    ]
    assert waiting_in_proxies(samples) == 3


def test_running_a_cell_again_lets_its_requests_go_and_the_lab_all() -> None:
    mesh, running = HoldingMesh(), Running()
    first, other = CellRun("cell", "run-1"), CellRun("elsewhere", "run-2")
    for origin in (first, other):
        running.hold(hold(mesh, 1, origin=origin)[0])
    assert len(running.held()) == 2
    running.release(CellRun("cell", "run-3"))
    assert [sending.releases for sending in mesh.batches] == [1, 0]
    assert [held.origin for held in running.held()] == [other]
    running.stop()
    assert [sending.releases for sending in mesh.batches] == [1, 1]
    assert running.held() == []


@pytest.mark.parametrize("options", [{"hold": True}, {"hold": 1, "simultaneous": True}])
def test_only_simultaneous_requests_are_held(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="hold"):
        build_spec("http://web:8080/", source="client", count=2, **options)  # type: ignore[arg-type]
