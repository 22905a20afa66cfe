"""Random expectations: how responses are divided, which chance has a part in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from labsupport import statistics, words
from labsupport.arguments import checked
from labsupport.check.result import FAILED, PASSED, CheckOutcome, meaning, unusable
from labsupport.check.shares import Alternatives, check_share
from labsupport.check.window import tells_window
from labsupport.statistics import ALPHA
from labsupport.traffic.observations import Observations
from labsupport.traffic.share import By, Choice

__all__ = ["RANDOM_CHECKS", "same_share", "share"]

RANDOM_CHECKS = frozenset({"share", "same_share", "copied"})
"""The functions whose outcome is random: each call may fail for a correct mesh with probability ``alpha``."""


@checked
@tells_window
def share(
    observations: Observations | None,
    expected: Mapping[str, float],
    *,
    by: By = "version",
    service: str | None = None,
    per: Choice | None = None,
    reject: Alternatives = (),
    alpha: float = ALPHA,
    title: str = "",
) -> CheckOutcome:
    """Expect responses to be divided in given proportions.

    The expectation holds if each expected share lies within the exact (Clopper-Pearson) interval around what was seen.
    The intervals hold together at level ``1 - alpha``: with more than two keys, each has its part of ``alpha``
    (Bonferroni). A weight of 0 means exactly none, and so does a key that is not expected (``none`` too: a request that
    failed before it reached a version fails the check; ``filter(outcome="ok")`` leaves errors out).

    Args:
        observations: what was seen.
        expected: key to relative weight, such as ``{"v1": 90, "v2": 10}``; weights need not add up to 100.
        by: what the keys are, as for ``Observations.share``.
        service: whose version or pod, as for ``Observations.share``.
        per: what makes an independent choice, as for ``Observations.independent_choices``; their number is n. By
            default a request, or a connection where no proxy decides.
        reject: other proportions that must be told apart from the expected ones, as a mapping from a name to
            weights, or a sequence of weights. Too few requests for that is a failure. Without any, there must be
            enough requests to rule out an even split or that all go one way, whichever is easier.
        alpha: probability that the check fails although the expectation is right.
        title: what to call it.

    Returns:
        The outcome.

    Raises:
        UsageError: if the weights make no sense.
    """
    return check_share(observations, expected, by=by, service=service, per=per, reject=reject, alpha=alpha, title=title)


@checked
@tells_window
def same_share(
    observations: Observations | None,
    other: Observations | None,
    key: str | int,
    *,
    by: By = "version",
    service: str | None = None,
    per: Choice | None = None,
    alpha: float = ALPHA,
    title: str = "",
) -> CheckOutcome:
    """Expect a key to have the same share in two samples (Fisher's exact test).

    Args:
        observations: one sample.
        other: the other sample.
        key: such as ``"v2"``.
        by: what the key is, as for ``Observations.share``.
        service: whose version or pod, as for ``Observations.share``.
        per: what makes an independent choice, as for ``Observations.independent_choices``.
        alpha: probability that the check fails although the shares are the same.
        title: what to call it.

    Returns:
        The outcome; it does not show that the shares are equal, only that no difference was seen.
    """
    title = title or f"the same share of {key}"
    if not observations or not other:
        return unusable(other if observations else observations, title)
    samples = [seen.independent_choices(per=per or seen.per) for seen in (observations, other)]
    # Who asks for another kind of choice than the lab knows of gets intervals of these.
    first, second = (replace(sample.share(by, service=service), choices={}) for sample in samples)
    p_value = statistics.compare_proportions(first.count(key), first.n, second.count(key), second.n)
    same, level = p_value > alpha, 1 - alpha
    seen = f"Seen: {words.percent(first[key])} {key} in one sample and {words.percent(second[key])} in the other"
    sign, verdict = ("✓", "no difference that chance does not explain") if same else ("✗", "the shares differ")
    parts = {"first": first, "second": second}
    rows = [
        f"{name}: {part.count(key):,} of {part.n:,}, interval {words.percent_range(*part.interval(key, level=level))}"
        for name, part in parts.items()
    ]
    return CheckOutcome(
        PASSED if same else FAILED,
        title,
        (f"{seen}: {verdict}.", f"{sign} {key}: {words.percent(first[key])} and {words.percent(second[key])}"),
        (*rows, f"Fisher's exact test, {_p(p_value)}", meaning(alpha)),
        n=first.n + second.n,
        interval={name: part.interval(key, level=level) for name, part in parts.items()},
        level=level,
        p_value=p_value,
        alpha=alpha,
        rejects=() if same else ("equal shares",),
    )


def _p(p_value: float) -> str:
    return f"p = {p_value:.2g}" if p_value >= 1e-9 else "p < 1e-9"
