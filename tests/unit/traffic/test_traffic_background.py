"""Background traffic: its life, what it remembers, and what it does with errors."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
from small_mesh import PacedMesh, SteppedMesh, interrupted, response, until

from labsupport.display.pictures.phases import phases_of
from labsupport.errors import EngineLostError, NotFoundError, TrafficError, UsageError, WaitTimeoutError
from labsupport.records import ApplyResult, TrafficSpec
from labsupport.traffic.background import BackgroundTraffic
from labsupport.traffic.recording import Recording
from labsupport.traffic.spec import build_spec


def spec(**options) -> TrafficSpec:
    return build_spec("http://web/name", source="client", background=True, **{"rate": 50, **options})


@pytest.fixture
def mesh():
    return SteppedMesh()


@pytest.fixture
def live(mesh):
    traffic = BackgroundTraffic(mesh, spec()).start()
    yield traffic
    for batch in mesh.batches:
        batch.complete(*list(batch._under_way))
    with suppress(TrafficError):
        traffic.close()
    until(lambda: not any(thread.name == "traffic" for thread in threading.enumerate()), what="the thread's end")


def seen(live: BackgroundTraffic, count: int) -> None:
    until(lambda: live.total == count, what=f"{count} responses")


# --- running ------------------------------------------------------------------------------------------------------


def test_it_sends_only_between_start_and_stop(mesh):
    traffic = BackgroundTraffic(mesh, spec())
    assert (traffic.state, mesh.batches) == ("ready", [])
    traffic.close()
    traffic.start()
    assert traffic.state == "running" and traffic.running
    assert traffic.start() is traffic and len(mesh.batches) == 1
    mesh.batches[0].answer(3)
    assert len(traffic.stop()) == 3
    assert (traffic.state, traffic.running, mesh.batches[0].stops) == ("stopped", False, 1)
    traffic.close()


def test_stop_waits_for_requests_under_way(mesh, live):
    mesh.batches[0].begin(2)
    stopped = threading.Thread(target=live.stop)
    stopped.start()
    until(lambda: live.state == "stopping")
    assert stopped.is_alive()
    mesh.batches[0].complete(0, 1)
    stopped.join(60)
    assert (live.state, live.total) == ("stopped", 2)


def test_an_interrupted_stop_loses_nothing(mesh, live):
    mesh.batches[0].begin(2)
    with interrupted():
        live.stop()
    mesh.batches[0].complete(0, 1)
    assert len(live.stop()) == 2


def test_stop_waits_no_longer_than_its_bound_and_says_so(mesh, live):
    mesh.batches[0].begin(1)
    with pytest.raises(TrafficError, match=r"did not end within 0\.05 s"):
        live.stop(timeout_s=0.05)
    mesh.batches[0].complete(0)
    assert (live.state, live.total) == ("failed", 0)


def test_halt_does_not_wait(mesh, live):
    mesh.batches[0].begin(1)
    live.halt()
    assert live.state == "stopping"
    mesh.batches[0].complete(0)
    until(lambda: live.state == "stopped")


def test_a_with_block_starts_and_stops(mesh):
    with BackgroundTraffic(mesh, spec()) as traffic:
        mesh.batches[0].answer(1)
        assert traffic.running
    assert (traffic.state, traffic.total) == ("stopped", 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_in_the_block_is_not_hidden_and_stops_the_traffic(mesh, error):
    with pytest.raises(error), BackgroundTraffic(mesh, spec()) as traffic:
        mesh.batches[0].fail(EngineLostError("gone"))
        until(lambda: traffic.state == "failed")
        raise error
    assert not traffic.running


def test_rate_changes_while_it_runs_and_pausing_keeps_it(mesh, live):
    live.set_rate(20)
    live.pause()
    assert (live.state, live.snapshot().rate, live.rate) == ("paused", 0, 20)
    live.set_rate(30)
    live.resume()
    assert (live.state, live.snapshot().rate) == ("running", 30)
    assert mesh.batches[0].rates == [20, 0, 30]
    live.pause()
    live.start()
    assert live.state == "running" and len(mesh.batches) == 1


@pytest.mark.parametrize("rate", [0, -1, float("inf"), 1e6, "50", True])
def test_a_senseless_rate_is_refused_and_changes_nothing(mesh, live, rate):
    with pytest.raises(UsageError, match="rate="):
        live.set_rate(rate)
    assert (live.rate, mesh.batches[0].rates) == (50, [])


def test_a_rate_that_is_set_while_stopped_is_used_at_the_next_start(mesh, live):
    live.stop()
    live.set_rate(7)
    live.start()
    assert mesh.batches[1].spec.rate == 7


def test_a_second_run_goes_on_counting(mesh, live):
    mesh.batches[0].answer(3)
    live.stop()
    live.start()
    mesh.batches[1].answer(2)
    seen(live, 5)
    assert [r.index for r in live.observations] == [0, 1, 2, 3, 4]
    assert len(live.observations.independent_choices(per="connection")) == 5


def test_traffic_with_an_end_ends_by_itself():
    with BackgroundTraffic(PacedMesh(), spec(rate=1000, count=20)) as traffic:
        until(lambda: traffic.state == "stopped")
        assert traffic.total == 20


def test_without_a_rate_nothing_is_made(mesh):
    with pytest.raises(UsageError, match="rate"):
        BackgroundTraffic(mesh, TrafficSpec("gateway:/"))


# --- errors -------------------------------------------------------------------------------------------------------


def test_what_the_engine_refuses_is_raised_by_start(mesh):
    mesh.refusal = NotFoundError("no pod client")
    traffic = BackgroundTraffic(mesh, spec())
    with pytest.raises(NotFoundError, match="no pod client"):
        traffic.start()
    assert traffic.state == "ready"


@pytest.mark.parametrize(
    "call",
    [
        lambda live: live.observations,
        lambda live: live.since(0),
        lambda live: live.set_rate(5),
        lambda live: live.pause(),
        lambda live: live.collect(1, since=0),
        lambda live: live.stop(),
        lambda live: live.start(),
        lambda live: live.close(),
    ],
)
def test_an_error_in_the_thread_is_raised_by_the_next_call_and_only_there(mesh, live, call, capfd):
    mesh.batches[0].answer(2)
    seen(live, 2)
    mesh.batches[0].fail(EngineLostError("the supervisor is gone"))
    until(lambda: live.state == "failed")
    assert "the supervisor is gone" in live.snapshot().error and "the supervisor is gone" in repr(live)
    with pytest.raises(TrafficError, match="the traffic stopped: the supervisor is gone") as raised:
        call(live)
    assert isinstance(raised.value.__cause__, EngineLostError)
    assert len(live.observations) == 2
    live.start()
    assert live.state == "running" and live.error is None
    assert capfd.readouterr() == ("", "")


def test_an_unexpected_error_names_its_type(mesh, live):
    mesh.batches[0].fail(ZeroDivisionError("division by zero"))
    until(lambda: live.state == "failed")
    with pytest.raises(TrafficError, match="ZeroDivisionError: division by zero"):
        live.stop()


def test_a_load_client_that_ends_an_endless_run_is_an_error(mesh, live):
    mesh.batches[0].stop()
    until(lambda: live.state == "failed")
    with pytest.raises(TrafficError, match="the load client ended it"):
        live.observations  # noqa: B018


# --- what was seen ------------------------------------------------------------------------------------------------


def test_only_the_last_responses_are_kept_but_all_are_counted(mesh):
    with BackgroundTraffic(mesh, spec(), capacity=10) as traffic:
        mesh.batches[0].answer(35)
        mesh.batches[0].answer(1, outcome="timeout", status=0)
        seen(traffic, 36)
        assert [r.index for r in traffic.observations] == list(range(26, 36))
        snapshot = traffic.snapshot()
        assert (snapshot.total, snapshot.missed, snapshot.outcomes) == (36, 26, {"ok": 35, "timeout": 1})


def test_bodies_bound_how_much_is_kept(mesh):
    with BackgroundTraffic(mesh, spec(keep_body=True)) as traffic:
        mesh.batches[0].answer(600)
        seen(traffic, 600)
        assert len(traffic.observations) == 500


def test_snapshots_give_each_response_once(mesh, live):
    mesh.batches[0].answer(3)
    seen(live, 3)
    first = live.snapshot()
    assert [r.index for r in first.responses] == [0, 1, 2]
    assert live.snapshot(first.next).responses == ()
    mesh.batches[0].answer(2)
    seen(live, 5)
    second = live.snapshot(first.next)
    assert ([r.index for r in second.responses], second.next, second.missed) == ([3, 4], 5, 0)


def test_since_begins_where_a_change_was_in_force(mesh, live):
    for started in (10.0, 20.0, 20.5, 21.0, 30.0):
        mesh.batches[0].answer(1, started_s=started)
    seen(live, 5)
    result = ApplyResult(changes=(), in_force_s=1.0, started_s=20.0)
    assert [r.started_s for r in live.since(result)] == [21, 30]
    assert [r.started_s for r in live.since(20.5)] == [20.5, 21, 30]
    live.mark("apply 90/10", time_s=21.0, in_force_s=1.0)
    assert [r.started_s for r in live.since("apply 90/10")] == [21, 30]


def test_during_ends_where_the_next_change_began(mesh, live):
    for started in (10.0, 19.0, 20.5, 21.0, 29.0, 30.0, 40.0):
        mesh.batches[0].answer(1, started_s=started)
    seen(live, 7)
    first = live.mark("a", time_s=21.0, in_force_s=1.0)
    live.mark("b", time_s=32.0, in_force_s=2.0)
    assert [r.started_s for r in live.during(first)] == [21, 29]
    assert [r.started_s for r in live.during("b")] == [40]
    assert [r.started_s for r in live.during(5, until=first)] == [10, 19]
    assert [mark.label for mark in live.snapshot().marks] == ["a", "b"]


@pytest.mark.parametrize("when", ["nothing", None, True, [1]])
def test_an_unknown_moment_is_refused(live, when):
    with pytest.raises(UsageError, match="mark"):
        live.since(when)


def test_slow_answers_are_not_left_out_in_favour_of_fast_ones(mesh, live):
    batch = mesh.batches[0]
    batch.begin(10, started_s=100.0)
    batch.complete(*range(1, 10), version="fast")
    seen(live, 9)
    assert len(live.since(0)) == 0
    assert len(live.observations) == 9
    batch.complete(0, version="slow")
    seen(live, 10)
    assert live.since(0).share().counts == {"fast": 9, "slow": 1}


def test_what_was_never_answered_holds_nothing_back_once_the_run_is_over(mesh, live):
    mesh.batches[0].begin(3, started_s=100.0)
    mesh.batches[0].complete(1, 2)
    seen(live, 2)
    mesh.batches[0].fail(EngineLostError("gone"))
    until(lambda: live.state == "failed")
    with pytest.raises(TrafficError):
        live.since(0)
    assert [r.index for r in live.since(0)] == [1, 2]


def test_collect_waits_for_the_next_requests_however_slow(mesh, live):
    batch = mesh.batches[0]
    batch.answer(5, started_s=1.0)
    collected = []
    waiting = threading.Thread(target=lambda: collected.append(live.collect(3, since=50.0)))
    waiting.start()
    batch.begin(4, started_s=60.0)
    batch.complete(6, 7, 8, version="fast")
    seen(live, 8)
    assert waiting.is_alive()
    batch.complete(5, version="slow")
    waiting.join(60)
    assert [(r.index, r.path[0].version) for r in collected[0]] == [(6, "fast"), (7, "fast"), (5, "slow")]


def test_collect_from_running_traffic():
    with BackgroundTraffic(PacedMesh(), spec(rate=1000)) as traffic:
        begun = time.time()
        collected = traffic.collect(20)
    assert len(collected) == 20 and all(r.started_s >= begun for r in collected)


def test_collect_says_what_it_has_when_time_is_up(mesh, live):
    mesh.batches[0].answer(2, started_s=100.0)
    seen(live, 2)
    with pytest.raises(WaitTimeoutError, match=r"2 of 5 responses after 0\.1 s"):
        live.collect(5, since=50.0, timeout_s=0.1)


def test_collect_does_not_wait_for_traffic_that_is_not_running(mesh, live):
    live.pause()
    with pytest.raises(UsageError, match=r"paused. Call resume\(\)"):
        live.collect(5)
    live.stop()
    with pytest.raises(UsageError, match=r"stopped. Call start\(\)"):
        live.collect(5)


@pytest.mark.parametrize("count", [0, 20_001])
def test_collect_refuses_what_it_cannot_keep(live, count):
    with pytest.raises(UsageError, match="20,000"):
        live.collect(count)


def test_the_plain_text_says_what_runs_where_and_how_it_goes(mesh, live):
    mesh.batches[0].answer(2)
    mesh.batches[0].answer(1, outcome="http_error", status=503)
    seen(live, 3)
    assert repr(live) == "traffic to http://web/name from client, 50/s, running: 3 responses, 1 not ok"


def test_readers_and_writers_do_not_disturb_each_other():
    recording = Recording(capacity=200)
    done = threading.Event()
    failures: list[BaseException] = []

    def read():
        following, got = 0, 0
        try:
            while not done.is_set():
                new, following, missed = recording.new_since(following)
                got += len(new) + missed
                recording.between(0)
            new, following, missed = recording.new_since(following)
            assert got + len(new) + missed == 5000
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for index in range(5000):
        recording.add(response(index))
    done.set()
    for reader in readers:
        reader.join(60)
    assert not failures and recording.total == 5000


# --- a window over longer traffic ---------------------------------------------------------------------------------


def recorded(*, errors: range, count: int = 100, capacity: int = 20) -> BackgroundTraffic:
    """Traffic at one request a second, from second 1,000, whose errors are those with these numbers."""
    traffic = BackgroundTraffic(SteppedMesh(), spec(), capacity=capacity)
    for index in range(count):
        failed = index in errors
        answer = response(
            index, started_s=1_000.0 + index, outcome="http_error" if failed else "ok", status=503 if failed else 200
        )
        traffic._recording.add(answer)
    return traffic


def test_counts_and_the_first_and_last_error_are_for_ever() -> None:
    traffic = recorded(errors=range(10, 13))
    assert traffic.total == 100
    assert traffic.outcomes == {"ok": 97, "http_error": 3}
    assert traffic.first_error is not None and traffic.first_error.index == 10
    assert traffic.last_error is not None and traffic.last_error.index == 12
    assert "100 responses, 3 not ok (" in repr(traffic) and "the last 20 are kept" in repr(traffic)


def test_observations_say_that_they_are_a_window() -> None:
    seen = recorded(errors=range(10, 13)).observations
    assert str(seen.window) == "the last 20 of 100"
    assert "from the last 20 of 100 responses; 3 of those before failed" in repr(seen)
    assert recorded(errors=range(0), count=20).observations.window is None
    assert str(seen.filter(version="v1").window) == "the last 20 of 100"
    assert seen[-5:].window is None


@pytest.mark.parametrize(
    ("look", "total", "errors"),
    [
        (lambda traffic: traffic.since(1_050.0), 50, 0),
        (lambda traffic: traffic.since(1_012.0), 88, 1),
        (lambda traffic: traffic.during(1_000.0, 1_011.0), 11, 1),
        (lambda traffic: traffic.during(1_011.5, 1_012.0), 0, 0),
    ],
)
def test_a_stretch_knows_what_it_lost(look, total: int, errors: int) -> None:
    traffic = recorded(errors=range(10, 13))
    traffic._recording.end_run()
    window = look(traffic).window
    assert (window.total, window.errors) == (total, errors) if window else (total, errors) == (0, 0)


def test_a_stretch_that_is_kept_whole_is_no_window() -> None:
    traffic = recorded(errors=range(10, 13))
    traffic._recording.end_run()
    assert traffic.since(1_080.0).window is None


def test_what_is_lost_is_counted_on_its_side_of_a_change() -> None:
    traffic = BackgroundTraffic(SteppedMesh(), spec(), capacity=5)
    for index in range(70):
        if index == 37:
            traffic.mark("apply", time_s=1_003.5, in_force_s=0.2)
        outcome, status = ("http_error", 503) if index in (10, 34) else ("ok", 200)
        version, sent_s = "v1" if index < 34 else "v2", 1_000.01 + index / 10
        traffic._recording.add(response(index, version, started_s=sent_s, status=status, outcome=outcome))
    snapshot = traffic.snapshot()
    assert len(snapshot.responses) == 5 and not traffic.snapshot(1).lost
    before, after = phases_of(snapshot.responses, snapshot.marks, lost=snapshot.lost)
    assert (before.requests, dict(before.versions), before.errors) == (33, {"v1": 33}, 1)
    assert (after.label, after.requests, dict(after.versions), after.errors) == ("apply", 35, {"v2": 35}, 0)
    assert {phase.requests for phase in phases_of(snapshot.responses, snapshot.marks)} == {5}


def test_windows_add_up() -> None:
    seen = recorded(errors=range(10, 13)).observations + recorded(errors=range(0), count=5).observations
    assert str(seen.window) == "the last 25 of 105"
    assert seen.window is not None and seen.window.errors == 3
