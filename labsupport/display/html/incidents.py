"""The card of an incident, and what is told when it is over."""

from __future__ import annotations

from labsupport.course.incidents.debrief import Debrief, clock, in_stars
from labsupport.course.incidents.incident import Incident
from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import el, esc

__all__ = ["debrief_html", "incident_html"]

_CALLS = ("check()", "hint()", "solution()", "debrief()")


def incident_html(incident: Incident) -> str:
    """What users see, in large letters the number that others type, what is promised, and what a hint costs.

    Args:
        incident: the incident.
    """
    number = el("div", esc(incident.seed), style="font-size:2.4em;font-weight:700;line-height:1.1")
    number += el("div", "The same for others: ", el("code", esc(incident.call)), class_="d")
    brief = "".join(el("div", esc(text), style="font-size:1.1em;margin:4px 0") for text in incident.brief)
    rows = [[esc(kind), esc(text), el("code", esc(request))] for kind, text, request in incident.promises]
    promised = el(
        "details", el("summary", f"{len(rows)} promises"), table(["", "", ""], rows, caption="what is promised")
    )
    calls = el("div", " ".join(el("code", f".{call}") for call in _CALLS), class_="d", style="margin-top:6px")
    cost = el("div", esc(incident.next_hint), class_="d")
    return panel(incident.heading, number, brief, promised, cost, calls, subtitle=_state(incident))


def debrief_html(debrief: Debrief) -> str:
    """The time line, and below it each fault with how to think of it.

    Args:
        debrief: what is told.
    """
    rows = [[clock(event.at_s), esc(event.text)] for event in debrief.events]
    line = table(["minutes", "what was done"], rows, numeric=frozenset({0}), caption="time line")
    lessons = "".join(
        el("div", el("h4", esc(title)), _part("Wrong", wrong), _part("The rule", model), _shown(command))
        for title, wrong, model, command in debrief.lessons
    )
    return panel(debrief.heading, line, lessons, subtitle=in_stars(debrief.stars))


def _state(incident: Incident) -> str:
    return f"{in_stars(incident.stars)} · open for {clock(incident.elapsed_s)} minutes"


def _part(name: str, text: str) -> str:
    return el("div", el("b", name), f" {esc(text)}")


def _shown(command: str) -> str:
    return el("div", el("b", "Shown by"), " ", el("code", esc(command)))
