"""What a learner sees whose browser is slow: the same, a bit later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

    from conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# anywidget waits two seconds for the program of a widget, a slow browser may take more: the wait is over at once.
TOO_LATE = """AbortSignal.timeout = () => {
    const controller = new AbortController();
    queueMicrotask(() => controller.abort());
    return controller.signal;
};"""
CELLS = (
    'from labsupport import Lab, exercise, watch\nlab = Lab()\nlab.apply("apps/client", "02-canary-by-weight/web")',
    'exercise("01.1").ask()',
    'live = lab.traffic("http://web:8080/", source="client", rate=20)\nwatch(live)',
)


def test_a_program_that_comes_late_hears_the_kernel_all_the_same(jupyterlab: Server, page: JupyterPage):
    page.page.add_init_script(TOO_LATE)
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.make("slow", *CELLS))
    page.run()
    assert any("Failed to initialize" in text for text in page.complaints), "the program was not late"
    picture, question = page.live_picture(), page.page.locator(".ws-question")
    page.until(lambda: "safe" in picture.inner_text(), "the picture stays empty")
    field = question.get_by_role("textbox")
    field.fill("50")
    field.press("Enter")
    page.until(lambda: "✓ NOTED" in question.inner_text(), "the prediction was not noted")
