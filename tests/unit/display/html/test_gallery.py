"""The gallery of predictions: whose pictures it has, and what it says of them in both themes."""

from __future__ import annotations

import base64
import io
import math
import re

import numpy as np
import pytest
from PIL import Image

from labsupport.course.predictions import Answer, Predictions
from labsupport.course.scenes import scene
from labsupport.display.html import gallery
from labsupport.display.html.gallery import predictions_html


def answer(user: int, arm: str, *, right: bool, seen: bool = True) -> Answer:
    mask = scene(user).mask
    found = mask if right else np.roll(mask, 20, axis=1)
    return Answer(user, f"version-{arm}", 1.0 if right else 0.4, found, 8.0, 0.01 if seen else math.nan)


def images(html: str) -> list[tuple[str, str]]:
    """What each picture shows, and its content."""
    return [(alt, uri) for uri, alt in re.findall(r'<img src="([^"]*)" alt="([^"]*)"', html)]


def pixels(uri: str) -> np.ndarray:
    file = io.BytesIO(base64.b64decode(uri.partition(",")[2]))
    return np.asarray(Image.open(file).convert("RGBA"))


def test_a_pair_has_four_pictures_and_a_split_none_of_the_difference():
    pair = Predictions((answer(1, "a", right=False), answer(1, "b", right=True, seen=False)))
    shown = [alt for alt, _ in images(predictions_html(pair))]
    assert shown == [
        *("picture of user 1", "what A sees for user 1", "what B sees for user 1"),
        "where A and B differ for user 1",
    ]
    split = predictions_html(Predictions((answer(1, "a", right=True), answer(2, "b", right=True))))
    assert [alt for alt, _ in images(split)] == [
        *("picture of user 1", "what A sees for user 1", "picture of user 2", "what B sees for user 2"),
    ]
    assert "No picture was seen by both versions." in split


def test_the_pixels_tell_who_is_right():
    pair = Predictions((answer(1, "a", right=False), answer(1, "b", right=True)))
    drawn = gallery._differences(1, pair.pairs[1])
    known, wrong = scene(1).mask, pair.answers[0].mask
    blue = (drawn == (*gallery._RIGHT["b"], 255)).all(axis=2)
    assert (blue == (known != wrong)).all()
    assert not (drawn == (*gallery._RIGHT["a"], 255)).all(axis=2).any()
    assert (drawn[~known & ~wrong] == 0).all()


def test_what_a_version_sees_is_cut_out_of_the_picture():
    shown = dict(images(predictions_html(Predictions((answer(4, "a", right=True),)))))
    assert ((pixels(shown["what A sees for user 4"])[..., 3] > 127) == scene(4).mask).all()
    assert pixels(shown["picture of user 4"]).shape == (*scene(4).mask.shape, 4)


def test_it_has_the_last_users_and_stays_small_enough_to_be_sent_often():
    many = Predictions(tuple(answer(user, arm, right=True) for user in range(1, 31) for arm in "ab"))
    html = predictions_html(many)
    assert [alt for alt, _ in images(html) if alt.startswith("picture")] == [
        f"picture of user {n}" for n in range(26, 31)
    ]
    assert len(html) < 120_000
    assert "30 users" in html and "mean IoU" in html


def test_failures_and_nothing_at_all_are_said():
    assert "no answers" in predictions_html(Predictions())
    assert "✗ 2 users without an answer" in predictions_html(Predictions((answer(1, "a", right=True),), failed=(2, 3)))


@pytest.mark.parametrize("ground", [(255, 255, 255), (17, 17, 17)], ids=["light", "dark"])
def test_its_colours_are_told_from_the_ground_in_both_themes(ground: tuple[int, int, int]):
    for colour in (gallery._COMMON, *gallery._RIGHT.values()):
        low, high = sorted((luminance(ground), luminance(colour)))
        assert (high + 0.05) / (low + 0.05) >= 3


def luminance(colour: tuple[int, ...]) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
