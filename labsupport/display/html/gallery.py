"""What versions of a prediction API see in pictures, side by side, with the pixels in which they differ."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from labsupport import words
from labsupport.course.predictions import ARMS, Answer, Predictions
from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import el, esc

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["predictions_html"]

_ROWS = 5
# Told apart on a light ground and on a dark one, and by people who see fewer colours: red, green, blue.
_COMMON, _RIGHT = (134, 143, 151), {"a": (196, 127, 0), "b": (47, 143, 196)}


def predictions_html(seen: Predictions) -> str:
    """What each version did, in numbers, and the pictures of the last users.

    Args:
        seen: the answers.
    """
    counted = [[arm.upper(), *map(esc, seen.numbers(arm).values())] for arm in ARMS if seen.of(arm)]
    if not counted:
        return panel("Predictions", "no answers")
    names = seen.numbers("a" if seen.of("a") else "b")
    numbers = table(["version", *names], counted, numeric=frozenset(range(1, 6)), caption="versions")
    pairs = list(seen.pairs.items())[-_ROWS:]
    gallery = table(
        ["user", "picture", "A", "B", "A and B"],
        [_row(user, pair) for user, pair in pairs],
        caption="pictures of the last users",
    )
    legend = (
        "A and B: grey is what both see; of the rest, orange is where A is right, blue is where B is."
        if any(len(pair) > 1 for _, pair in pairs)
        else "No picture was seen by both versions."
    )
    failed = [el("div", f"✗ {words.plural(len(seen.failed), 'user')} without an answer")] if seen.failed else []
    content = (numbers, *failed, el("div", gallery, class_="ws-gap"), el("div", legend, class_="d"))
    return panel("Predictions", *content, subtitle=words.plural(len(seen.pairs), "user"))


def _row(user: int, pair: Mapping[str, Answer]) -> list[str]:
    answers = [pair.get(arm) for arm in ARMS]
    cells = [_cell(answer, user) if answer else el("span", "–", class_="d") for answer in answers]
    both = _image(_differences(user, pair), f"where A and B differ for user {user}") if len(pair) > 1 else ""
    return [f"{user}", _image_of(_ground(user), f"picture of user {user}"), *cells, both]


def _cell(answer: Answer, user: int) -> str:
    import numpy as np

    shape = _image(
        np.dstack([_scene_of(user).picture, np.where(answer.mask, 255, 0).astype(np.uint8)]),
        f"what {answer.arm.upper()} sees for user {user}",
    )
    return shape + el("div", f"IoU {answer.iou:.2f}", class_="d")


def _differences(user: int, pair: Mapping[str, Answer]) -> NDArray[np.uint8]:
    import numpy as np

    known, a, b = _scene_of(user).mask, pair["a"].mask, pair["b"].mask
    drawn = np.zeros((*known.shape, 4), np.uint8)
    drawn[a & b] = (*_COMMON, 255)
    for arm, mask in (("a", a), ("b", b)):
        drawn[(a != b) & (mask == known)] = (*_RIGHT[arm], 255)
    return drawn


@lru_cache(maxsize=64)
def _scene_of(user: int) -> Any:
    from labsupport.course.scenes import scene

    return scene(user)


@lru_cache(maxsize=64)
def _ground(user: int) -> str:
    return _uri(_scene_of(user).picture, "JPEG")


def _image(pixels: NDArray[np.uint8], alt: str) -> str:
    return _image_of(_uri(pixels, "WEBP"), alt)


def _image_of(uri: str, alt: str) -> str:
    return el("img", src=uri, alt=alt, style="display:block;max-width:none;margin:0")


def _uri(pixels: NDArray[np.uint8], form: str) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=form, quality=85)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
