"""The course as a map: a node for each lesson, a dot for each exercise, filled once it has passed; what needs what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labsupport.check.result import FAILED, PASSED, CheckState
from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import el, esc

if TYPE_CHECKING:
    from labsupport.course.summary import CourseMap, LessonProgress

__all__ = ["course_map_html", "map_html"]

_DOTS = {PASSED: ("●", "var(--ws-ok)"), FAILED: ("◐", "var(--ws-ce)")}
_NODE = (
    "display:inline-block;min-width:22px;padding:1px 4px;border-radius:11px;text-align:center;font-weight:600;"
    "border:1.5px solid {border};background:{fill};color:{ink}"
)


def _dot(state: CheckState) -> str:
    sign, colour = _DOTS.get(state, ("○", "var(--ws-dim)"))
    return el("span", sign, style=f"color:{colour}")


def _node(lesson: LessonProgress, here: str) -> str:
    border = "var(--ws-ok)" if lesson.whole else "var(--ws-line)"
    look = {"fill": "var(--ws-ok)", "ink": "var(--ws-bg)"} if lesson.whole else {"fill": "none", "ink": "var(--ws-fg)"}
    ring = ";box-shadow:0 0 0 2px var(--ws-fg)" if lesson.number == here else ""
    number = el("span", esc(lesson.number), style=_NODE.format(border=border, **look) + ring)
    dots = el("div", _dots(lesson), style="font-size:9px;letter-spacing:1px")
    told = f"lesson {lesson}{', you are here' if lesson.number == here else ''}"
    style = "display:inline-block;text-align:center;vertical-align:top;margin:0 12px 4px 0"
    return el("span", number, dots, role="img", aria_label=told, title=told, style=style)


def _dots(lesson: LessonProgress) -> str:
    main, extras = ([_dot(done.state) for done in lesson.exercises if done.extra is extra] for extra in (False, True))
    return "".join([*main, *([el("span", "+", style="color:var(--ws-dim)")] if extras else []), *extras])


def map_html(course: CourseMap) -> str:
    """The nodes alone, for the foot of another card.

    Args:
        course: how far it is.
    """
    return el("div", *(_node(lesson, course.here) for lesson in course.lessons), style="margin-top:8px;line-height:1.3")


def course_map_html(course: CourseMap) -> str:
    """The map of the course as a card of its own.

    Args:
        course: how far it is.
    """
    signs = [_dot(PASSED), " passed  ", _dot(FAILED), " tried  ", _dot(CheckState.NOT_ATTEMPTED), " to do"]
    if any(done.extra for lesson in course.lessons for done in lesson.exercises):
        signs.append("  + extras: a lesson is done without them")
    legend = el("div", *signs)
    problem = el("div", esc(course.problem), class_="d") if course.problem else ""
    rows = [
        [
            esc(f"{lesson.number} {lesson.title}"),
            esc(", ".join(lesson.outline.needs)),
            esc(f"{lesson.minutes_left} min" if lesson.minutes_left else ""),
            _dots(lesson),
        ]
        for lesson in course.lessons
    ]
    listed = table(["lesson", "needs", "left", "exercises"], rows, numeric=frozenset({2}), caption="lessons")
    following = course.next
    ahead = el("div", esc(f"Next: {following.number} {following.title}")) if following is not None else ""
    return panel("Map of the course", map_html(course), legend, ahead, listed, problem, subtitle=course.told)
