"""The two ways to a picture: ``show`` for what stays, ``watch`` for what changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_engine import SmallEngine

from labsupport.course.catalogue import exercise
from labsupport.display import show, watch
from labsupport.display.live.live import LiveTraffic
from labsupport.display.live.live_graph import LiveGraph
from labsupport.display.live.live_status import LiveStatus
from labsupport.errors import UsageError
from labsupport.lab.lab import Lab
from labsupport.records import Pod

URL = "http://web:8080/"
RULE = "02-canary-by-weight/virtual-service-web-100-0.yaml"


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
        assert watch(live) is picture and not picture.pods
        assert watch(live, pods=True) is picture and watch(live).pods
        assert isinstance(watch(lab.graph()), LiveGraph)


def test_what_does_not_change_cannot_be_watched(lab: Lab) -> None:
    with pytest.raises(UsageError, match="show"):
        watch(lab.graph())
    with pytest.raises(UsageError, match="by itself, and not an Observations"):
        watch(lab.send(URL, source="client"))  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="picture of traffic"):
        watch(lab, rule="vs/web")  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="picture of traffic"):
        watch(lab, pods=True)  # type: ignore[call-overload]


def test_traffic_and_reasons_are_figures_too(lab: Lab) -> None:
    live = lab.traffic(URL, source="client", rate=10)
    assert "<svg" in show(live)._repr_html_()
    told = lab.explain(URL, source="client", confirm=False)
    assert f"GET {URL}" in show(told)._repr_html_()
    assert show(told.explanation).svg() == show(told).svg()


def test_what_has_a_card_is_shown_in_the_middle_of_a_cell_as_at_its_end(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKSHOP_STATE", str(tmp_path / "progress.json"))
    lab.apply("apps/web", RULE)
    asked = exercise("02.1")
    records = (
        lab,
        lab.pods(),
        lab.pods(labels=True),
        lab.status(),
        lab.access_log(),
        lab.metrics().query("vector(1)"),
        lab.apply(RULE),
        exercise("02.1"),
    )
    for record in (*records, asked, asked.check(), asked.hint()):
        forms = show(record)._repr_mimebundle_()
        assert forms["text/html"].startswith("<") and forms["text/plain"] == repr(record)
    assert "name: web" in show(lab.get("vs/web"))._repr_mimebundle_()["text/markdown"]
    assert "VirtualService/web" not in repr(show(lab.get("deploy")))
    with pytest.raises(UsageError, match="are for observations and shares"):
        show(lab.pods(), title="pods")  # type: ignore[call-overload]


@pytest.mark.parametrize(("thing", "told"), [(3, "an int"), ({}, "a dict"), (object(), "an object")])
def test_of_other_things_there_is_nothing_to_see(thing: object, told: str) -> None:
    with pytest.raises(UsageError, match=rf"show\(\) has no picture of {told}\. "):
        show(thing)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match=f"and not {told}"):
        watch(thing)  # type: ignore[call-overload]
