"""A JupyterLab page, driven through the application's own commands and by what a person sees."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page

CELL_MS = 300_000
_ERRORS = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']"


class JupyterPage:
    """One browser tab with a notebook.

    Args:
        page: Playwright's page.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, url: str, token: str, notebook: str) -> None:
        """Open a notebook in a clean workspace, and wait until its kernel has answered.

        The toolbar shows an idle kernel before there is a connection, and running then opens a dialogue.
        """
        self.page.goto(f"{url}/lab/tree/{notebook}?token={token}&reset")
        self.page.wait_for_function(
            "() => window.jupyterapp && document.querySelector('.jp-NotebookPanel .jp-Cell')", timeout=90_000
        )
        self.page.evaluate(
            """async () => {
                const notebook = window.jupyterapp.shell.currentWidget;
                await notebook.context.ready;
                await notebook.sessionContext.ready;
                await notebook.sessionContext.session.kernel.info;
            }"""
        )

    def command(self, name: str) -> None:
        """Start a command of JupyterLab, without waiting for its end."""
        self.page.evaluate(
            """(name) => {
                window.__command = 'running';
                window.jupyterapp.commands.execute(name)
                    .then(() => { window.__command = 'done'; }, (error) => { window.__command = 'error ' + error; });
            }""",
            name,
        )

    def ended(self) -> bool:
        """Whether the command has ended, and every cell that it started."""
        return bool(
            self.page.evaluate(
                """() => window.__command !== 'running'
                    && [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
                        .every((prompt) => !prompt.textContent.includes('*'))"""
            )
        )

    def wait_for_end(self, timeout_ms: float = CELL_MS) -> None:
        """Wait until the command and its cells have ended.

        ``kernel.status`` does not tell: with subshells it is idle while a cell runs.
        """
        self.until(self.ended, "the cells still run", timeout_ms / 1000)
        outcome = self.page.evaluate("() => window.__command")
        assert outcome == "done", outcome

    def until(self, condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
        """Poll until a condition holds; returns its value."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < deadline, f"{what} after {timeout_s:.0f} s"
            # Not time.sleep: Playwright handles the page's events only while it is called.
            self.page.wait_for_timeout(50)
        return value

    def show_cell(self, index: int) -> None:
        """Make a cell the active one and scroll to it, counting from 0 with Markdown cells."""
        self.page.evaluate(
            """async (index) => {
                const cells = window.jupyterapp.shell.currentWidget.content;
                cells.activeCellIndex = index;
                await cells.scrollToItem(index, 'center');
            }""",
            index,
        )

    def errors(self) -> list[str]:
        """Texts of the errors shown below cells."""
        return self.page.locator(_ERRORS).all_inner_texts()

    def live_picture(self) -> Locator:
        """The first live picture."""
        return self.page.locator(".ws-live").first

    def drawn(self) -> str:
        """What the live picture shows now; empty as long as there is none."""
        picture = self.live_picture()
        return (
            str(picture.evaluate("element => element.querySelector('.ws-panel').innerHTML")) if picture.count() else ""
        )
