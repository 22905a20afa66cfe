"""The two ways to a picture: ``show`` for what stays, ``watch`` for what changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_engine import SmallEngine

from labsupport.display import show, watch
from labsupport.display.live.live import LiveTraffic
from labsupport.display.live.live_graph import LiveGraph
from labsupport.display.live.live_status import LiveStatus
from labsupport.errors import UsageError
from labsupport.lab.lab import Lab
from labsupport.records import Pod

URL = "http://web:8080/"


@pytest.fixture
def lab() -> Iterator[Lab]:
    pods = [Pod("client-1", "default", "client", {"app": "client"}, injected=True)]
    with Lab(SmallEngine(pods=pods)) as opened:
        yield opened


def test_a_lab_its_traffic_and_its_graph_can_be_watched(lab: Lab) -> None:
    assert isinstance(watch(lab), LiveStatus)
    with lab.traffic(URL, source="client", rate=10) as live:
        picture = watch(live)
        assert isinstance(picture, LiveTraffic)
        assert watch(live) is picture
        assert isinstance(watch(lab.graph()), LiveGraph)


def test_what_does_not_change_cannot_be_watched(lab: Lab) -> None:
    with pytest.raises(UsageError, match="show"):
        watch(lab.graph())
    with pytest.raises(UsageError, match="Observations does not change"):
        watch(lab.send(URL, source="client"))  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="picture of traffic"):
        watch(lab, rule="vs/web")  # type: ignore[call-overload]


def test_traffic_and_reasons_are_figures_too(lab: Lab) -> None:
    live = lab.traffic(URL, source="client", rate=10)
    assert "<svg" in show(live)._repr_html_()
    told = lab.explain(URL, source="client", confirm=False)
    assert f"GET {URL}" in show(told)._repr_html_()
    assert show(told.explanation).svg() == show(told).svg()


def test_of_other_things_there_is_no_figure(lab: Lab) -> None:
    with pytest.raises(UsageError, match="no figure of a Pods"):
        show(lab.pods())  # type: ignore[arg-type]
