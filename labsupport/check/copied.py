"""How many of some requests a mirror rule copied: exact for all and for none, an interval for a share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labsupport import statistics, words
from labsupport.arguments import checked
from labsupport.check.result import FAILED, PASSED, TOO_LITTLE_DATA, CheckOutcome, meaning, sign, unusable
from labsupport.errors import UsageError
from labsupport.records import AccessRecord, received_by
from labsupport.statistics import ALPHA
from labsupport.traffic.observations import Observations

__all__ = ["copied"]


@checked
def copied(
    log: Sequence[AccessRecord] | None, expected: Mapping[str, float], *, alpha: float = ALPHA, title: str = ""
) -> CheckOutcome:
    """Expect Deployments to have received mirror copies of so many per cent of the requests.

    100 means a copy of each, 0 not one. A share between them is drawn by lot for each request: it must lie within the
    exact interval around what was seen, and the requests must be enough to rule out that all or none are copied.

    Args:
        log: what ``lab.access_log(...)`` returned.
        expected: Deployment to per cent, as ``mirrorPercentage`` has it, such as ``{"web-v2": 50}``.
        alpha: probability that the check fails although the expectation is right.
        title: what to call it.

    Returns:
        The outcome.

    Raises:
        UsageError: a percentage is not between 0 and 100.
    """
    for name, percent in expected.items():
        if not 0 <= percent <= 100:
            raise UsageError(f"{name}: {percent!r} per cent; write a number from 0 to 100.")
    shares = {name: percent / 100 for name, percent in expected.items()}
    title = title or f"copies to {words.shares(shares)}"
    if not log:
        return unusable(None if log is None else Observations(), title)
    requests = len({record.request_id for record in log})
    seen = {name: sum(record.mirrored and received_by(record, name) for record in log) for name in shares}
    drawn = [name for name, share in shares.items() if 0 < share < 1]
    level = 1 - alpha / max(1, len(drawn))
    # Somebody may copy a request twice; then it is no share of them.
    interval = {name: statistics.proportion_interval(min(seen[name], requests), requests, level=level) for name in seen}
    held = {
        name: seen[name] <= requests and interval[name].holds(share)
        if name in drawn
        else seen[name] == share * requests
        for name, share in shares.items()
    }
    needed = max(
        (statistics.requests_needed(shares[name], other, alpha=1 - level) for name in drawn for other in (0.0, 1.0)),
        default=1,
    )
    counts = words.join(f"{count:,} to {name}" for name, count in seen.items())
    lines = [f"Copies of {words.plural(requests, 'request')}: {counts}."]
    lines += [
        f"{sign(held[name])} {name}: {words.percent(seen[name] / requests)} copied, {words.percent(share)} expected"
        for name, share in shares.items()
    ]
    state = PASSED if all(held.values()) else FAILED
    if state is PASSED and requests < needed:
        state = TOO_LITTLE_DATA
        lines.append(f"◔ too little data: {words.plural(needed - requests, 'more request')}")
    details = [f"n = {words.plural(requests, 'request')}"]
    details += [f"{name}: interval {words.percent_range(*interval[name])}" for name in drawn]
    return CheckOutcome(
        state,
        title,
        tuple(lines),
        (*details, meaning(alpha)) if drawn else (),
        n=requests,
        seen=seen,
        interval={name: interval[name] for name in drawn},
        level=level if drawn else 0.0,
        expected=shares,
        alpha=alpha if drawn else 0.0,
    )
