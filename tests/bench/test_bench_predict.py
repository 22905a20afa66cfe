"""Ten iterations of the prediction API cost two to four times what one costs: its beginning is paid for once."""

from __future__ import annotations

import os
import statistics
import sys

import pytest

from labsupport import paths, scene
from labsupport.engine.embedded.pods.programs import find_programs

EXTRA = "" if os.environ.get("CI") else find_programs().lacks("predict")


@pytest.mark.skipif(bool(EXTRA), reason=f"the extra {EXTRA} is not installed")
@pytest.mark.parametrize("size", [(96, 72), (128, 96)])
def test_ten_iterations_cost_two_to_four_times_one(size: tuple[int, int]) -> None:
    sys.path += [str(paths.images()), str(paths.images() / "predict")]
    from predict_cut import predict

    def cpu_ms(number: int, iterations: int) -> float:
        answer = predict(scene(number, size).png, iterations=iterations, most_pixels=100_000)
        return float(answer["cpu_ms"])

    cpu_ms(0, 1)
    # In turn, so that a processor that grows slower meets both alike.
    ratios = [cpu_ms(number, 10) / cpu_ms(number, 1) for number in range(20)]
    assert 2 <= statistics.median(ratios) <= 4, ratios
