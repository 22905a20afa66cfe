"""What the versions of a prediction API answer to pictures whose right answer is known, and what may be said of them.

The user ``user-n`` sends the picture ``scene(n)``. A version that a rule mirrors requests to answers nobody; what it
said is in the log of its pod, under the x-request-id of the request, where ``LOG_ANSWERS`` is set.
"""

from __future__ import annotations

import functools
import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from labsupport import progressbar, words
from labsupport.anytime import Gain
from labsupport.arguments import checked, whole
from labsupport.course.needs import check_lab
from labsupport.course.scenes import Scene, iou, mask_of, scene
from labsupport.errors import NotFoundError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from labsupport.lab.lab import Lab
    from labsupport.records import Pod, Response

__all__ = ["ARMS", "Answer", "Look", "Looks", "Predictions", "answered", "predictions"]

Arm = Literal["a", "b"]
ARMS: tuple[Arm, Arm] = ("a", "b")
URL = "http://predict-server:5000/predict"
_MOST = 5_000
# A request has a line in the log of its pod besides its answer; others of the lab may have some, too.
_LINES = 4
# As in ``labsupport.anytime``: textbooks want so many observations before a z test.
_FIRST_LOOK = 30
_TWO_SIDED = statistics.NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one version said of one picture.

    Args:
        user: number of the user, and of the picture.
        version: of the pod, whose last letter is the arm.
        iou: how much of the mask is right, from 0 to 1.
        mask: where it sees the object.
        cpu_ms: time of a processor that it took.
        duration_s: that the user waited; nan for a copy, whose answer nobody saw.
    """

    user: int
    version: str
    iou: float
    mask: NDArray[np.bool_] = field(repr=False)
    cpu_ms: float
    duration_s: float = math.nan

    @property
    def arm(self) -> str:
        """``a`` or ``b``."""
        return self.version[-1:]

    @property
    def seen(self) -> bool:
        """Whether a user saw it."""
        return not math.isnan(self.duration_s)


@dataclass(frozen=True, slots=True)
class Look:
    """What was known after so many users.

    Args:
        users: how many had sent a picture.
        mean: of the gain B minus A; nan before both arms have somebody.
        low, high: the interval that may be looked at after each user.
        peeking: half the width of the interval of a z test for one look; nan before its first one.
    """

    users: int
    mean: float
    low: float
    high: float
    peeking: float


@dataclass(frozen=True, slots=True, repr=False)
class Looks:
    """The gain B minus A in IoU, looked at after each user.

    Args:
        design: ``split`` or ``mirror``.
        worth: the smallest gain that matters.
        alpha: probability that the interval ever leaves out the true gain.
        answer: what ``Gain`` answers in the end.
        decided: users up to its answer; None without one.
        looks: one for each user.
    """

    design: Literal["split", "mirror"]
    worth: float
    alpha: float
    answer: str
    decided: int | None
    looks: tuple[Look, ...]

    @property
    def peeked(self) -> int | None:
        """Users up to the first difference that a z test, asked after each of them, would have told; None for none."""
        return next((look.users for look in self.looks if abs(look.mean) > look.peeking), None)

    @words.shown
    def __repr__(self) -> str:
        users = words.plural(len(self.looks), "user")
        if not self.looks:
            return "no users yet"
        last = self.looks[-1]
        answer = self.answer if self.decided is None else f"{self.answer}, known after {self.decided} users"
        return f"{self.design}, {users}: {answer}; the gain is between {last.low:.3f} and {last.high:.3f}"


@checked
@dataclass(frozen=True, slots=True, repr=False)
class Predictions:
    """Answers to the pictures of some users, in the order in which they were sent.

    Args:
        answers: those that users saw, and those to copies.
        failed: users who got no answer.
    """

    answers: tuple[Answer, ...] = ()
    failed: tuple[int, ...] = ()

    def of(self, arm: Arm) -> tuple[Answer, ...]:
        """The answers of one version, copies included.

        Args:
            arm: ``a`` or ``b``.
        """
        return tuple(answer for answer in self.answers if answer.arm == arm)

    def iou(self, arm: Arm) -> list[float]:
        """How right one version was, answer by answer.

        Args:
            arm: ``a`` or ``b``.
        """
        return [answer.iou for answer in self.of(arm)]

    @property
    def users(self) -> Mapping[str, int]:
        """How many users saw answers of each version: a user who met both is counted for both."""
        return {arm: len({answer.user for answer in self.of(arm) if answer.seen}) for arm in ARMS}

    @property
    def pairs(self) -> Mapping[int, Mapping[str, Answer]]:
        """By user, the first answer of each arm."""
        pairs: dict[int, dict[str, Answer]] = {}
        for answer in self.answers:
            pairs.setdefault(answer.user, {}).setdefault(answer.arm, answer)
        return pairs

    def gain(self, worth: float = 0.0, *, alpha: float = 0.01) -> Looks:
        """By how much B is better than A, as it looked after each user.

        Where versions got copies of requests, or both answered each picture, a user makes a difference whose picture
        both answered; else two users do, one of each arm.

        Args:
            worth: the smallest gain that matters.
            alpha: probability that the interval ever leaves out the true gain, over all looks together.
        """
        pairs = self.pairs
        paired = any(not answer.seen for answer in self.answers) or all(len(pair) > 1 for pair in pairs.values())
        design: Literal["split", "mirror"] = "mirror" if paired else "split"
        gain, values, mean, peeking = Gain(worth, alpha=alpha), _Values(paired), math.nan, math.nan
        looks, decided = [], None
        for users, pair in enumerate(pairs.values(), 1):
            measures = {arm: answer.iou for arm, answer in pair.items()}
            if not paired:
                # A user who met both counts for the first.
                arm: Arm = "a" if next(iter(measures)) == "a" else "b"
                measures = {arm: measures[arm]}
                gain.split(arm, measures[arm])
            elif len(pair) > 1:
                gain.mirror(a=measures["a"], b=measures["b"])
            if not paired or len(pair) > 1:
                mean, peeking = values.add(measures)
            looks.append(Look(users, mean, *gain.interval, peeking))
            if decided is None and gain.answer != "undecided":
                decided = users
        return Looks(design, worth, alpha, gain.answer, decided, tuple(looks))

    def __add__(self, other: Predictions) -> Predictions:
        return Predictions(self.answers + other.answers, self.failed + other.failed)

    def __len__(self) -> int:
        return len(self.answers)

    @words.shown
    def __repr__(self) -> str:
        lines = [f"{arm.upper()}: {self._told(arm)}" for arm in ARMS if self.of(arm)] or ["no answers"]
        if self.failed:
            lines.append(f"without an answer: {words.plural(len(self.failed), 'user')}")
        return "\n".join(lines)

    def _told(self, arm: Arm) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.numbers(arm).items())

    def numbers(self, arm: Arm) -> Mapping[str, str]:
        """What there is to say of one version, in words.

        Args:
            arm: ``a`` or ``b``.
        """
        answers = self.of(arm)
        if not answers:
            return {"answers": "0"}
        waited = [answer.duration_s for answer in answers if answer.seen]
        return {
            "answers": f"{len(answers)}",
            "seen by": words.plural(self.users[arm], "user"),
            "mean IoU": f"{statistics.fmean(self.iou(arm)):.3f}",
            "median wait": words.duration(statistics.median(waited)) if waited else "–",
            "CPU each": f"{statistics.fmean(answer.cpu_ms for answer in answers):.1f} ms",
        }


class _Values:
    """Mean of the gain so far and half the width of the z interval, by running sums."""

    def __init__(self, paired: bool) -> None:
        self._paired = paired
        self._sums: dict[str, tuple[int, float, float]] = dict.fromkeys(("a", "b"), (0, 0.0, 0.0))

    def add(self, measures: Mapping[str, float]) -> tuple[float, float]:
        if self._paired:
            measures = {"b": measures["b"] - measures["a"]}
        for arm, value in measures.items():
            count, total, squares = self._sums[arm]
            self._sums[arm] = count + 1, total + value, squares + value**2
        parts = [self._sums["b"]] if self._paired else [self._sums["b"], self._sums["a"]]
        if not all(count for count, _, _ in parts):
            return math.nan, math.nan
        means = [total / count for count, total, _ in parts]
        mean = means[0] - sum(means[1:])
        if sum(count for count, _, _ in parts) < _FIRST_LOOK or min(count for count, _, _ in parts) < 2:
            return mean, math.nan
        spread = sum(max(0.0, squares / count - (total / count) ** 2) / (count - 1) for count, total, squares in parts)
        return mean, _TWO_SIDED * math.sqrt(spread)


@checked
def predictions(lab: Lab, users: int, *, first: int = 1, url: str = URL, source: str = "client") -> Predictions:
    """Have users send a picture each, and compare what is answered with what is right; a gallery grows meanwhile.

    They send one after the other, so that what they wait is not due to each other.

    Args:
        lab: where to send.
        users: how many; each has the header ``user``, such as ``user-1``.
        first: number of the first user.
        url: of the API, as for ``lab.send``.
        source: the Deployment that sends.

    Raises:
        NotFoundError: what answers is no prediction.
        UsageError: an argument is out of its range.
    """
    check_lab("predictions(lab, 20)", lab)
    whole("users", users, 1, _MOST)
    whole("first", first, 0, 1_000_000)
    with progressbar.growing() as grown:
        return answered(lab, range(first, first + users), url=url, source=source, grown=grown)


def answered(
    lab: Lab, users: Iterable[int], *, url: str = URL, source: str = "client", grown: Callable[..., None] | None = None
) -> Predictions:
    """What ``predictions`` does, for judges: nothing is shown.

    Args:
        lab: where to send.
        users: their numbers.
        url: of the API.
        source: the Deployment that sends.
        grown: takes a function that tells what there is so far, as of ``progressbar.growing``.
    """
    asked = _Asked(lab)
    for number in users:
        sent = lab.send(
            url,
            source=source,
            method="POST",
            body=json.dumps({"image": _scene(number).base64}),
            headers={"user": f"user-{number}", "content-type": "application/json"},
            keep_body=True,
        )
        asked.add(number, sent[0])
        if grown is not None:
            grown(asked.so_far)
    # The log of the proxies tells when the copies are answered.
    lab.access_log([response for _, response in asked.sent.values()])
    if grown is not None:
        grown(asked.so_far, last=True)
    return asked.so_far()


class _Asked:
    """What was sent, what was answered, and what the logs of the others have of it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.sent: dict[str, tuple[int, Response]] = {}
        self._seen: list[Answer] = []
        self._failed: list[int] = []
        self._copies: dict[tuple[str, str], Answer] = {}

    def add(self, number: int, response: Response) -> None:
        self.sent[response.request_id] = number, response
        if response.outcome != "ok":
            self._failed.append(number)
            return
        try:
            answer, version = json.loads(response.body), response.path[-1].version
            self._seen.append(_answer(number, version, answer["mask"], answer["cpu_ms"], response.duration_s))
        except (ValueError, KeyError, TypeError, IndexError):
            raise NotFoundError("There is no prediction in what answers. Give url= of a prediction API.") from None

    def so_far(self) -> Predictions:
        services = {hop.service for _, response in self.sent.values() for hop in response.path}
        for pod in self._lab.pods():
            if pod.service in services and pod.ready:
                for request_id, cpu_ms, mask in _logged(self._lab.logs(pod, lines=_LINES * len(self.sent))):
                    self._copied(pod, request_id, cpu_ms, mask)
        return Predictions((*self._seen, *self._copies.values()), tuple(self._failed))

    def _copied(self, pod: Pod, request_id: str, cpu_ms: float, mask: str) -> None:
        if request_id not in self.sent or (request_id, pod.name) in self._copies:
            return
        number, response = self.sent[request_id]
        if pod.name not in {hop.pod for hop in response.path}:
            self._copies[request_id, pod.name] = _answer(number, pod.version, mask, cpu_ms)


def _logged(text: str) -> Iterator[tuple[str, float, str]]:
    """The answers in a log: lines ``answer <x-request-id> <cpu_ms> <mask>``."""
    for line in text.splitlines():
        match line.split():
            case ["answer", request_id, cpu_ms, mask]:
                yield request_id, float(cpu_ms), mask


@functools.lru_cache(maxsize=1_000)
def _scene(number: int) -> Scene:
    return scene(number)


def _answer(number: int, version: str, mask: str, cpu_ms: float, duration_s: float = math.nan) -> Answer:
    found = mask_of(mask)
    return Answer(number, version, iou(found, _scene(number).mask), found, cpu_ms, duration_s)
