"""Answers of two versions of a model: who is counted, how pairs meet again, and what a design knows after each user."""

from __future__ import annotations

import base64
import io
import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labsupport.anytime import Gain
from labsupport.course.predictions import Answer, Predictions, answered, predictions
from labsupport.course.scenes import scene
from labsupport.errors import UsageError
from labsupport.observe.tables import LogText
from labsupport.records import Hop, Pod, Response

MASK = np.zeros((2, 2), dtype=bool)


def answer(user: int, arm: str, iou: float, *, seen: bool = True) -> Answer:
    return Answer(user, f"predict-pod-version-{arm}", iou, MASK, 8.0, 0.02 if seen else math.nan)


def mirrored(pairs: list[tuple[float, float]]) -> Predictions:
    users = [*enumerate(pairs, 1)]
    copies = (answer(user, "b", b, seen=False) for user, (_, b) in users)
    return Predictions((*(answer(user, "a", a) for user, (a, _) in users), *copies))


def test_users_who_met_both_are_counted_for_both_and_copies_for_nobody():
    seen = Predictions((answer(1, "a", 0.5), answer(1, "b", 0.5), answer(2, "a", 0.5), answer(3, "b", 0.5, seen=False)))
    assert seen.users == {"a": 2, "b": 1}
    assert len(Predictions() + seen) == 4


def test_a_split_knows_what_gain_knows_of_it():
    values = [(arm, 0.5 + 0.3 * (arm == "b") + 0.01 * (user % 5)) for user, arm in enumerate("ab" * 60)]
    seen = Predictions(tuple(answer(user, arm, iou) for user, (arm, iou) in enumerate(values)))
    gain = Gain(alpha=0.05)
    for arm, iou in values:
        gain.split("a" if arm == "a" else "b", iou)
    looks = seen.gain(alpha=0.05)
    assert (looks.design, looks.answer) == ("split", "b is better")
    assert (looks.looks[-1].low, looks.looks[-1].high) == tuple(gain.interval)
    assert looks.looks[-1].mean == pytest.approx(gain.mean)
    decided = looks.decided
    assert decided is not None
    assert looks.looks[decided - 1].low >= 0 > looks.looks[decided - 2].low


def test_a_user_who_met_both_in_a_split_counts_for_the_first():
    seen = Predictions((answer(1, "a", 0.1), answer(1, "b", 0.9), answer(2, "b", 0.3)))
    looks = seen.gain()
    assert (looks.design, looks.looks[-1].mean) == ("split", pytest.approx(0.2))


def test_the_same_answers_decide_sooner_as_pairs():
    draw = np.random.default_rng(1)
    pairs = [(easy, easy + 0.06) for easy in draw.uniform(0, 0.8, 200).tolist()]
    mirror = mirrored(pairs).gain(alpha=0.05)
    halves = Predictions(tuple(answer(user, "ab"[user % 2], pair[user % 2]) for user, pair in enumerate(pairs)))
    assert mirror.design == "mirror" and mirror.decided is not None
    split = halves.gain(alpha=0.05)
    assert split.decided is None or split.decided > 2 * mirror.decided


def test_users_without_a_copy_are_spent_and_tell_nothing():
    half = [answer(user, "b", 0.9, seen=False) for user in range(0, 100, 2)]
    looks = Predictions((*(answer(user, "a", 0.5) for user in range(100)), *half)).gain(alpha=0.05)
    assert (looks.design, len(looks.looks), looks.answer) == ("mirror", 100, "b is better")
    assert looks.decided == 2 * (mirrored([(0.5, 0.9)] * 50).gain(alpha=0.05).decided or 0) - 1


def test_a_z_test_is_asked_from_the_thirtieth_value_on():
    looks = mirrored([(0.5, 0.6), (0.5, 0.8)] * 20).gain()
    assert [math.isnan(look.peeking) for look in looks.looks] == [True] * 29 + [False] * 11
    assert looks.peeked == 30
    assert looks.looks[-1].peeking == pytest.approx(1.96 * 0.1 / math.sqrt(39), rel=1e-3)


def test_words_say_what_is_known():
    assert repr(Predictions()) == "no answers" and repr(Predictions().gain()) == "no users yet"
    assert repr(mirrored([(0.5, 0.9)] * 50).gain()).startswith("mirror, 50 users: b is better, known after ")
    told = repr(Predictions((answer(1, "a", 0.5),), failed=(2,)))
    assert "A: answers 1, seen by 1 user, mean IoU 0.500" in told and "without an answer: 1 user" in told


class Mesh:
    """A mesh that answers with A and sends B copies, but for some users whom it refuses."""

    def __init__(self, *, refuses: int = 0) -> None:
        self.refuses, self.lines = refuses, ["12:00:00 GET / 200 1.0 ms x"]
        self.waited: list[Response] = []

    def send(self, url: str, *, headers: dict[str, str], body: str, **options: Any) -> list[Response]:
        number = int(headers["user"].removeprefix("user-"))
        if number == self.refuses:
            return [Response(0, 0.0, 0.1, "http_error", status=415, request_id=f"id-{number}", path=self.hop("a"))]
        assert json.loads(body) == {"image": scene(number).base64}
        self.lines.append(f"answer id-{number} 20.5 {png(scene(number).mask)}")
        self.lines.append(f"answer other-{number} 20.5 {png(scene(number).mask)}")
        said = json.dumps({"mask": png(~scene(number).mask), "cpu_ms": 8.5})
        return [Response(0, 0.0, 0.1, "ok", status=200, request_id=f"id-{number}", path=self.hop("a"), body=said)]

    @staticmethod
    def hop(arm: str) -> tuple[Hop, ...]:
        return (Hop("predict-server", f"predict-pod-version-{arm}", f"predict-pod-{arm}-x"),)

    def pods(self) -> list[Pod]:
        return [
            Pod(
                f"predict-pod-{arm}-x",
                "default",
                f"predict-pod-{arm}",
                labels={"app": "predict-server", "version": f"predict-pod-version-{arm}"},
                ready=True,
            )
            for arm in "ab"
        ]

    def logs(self, pod: Pod, *, lines: int) -> LogText:
        # A logs its answers as well: they are those that users saw.
        return LogText("\n".join(self.lines))

    def access_log(self, of: list[Response]) -> None:
        self.waited = of


def png(mask: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_copy_is_found_by_the_request_id_of_its_original():
    lab: Any = Mesh()
    grown: list[Predictions] = []
    seen = answered(lab, range(3, 6), grown=lambda make, last=False: grown.append(make()))
    assert [(one.user, one.arm, one.iou, one.seen, one.cpu_ms) for one in seen.answers] == [
        *((user, "a", 0.0, True, 8.5) for user in (3, 4, 5)),
        *((user, "b", 1.0, False, 20.5) for user in (3, 4, 5)),
    ]
    assert [len(one) for one in grown] == [2, 4, 6, 6]
    assert len(lab.waited) == 3


def test_who_is_refused_is_told_and_not_counted():
    lab: Any = Mesh(refuses=2)
    seen = answered(lab, (1, 2))
    assert (seen.failed, [*seen.pairs]) == ((2,), [1])


@pytest.mark.parametrize("given", [{"users": 0}, {"users": 9_999}, {"users": 3, "first": -1}])
def test_what_cannot_be_asked_is_refused(given: dict[str, int]):
    lab: Any = SimpleNamespace()
    with pytest.raises(UsageError):
        predictions(lab, **given)
