"""Questions used as a learner would: by mouse and by key, with an answer at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

    from conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = ("from labsupport import Lab, exercise\nlab = Lab()", 'exercise("00.1").ask(1)', 'exercise("01.1").ask()')
KINDS = """() => [...window.jupyterapp.shell.currentWidget.content.widgets].map((cell) => cell.model.type)"""


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_question_answers_at_once_and_keeps_its_keys(
    theme: str, jupyterlab: Server, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]
):
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.make("questions", *CELLS))
    page.theme(theme)
    page.run()
    choice, number = (page.page.locator(".ws-question").nth(place) for place in range(2))
    status = choice.get_by_role("status")
    assert "NO ANSWER YET" in status.inner_text()
    # The question is the name of the group.
    group = choice.get_by_role("group", name=choice.locator("legend").inner_text())
    options = group.get_by_role("radio")
    options.first.focus()
    options.first.press(" ")
    verdicts = set()
    for place in range(options.count()):
        page.until(lambda place=place: options.nth(place).is_checked(), "the key chose nothing")
        page.until(lambda: "NO ANSWER" not in status.inner_text(), "no verdict")
        verdicts.add(status.locator(".ws-tag").inner_text())
        before = status.inner_text()
        if place + 1 < options.count():
            page.page.keyboard.press("ArrowDown")
            page.until(lambda before=before: status.inner_text() != before, "no verdict on the next choice")
    assert verdicts == {"✓ RIGHT", "✗ NOT RIGHT"}

    # "m" would make text of the cell, "dd" delete it, "a" insert another one above.
    kinds = page.page.evaluate(KINDS)
    for key in ("m", "d", "d", "a", "b", "x"):
        page.page.keyboard.press(key)
    assert page.page.evaluate(KINDS) == kinds

    field = number.get_by_role("textbox")
    field.fill("dammit")
    field.press("Enter")
    page.until(lambda: "is no answer here" in number.inner_text(), "it took letters for a number")
    field.fill("100")
    field.press("Enter")
    page.until(lambda: "✓ NOTED" in number.inner_text(), "the prediction was not noted")
    assert page.page.evaluate(KINDS) == kinds
    keep_picture(page, "questions")
    assert page.complaints == []


def test_an_answer_leaves_those_of_other_questions_as_they_are(jupyterlab: Server, page: JupyterPage) -> None:
    cells = (CELLS[0], 'exercise("06.3").ask(1)', 'exercise("06.3").ask(2)')
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.make("two-questions", *cells))
    page.run()
    groups = [page.page.locator(".ws-question").nth(place).get_by_role("radio") for place in range(2)]
    groups[0].last.check()
    groups[1].first.check()
    assert groups[0].last.is_checked() and groups[1].first.is_checked()
    # Behind the last choice comes the first of the same question.
    groups[0].last.focus()
    page.page.keyboard.press("ArrowDown")
    page.until(groups[0].first.is_checked, "the key left the question")
    assert groups[1].first.is_checked()
