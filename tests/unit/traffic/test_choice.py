"""What is chosen at a time: intervals count choices, whoever looks."""

from __future__ import annotations

import pytest
from display_samples import texts
from small_mesh import response

from labsupport.display import compare, show
from labsupport.display.pictures.choices import choices_strip
from labsupport.display.pictures.timeline import Timeline
from labsupport.display.pictures.traffic_picture import TrafficPicture
from labsupport.records import Pod, TrafficSpec
from labsupport.statistics import proportion_interval
from labsupport.traffic.choice import chosen_per
from labsupport.traffic.observations import Observations


class Mesh:
    def pods(self) -> list[Pod]:
        return [Pod("client-1", "default", "client", injected=True), Pod("bare-1", "default", "bare")]


@pytest.mark.parametrize(
    ("url", "source", "per"),
    [
        ("gateway:/name", "outside", "request"),
        ("nodeport:web/name", "outside", "connection"),
        ("http://web:8080/name", "client", "request"),
        ("http://web:8080/name", "bare", "connection"),
        ("http://web:8080/name", "bare-1", "connection"),
    ],
)
def test_a_proxy_chooses_for_each_request_and_without_one_a_connection_does(url: str, source: str, per: str):
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
