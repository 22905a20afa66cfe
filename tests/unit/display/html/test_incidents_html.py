"""The card of an incident and its debrief: what others type, what a hint costs, and nothing of the cause before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_engine import SmallEngine

from labsupport.course.incidents.debrief import Debrief, Event
from labsupport.course.incidents.drawing import draw
from labsupport.display.html.incidents import debrief_html, incident_html
from labsupport.lab.lab import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(SmallEngine()) as opened:
        yield opened


def test_a_card_tells_symptoms_the_number_and_what_a_hint_costs(lab: Lab) -> None:
    incident = lab.incident(22, faults=2)
    shown = incident_html(incident)
    for fault in draw(22, 2).faults:
        assert fault.kind.title not in shown
        assert fault.text(fault.kind.brief) in shown
    assert "lab.incident(22, faults=2)" in shown
    assert "hint() costs a star" in shown
    assert "★★★" in shown
    incident.hint()
    assert "★★☆" in incident_html(incident)


def test_a_debrief_shows_the_time_line_and_each_fault() -> None:
    told = Debrief("Incident 1", 1, (Event(61.5, "apply <web>"),), (("A title", "what", "how", "lab.get()"),))
    shown = debrief_html(told)
    assert "1:01" in shown
    assert "apply &lt;web&gt;" in shown
    assert all(text in shown for text in ("★☆☆", "A title", "what", "how", "lab.get()"))
