"""A Canary of Flagger: what it says, and what is refused with field, line and remedy."""

from __future__ import annotations

import pytest

from labsupport.errors import ManifestError
from labsupport.model import parse
from labsupport.model.kinds.canary import Canary
from labsupport.model.reading.documents import read
from labsupport.model.reading.judging import judged

HEAD = """apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 8080}
  analysis:
"""
STEPS = "    interval: 1m\n    threshold: 5\n    stepWeights: [1, 5, 25]\n"


def of(analysis: str) -> Canary:
    (resource,) = parse(read(HEAD + analysis, file="cell"))
    assert isinstance(resource, Canary)
    return resource


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ("stepWeights: [1, 5, 25]", (1, 5, 25)),
        ("stepWeights: [1, 5, 25]\n    maxWeight: 50", (1, 5, 25)),
        ("stepWeight: 20\n    maxWeight: 50", (20, 40, 50)),
        ("stepWeight: 25\n    maxWeight: 50", (25, 50)),
        ("stepWeight: 50", (50, 100)),
    ],
)
def test_steps_go_up_to_the_last_weight(written: str, steps: tuple[int, ...]) -> None:
    assert of(f"    interval: 1m\n    threshold: 5\n    {written}\n").spec.analysis.steps == steps


def metrics(text: str) -> str:
    return f"{STEPS}    metrics:\n    - {text}\n"


@pytest.mark.parametrize(
    ("analysis", "words"),
    [
        ("    interval: 60\n    threshold: 5\n    stepWeight: 5\n", "cell:8, Canary/web, spec.analysis.interval"),
        ("    interval: 60\n    threshold: 5\n    stepWeight: 5\n", "Write it with a unit: 60s or 60ms."),
        (STEPS.replace("threshold", "thresold"), "Did you mean threshold?"),
        (STEPS.replace("threshold: 5", "threshold: 0"), "must be between 1 and 1000"),
        ("    interval: 1m\n    threshold: 5\n", "write stepWeights, such as [1, 5, 25], or stepWeight"),
        (STEPS.replace("25]", "250]"), "must be percentages, 1 to 100"),
        (STEPS + "    webhooks: []\n", "spec.analysis.webhooks: is played by Flagger on a cluster, and not by the lab"),
        (STEPS + "    mirror: true\n", "leave it out here"),
        (metrics("{name: success, thresholdRange: {min: 99}}"), "write request-success-rate or request-duration"),
        (metrics("{name: request-duration}"), "spec.analysis.metrics[0].thresholdRange: is required"),
        (metrics("{name: request-duration, thresholdRange: {}}"), "bounds nothing: write min"),
        (
            metrics("{name: request-duration, thresholdRange: {max: 1}, templateRef: {name: mine}}"),
            "the lab has the template always-valid alone",
        ),
        (
            metrics("{name: request-duration, thresholdRange: {min: 1}, templateRef: {name: always-valid}}"),
            "and max for a duration",
        ),
        (
            metrics("{name: request-success-rate, thresholdRange: {min: 100}, templateRef: {name: always-valid}}"),
            "it needs min below 100",
        ),
    ],
)
def test_what_is_wrong_is_told_with_field_and_remedy(analysis: str, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        of(analysis)
    assert words in str(caught.value)


def test_validate_judges_a_canary() -> None:
    (document,) = read(HEAD + STEPS, file="cell")
    assert judged(document).state == "accepted"
    (document,) = read(HEAD, file="cell")
    assert judged(document).state == "rejected"
