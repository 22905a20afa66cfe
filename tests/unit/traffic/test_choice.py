"""What is chosen at a time: intervals count choices, whoever looks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from display_samples import texts
from small_engine import SmallEngine
from small_mesh import response

from labsupport import check, model
from labsupport.display import compare, show
from labsupport.display.pictures.choices import choices_strip
from labsupport.display.pictures.timeline import Timeline
from labsupport.display.pictures.traffic_picture import TrafficPicture
from labsupport.model.reading import documents
from labsupport.records import Pod, TrafficSpec
from labsupport.statistics import ALPHA, proportion_interval
from labsupport.traffic.choice import chosen_per
from labsupport.traffic.observations import Observations

OBJECTS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: all}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 443, name: ends, protocol: HTTPS}, hosts: [ends.example], tls: {mode: SIMPLE, credentialName: c}}
  - {port: {number: 443, name: passes, protocol: HTTPS}, hosts: ["*.example"], tls: {mode: PASSTHROUGH}}
  - {port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 8080}, {name: tcp-raw, port: 9000}]
"""


class Mesh(SmallEngine):
    def __init__(self) -> None:
        gateway = Pod("gateway-1", "default", "istio-ingressgateway", labels={"istio": "ingressgateway"})
        callers = [Pod("client-1", "default", "client", injected=True), Pod("bare-1", "default", "bare")]
        super().__init__(pods=[gateway, *callers])
        self.apply(model.parse(documents.read(OBJECTS, file="mesh.yaml")))


@pytest.mark.parametrize(
    ("url", "source", "per"),
    [
        ("gateway:/name", "outside", "request"),
        ("gateway:9000/name", "outside", "connection"),
        ("tcp://gateway:9000", "outside", "connection"),
        ("tls://ends.example", "outside", "connection"),
        ("https://ends.example/", "outside", "request"),
        ("https://other.example/", "outside", "connection"),
        ("https://elsewhere.org/", "outside", "request"),
        ("nodeport:web/name", "outside", "connection"),
        ("http://web:8080/name", "client", "request"),
        ("http://web:9000/name", "client", "connection"),
        ("tcp://web:9000", "client", "connection"),
        ("https://web:9000/", "client", "connection"),
        ("http://web:8080/name", "bare", "connection"),
        ("http://web:8080/name", "bare-1", "connection"),
    ],
)
def test_where_a_proxy_reads_requests_each_is_a_choice_and_else_a_connection(url: str, source: str, per: str):
    assert chosen_per(Mesh(), TrafficSpec(url, source, count=1)) == per


def kept(count: int, connections: int, per: str = "connection") -> Observations:
    made = (response(i, "v1" if i % connections else "v2", connection=i % connections) for i in range(count))
    return Observations(made, per=per)


def test_sixty_requests_on_one_connection_are_one_choice():
    seen = kept(60, 1)
    assert seen.share()["v2"] == 1
    assert seen.share().interval("v2") == proportion_interval(1, 1, level=0.999)
    assert "n = 1 connection (60 requests)" in repr(seen)
    assert seen.share().interval("v2").low < 0.01 < kept(60, 1, "request").share().interval("v2").low


def test_what_is_taken_from_observations_knows_how_it_was_chosen():
    seen = kept(60, 4)
    assert {part.per for part in (seen[:30], seen.errors, seen.filter(version="v1"), seen + kept(3, 3, "request"))} == {
        "connection"
    }
    assert [len(connection) for connection in seen.connections] == [15] * 4


def test_pictures_count_choices():
    seen = kept(60, 4)
    low, high = proportion_interval(1, 4, level=0.999)
    figure = show(seen)
    assert f"{100 * low:.1f}–{100 * high:.1f} %" in figure.body
    assert "60 requests on 4 connections: 1 connection = 1 choice" in texts(figure.body)
    assert "n = 4 connections (60 requests)" in texts(compare(seen, seen).body)


def test_requests_that_a_proxy_chose_are_choices_whatever_their_connection():
    strip = choices_strip(kept(60, 4, "request"), wide=500.0)
    assert strip is not None and "1 request = 1 choice" in strip.told


def test_no_strip_where_each_request_has_a_connection():
    assert choices_strip(kept(60, 60), wide=500.0) is None


def test_the_live_picture_counts_connections_too():
    line = Timeline(origin_s=0.0, per="connection")
    line.add(response(i, "v1", started_s=i / 10, connection=0) for i in range(50))
    shares = line.shares(5.0)
    assert (shares.requests, shares.choices) == (50, {"v1": 1})
    drawn, _ = TrafficPicture(line).shares(shares, None, now_s=5.0)
    assert "1 connection" in texts(drawn)
    assert f"–{100 * proportion_interval(1, 1, level=0.999).high:.0f} %" in texts(drawn)


def test_requests_whose_connection_is_unknown_are_choices_of_their_own():
    line = Timeline(origin_s=0.0, per="connection")
    line.add(response(i, "v1", started_s=i / 10, connection=0 if i < 10 else -1) for i in range(15))
    assert line.shares(5.0).choices == {"v1": 6}
    unknown = Observations((response(i, "v1", connection=-1) for i in range(5)), per="connection")
    assert len(unknown.independent_choices(per="connection")) == 5


@pytest.mark.parametrize(
    ("judge", "strays"),
    [
        (lambda seen: check.only(seen, version=["v1", "v2"]), 0),
        (lambda seen: check.none(seen, version="v2"), 1),
        (lambda seen: check.ok(seen), 0),
        (lambda seen: check.status(seen, 503), 4),
    ],
)
def test_what_is_ruled_out_counts_choices(judge: Callable[[Observations], check.CheckOutcome], strays: int):
    outcome = judge(kept(60, 4))
    assert (outcome.n, outcome.seen["otherwise"]) == (4, strays)
    assert outcome.interval["otherwise"] == proportion_interval(strays, 4, level=1 - ALPHA)
    assert "n = 4 connections (of 60 requests)" in repr(outcome)
