"""Expectations about what proxies wrote into their access logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labsupport import words
from labsupport.arguments import checked
from labsupport.check.result import FAILED, NOT_ATTEMPTED, PASSED, CheckOutcome, sign
from labsupport.records import AccessRecord

__all__ = ["flags"]


@checked
def flags(log: Sequence[AccessRecord] | None, expected: Mapping[str, int], *, title: str = "") -> CheckOutcome:
    """Expect so many requests to have left a response flag in the access logs; other flags do not matter.

    A request counts once for each flag, however many proxies wrote it and however often it was tried.

    Args:
        log: what ``lab.access_log(...)`` returned.
        expected: flag to number of requests, such as ``{"DI": 20}``; 0 for none.
        title: what to call it.

    Returns:
        The outcome.
    """
    wanted = words.join(f"{count:,} with {flag}" for flag, count in expected.items())
    title = title or f"requests in the access log: {wanted}"
    if log is None:
        return CheckOutcome(NOT_ATTEMPTED, title, ("Nothing was sent yet.",))
    requests = {record.request_id for record in log}
    if not requests:
        return CheckOutcome(FAILED, title, ("The log has no lines, so nothing was shown: send requests first.",))
    seen = {flag: len({record.request_id for record in log if flag in record.flags.split(",")}) for flag in expected}
    lines = [f"{words.plural(len(requests), 'request')} in the log."]
    lines += [f"{sign(seen[flag] == n)} {flag}: {seen[flag]:,} seen, {n:,} expected" for flag, n in expected.items()]
    held = all(seen[flag] == count for flag, count in expected.items())
    return CheckOutcome(PASSED if held else FAILED, title, tuple(lines), n=len(requests), seen=seen)
