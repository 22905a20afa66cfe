"""Judges of notebook 21: rules of the Gateway API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from labsupport.course.acting import rule_says
from labsupport.course.judging import judge
from labsupport.course.probing import Probe, probed
from labsupport.course.spec import Shown

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab

_WEB = "http://web:8080/"


def _with(version: str, **headers: str) -> Probe:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Probe(f"with {', '.join(f'{name}: {value}' for name, value in named.items())}", version, headers=named)


@judge("21.2")
def not_without_a_not(lab: Lab) -> Iterator[Shown]:
    """Staff meets risk, but for those who opt out."""
    yield from probed(
        lab,
        [
            _with("risk", end_user="staff-1"),
            _with("risk", end_user="staff-22"),
            _with("safe", end_user="staff-1", x_opt_out="1"),
            _with("safe", end_user="staff-1", x_opt_out="no"),
            Probe("without any header", "safe"),
            _with("safe", end_user="anna"),
            _with("safe", end_user="not-staff-1"),
            _with("safe", x_opt_out="1"),
        ],
    )


@judge("21.3")
def moved(lab: Lab) -> Iterator[Shown]:
    """Requests for web are divided 90 to 10 by an HTTPRoute."""
    seen = lab.send(_WEB, source="client", count=40)
    yield seen
    yield rule_says(lab, _WEB, {"safe": 90, "risk": 10}, source="client", seen=seen)
