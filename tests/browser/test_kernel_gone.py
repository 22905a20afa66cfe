"""What a learner sees after a restart of the kernel and after a reload of the page: no error, nothing that lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

    from conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = (
    'from labsupport import Lab, exercise, watch\nlab = Lab()\nlab.apply("apps/client", "02-canary-by-weight/web")',
    'live = lab.traffic("http://web:8080/", source="client", rate=20)\nwatch(live)',
    'exercise("01.1").ask()',
    "live.collect(20)\nlive.stop()",
    "lab",
    "%%manifest\nkind: VirtualService",
)
LIVE, QUESTION, STOP, LAB, MANIFEST = 1, 2, 3, 4, 5


def run_cell(page: JupyterPage, index: int) -> str:
    """Run one cell, which may fail; returns what is shown below it."""
    page.show_cell(index)
    page.command("notebook:run-cell")
    page.until(page.ended, "the cell still runs", 60)
    return page.page.locator(".jp-CodeCell").nth(index).locator(".jp-OutputArea-output").last.inner_text()


def test_after_a_restart_nothing_can_be_clicked_and_after_a_reload_static_forms_are_there(
    jupyterlab: Server, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]
):
    notebook = jupyterlab.make("gone", *CELLS)
    page.open(jupyterlab.url, jupyterlab.token, notebook)
    # Before the first cell: no long stack.
    assert "Run the first code cell" in run_cell(page, LAB)
    assert "No lab is open" in run_cell(page, MANIFEST)
    for index in (0, LIVE, QUESTION):
        run_cell(page, index)
    cells = page.page.locator(".jp-CodeCell")
    picture = page.live_picture()
    picture.get_by_role("button", name="Stop").wait_for(timeout=30_000)
    still = cells.nth(LIVE).locator(".ws-still")
    assert still.count() == 1 and not still.is_visible(), "the widget is alive"
    run_cell(page, STOP)
    page.until(lambda: still.locator("td").count(), "no static form is kept")
    keep_picture(page, "alive")

    page.page.evaluate(
        "async () => { await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }"
    )
    button = picture.get_by_role("button")
    page.until(button.is_disabled, "the button can still be clicked")
    assert picture.get_by_role("slider").is_disabled()
    assert "its kernel was restarted" in picture.inner_text()
    question = cells.nth(QUESTION).locator(".ws-question")
    page.until(question.get_by_role("textbox").is_disabled, "a question can still be answered")
    assert "Its kernel was restarted" in question.inner_text()
    assert "Run the first code cell" in run_cell(page, LAB)
    page.page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")

    page.open(jupyterlab.url, jupyterlab.token, notebook)
    cells.nth(LIVE).locator(".ws-still svg").first.wait_for(timeout=30_000)
    page.until(lambda: cells.nth(QUESTION).locator(".ws-still").is_visible(), "the question is not seen")
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-OutputArea-output')].every((e) => !e.innerText.includes('Loading'))"
    )
    errors = page.page.get_by_text("Error displaying widget")
    assert [errors.nth(index).is_visible() for index in range(errors.count())] == [False, False]
    assert "NO ANSWER YET" in cells.nth(QUESTION).inner_text()
    keep_picture(page, "reloaded")
