"""The live pictures in both themes and on a narrow page, used as a learner would: pressed, dragged, by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

    from conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = (
    'from labsupport import Lab, watch\nlab = Lab()\nlab.apply("apps/bookinfo", "apps/client", "00-start-here")',
    'live = lab.traffic("gateway:/productpage", rate=40)\nwatch(live, service="reviews")',
    "lab.graph()",
)


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    path = tmp_path / "pictures.ipynb"
    nbformat.write(made, path)
    return path


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_pictures_can_be_used_with_mouse_and_keyboard(
    theme: str,
    jupyterlab: Server,
    page: JupyterPage,
    notebook: Path,
    keep_picture: Callable[[JupyterPage, str], None],
):
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.add(notebook))
    page.page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.command("notebook:run-all-cells")
    page.wait_for_end()
    assert page.errors() == []

    traffic = page.page.locator(".ws-live").first
    traffic.scroll_into_view_if_needed()
    page.until(lambda: "v2" in (traffic.text_content() or ""), "no version of reviews in the picture")
    slider = traffic.get_by_role("slider")
    box = slider.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.page.mouse.move(box["x"] + box["width"] * 0.2, middle)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=8)
    page.page.mouse.up()
    dragged = int(slider.input_value())
    assert 80 < dragged < 120
    slider.press("ArrowRight")
    assert int(slider.input_value()) == dragged + 1
    # After a second without a hand on it, the slider shows what the kernel says: the rate has arrived there.
    page.page.wait_for_timeout(1_500)
    assert int(slider.input_value()) == dragged + 1
    keep_picture(page, "traffic")

    graph = page.page.locator(".ws-live").nth(1)
    graph.scroll_into_view_if_needed()
    call = graph.get_by_role("button", name="productpage → reviews")
    call.wait_for(timeout=30_000)
    call.focus()
    call.press("Enter")
    note = graph.locator(".ws-note")
    page.until(lambda: note.inner_text().startswith("productpage → reviews: "), "the call's numbers are not shown")
    assert call.get_attribute("aria-pressed") == "true"
    keep_picture(page, "graph")

    page.page.evaluate("() => window.jupyterapp.commands.execute('filebrowser:hide-main')")
    page.page.set_viewport_size({"width": 880, "height": 1000})
    for picture in (traffic, graph):
        picture.scroll_into_view_if_needed()
        page.until(
            lambda: picture.evaluate("(e) => e.scrollWidth <= e.clientWidth && e.clientWidth < 760"),  # noqa: B023
            "the picture is wider than its place",
        )
    traffic.scroll_into_view_if_needed()
    keep_picture(page, "narrow")
    assert page.complaints == []
