"""What ``lab.graph()`` looks at, and what it says outside a notebook."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from small_engine import SmallEngine

from labsupport.display import formatters, show
from labsupport.errors import NotFoundError, UsageError
from labsupport.lab.lab import Lab
from labsupport.observe.graph import ServiceGraph, asked_for
from labsupport.records import AccessRecord, Hop, Pod, Response, TrafficSpec
from labsupport.traffic.observations import Observations, request_ids

T0 = 1_800_000_000.0
PODS = [
    Pod("web-1", "default", "web-v1", {"app": "web", "version": "v1"}, injected=True),
    Pod("api-1", "default", "api-v1", {"app": "api", "version": "v1"}, injected=True),
    Pod("bare-1", "default", "bare", {"app": "bare"}, injected=False),
]
CLUSTER = "outbound|80||api.default.svc.cluster.local"


def call(at: float, request: str = "r", status: int = 200) -> AccessRecord:
    return AccessRecord(
        request, T0 + at, "web-1", "outbound", status=status, cluster=CLUSTER, upstream_pod="api-1", duration_s=0.01
    )


class Mesh:
    def __init__(self, *lines: AccessRecord) -> None:
        self.lines = lines
        self.running: list[object] = []
        self.ended: list[object] = []

    def access_log(self, of=None, *, since_s=None):
        if of is not None:
            return [line for line in self.lines if line.request_id in request_ids(of)]
        return [line for line in self.lines if line.time_s + line.duration_s >= since_s]

    def when_closed(self, act):
        self.last_wish = act

    def pods(self):
        return PODS

    def get(self, kind):
        return []

    def traffic(self, *, running=True):
        return self.running if running else self.running + self.ended


def graph(mesh: Mesh, at: float, **options: object) -> ServiceGraph:
    return ServiceGraph(mesh, clock=lambda: T0 + at, **options)


def test_outside_a_notebook_the_graph_is_text():
    text = repr(graph(Mesh(call(1), call(2, status=503)), 5))
    assert text.splitlines() == [
        "service graph, last 10 s",
        "  web → api  0.2/s, 50.0 % errors (503: 1), p95 10 ms",
        "  bare: without proxy",
        "  web: v1",
        "  api: v1",
    ]


def test_pods_without_a_version_are_there_all_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Mesh, "pods", lambda self: [Pod("caller-1", "default", "caller", {"app": "caller"}, True)])
    assert "  caller: pods without a version" in repr(graph(Mesh(), 1))


def test_a_graph_asked_for_after_the_traffic_shows_its_last_seconds():
    shown = graph(Mesh(call(0), call(95), call(100)), 400)
    assert shown.now().edges[0].count == 2
    assert shown.what.startswith("10 s until ")


def test_while_traffic_runs_lines_that_may_lack_their_callers_are_left_out():
    mesh = Mesh(call(1), call(9.5))
    assert graph(mesh, 10).now().edges[0].count == 2
    mesh.running = [
        SimpleNamespace(spec=TrafficSpec("http://api/"), snapshot=lambda since=0: SimpleNamespace(responses=()))
    ]
    assert graph(mesh, 10).live
    assert graph(mesh, 10).now().edges[0].count == 1


def test_a_graph_of_some_responses_counts_them_and_shows_nothing_else():
    answers = [Response(n, T0, 0.01, "ok", 200, request_id=f"r{n}") for n in range(3)]
    shown = graph(Mesh(*(call(n, f"r{n}") for n in range(5))), 50, of=Observations(answers))
    assert not shown.live
    made = shown.now()
    assert made.volume(made.edges[0]) == "3 requests"
    assert set(made.nodes) == {"web", "api"}
    assert shown.what == "3 requests"


def test_calls_that_no_proxy_saw_are_those_of_the_lab_s_own_traffic():
    answer = Response(0, T0, 0.01, "ok", 200, path=(Hop("bare", "", "bare-1"),))
    mesh = Mesh()
    mesh.ended = [
        SimpleNamespace(
            spec=TrafficSpec("nodeport:bare/"), snapshot=lambda since=0: SimpleNamespace(responses=(answer,))
        )
    ]
    assert "a client → bare" in repr(graph(mesh, 2))


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("gateway:/x", ""),
        ("gateway/front:/x", ""),
        ("nodeport:web/x", "web"),
        ("http://web:80/x", "web"),
        ("http://web.default/x", "web"),
    ],
)
def test_the_service_that_a_url_asks_for(url: str, service: str):
    assert asked_for(url) == service


def test_a_figure_can_be_made_of_both():
    assert "web → api" in show(graph(Mesh(call(1)), 5)).summary
    assert ("labsupport.observe.graph", "ServiceGraph") in formatters.DISPLAYS
    assert ("labsupport.observe.journey", "Journey") in formatters.BUNDLES


@pytest.fixture
def lab():
    with Lab(SmallEngine(pods=PODS)) as lab:
        yield lab


def test_a_lab_follows_a_response_observations_or_an_id(lab: Lab):
    answers = lab.send("http://web:8080/name", source="client", count=2)
    for given in (answers[0], answers, answers[0].request_id):
        journey = lab.journey(given)
        assert journey.request_id == answers[0].request_id
        assert "client" in repr(journey)


@pytest.mark.parametrize("wrong", [7, None, ""])
def test_what_has_no_journey_is_refused(lab: Lab, wrong: object):
    with pytest.raises(UsageError, match=r"give responses|no response"):
        lab.journey(wrong)


def test_no_response_and_an_unknown_id_have_no_journey(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match="no response"):
        lab.journey(Observations(()))
    monkeypatch.setattr(lab._engine, "access_records", lambda **options: [])
    with pytest.raises(NotFoundError, match="No proxy knows"):
        lab.journey("nonsense")


def test_a_graph_needs_responses_and_a_span(lab: Lab):
    assert repr(lab.graph()).startswith("service graph, last 10 s")
    with pytest.raises(UsageError, match="give responses"):
        lab.graph("web")
    with pytest.raises(UsageError, match="above 0"):
        lab.graph(span_s=0)


def test_a_closed_lab_has_no_graph(lab: Lab):
    lab.close()
    with pytest.raises(UsageError, match="closed"):
        lab.graph()
