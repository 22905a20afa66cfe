"""A release and its replays as pictures: a step for an interval, a bar for a judge, in the colours of the theme."""

from __future__ import annotations

import pytest
from display_samples import parsed, texts

from labsupport.course.canary_analysis import End, Look
from labsupport.course.delivery import Release
from labsupport.course.replays import Replayed, Replays
from labsupport.display import show
from labsupport.display.drawing.figure import Figure
from labsupport.display.pictures import release_picture
from labsupport.traffic.observations import Observations

LOOKS = (
    Look(5, 50, "passed", "", 0),
    Look(50, 480, "failed", "Halt web.default advancement success rate 97.00% < 99%", 14),
    Look(50, 510, "inconclusive", "Inconclusive", 2),
)


def released(count: int = 3, end: End | None = "rolled back") -> Release:
    looks = (LOOKS * count)[:count]
    events = tuple(look.event for look in looks if look.event)
    return Release("web", end, looks, events, Observations(), sum(look.hurt for look in looks))


REPLAYS = Replays(
    10,
    (
        Replayed("good", "strict", ("rolled back",) * 4 + ("promoted",) * 6, (1,) * 10),
        Replayed("failing", "sure", ("rolled back",) * 9 + ("paused",), (20,) * 10),
    ),
)


def nodes(figure: Figure, tag: str) -> list[dict[str, str]]:
    return [dict(node.attrib) for node in parsed(figure._repr_html_()).iter() if node.tag.endswith(tag)]


def test_each_interval_is_a_step_as_high_as_its_weight_with_its_verdict() -> None:
    figure = show(released())
    bars = [node["d"] for node in nodes(figure, "path") if node.get("fill") == "var(--ws-bar)"]
    tops = [float(bar.partition("V")[2].partition("h")[0]) for bar in bars]
    assert tops == pytest.approx([release_picture._y(0.05), release_picture._y(0.5), release_picture._y(0.5)], abs=0.1)
    shown = texts(figure._repr_html_())
    assert [sign for sign in shown if sign in "✓✗?"][:3] == ["✓", "✗", "?"]
    assert "480" in shown and LOOKS[1].event in shown
    assert "rolled back, 16 requests hurt" in figure.subtitle


@pytest.mark.parametrize("count", [0, 1, 200])
def test_any_number_of_intervals_fits(count: int) -> None:
    figure = show(released(count, end=None))
    assert "under way" in figure.subtitle
    for node in nodes(figure, "path"):
        if node.get("fill") == "var(--ws-bar)":
            assert float(node["d"][1:].split()[0]) < release_picture._WIDE


def test_a_bar_has_a_part_for_each_end_and_a_line_where_the_mistakes_may_be() -> None:
    figure = show(REPLAYS)
    parts = [(float(node["width"]), node["fill"]) for node in nodes(figure, "rect")]
    wide = release_picture._BAR
    assert [part for part, _ in parts] == pytest.approx([0.6 * wide, 0.4 * wide, 0.9 * wide, 0.1 * wide])
    first = nodes(figure, "circle")[0]
    assert float(first["cx"]) == pytest.approx(release_picture._NAMES + 0.4 * wide)
    shown = texts(figure._repr_html_())
    assert "4 false rollbacks, 12.2–73.8 %; 1.0 hurt" in shown and "0 missed, 0–30.8 %; 20.0 hurt" in shown


@pytest.mark.parametrize("record", [released(), REPLAYS])
def test_every_colour_follows_the_theme(record: Release | Replays) -> None:
    figure = show(record)
    for tag in ("path", "rect", "circle"):
        for node in nodes(figure, tag):
            for name in ("fill", "stroke"):
                assert node.get(name, "none") == "none" or node[name].startswith("var(--ws-")
    assert figure.svg().startswith("<svg") and repr(figure) == repr(record)
