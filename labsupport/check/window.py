"""Checks over a window: they say that they saw the last responses only, and fail for errors before them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import ParamSpec

from labsupport import words
from labsupport.check.result import FAILED, NOT_ATTEMPTED, CheckOutcome
from labsupport.records import Response
from labsupport.traffic.observations import Observations

__all__ = ["tells_window"]

Given = ParamSpec("Given")


def tells_window(check: Callable[Given, CheckOutcome]) -> Callable[Given, CheckOutcome]:
    """Let the outcome of a check say what its observations leave out.

    Observations that hold errors were judged with them; where the window has none, errors before it are what the check
    did not see, and it fails.

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
    lines = [*outcome.lines, f"a window: {window} responses were looked at"]
    if not window.errors or len(seen.errors):
        return replace(outcome, lines=tuple(lines))
    lines.append(f"{words.plural(window.errors, 'request')} before them failed{_first(window.first_error)}")
    return replace(outcome, state=FAILED, lines=tuple(lines))


def _first(error: Response | None) -> str:
    if error is None:
        return ""
    at = time.strftime("%H:%M:%S", time.localtime(error.started_s))
    return f"; the first error at {at}: {error.status or error.outcome}, x-request-id {error.request_id or 'unknown'}"
