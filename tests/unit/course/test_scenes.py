"""The pictures of the lessons on prediction APIs: the same for everybody, with a mask that is right."""

from __future__ import annotations

import base64
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from labsupport import iou, mask_of, scene
from labsupport.errors import UsageError

# Of picture 7: pixels of the object, and the mean of all colors.
COVERED, BRIGHT = 834, 118.935


def test_a_number_gives_the_same_picture_and_another_one_another() -> None:
    first, again, other = scene(7), scene(7), scene(8)
    assert (first.picture == again.picture).all() and (first.mask == again.mask).all()
    assert (first.mask != other.mask).any() and (first.picture != other.picture).any()
    # As many pixels as its outline has may fall to the other side elsewhere, for the last digit of a cosine.
    assert int(first.mask.sum()) == pytest.approx(COVERED, abs=3)
    assert first.picture.mean() == pytest.approx(BRIGHT, abs=0.05)


@pytest.mark.parametrize("size", [(96, 72), (160, 120), (64, 200)])
def test_the_object_lies_on_the_ground_away_from_the_rim(size: tuple[int, int]) -> None:
    width, height = size
    for number in range(40):
        made = scene(number, size)
        assert made.picture.shape == (height, width, 3) and made.mask.shape == (height, width)
        assert 0.05 < made.mask.mean() < 0.3
        inner = np.zeros_like(made.mask)
        inner[height // 12 + 1 : -(height // 12) - 1, width // 12 + 1 : -(width // 12) - 1] = True
        assert not (made.mask & ~inner).any()


def test_a_picture_fits_into_what_a_client_keeps_of_a_request() -> None:
    assert max(len(scene(number, (160, 120)).base64) for number in range(5)) < 64 * 1024
    file = Image.open(io.BytesIO(base64.b64decode(scene(1).base64)))
    assert (np.asarray(file) == scene(1).picture).all()


def test_iou_counts_what_is_common() -> None:
    one, other = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert iou(one, other) == 1
    one[:2], other[1:3] = True, True
    assert iou(one, other) == pytest.approx(4 / 12) and iou(one, one) == 1
    assert iou(one, np.zeros((4, 4), bool)) == 0
    with pytest.raises(UsageError, match="rows and columns"):
        iou(one, np.zeros((4, 5), bool))


def test_a_mask_is_read_as_models_answer_it() -> None:
    known = scene(2).mask
    file = io.BytesIO()
    Image.fromarray(np.where(known, 255, 0).astype(np.uint8)).save(file, format="PNG")
    assert (mask_of(base64.b64encode(file.getvalue()).decode()) == known).all()
    for text in ("", "%", base64.b64encode(zlib.compress(b"x")).decode()):
        with pytest.raises(UsageError, match="no picture"):
            mask_of(text)


@pytest.mark.parametrize(("number", "size"), [(-1, (96, 72)), (0, (31, 72)), (0, (96, 2001))])
def test_what_cannot_be_drawn_is_refused(number: int, size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="32 to 2000"):
        scene(number, size)
