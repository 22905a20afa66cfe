"""GrabCut: finds what stands in the middle of a picture, by colour, in so many iterations."""

from __future__ import annotations

import base64
import time
from typing import Any

import cv2
import numpy as np
from predict_picture import decoded, encoded

__all__ = ["MARGIN", "predict"]

MARGIN = 1 / 12
"""Of each side: what lies outside is ground for certain, and shows the model what ground looks like."""

# One request takes one processor, so that its time tells what it cost.
cv2.setNumThreads(1)


def predict(data: bytes, *, iterations: int, most_pixels: int) -> dict[str, Any]:
    """What a model with so many iterations answers; the same picture gets the same answer.

    Args:
        data: a file, PNG or JPEG.
        iterations: each makes the idea of what is ground a little better.
        most_pixels: how many the picture may have.

    Raises:
        HTTPException: the picture cannot be taken.
    """
    began, cpu_began = time.perf_counter(), time.thread_time()
    pixels = decoded(data, most_pixels=most_pixels)
    found = _found(pixels, iterations)
    mask = np.where(found, 255, 0).astype(np.uint8)
    answer = {
        "iterations": iterations,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "share": round(float(found.mean()), 4),
        "mask": base64.b64encode(encoded(mask)).decode(),
        "cutout": base64.b64encode(encoded(np.dstack([np.where(found[..., None], pixels, 0), mask]))).decode(),
    }
    took_ms, cpu_ms = 1000 * (time.perf_counter() - began), 1000 * (time.thread_time() - cpu_began)
    return {**answer, "took_ms": round(took_ms, 2), "cpu_ms": round(cpu_ms, 2)}


def _found(pixels: Any, iterations: int) -> Any:
    height, width = pixels.shape[:2]
    beside, above = max(round(width * MARGIN), 1), max(round(height * MARGIN), 1)
    mask = np.zeros((height, width), np.uint8)
    ground, thing = np.zeros((1, 65)), np.zeros((1, 65))
    # It begins with clusters around random pixels. OpenCV keeps the generator per thread.
    cv2.setRNGSeed(1)
    inner = (beside, above, width - 2 * beside, height - 2 * above)
    cv2.grabCut(pixels, mask, inner, ground, thing, iterations, cv2.GC_INIT_WITH_RECT)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)
