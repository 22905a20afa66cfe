"""Checks over a window: they say that they saw the last responses only, and fail for errors before them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import ParamSpec

from labsupport import words
from labsupport.check.result import FAILED, NOT_ATTEMPTED, CheckOutcome
from labsupport.check.strays import counted
from labsupport.records import Response
from labsupport.traffic.observations import Observations
from labsupport.traffic.share import value_of
from labsupport.traffic.window import Window

__all__ = ["tells_window", "window_line"]

Given = ParamSpec("Given")


def tells_window(check: Callable[Given, CheckOutcome]) -> Callable[Given, CheckOutcome]:
    """Let the outcome of a check say what its observations leave out.

    Errors that the window has were judged, those of their status before it too; other errors before it are what the
    check did not see, and it fails.

    Args:
        check: a function of observations.

    Returns:
        The same function with a more careful outcome.
    """

    @wraps(check)
    def careful(*args: Given.args, **kwargs: Given.kwargs) -> CheckOutcome:
        outcome = check(*args, **kwargs)
        if outcome.state is NOT_ATTEMPTED:
            return outcome
        for seen in (*args, *kwargs.values()):
            if isinstance(seen, Observations) and seen.window is not None:
                outcome = _told(outcome, seen)
        return outcome

    return careful


def _told(outcome: CheckOutcome, seen: Observations) -> CheckOutcome:
    window = seen.window
    assert window is not None
    judged = seen.errors.share("status")
    unseen = {status: count for status, count in window.failed.items() if status not in judged}
    if not unseen:
        return replace(outcome, lines=(*outcome.lines, window_line(window)))
    # The first error of all may be of a kind that was judged.
    first = window.first_error
    at = "" if first is None or value_of(first, "status") not in unseen else _first(first)
    before = f"{words.plural(sum(unseen.values()), 'request')} before the last {window.kept:,} failed"
    lines = (*outcome.lines, f"✗ {counted(unseen)} before{at}", window_line(window))
    # What the check saw is not what fails it.
    return replace(outcome, state=FAILED, lines=(f"{before}.", *lines) if outcome.passed else lines)


def window_line(window: Window) -> str:
    """What a sentence about observations has to add."""
    return f"a window: {window} responses were looked at"


def _first(error: Response) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(error.started_s))
    return f"; the first error at {at}, x-request-id {error.request_id or 'unknown'}"
