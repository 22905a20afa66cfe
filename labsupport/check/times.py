"""Expectations about how long requests take."""

from __future__ import annotations

from labsupport import words
from labsupport.arguments import checked
from labsupport.check.result import FAILED, PASSED, CheckOutcome, sign, unusable
from labsupport.check.window import tells_window
from labsupport.errors import UsageError
from labsupport.traffic.observations import Observations

__all__ = ["duration", "slower"]


@checked
@tells_window
def duration(
    observations: Observations | None,
    *,
    at_least_s: float | None = None,
    at_most_s: float | None = None,
    q: float = 0.5,
    title: str = "",
) -> CheckOutcome:
    """Expect a quantile of the durations to lie between bounds.

    Args:
        observations: what was seen.
        at_least_s: lower bound in seconds.
        at_most_s: upper bound in seconds.
        q: the quantile, 0.5 for the median; 0 and 1 are the fastest and the slowest request.
        title: what to call it.

    Returns:
        The outcome.

    Raises:
        UsageError: if no bound is given.
    """
    if at_least_s is None and at_most_s is None:
        raise UsageError("duration(observations, at_least_s=..., at_most_s=...): give at least one bound")
    bounds = [f"at least {words.duration(at_least_s)}"] if at_least_s is not None else []
    bounds += [f"at most {words.duration(at_most_s)}"] if at_most_s is not None else []
    name = _quantile(q)
    title = title or f"{name} {words.join(bounds)}"
    if not observations:
        return unusable(observations, title)
    value = observations.quantile(q)
    held = (at_least_s is None or value >= at_least_s) and (at_most_s is None or value <= at_most_s)
    requests = words.plural(len(observations), "request")
    lines = [f"Seen: {name} {words.duration(value)} over {requests}; expected: {words.join(bounds)}."]
    if at_least_s is not None:
        lines.append(f"{sign(value >= at_least_s)} {bounds[0]}")
    if at_most_s is not None:
        lines.append(f"{sign(value <= at_most_s)} {bounds[-1]}")
    return CheckOutcome(PASSED if held else FAILED, title, tuple(lines), n=len(observations))


@checked
@tells_window
def slower(
    observations: Observations | None,
    other: Observations | None,
    *,
    factor: float = 1.0,
    by_s: float = 0.0,
    q: float = 0.5,
    title: str = "",
) -> CheckOutcome:
    """Expect one sample to take longer than another; a relation holds on fast and slow machines alike.

    Args:
        observations: the slower sample.
        other: the faster sample.
        factor: how many times as long at least.
        by_s: how much longer at least, in seconds, on top of the factor.
        q: the quantile that is compared.
        title: what to call it.

    Returns:
        The outcome.
    """
    name = _quantile(q)
    title = title or f"{name} longer than {f'{factor:g} times ' if factor != 1 else ''}that of the other sample" + (
        f" plus {words.duration(by_s)}" if by_s else ""
    )
    if not observations or not other:
        return unusable(other if observations else observations, title)
    slow, fast = observations.quantile(q), other.quantile(q)
    held, least = slow > factor * fast + by_s, words.duration(factor * fast + by_s)
    lines = [
        f"Seen: {name} {words.duration(slow)} over {words.plural(len(observations), 'request')}, against "
        f"{words.duration(fast)} over {words.plural(len(other), 'request')}.",
        f"{sign(held)} {words.duration(slow)}, more than {least} expected",
    ]
    return CheckOutcome(PASSED if held else FAILED, title, tuple(lines), n=len(observations) + len(other))


def _quantile(q: float) -> str:
    named = {0.0: "shortest duration", 0.5: "median duration", 1.0: "longest duration"}
    return named.get(q) or f"p{100 * q:g} duration"
