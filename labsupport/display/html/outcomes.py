"""What a check or an exercise says, as HTML: a sign, a word and a reason, never only a colour."""

from __future__ import annotations

import re
from itertools import compress
from typing import TYPE_CHECKING

from labsupport import words
from labsupport.check.result import SIGNS, CheckOutcome, CheckState
from labsupport.course.summary import course_map
from labsupport.display.drawing.figure import panel
from labsupport.display.drawing.palette import look_of, order_key
from labsupport.display.drawing.table import table
from labsupport.display.drawing.text import el, esc
from labsupport.display.html.course_map import map_html
from labsupport.display.html.file_links import file_href
from labsupport.display.pictures.prediction import prediction_figure

if TYPE_CHECKING:
    from labsupport.course.exercise import Exercise, Hint, Solution
    from labsupport.course.questions import Compared
    from labsupport.course.summary import Summary

__all__ = ["check_html", "exercise_html", "hint_html", "prediction_html", "progress_html", "solution_markdown"]

_FACES = {
    CheckState.PASSED: ("var(--ws-ok)", "PASSED"),
    CheckState.FAILED: ("var(--ws-ce)", "FAILED"),
    CheckState.TOO_LITTLE_DATA: ("var(--ws-dim)", "TOO LITTLE DATA"),
    CheckState.NOT_ATTEMPTED: ("var(--ws-dim)", "NOT ATTEMPTED"),
    CheckState.COMPARED: ("var(--ws-dim)", "COMPARED"),
}
# What ``ExerciseSpec.heading`` begins with.
_EXERCISE = re.compile(r"Exercise (\d\d)\.")
_COLOURS = {SIGNS[state]: colour for state, (colour, _) in _FACES.items()}


def check_html(outcome: CheckOutcome) -> str:
    """The outcome of a check with its explanation and numbers, and of an exercise's with a map of the course."""
    colour, word = _FACES[outcome.state]
    tag = el("span", f"{SIGNS[outcome.state]} {word}", class_="ws-tag", style=f"color:{colour}")
    head = el("div", tag, " ", el("b", esc(outcome.title)))
    number = _EXERCISE.match(outcome.title)
    course = map_html(course_map(number[1])) if number else ""
    return panel("", el("div", head, "".join(map(_line, outcome.lines)), role="status"), _numbers(outcome), course)


def _line(line: str) -> str:
    """A line of the explanation; parts of a joined check are indented below their titles, without a list in a list."""
    sign, _, rest = line.strip().partition(" ")
    text = esc(line.strip())
    if sign in _COLOURS:
        text = el("b", sign, style=f"color:{_COLOURS[sign]}") + f" {esc(rest)}"
    return el("div", text, style=f"padding-left:{14 + 14 * (len(line) - len(line.lstrip())) // 2}px")


def _numbers(outcome: CheckOutcome) -> str:
    # What is said of one key stands in the table.
    details = "".join(el("div", esc(line)) for line in outcome.details if line.partition(":")[0] not in outcome.seen)
    numbers = _table(outcome) if outcome.seen and outcome.n else ""
    return el("details", el("summary", "the numbers"), numbers, details) if numbers or details else ""


def _table(outcome: CheckOutcome) -> str:
    keys = sorted({*outcome.seen, *outcome.expected}, key=order_key)
    rows = []
    for key in keys:
        count = outcome.seen.get(key, 0)
        interval = outcome.interval.get(key)
        expected = outcome.expected.get(key)
        rows.append(
            [
                el("span", "■ ", class_=f"ws-c{look_of(key).key}", aria_hidden="true") + esc(key),
                f"{count:,}",
                words.percent(count / outcome.n),
                words.percent_range(*interval) if interval is not None else "",
                words.percent(expected) if expected is not None else "",
            ]
        )
    heads = ["", f"seen, n = {outcome.n:,}", "share", "interval", "expected"]
    # A column that would be empty is left out.
    used = [True, True, True, bool(outcome.interval), bool(outcome.expected)]
    return table(
        list(compress(heads, used)),
        [list(compress(row, used)) for row in rows],
        numeric=frozenset({1, 2, 3, 4}),
        caption="the numbers of the check",
    )


def prediction_html(compared: Compared) -> str:
    """What a prediction is worth in words, and the picture of it below."""
    return check_html(compared) + prediction_figure(compared)._repr_html_()


def hint_html(hint: Hint) -> str:
    """One hint, and which one it is."""
    more = "" if hint.number < hint.total else "the last one; solution() shows one way"
    text = "".join(el("div", esc(line)) for line in hint.text.splitlines())
    return panel(f"Hint {hint.number} of {hint.total}", text, subtitle=more)


def solution_markdown(solution: Solution) -> str:
    """A solution in the colours of YAML, with its file to open."""
    if not solution.path:
        return solution.text
    href, name = file_href(solution.path), f"`{solution.path}`"
    place = f"[{name}]({href})" if href else name
    return f"One way to do it ({place}):\n\n```yaml\n{solution.text.rstrip()}\n```"


def exercise_html(exercise: Exercise) -> str:
    """The task of an exercise, and what can be called."""
    spec = exercise.spec
    task = "".join(el("div", esc(line)) for line in spec.task.splitlines())
    rungs = enumerate(spec.rungs.values(), start=1)
    task += "".join(el("div", el("b", f"Rung {number}"), f" {esc(text)}") for number, text in rungs)
    calls = ["check()", "hint()", "solution()"]
    if spec.questions:
        calls.insert(0, "predict(...)")
    usage = el("div", " ".join(el("code", f".{call}") for call in calls), class_="d", style="margin-top:6px")
    return panel(spec.heading, task, usage, subtitle="an extra: the lesson is done without it" if spec.extra else "")


def progress_html(summary: Summary) -> str:
    """Which exercises have been passed, and which are still to be done."""
    rows = []
    for done in summary.exercises:
        colour, word = _FACES[done.state]
        state = el("b", f"{SIGNS[done.state]} {word.lower()}", style=f"color:{colour}")
        ladder = el("span", f" {done.ladder}", class_="d") if done.ladder else ""
        extra = el("span", " extra", class_="d") if done.extra else ""
        rows.append([f"{done.number} {esc(done.title)}{extra}", state + ladder, str(done.hints) if done.hints else ""])
    problem = el("div", esc(summary.problem), class_="d") if summary.problem else ""
    body = table(["exercise", "", "hints read"], rows, numeric=frozenset({2}), caption="exercises")
    return panel("Your progress", body, problem, subtitle=summary.told)
