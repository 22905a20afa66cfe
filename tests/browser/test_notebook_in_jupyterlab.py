"""What a learner sees: notebook 02 in a real JupyterLab, its live picture, and the picture's buttons."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

    from conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "02-canary-by-weight.ipynb"


def live_cell() -> int:
    """Index of the cell after the one that starts background traffic."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return 1 + next(
        index
        for index, cell in enumerate(cells)
        if cell["cell_type"] == "code" and "lab.traffic(" in "".join(cell["source"])
    )


def different_pictures(page: JupyterPage, wanted: int, timeout_s: float = 30.0) -> None:
    """Wait until the live picture has shown this many different states."""
    seen: set[str] = set()

    def enough() -> bool:
        seen.add(page.drawn())
        seen.discard("")
        return len(seen) >= wanted

    page.until(enough, f"the live picture changed {wanted} times: not", timeout_s)


def test_all_of_notebook_02_runs_while_its_picture_moves(
    jupyterlab: Server, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]
):
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.add(NOTEBOOK))
    page.command("notebook:run-all-cells")
    page.until(page.drawn, "no live picture", 120)
    different_pictures(page, 5)
    page.wait_for_end()
    assert page.errors() == []
    assert page.complaints == []
    prompts = page.page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
    assert [prompt for prompt in prompts if not re.fullmatch(r"\[\d+\]:", prompt.strip())] == []
    # The last cell closes the lab: what was live is a figure now, that stays in the saved notebook.
    assert page.live_picture().count() == 0
    page.show_cell(live_cell() - 1)
    cell = page.page.locator(".jp-Notebook .jp-Cell").nth(live_cell() - 1)
    assert "one mark = " in cell.locator("svg[role=img]").first.text_content()
    keep_picture(page, "at-the-end")


def test_the_picture_stops_and_starts_the_traffic(
    jupyterlab: Server, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]
):
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.add(NOTEBOOK))
    page.show_cell(live_cell())
    page.command("notebook:run-all-above")
    page.wait_for_end()
    assert page.errors() == []
    picture = page.live_picture()
    picture.scroll_into_view_if_needed()
    different_pictures(page, 3)

    picture.get_by_role("button", name="Stop").click()
    picture.get_by_role("button", name="Start").wait_for(timeout=20_000)
    before = page.page.evaluate("() => performance.now()")
    still: dict[str, float] = {}

    def stands_still() -> bool:
        now = page.page.evaluate("() => performance.now()")
        begun = still.setdefault(page.drawn(), now)
        return bool(now - begun > 2_000)

    page.until(stands_still, "the picture still moves", 60)
    assert page.page.evaluate("() => performance.now()") > before
    keep_picture(page, "stopped")

    picture.get_by_role("button", name="Start").click()
    picture.get_by_role("button", name="Stop").wait_for(timeout=20_000)
    different_pictures(page, 5)
    keep_picture(page, "started-again")

    slider = picture.get_by_role("slider")
    slider.focus()
    slider.press("End")
    page.until(lambda: "200" in picture.locator("output").inner_text(), "the rate is not 200")
    assert page.complaints == []
