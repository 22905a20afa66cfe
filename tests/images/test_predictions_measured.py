"""What lesson 14 says of the two designs, with what GrabCut really answers to the pictures of the course."""

from __future__ import annotations

import base64
import json
import statistics

import numpy as np
import pytest
from image_app import App, StartApp, runnable

from labsupport.anytime import Gain
from labsupport.course.scenes import iou, mask_of, scene

(_PREDICT, _) = runnable(["predict", "proxy"])
pytestmark = list(_PREDICT.marks)

PICTURES, REPETITIONS, MOST = 300, 200, 1_500


def measured(app: App) -> list[float]:
    found = []
    for number in range(1, PICTURES + 1):
        body = json.dumps({"image": base64.b64encode(scene(number).png).decode()})
        reply = app.post("/predict", data=body, headers={"content-type": "application/json"})
        found.append(iou(mask_of(reply.json()["mask"]), scene(number).mask))
    return found


@pytest.fixture(scope="module")
def answers(start_app: StartApp) -> dict[str, list[float]]:
    return {arm: measured(start_app("predict", GRAB_CUT_ITERS=f"{many}")) for arm, many in (("a", 1), ("b", 10))}


def users_needed(answers: dict[str, list[float]], design: str) -> list[int]:
    """How many users each repetition takes until it says, rightly, that B is better."""
    draw, needed = np.random.default_rng(1), []
    for _ in range(REPETITIONS):
        gain, users = Gain(alpha=0.05), 0
        while gain.answer == "undecided" and users < MOST:
            users, picture = users + 1, int(draw.integers(PICTURES))
            if design == "mirror":
                gain.mirror(a=answers["a"][picture], b=answers["b"][picture])
            elif users % 2:
                gain.split("a", answers["a"][picture])
            else:
                gain.split("b", answers["b"][picture])
        assert gain.answer in ("b is better", "undecided")
        needed.append(users)
    return needed


def test_a_mirror_needs_less_than_half_of_the_users_of_a_split(answers: dict[str, list[float]]) -> None:
    mirror, split = (statistics.quantiles(users_needed(answers, design), n=10) for design in ("mirror", "split"))
    # The fifth of nine leaves half of the tests below, the ninth all but one of ten.
    assert 60 <= mirror[4] <= 85 and 85 <= mirror[8] <= 115
    assert 2 * mirror[4] < split[4] <= 260 and 350 <= split[8] < MOST


def test_a_model_that_is_told_to_logs_its_answers_by_request_id(
    start_app: StartApp, capfd: pytest.CaptureFixture[str]
) -> None:
    masks = {}
    for wish in ("false", "true"):
        app = start_app("predict", LOG_ANSWERS=wish, POD_NAME=f"log-{wish}")
        reply = app.post("/predict", json={"image": scene(1).base64}, headers={"x-request-id": f"id-{wish}"})
        masks[wish] = reply.json()["mask"]
    logged = [line.split() for line in capfd.readouterr().out.splitlines() if line.startswith("answer")]
    assert [(line[1], line[3]) for line in logged] == [("id-true", masks["true"])]
    assert masks["true"] == masks["false"] and float(logged[0][2]) > 0
