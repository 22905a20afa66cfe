"""The load client as the kernel uses it: batches, and traffic in the background."""

from __future__ import annotations

import time
from itertools import islice
from urllib.parse import urlsplit

import pytest
from image_app import App, StartApp
from small_mesh import until

from labsupport.engine.sending import ClientSending, LocalRoute
from labsupport.errors import EngineError, TrafficError, UsageError
from labsupport.records import Pod, TrafficSpec
from labsupport.traffic import sending
from labsupport.traffic.background import BackgroundTraffic
from labsupport.traffic.spec import build_spec
from labsupport.urls import parse_url

TOKEN = "known-to-the-kernel"


@pytest.fixture(scope="module")
def client(start_app: StartApp) -> App:
    return start_app("client", SERVICE_NAME="client", SERVICE_VERSION="v1", POD_NAME="client-1", RUN_TOKEN=TOKEN)


@pytest.fixture(scope="module")
def web(start_app: StartApp) -> App:
    return start_app("web", SERVICE_NAME="web", SERVICE_VERSION="safe", POD_NAME="web-safe-1")


def run_of(client: str, spec: TrafficSpec, url: str) -> ClientSending:
    place = urlsplit(client)
    return ClientSending(
        LocalRoute(place.hostname or "", place.port or 0, TOKEN), spec, url=url, connect_to=None, lost=lambda: None
    )


class OneClient:
    """An engine of one load client without a mesh: every URL leads to one program."""

    name = "one client"
    namespace = "default"

    def __init__(self, client: App, target: App) -> None:
        self.client = client
        self.target = target
        self.runs: list[ClientSending] = []

    def send(self, spec: TrafficSpec) -> ClientSending:
        path = parse_url(spec.url).path
        self.runs.append(run_of(self.client.url, spec, f"{self.target.url}{path}"))
        return self.runs[-1]

    def pods(self) -> list[Pod]:
        return []

    def under_way(self) -> list[str]:
        return self.client.get("/").json()["runs"]


@pytest.fixture
def engine(client: App, web: App) -> OneClient:
    return OneClient(client, web)


def test_a_batch_is_complete_and_names_who_answered(engine: OneClient) -> None:
    seen = sending.send(engine, build_spec("gateway:/name", count=300))
    assert sorted(r.index for r in seen) == list(range(300))
    assert seen.share("pod").counts == {"web-safe-1": 300} and seen.share().counts == {"safe": 300}
    assert seen.outcomes.counts == {"ok": 300} and len(set(seen.request_ids)) == 300
    assert len(seen.independent_choices(per="connection")) == 300


def test_a_refused_run_is_the_callers_mistake(engine: OneClient) -> None:
    with pytest.raises(UsageError, match="method"):
        run_of(engine.client.url, TrafficSpec("gateway:/", method="G T", count=1), f"{engine.target.url}/")


def test_a_missing_client_says_so() -> None:
    with pytest.raises(EngineError, match="the load client broke off"):
        run_of("http://127.0.0.1:1", TrafficSpec("gateway:/"), "http://web/")


def test_letting_go_of_a_run_ends_it(engine: OneClient) -> None:
    run = iter(engine.send(build_spec("gateway:/", rate=200, background=True)))
    assert len(list(islice(run, 3))) == 3
    run.close()
    until(lambda: not engine.under_way())


def test_background_traffic_is_paused_changed_stopped_and_begun_again(engine: OneClient) -> None:
    live = BackgroundTraffic(engine, build_spec("gateway:/name", rate=50, background=True))
    with live:
        live.collect(10)
        live.set_rate(400)
        live.collect(100)
        live.pause()
        paused = time.time()
        until(lambda: len(live.last(0.2)) == 0)
        assert all(r.started_s < paused + 0.1 for r in live.observations)
        live.resume()
        live.collect(20)
        first = live.stop()
        assert not engine.under_way() and live.state == "stopped"
        live.start()
        live.collect(20)
    assert len(live.observations) > len(first)
    indices = sorted(r.index for r in live.observations)
    assert indices == list(range(len(indices)))
    assert live.observations.outcomes.counts == {"ok": len(indices)}
    engine.runs[0].set_rate(5)
    engine.runs[0].stop()


def test_stop_lets_requests_under_way_complete(client: App, start_app: StartApp) -> None:
    slow = start_app("web", DELAY_S="0.4")
    live = BackgroundTraffic(OneClient(client, slow), build_spec("gateway:/", rate=50, background=True)).start()
    live.collect(1)
    before = live.total
    seen = live.stop()
    # About 20 requests were under way when it was told to stop.
    assert len(seen) > before + 5
    assert sorted(r.index for r in seen) == list(range(len(seen)))
    assert seen.outcomes.counts == {"ok": len(seen)}


def test_a_client_that_dies_ends_the_traffic_with_an_error(start_app: StartApp, web: App) -> None:
    client = start_app("client", POD_NAME="client-2")
    live = BackgroundTraffic(OneClient(client, web), build_spec("gateway:/", rate=100, background=True)).start()
    live.collect(5)
    client.process.kill()
    until(lambda: live.state == "failed")
    with pytest.raises(TrafficError, match="broke off"):
        live.set_rate(5)
    assert live.observations


def test_a_client_that_dies_in_the_middle_of_a_batch_is_told(start_app: StartApp, web: App) -> None:
    client = start_app("client", POD_NAME="client-3")
    answers = iter(OneClient(client, web).send(build_spec("gateway:/", count=100_000)))
    assert next(answers).outcome == "ok"
    client.process.kill()
    with pytest.raises(EngineError, match="broke off"):
        for _ in answers:
            continue
