"""How a Canary is judged, interval by interval: its steps, its checks and its end, in Flagger's terms.

Pure: what it is told may come from a mesh or from a record. Source: ``pkg/controller/scheduler.go`` and
``scheduler_metrics.go`` of Flagger. Two things differ: a rollback does not wait for another interval, and a metric of
the template ``always-valid`` may be inconclusive, as in an analysis of Argo Rollouts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from labsupport import words
from labsupport.anytime import side_of
from labsupport.errors import UsageError
from labsupport.model.kinds.canary import METRICS, Canary, CanaryMetric

__all__ = ["Analysis", "End", "Look", "Met", "Verdict"]

Verdict = Literal["passed", "failed", "inconclusive"]
End: TypeAlias = Literal["promoted", "rolled back", "paused"]
# The quantile of request-duration, as Flagger asks Prometheus for it.
_QUANTILE = 0.99
_METRIC_INTERVAL_S = 60.0
_MOST_REQUESTS = 10_000
# That any metric of the template is ever wrong.
_ALPHA = 0.01


class Met(NamedTuple):
    """What one request met that the new version answered."""

    failed: bool
    duration_s: float


@dataclass(frozen=True, slots=True)
class Look:
    """One interval, and what the checks at its end said.

    Args:
        weight: of the new version, in per cent.
        requests: that the new version answered.
        verdict: of the checks together.
        event: what Flagger would say of it; empty if all passed.
        hurt: requests that failed or were too slow.
    """

    weight: int
    requests: int
    verdict: Verdict
    event: str
    hurt: int


class _Check(NamedTuple):
    verdict: Verdict
    event: str = ""
    final: bool = False


class Analysis:
    """The state of one release.

    Args:
        canary: what is asked for.
        per_minute: requests of a minute, by which intervals are counted.

    Raises:
        UsageError: an interval holds more requests than anybody waits for.
    """

    def __init__(self, canary: Canary, *, per_minute: int) -> None:
        self._spec = canary.spec.analysis
        self._target = f"{canary.spec.target_ref.name}.{canary.namespace or 'default'}"
        self._canary = f"{canary.name}.{canary.namespace or 'default'}"
        self._interval_s = self._spec.interval.total_seconds()
        self.requests = max(1, round(per_minute * self._interval_s / 60))
        """Requests of an interval, of both versions together."""
        if self.requests > _MOST_REQUESTS:
            counted = f"{self.requests:,} requests, and the lab counts {_MOST_REQUESTS:,} at most"
            remedy = "Make the interval shorter, or take fewer requests a minute."
            raise UsageError(f"interval: {self._spec.interval} holds {counted}. {remedy}")
        self._place = 0
        self._batches: list[Sequence[Met]] = []
        # Of all that was met, how many were bad by each metric.
        self._bad, self._met = [0] * len(self._spec.metrics), 0
        self._failed, self._undecided = 0, 0
        self.looks: list[Look] = []
        self.end: End | None = None
        self.events = [
            f"New revision detected! Scaling up {self._target}",
            f"Starting canary analysis for {self._target}",
            f"Advance {self._canary} canary weight {self.weight}",
        ]

    @property
    def weight(self) -> int:
        """What the new version gets now, in per cent."""
        return self._spec.steps[self._place]

    def hurt(self, met: Iterable[Met]) -> int:
        """How many requests failed or took longer than the analysis allows."""
        limits = (_limit_s(metric) for metric in self._spec.metrics if metric.name == METRICS[1])
        limit_s = min(limits, default=math.inf)
        return sum(answer.failed or answer.duration_s > limit_s for answer in met)

    def look(self, met: Sequence[Met]) -> Look:
        """Judge an interval, and go on, back or stay.

        Args:
            met: what the new version answered in it, in order.
        """
        self._batches.append(met)
        self._met += len(met)
        self._bad = [
            bad + sum(map(_bad_by(metric), met)) for bad, metric in zip(self._bad, self._spec.metrics, strict=True)
        ]
        check = self._checked()
        look = Look(self.weight, len(met), check.verdict, check.event, self.hurt(met))
        self.looks.append(look)
        if check.event:
            self.events.append(check.event)
        if check.verdict == "failed":
            self._failed += 1
            if check.final or self._failed >= self._spec.threshold:
                self._roll_back(surely=check.final)
        elif self._place + 1 < len(self._spec.steps):
            self._place += 1
            self.events.append(f"Advance {self._canary} canary weight {self.weight}")
        elif check.verdict == "passed":
            self._promote()
        else:
            self._undecided += 1
            if self._undecided >= self._spec.threshold:
                self.end = "paused"
                self.events.append(f"Pause {self._canary} advancement inconclusive, a person decides")
        return look

    def _roll_back(self, *, surely: bool) -> None:
        self.end = "rolled back"
        reached = "surely out of range" if surely else f"failed checks threshold reached {self._failed}"
        self.events += [f"Rolling back {self._canary} {reached}", f"Canary failed! Scaling down {self._canary}"]

    def _promote(self) -> None:
        self.end = "promoted"
        primary = self._target.replace(".", "-primary.", 1)
        self.events += [
            f"Copying {self._target} template spec to {primary}",
            "Routing all traffic to primary",
            f"Promotion completed! Scaling down {self._target}",
        ]

    def _checked(self) -> _Check:
        """The first metric that does not pass decides; one that may be wrong comes before one that is open."""
        checks = [self._of(metric, bad) for metric, bad in zip(self._spec.metrics, self._bad, strict=True)]
        for verdict in ("failed", "inconclusive"):
            if decided := [check for check in checks if check.verdict == verdict]:
                return decided[0]
        return _Check("passed")

    def _of(self, metric: CanaryMetric, bad: int) -> _Check:
        met = self._window(metric)
        if not met:
            event = f"Halt advancement no values found for istio metric {metric.name} probably {self._target}"
            return _Check("failed", f"{event} is not receiving traffic")
        if metric.template_ref is not None:
            return self._surely(metric, bad)
        bounds = metric.threshold_range
        if metric.name == METRICS[0]:
            value = 100 * sum(not answer.failed for answer in met) / len(met)
            told, unit = f"success rate {value:.2f}%", "%"
        else:
            value = 1000 * sorted(answer.duration_s for answer in met)[math.ceil(_QUANTILE * len(met)) - 1]
            told, unit = f"request duration {value:.0f}ms", "ms"
        for sign, bound, out in (
            ("<", bounds.min, bounds.min is not None and value < bounds.min),
            (">", bounds.max, bounds.max is not None and value > bounds.max),
        ):
            if out:
                return _Check("failed", f"Halt {self._canary} advancement {told} {sign} {bound:g}{unit}")
        return _Check("passed")

    def _surely(self, metric: CanaryMetric, bad: int) -> _Check:
        """The verdict of ``always-valid``: on all that was seen since the analysis began."""
        bounds, rate = metric.threshold_range, metric.name == METRICS[0]
        limit = 1 - (bounds.min or 0) / 100 if rate else 1 - _QUANTILE
        several = sum(other.template_ref is not None for other in self._spec.metrics)
        side = side_of(limit, bad, self._met, alpha=_ALPHA / several)
        of = f"of {words.plural(self._met, 'request')}"
        if rate:
            told, wanted = f"success rate {100 * (1 - bad / self._met):.2f}%", f"{bounds.min:g}%"
        else:
            told, wanted = f"{bad} slower than {bounds.max:g}ms", f"{100 * limit:.0f}%"
        if side == "above":
            beyond = "<" if rate else "more than"
            event = f"Halt {self._canary} advancement {told} {of}, surely {beyond} {wanted}"
            return _Check("failed", event, final=True)
        if side == "below":
            return _Check("passed")
        return _Check("inconclusive", f"Inconclusive {self._canary} {told} {of}, {wanted} is not ruled out")

    def _window(self, metric: CanaryMetric) -> list[Met]:
        """What was met in the last ``interval`` of a metric, which need not be that of the analysis."""
        length_s = metric.interval.total_seconds() if metric.interval is not None else _METRIC_INTERVAL_S
        left, met = length_s / self._interval_s, list[Met]()
        for batch in reversed(self._batches):
            if left <= 0:
                break
            met = [*batch[len(batch) - round(len(batch) * min(1.0, left)) :], *met]
            left -= 1
        return met


def _bad_by(metric: CanaryMetric) -> Callable[[Met], bool]:
    """Whether an answer counts against a metric."""
    limit_s = _limit_s(metric)
    return (lambda answer: answer.failed) if metric.name == METRICS[0] else (lambda answer: answer.duration_s > limit_s)


def _limit_s(metric: CanaryMetric) -> float:
    longest = metric.threshold_range.max
    return math.inf if longest is None else longest / 1000
