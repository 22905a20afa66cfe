"""Pictures for a model that finds what lies on the ground, made so that the right answer is known.

Each is an object on a textured ground that throws a soft shadow. The shadow is what a model takes for a part of the
object; how much of it is the same for everybody, as the number of a picture says all of it.
"""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from labsupport.arguments import checked
from labsupport.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Scene", "iou", "mask_of", "scene"]

SIZE = (96, 72)
_LEAST, _MOST = 32, 2000
# Sizes of the ground's spots, as parts of the width: of light, of colour, of grit.
_LIGHT, _SPOTS, _GRIT = 1 / 4, 1 / 7, 1 / 19


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One picture and what is to be found in it.

    Args:
        number: the number that it was made from.
        picture: height x width x 3, red, green and blue from 0 to 255.
        mask: height x width, true where the object is; its shadow is ground.
    """

    number: int
    picture: NDArray[np.uint8]
    mask: NDArray[np.bool_]

    @property
    def png(self) -> bytes:
        """The picture as a file."""
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(self.picture).save(file, format="PNG")
        return file.getvalue()

    @property
    def base64(self) -> str:
        """The file as a text, for JSON."""
        return base64.b64encode(self.png).decode()


@checked
def scene(number: int, size: tuple[int, int] = SIZE) -> Scene:
    """A picture; the same number and size give the same one everywhere.

    Args:
        number: any whole number from 0.
        size: width and height in pixels.

    Raises:
        UsageError: the number is negative, or a side is not between 32 and 2000 pixels.
    """
    import numpy as np

    width, height = size
    if number < 0 or not (_LEAST <= width <= _MOST and _LEAST <= height <= _MOST):
        raise UsageError(f"scene({number}, {size}): take a number from 0 and sides of {_LEAST} to {_MOST} pixels.")
    draw = np.random.default_rng(number)
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    at_x, at_y = draw.uniform(0.42, 0.58), draw.uniform(0.42, 0.52)
    wide, high = draw.uniform(0.15, 0.21), draw.uniform(0.18, 0.25)
    bumps, turned, bump = draw.integers(2, 6), draw.uniform(0, 2 * np.pi), draw.uniform(0.08, 0.2)

    def reach(to_x: float, to_y: float) -> Any:
        """How far each pixel lies from the middle of the object's shape; 1 is its outline."""
        right, down = (x - at_x - to_x) / wide, (y - at_y - to_y) / high
        return np.hypot(right, down) / (1 + bump * np.cos(bumps * np.arctan2(down, right) + turned))

    mask = reach(0, 0) < 1
    depth, edge = draw.uniform(0.24, 0.42), draw.uniform(0.25, 0.6)
    thrown = reach(draw.choice((-1, 1)) * draw.uniform(0.06, 0.12), draw.uniform(0.1, 0.18))
    shadow = depth * np.clip((1 + edge - thrown) / (2 * edge), 0, 1)

    def spots(part: float) -> Any:
        return _spots(draw.standard_normal((int(height / width / part) + 3, int(1 / part) + 3)), x, y, part, size)

    color, hue = draw.uniform(110, 190, 3), draw.standard_normal(3)
    light = 1 - 0.3 * np.clip(0.5 + 0.5 * spots(_LIGHT), 0, 1)
    ground = color + 14 * spots(_SPOTS) * draw.uniform(0.5, 1, 3) + 7 * spots(_GRIT)
    thing = np.clip(color + draw.uniform(75, 105) * hue / np.linalg.norm(hue), 15, 240) + 14 * spots(_GRIT)
    whole = np.where(mask[..., None], thing, ground * light * (1 - shadow)[..., None])
    picture = np.clip(whole + draw.normal(0, 8, whole.shape), 0, 255).astype(np.uint8)
    return Scene(number, picture, mask)


def _spots(drawn: Any, x: Any, y: Any, part: float, size: tuple[int, int]) -> Any:
    """Drawn values, far apart, with a smooth surface through them; one value for each pixel and a last axis of one."""
    width, height = size
    right, down = x / part, y * height / width / part
    column, row = right.astype(int), down.astype(int)
    beside, below = (step * step * (3 - 2 * step) for step in (right - column, down - row))
    upper = drawn[row, column] * (1 - beside) + drawn[row, column + 1] * beside
    lower = drawn[row + 1, column] * (1 - beside) + drawn[row + 1, column + 1] * beside
    return (upper * (1 - below) + lower * below)[..., None]


@checked
def mask_of(text: str) -> NDArray[np.bool_]:
    """The mask that a model answers: a black and white picture, as base64.

    Raises:
        UsageError: it is no such picture.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            return np.asarray(image.convert("L")) > 127
    except (binascii.Error, UnidentifiedImageError, OSError):
        raise UsageError(f"mask_of({text[:20]!r}...): this is no picture in base64. Give an answer's mask.") from None


@checked
def iou(found: Annotated[NDArray[np.bool_], ...], known: Annotated[NDArray[np.bool_], ...]) -> float:
    """How much of two masks is common: intersection over union, 1 if they are the same, 0 if they have nothing.

    Args:
        found: what a model says.
        known: what is right, of the same size.

    Raises:
        UsageError: they are no masks, or differ in size.
    """
    for name, mask in (("found", found), ("known", known)):
        if str(getattr(mask, "dtype", "")) != "bool":
            raise UsageError(f"iou: {name} is no mask. Give scene(1).mask, or mask_of(...) an answer's mask.")
    if found.shape != known.shape:
        raise UsageError(f"iou: one mask has {found.shape} rows and columns, the other {known.shape}.")
    union = int((found | known).sum())
    return int((found & known).sum()) / union if union else 1.0
