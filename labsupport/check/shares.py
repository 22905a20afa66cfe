"""The check of proportions: exact intervals around what was seen, and what they rule out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from labsupport import statistics, words
from labsupport.check.result import FAILED, PASSED, TOO_LITTLE_DATA, CheckOutcome, meaning, sign, unusable
from labsupport.errors import UsageError
from labsupport.statistics import ALPHA, proportions
from labsupport.traffic.observations import Observations
from labsupport.traffic.share import NONE, By, Choice, Share, value_of

__all__ = ["Alternatives", "check_share", "n_text"]

Alternatives = Mapping[str, Mapping[str, float]] | Sequence[Mapping[str, float]]


def check_share(
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
    """Expect responses to be divided in given proportions; see ``labsupport.check.share``."""
    if not isinstance(expected, Mapping) or not expected:
        raise UsageError(f"expected={expected!r}: write weights, such as {{'v1': 90, 'v2': 10}}")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha={alpha!r}: a probability between 0 and 1, such as 1e-5")
    expected_shares = _by_text(proportions(expected))
    named = _named(reject)
    title = title or f"{words.join(expected_shares)} as {' : '.join(f'{weight:g}' for weight in expected.values())}"
    if not observations:
        return unusable(observations, title)

    per = per or observations.per
    sample = observations.independent_choices(per=per)
    # Who asks for another kind of choice than the lab knows of gets intervals of these.
    seen = replace(sample.share(by, service=service), choices={})
    positive = [key for key, weight in expected_shares.items() if weight > 0]
    part = alpha / _tests(positive)
    level = 1 - part
    interval = {
        key: seen.interval(key, level=level)
        for key in [*expected_shares, *(k for k in seen if k not in expected_shares)]
    }

    lines: list[str] = []
    details = [n_text(observations, sample, per)]
    consistent = True
    for key, weight in expected_shares.items():
        inside = interval[key].holds(weight) if weight else not seen.count(key)
        consistent &= inside
        lines.append(f"{sign(inside)} {key}: {words.percent(seen[key])}, expected {words.percent(weight)}")
        details.append(_row(key, seen, interval[key], weight, inside))
    for key in seen:
        if key not in expected_shares:
            consistent = False
            lines.append(f"✗ {key}: {seen.count(key):,} seen, none expected" + _causes(sample, key, by, service))

    p_value = _p_value(seen, expected_shares)
    ruled_out, needs = _told_apart(seen, expected_shares, named, alpha)
    # What a sample rules out although it is too small for that was luck: another one of its size may not.
    settled = {name for name, need in needs.items() if len(sample) >= need}
    rejects = tuple(name for name in needs if name in settled & ruled_out)
    if rejects:
        details.append(f"rejects: {'; '.join(rejects)}")
        if consistent and named:
            lines.append(f"✓ and clearly not {words.join(rejects, 'or')}")
    open_ones = [name for name in named if name in settled - ruled_out]
    if consistent and open_ones:
        lines.append(f"◔ it might still be {words.join(open_ones, 'or')}")
    needed = max(needs.values(), default=1) if named else min(needs.values(), default=1)
    enough = len(sample) >= needed
    if not enough:
        more = words.plural(_rounded_up(needed) - len(sample), f"more {per}")
        undecided = words.join([name for name in named if name not in settled], "or")
        lines.append(f"◔ too little data: {more}" + (f", to be sure that it is not {undecided}" if named else ""))
    return CheckOutcome(
        FAILED if not consistent else PASSED if enough else TOO_LITTLE_DATA,
        title,
        (_sentence(seen, expected_shares, interval, enough=enough), *lines),
        (*details, meaning(alpha)),
        n=len(sample),
        seen=dict(seen.counts),
        interval=interval,
        level=level,
        expected=expected_shares,
        p_value=p_value,
        # Shares of 0 and 1 leave nothing to chance.
        alpha=alpha if len(positive) > 1 else 0.0,
        rejects=rejects,
    )


def _tests(positive: Sequence[str]) -> int:
    """How many independent tests are made: with two keys the second interval is the first one's mirror image."""
    return 1 if len(positive) <= 2 else len(positive)


def _p_value(seen: Share, expected: Mapping[str, float]) -> float:
    """Probability of a deviation at least this large; below ``alpha`` exactly if an interval misses its share."""
    if any(count and not expected.get(key) for key, count in seen.counts.items()):
        return 0.0
    positive = [key for key, weight in expected.items() if weight > 0]
    smallest = min(statistics.binomial_test(seen.count(key), seen.n, expected[key]) for key in positive)
    return min(1.0, smallest * _tests(positive))


def _told_apart(
    seen: Share, expected: Mapping[str, float], named: Mapping[str, dict[str, float]], alpha: float
) -> tuple[set[str], dict[str, int]]:
    """Which other proportions the counts reject, and how many choices it takes to be told apart from each.

    Every alternative that was named must be told apart. Without any, one of two plain ones is enough: that a rule which
    has no effect, or one version that takes it all, would have been seen.
    """
    rejected, needs = set(), {}
    for name, other in (named or _plain(expected)).items():
        keys = {*expected, *other}
        if all(math.isclose(expected.get(key, 0.0), other.get(key, 0.0), abs_tol=1e-12) for key in keys):
            raise UsageError(f"reject: {name} is what is expected, so that nothing can tell them apart")
        if _p_value(seen, {key: other.get(key, 0.0) for key in keys}) < alpha:
            rejected.add(name)
        needs[name] = _needed(expected, other, alpha)
    return rejected, needs


def _needed(expected: Mapping[str, float], other: Mapping[str, float], alpha: float) -> int:
    """Choices needed to tell two divisions apart by the key in which they differ most plainly."""
    part = alpha / _tests([key for key, weight in expected.items() if weight > 0])
    pairs = {(expected.get(key, 0.0), other.get(key, 0.0)) for key in {*expected, *other}}
    return min(
        statistics.requests_needed(share, actual, alpha=part)
        for share, actual in pairs
        if not math.isclose(share, actual, abs_tol=1e-12)
    )


def _plain(expected: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """What is seen when a rule has no effect, or one key takes everything."""
    if len(expected) < 2:
        return {}
    divisions = {"an even split": dict.fromkeys(expected, 1 / len(expected))}
    most = max(expected, key=lambda key: expected[key])
    divisions[f"all to {most}"] = {key: float(key == most) for key in expected}
    return {
        name: shares
        for name, shares in divisions.items()
        if any(not math.isclose(shares[key], expected[key], abs_tol=1e-12) for key in expected)
    }


def _named(reject: Alternatives) -> dict[str, dict[str, float]]:
    if isinstance(reject, Mapping):
        entries = list(reject.items())
    else:
        entries = [
            (" : ".join(f"{weight:g} % {key}" for key, weight in _percent(weights).items()), weights)
            for weights in reject
        ]
    for name, weights in entries:
        if not isinstance(weights, Mapping):
            raise UsageError(f"reject {name!r}: write weights, such as {{'v1': 50, 'v2': 50}}, not {weights!r}")
    return {str(name): _by_text(proportions(weights)) for name, weights in entries}


def _percent(weights: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(weights, Mapping):
        raise UsageError(f"reject={weights!r}: write weights, such as [{{'v1': 50, 'v2': 50}}]")
    return {str(key): round(100 * share, 1) for key, share in proportions(weights).items()}


def _by_text(shares: Mapping[str, float]) -> dict[str, float]:
    return {str(key): share for key, share in shares.items()}


def _sentence(
    seen: Share, expected: Mapping[str, float], interval: Mapping[str, statistics.Interval], *, enough: bool
) -> str:
    """What came out, and if it is not what was expected, how it looks instead."""
    strangers = [key for key in seen if key not in expected]
    shown = words.shares({key: seen[key] for key in [*expected, *strangers]})
    if not strangers and _fits(seen, interval, expected):
        return f"Seen: {shown}. That fits what was expected{'' if enough else ', so far'}."
    text = f"Seen: {shown}; expected: {words.shares(expected)}"
    if strangers or len(expected) < 2:
        return f"{text}."
    if _fits(seen, interval, statistics.turned_round(expected)):
        return f"{text}: the shares are the wrong way round."
    if _fits(seen, interval, dict.fromkeys(expected, 1 / len(expected))):
        return f"{text}: this looks like an even split."
    return f"{text}."


def _fits(seen: Share, interval: Mapping[str, statistics.Interval], shares: Mapping[str, float]) -> bool:
    return all(interval[key].holds(share) if share else not seen.count(key) for key, share in shares.items())


def _row(key: str, seen: Share, interval: statistics.Interval, weight: float, inside: bool) -> str:
    share = {0.0: "none", 1.0: "all"}.get(weight) or words.percent(weight)
    text = f"{key}: {seen.count(key):,} seen, {words.percent(seen[key])}, interval {words.percent_range(*interval)}"
    return f"{text}, {share} expected: {'consistent' if inside else 'not consistent'}"


def n_text(observations: Observations, sample: Observations, per: Choice) -> str:
    """How many choices there were, such as ``n = 5 connections (of 300 requests)``.

    Args:
        observations: what was seen.
        sample: the independent choices among it.
        per: what was chosen at a time.
    """
    if per != "request":
        return f"n = {words.plural(len(sample), per)} (of {words.plural(len(observations), 'request')})"
    text = f"n = {words.plural(len(sample), 'request')}"
    fewer = len(observations.independent_choices(per="connection")) < len(sample)
    return f"{text}, each chosen by a proxy" if fewer and observations.per == "request" else text


def _causes(sample: Observations, key: str, by: By, service: str | None) -> str:
    if key != NONE:
        return ""
    strays = sample.filter(lambda response: value_of(response, by, service) == NONE)
    return " (" + words.join(f"{text}: {count:,}" for text, count in strays.share("status").counts.items()) + ")"


def _rounded_up(n: int) -> int:
    step = int("1" + "0" * max(1, len(str(n)) - 2))
    return math.ceil(n / step) * step
