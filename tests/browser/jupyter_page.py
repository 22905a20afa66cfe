"""A JupyterLab page, driven through the application's own commands and by what a person sees."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, WebSocket

CELL_MS = 300_000
_ERRORS = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']"


def kind_of(frame: str | bytes) -> str:
    """The kind of a kernel's message on its way (the header's ``msg_type``), in either of Jupyter's two protocols."""
    if isinstance(frame, str):
        return str(json.loads(frame)["header"]["msg_type"])
    # Protocol v1: a number of offsets, the offsets, then the channel, the header and the other parts.
    count = int.from_bytes(frame[:8], "little")
    offsets = [int.from_bytes(frame[8 * place : 8 * place + 8], "little") for place in range(1, count + 1)]
    return str(json.loads(frame[offsets[1] : offsets[2]])["msg_type"])


class JupyterPage:
    """One browser tab with a notebook.

    Args:
        page: Playwright's page.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.comms = Counter[str]()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        """Count the messages of widgets on their way, in either direction."""
        if "/channels" not in socket.url:
            return  # events of the server, terminals
        for event, way in (("framereceived", "received"), ("framesent", "sent")):
            socket.on(event, lambda frame, way=way: self._count(frame, way))

    def _count(self, frame: str | bytes, way: str) -> None:
        if kind_of(frame) == "comm_msg":
            self.comms[way] += 1

    def open(self, url: str, token: str, notebook: str, *, app: str = "lab") -> None:
        """Open a notebook in a clean workspace, and wait until its kernel has answered.

        The toolbar shows an idle kernel before there is a connection, and running then opens a dialogue.
        """
        place = f"lab/tree/{notebook}?reset&" if app == "lab" else f"notebooks/{notebook}?"
        self.page.goto(f"{url}/{place}token={token}")
        self.page.wait_for_function(
            "() => window.jupyterapp && document.querySelector('.jp-NotebookPanel .jp-Cell')", timeout=90_000
        )
        # A kernel that died before it answered never does: the port that it was given may have got another owner.
        self.page.evaluate(
            """async limit => {
                const notebook = window.jupyterapp.shell.currentWidget;
                const answered = async () => {
                    await notebook.context.ready;
                    await notebook.sessionContext.ready;
                    await notebook.sessionContext.session.kernel.info;
                };
                const late = (_, reject) => setTimeout(() => reject(new Error('the kernel does not answer')), limit);
                await Promise.race([answered(), new Promise(late)]);
            }""",
            90_000,
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

    def run(self, name: str = "notebook:run-all-cells") -> None:
        """Run a command, by default all cells, wait for its end, and let no cell have failed."""
        self.command(name)
        self.wait_for_end()
        assert self.errors() == []

    def theme(self, name: str) -> None:
        """Change the theme, to ``JupyterLab Light`` or ``JupyterLab Dark``."""
        self.page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
        light = "true" if "Light" in name else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")

    def width(self, pixels: int) -> None:
        """Make the window this wide, without the file browser beside the notebook."""
        self.page.evaluate(
            """() => window.jupyterapp.commands.hasCommand('filebrowser:hide-main')
                && window.jupyterapp.commands.execute('filebrowser:hide-main')"""
        )
        self.page.set_viewport_size({"width": pixels, "height": 1000})

    def drag(self, slider: Locator, begin: float, end: float, steps: int = 8) -> None:
        """Drag a slider from one fraction of its length to another."""
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        assert box
        middle = box["y"] + box["height"] / 2
        at = [box["x"] + 8 + (box["width"] - 16) * fraction for fraction in (begin, end)]
        self.page.mouse.move(at[0], middle)
        self.page.mouse.down()
        self.page.mouse.move(at[1], middle, steps=steps)
        self.page.mouse.up()

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
