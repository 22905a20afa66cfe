"""Judges of notebook 00: a repaired manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labsupport.course.judging import judge

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations


@judge("00.2")
def in_force_and_answered(lab: Lab) -> Observations:
    """The rule is there, and it lets every request through."""
    lab.get("VirtualService", "reviews")
    return lab.send("http://reviews:9080/reviews/0", source="client", count=50)
