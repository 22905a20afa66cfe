"""An exported notebook: pictures are in it without a kernel, a widget manager or the Internet, in both themes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = (
    "from labsupport import Lab, check, compare, show, watch\nlab = Lab()\n"
    'lab.apply("02-canary-by-weight/web", "apps/client", "02-canary-by-weight/destination-rule-web-versions.yaml")',
    'lab.apply("02-canary-by-weight/exercises/02.1/solution.yaml")',
    'live = lab.traffic("http://web:8080/", source="client", rate=50)\nwatch(live, rule="vs/web")',
    "before = live.collect(100)\n"
    'lab.apply("02-canary-by-weight/virtual-service-web-50-50.yaml")\n'
    "after = live.collect(100)\nafter",
    'show(after, expected={"safe": 50, "risk": 50})',
    'compare(before, after, expected={"safe": 50, "risk": 50}, expected_before={"safe": 90, "risk": 10})',
    "show(live)",
    "watch(lab)",
    "lab.status()",
    'lab.access_log(lab.send("http://web:8080/", source="client", count=3))',
    'check.share(after, {"safe": 50, "risk": 50})',
    "lab.close()",
)
LIVE, STATUS = 2, 7


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from nbclient import NotebookClient

    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    folder = tmp_path_factory.mktemp("executed")
    return NotebookClient(made, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()


def page_of(notebook: Any, theme: str, folder: Path) -> Path:
    from nbconvert import HTMLExporter

    text, _ = HTMLExporter(theme=theme, embed_images=True).from_notebook_node(notebook)
    target = folder / f"{theme}.html"
    target.write_text(text, encoding="utf-8")
    return target


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_picture_is_in_the_export(
    theme: str, executed: Any, tmp_path: Path, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]
):
    # As on a laptop without a network: nothing but the file itself can be loaded.
    page.page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    page.page.goto(page_of(executed, theme, tmp_path).as_uri())
    cells = page.page.locator(".jp-CodeCell")
    for width in (1100, 700):
        page.page.set_viewport_size({"width": width, "height": 1000})
        for place, words in (
            (1, "In force after"),
            (LIVE, "one mark = one request"),
            (3, "100 responses"),
            (4, "expected share"),
            (5, "before"),
            (6, "latency p95"),
            (STATUS, "VirtualService/web"),
            (8, "in force since"),
            (9, "answered by"),
            (10, "PASSED"),
            (11, "Nothing is left"),
        ):
            output = cells.nth(place).locator(".jp-OutputArea-output").locator("visible=true").last
            assert words in output.inner_text(), (place, words)
            shown = output.locator(".ws").first
            assert shown.evaluate("(e) => e.scrollWidth <= e.clientWidth + 1"), (place, width)
        cells.nth(LIVE).scroll_into_view_if_needed()
        keep_picture(page, f"traffic-{width}")
        cells.nth(8).scroll_into_view_if_needed()
        keep_picture(page, f"overview-{width}")
    small = page.page.evaluate(
        """() => [...document.querySelectorAll('svg text')]
            .filter((e) => e.getClientRects().length && e.closest('svg').viewBox.baseVal)
            .map((e) => 12 * e.closest('svg').getBoundingClientRect().width / e.closest('svg').viewBox.baseVal.width)
            .filter((size) => size < 10)"""
    )
    assert small == []


def test_a_notebook_that_was_saved_without_the_state_of_its_widgets_shows_them_as_images(
    executed: Any, tmp_path: Path, page: JupyterPage
):
    # As JupyterLab saves a notebook whose lab still runs: the output names a model that nobody has any more.
    left = nbformat.from_dict(executed)
    figure = left.cells[6].outputs[0].data
    left.cells = left.cells[LIVE : LIVE + 1]
    left.metadata.pop("widgets", None)
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "gone", "version_major": 2, "version_minor": 0}}
    left.cells[0].outputs = [
        nbformat.v4.new_output("display_data", {**view, "image/svg+xml": figure["image/svg+xml"], "text/plain": "x"})
    ]
    page.page.goto(page_of(left, "light", tmp_path).as_uri())
    image = page.page.locator(".jp-OutputArea-output img").first
    assert (image.get_attribute("src") or "").startswith("data:image/svg+xml")
    assert image.evaluate("(e) => e.decode().then(() => e.naturalWidth)") > 900


def test_running_a_notebook_without_a_browser_leaves_no_widget_behind(executed: Any):
    kinds = {kind for cell in executed.cells for output in cell.outputs for kind in output.get("data", {})}
    assert "application/vnd.jupyter.widget-view+json" not in kinds
    assert not [output for cell in executed.cells for output in cell.outputs if output.output_type == "error"]
