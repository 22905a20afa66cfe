"""The gain against users, and false alarms against requests: what is drawn where, in the colours of the theme."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from display_samples import parsed, texts

from labsupport.anytime import FalseAlarms
from labsupport.course.predictions import Look, Looks
from labsupport.display import show
from labsupport.display.drawing.figure import Figure
from labsupport.display.pictures import gain_picture
from labsupport.display.pictures.gain_picture import alarms_figure, gain_figure


def looks(count: int, *, decided: int | None = None, worth: float = 0.0) -> Looks:
    made = [
        Look(users, 0.06, max(-1.0, 0.06 - 3 / users), min(1.0, 0.06 + 3 / users), 0.02 if users >= 30 else math.nan)
        for users in range(1, count + 1)
    ]
    return Looks("mirror", worth, 0.05, "b is better" if decided else "undecided", decided, tuple(made))


def paths(figure: Figure) -> list[dict[str, str]]:
    return [dict(node.attrib) for node in parsed(figure._repr_html_()).iter() if node.tag.endswith("path")]


def words_of(figure: Figure) -> dict[str, dict[str, str]]:
    """The texts of the picture, and where they are."""
    return {node.text or "": dict(node.attrib) for node in parsed(figure.body).iter() if node.tag.endswith("text")}


def test_the_moment_of_the_answer_is_marked_where_it_is():
    (line,) = [path for path in paths(gain_figure(looks(101, decided=51))) if path.get("stroke") == "var(--ws-ok)"]
    assert line["d"].startswith(f"M{gain_picture._LEFT + gain_picture._ROOM / 2:.1f} ")
    assert not [path for path in paths(gain_figure(looks(101))) if path.get("stroke") == "var(--ws-ok)"]
    assert "known after 51 users" in words_of(gain_figure(looks(101, decided=51)))
    assert not [said for said in words_of(gain_figure(looks(101))) if "known" in said]


def test_the_band_stays_within_the_plot_and_narrows():
    (band,) = [path for path in paths(gain_figure(looks(100))) if path.get("fill") == "var(--ws-bar)"]
    points = [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", band["d"])]
    top, bottom = gain_picture._TOP, gain_picture._TOP + gain_picture._HIGH
    assert all(top <= y <= bottom for _, y in points)
    assert points[0][1] == top and points[-1][1] == bottom
    last = [y for x, y in points if x == gain_picture._LEFT + gain_picture._ROOM]
    assert max(last) - min(last) == pytest.approx(0.06 / 0.5 * gain_picture._HIGH, abs=0.2)


def test_a_z_test_and_a_worth_are_drawn_where_there_are_any():
    dashes = [path.get("stroke-dasharray") for path in paths(gain_figure(looks(40, worth=0.02)))]
    assert (dashes.count(gain_picture._BAND), dashes.count(gain_picture._DASH)) == (2, 2)
    assert {"+0.02", "-0.02"} <= {*words_of(gain_figure(looks(40, worth=0.02)))}
    dashes = [path.get("stroke-dasharray") for path in paths(gain_figure(looks(20)))]
    assert (dashes.count(gain_picture._BAND), dashes.count(gain_picture._DASH)) == (0, 0)


@pytest.mark.parametrize("count", [0, 1, 2, 5_000])
def test_any_number_of_users_has_a_picture_of_bounded_size(count: int):
    figure = gain_figure(looks(count))
    assert len(figure._repr_html_()) < 60_000
    assert "95 %" in texts(figure._repr_html_())


def test_false_alarms_are_drawn_at_their_height():
    requests = np.linspace(0, 1, 3_000)
    figure = show(FalseAlarms(0.5 * requests, 0.0 * requests))
    assert "z test 50.0 %, always valid 0 %" in repr(figure)
    ends = [
        path["d"].rpartition(" ")[2] for path in paths(figure) if path.get("stroke") in ("var(--ws-ce)", "var(--ws-ok)")
    ]
    bottom = gain_picture._TOP + gain_picture._HIGH
    assert [float(end) for end in ends] == [
        pytest.approx(bottom - gain_picture._HIGH * 0.5 / 0.6, abs=0.1),
        pytest.approx(bottom),
    ]


@pytest.mark.parametrize("figure", [gain_figure(looks(60, decided=50)), alarms_figure(FalseAlarms(*np.zeros((2, 40))))])
def test_every_colour_follows_the_theme(figure: Figure):
    for path in paths(figure):
        for name in ("fill", "stroke"):
            assert path.get(name, "none") == "none" or path[name].startswith("var(--ws-")
    assert "--ws-ok" in figure.svg()
