"""Pictures as they are sent: PNG or JPEG. How large one is is read from its head, before anything is unpacked."""

from __future__ import annotations

from struct import error as StructError
from struct import unpack_from
from typing import Any

import cv2
import numpy as np
from starlette.exceptions import HTTPException

__all__ = ["decoded", "encoded"]

LEAST_SIDE = 16
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, b"\xff\xd9"
# Those that begin a frame; the others of this range are tables.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def decoded(data: bytes, *, most_pixels: int) -> Any:
    """The pixels of a picture: height x width x 3, blue, green and red.

    Args:
        data: the file.
        most_pixels: how many it may have.

    Raises:
        HTTPException: it is no picture of a known kind (415), is not whole or too small (400), or too large (413).
    """
    measure = _png if data.startswith(_PNG) else _jpeg if data.startswith(_JPEG) else None
    if measure is None:
        raise HTTPException(415, "the image must be a PNG or a JPEG file")
    try:
        width, height = measure(data)
    except (StructError, IndexError):
        raise HTTPException(400, "the image is not whole: its file ends too early") from None
    if width * height > most_pixels:
        raise HTTPException(413, f"the image has {width} x {height} pixels, and {most_pixels} in all are allowed")
    if min(width, height) < LEAST_SIDE:
        raise HTTPException(400, f"the image has {width} x {height} pixels; {LEAST_SIDE} are needed on each side")
    try:
        # As it lies in the file, so that the mask fits it, whatever a camera has noted about up and down.
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise HTTPException(400, "the image is damaged: it cannot be decoded")
    return pixels


def encoded(pixels: Any) -> bytes:
    """Pixels as a PNG file."""
    return bytes(cv2.imencode(".png", pixels)[1])


def _png(data: bytes) -> tuple[int, int]:
    """Width and height; the file must have all its chunks up to the last one."""
    width, height = unpack_from(">II", data, 16)
    at, kind = len(_PNG), b""
    while kind != b"IEND":
        length, kind = unpack_from(">I4s", data, at)
        at += length + 12
    if at > len(data):
        raise IndexError
    return width, height


def _jpeg(data: bytes) -> tuple[int, int]:
    """Width and height; the file must have its last marker."""
    at, size = 2, None
    while True:
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        if marker in _START_OF_FRAME:
            height, width = unpack_from(">HH", data, at + 4)
            size = width, height
        if marker == _START_OF_SCAN:
            break
        (length,) = unpack_from(">H", data, at + 1)
        at += 1 + length
    if size is None or data.find(_END_OF_IMAGE, at) < 0:
        raise IndexError
    return size
