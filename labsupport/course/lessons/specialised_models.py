"""Judges of notebook 15."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labsupport.course.judging import judge

if TYPE_CHECKING:
    from labsupport.lab.lab import Lab
    from labsupport.traffic.observations import Observations


@judge("15.1")
def answered(lab: Lab) -> Observations:
    """The rule is there, and every request is answered."""
    lab.get("VirtualService", "web")
    return lab.send("http://web:8080/", source="client", count=50)


judge("15.2")(answered)
