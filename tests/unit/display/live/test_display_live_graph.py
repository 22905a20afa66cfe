"""The kernel's side of the live service graph."""

import itertools
from types import SimpleNamespace

import pytest
from display_samples import T0

from labsupport.display.live.live_graph import LiveGraph
from labsupport.errors import UsageError
from labsupport.records import AccessRecord, Hop, Pod, Response, TrafficSpec

PODS = (
    Pod("a", "default", "web-v1", {"app": "web", "version": "v1"}, injected=True),
    Pod("b", "default", "api-v1", {"app": "api", "version": "v1"}, injected=True),
    Pod("c", "default", "bare-v1", {"app": "bare", "version": "v1"}, injected=False),
)


class Mesh:
    def __init__(self):
        self.lines, self.now, self.asked, self.closed = [], T0, [], False
        self.numbers = itertools.count()
        self.clients, self.rules = [], []

    def traffic(self, *, running=True):
        return self.clients

    def access_log(self, of=None, *, since_s=None):
        if self.closed:
            raise UsageError("This lab is closed.")
        self.asked.append(since_s)
        return [line for line in self.lines if line.time_s + line.duration_s >= since_s]

    def when_closed(self, act):
        self.last_wish = act

    def pods(self):
        return PODS

    def get(self, kind):
        return self.rules

    def call(self, at, status=200, duration=0.01):
        cluster = "outbound|80||api.default.svc.cluster.local"
        number = str(next(self.numbers))
        self.lines.append(
            AccessRecord(
                number, T0 + at, "a", "outbound", status=status, cluster=cluster, upstream_pod="b", duration_s=duration
            )
        )
        self.lines.append(AccessRecord(number, T0 + at, "b", "inbound", status=status, duration_s=duration - 0.001))


@pytest.fixture
def mesh():
    return Mesh()


@pytest.fixture
def live(mesh, monkeypatch):
    picture = LiveGraph(mesh, clock=lambda: mesh.now)
    picture.sent = []
    monkeypatch.setattr(picture, "send", lambda message, buffers=None: picture.sent.append(message))
    yield picture
    picture.close()


def run(mesh, live, begin, end):
    """Ten calls a second, looked at once a second."""
    for second in range(begin, end):
        for part in range(10):
            mesh.call(second + part / 10)
        mesh.now = T0 + second + 1
        live._step()


def test_every_call_is_counted_once_however_often_its_line_is_read(mesh, live):
    run(mesh, live, 0, 8)
    assert "6/s" in live._told["details"]["edge:web>api"]
    run(mesh, live, 8, 30)
    assert "10/s" in live._told["details"]["edge:web>api"]


def test_memory_holds_only_the_time_that_is_shown(mesh, live):
    run(mesh, live, 0, 60)
    assert len(live._lines) <= 2 * 10 * 27
    assert len(live._known) == len(live._lines)
    assert mesh.now - mesh.asked[-1] < 10


def test_a_servers_line_that_comes_before_its_callers_is_no_call_without_proxy(mesh, live):
    for second in range(6):
        mesh.call(second)
        late = mesh.lines.pop(-2)
        mesh.now = T0 + second + 0.5
        live._step()
        mesh.lines.append(late)
    mesh.now = T0 + 8
    live._step()
    assert set(live._told["details"]) == {"edge:web>api"}


def test_a_call_that_took_longer_than_the_graph_looks_back_is_counted(mesh, live):
    mesh.call(0, duration=40.0)
    mesh.now = T0 + 43
    live._step()
    assert "40 s" in live._told["details"]["edge:web>api"]


def test_a_call_whose_end_falls_between_its_two_lines_is_no_call_without_proxy(mesh, live):
    # The server's line is older than two seconds, the caller's is not yet.
    mesh.lines.append(AccessRecord("x", T0 + 1.0, "b", "inbound", status=200, duration_s=0.99))
    cluster = "outbound|80||api.default.svc.cluster.local"
    caller = {"cluster": cluster, "upstream_pod": "b", "duration_s": 1.02}
    mesh.lines.append(AccessRecord("x", T0 + 0.99, "a", "outbound", status=200, **caller))
    mesh.now = T0 + 4
    live._step()
    assert live._told["details"] == {}
    mesh.now = T0 + 5
    live._step()
    assert set(live._told["details"]) == {"edge:web>api"}


def test_failed_tries_alone_are_no_calls_until_their_caller_has_had_time_to_try_again(mesh, live):
    mesh.lines.append(AccessRecord("x", T0, "b", "inbound", status=503, duration_s=0.01))
    mesh.now = T0 + 4
    live._step()
    assert live._told["details"] == {}
    mesh.lines.append(AccessRecord("y", T0 + 5, "b", "inbound", status=200, duration_s=0.01))
    mesh.now = T0 + 9
    live._step()
    assert set(live._told["details"]) == {"edge:no proxy>api"}


def test_what_no_proxy_sees_is_told_by_the_client(mesh, live):
    class Traffic:
        spec = TrafficSpec("nodeport:bare/")

        def snapshot(self, since=0):
            answers = [Response(n, T0 + n / 10, 0.01, "ok", 200, path=(Hop("bare", "v1", "c"),)) for n in range(20)]
            return SimpleNamespace(responses=answers[since:], next=20)

    mesh.clients = [Traffic()]
    mesh.now = T0 + 4
    live._step()
    assert live._told["details"]["edge:no proxy>bare"].startswith("a client → bare: 2/s")


def test_a_call_that_stopped_fades_then_goes_and_is_sent_again_when_it_comes_back(mesh, live):
    run(mesh, live, 0, 5)
    mesh.now = T0 + 30
    live._step()
    assert live._told["details"]["edge:web>api"] == "web → api: nothing now"
    mesh.now = T0 + 80
    live._step()
    assert "edge:web>api" not in live._told["order"]
    mesh.call(81)
    mesh.now = T0 + 85
    live._step()
    assert {"w/edge:web>api", "n/edge:web>api"} <= set(live.sent[-1]["parts"])


def test_a_lab_that_was_closed_leaves_its_last_picture_and_says_so(mesh, live):
    run(mesh, live, 0, 5)
    mesh.closed = True
    live._step()
    assert live._told["error"] == "This lab is closed."
    assert "edge:web>api" in live._told["order"]


def test_what_stays_when_the_lab_closes_is_the_graph_as_it_last_carried_something(mesh, live):
    assert mesh.last_wish == live.freeze
    run(mesh, live, 0, 5)
    mesh.now = T0 + 30
    live._step()
    figure = live.snapshot()
    assert "web → api: " in figure.summary and "nothing now" not in figure.summary
    assert "10 s until" in figure.subtitle


def weighted(weights):
    route = [{"destination": {"host": "api", "subset": f"v{n}"}, "weight": weight} for n, weight in enumerate(weights)]
    return SimpleNamespace(
        namespace="", kind="VirtualService", raw={"spec": {"hosts": ["api"], "http": [{"route": route}]}}
    )


def test_rules_stay_with_the_traffic_that_obeyed_them(mesh, live):
    mesh.rules = [weighted((10, 10, 80))]
    run(mesh, live, 0, 8)
    assert "api: weights 10/10/80" in live.snapshot().summary
    # The traffic ends, and at once the rule is taken away: no call was made under what is left.
    mesh.rules = []
    for second in range(8, 60):
        mesh.now = T0 + second + 0.5
        live._step()
        assert "api: weights 10/10/80" in live.snapshot().summary, second
    mesh.closed = True
    live._step()
    assert "api: weights 10/10/80" in live.snapshot().summary


def test_a_rule_that_changes_under_traffic_is_the_new_one_and_one_without_traffic_is_told_at_once(mesh, live):
    mesh.rules = [weighted((90, 10))]
    mesh.now = T0 + 0.5
    live._step()
    assert "api: weights 90/10" in live._graph().summary
    run(mesh, live, 1, 6)
    mesh.rules = [weighted((50, 50))]
    run(mesh, live, 6, 12)
    assert "api: weights 50/50" in live._graph().summary
    mesh.rules = []
    mesh.now = T0 + 100
    live._step()
    assert "weights" not in live._graph().summary


def test_a_snapshot_is_a_static_figure(mesh, live):
    run(mesh, live, 0, 5)
    assert "web → api" in live.snapshot().summary
    assert repr(live) == "<LiveGraph of the last 10 s>"
