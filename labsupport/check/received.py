"""What servers received, tries and all; a client sees only what came of the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labsupport import words
from labsupport.arguments import checked
from labsupport.check.result import FAILED, PASSED, CheckOutcome, sign, unusable
from labsupport.check.strays import counted
from labsupport.records import AccessRecord, received_by
from labsupport.traffic.observations import Observations

__all__ = ["received"]


@checked
def received(log: Sequence[AccessRecord] | None, expected: Mapping[str, int], *, title: str = "") -> CheckOutcome:
    """Expect Deployments to have received so many requests, each try counted.

    Args:
        log: what ``lab.access_log(...)`` returned.
        expected: Deployment to count, such as ``{"productpage-v1": 3, "reviews-v1": 18}``; 0 for not one.
        title: what to call it.

    Returns:
        The outcome.
    """
    title = title or f"received: {counted(expected)}"
    if not log:
        return unusable(None if log is None else Observations(), title)
    seen = {name: sum(received_by(record, name) for record in log) for name in expected}
    held, requests = seen == dict(expected), len({record.request_id for record in log})
    verdict = ". That is what was expected." if held else f"; expected: {counted(expected)}."
    lines = [f"Received for {words.plural(requests, 'request')}: {counted(seen)}{verdict}"]
    for name, count in expected.items():
        lines.append(f"{sign(seen[name] == count)} {name}: {seen[name]:,} received, {count:,} expected")
    return CheckOutcome(PASSED if held else FAILED, title, tuple(lines), n=requests)
