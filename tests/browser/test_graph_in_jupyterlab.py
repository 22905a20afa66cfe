"""The service graph, journeys, explanations and side-by-side views as a learner sees, selects and exports them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

    from conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RULES = """%%manifest
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{headers: {end-user: {exact: tester}}}]
    fault: {delay: {percentage: {value: 100}, fixedDelay: 250ms}}
    route: [{destination: {host: reviews, subset: v2}}]
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 10}
    - {destination: {host: reviews, subset: v2}, weight: 10}
    - {destination: {host: reviews, subset: v3}, weight: 80}
    mirrors: [{destination: {host: reviews, subset: v1}, percentage: {value: 100}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings]
  http:
  - fault: {abort: {percentage: {value: 10}, httpStatus: 500}}
    route: [{destination: {host: ratings}}]
"""
CELLS = (
    "from labsupport import Lab\nlab = Lab()\n"
    'lab.apply("apps/bookinfo", "apps/client", "apps/client-plain", "02-canary-by-weight/bookinfo")',
    RULES,
    'live = lab.traffic("gateway:/productpage", rate=30)\n'
    'bare = lab.traffic("http://details:9080/details/0", source="client-plain", rate=3)',
    "lab.graph()",
    "enough = live.collect(150)",
    'lab.journey(lab.send("gateway:/productpage", headers={"end-user": "tester"}))',
    'lab.explain("http://reviews:9080/reviews/0", source="client", headers={"end-user": "someone"})',
    'lab.config("vs/reviews")',
)
END = ("live.stop()\nbare.stop()\nlab.graph(enough)", "lab.close()")


def notebook(folder: Path, *cells: str) -> Path:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    path = folder / "pictures.ipynb"
    nbformat.write(made, path)
    return path


def fits(page: JupyterPage, cell: int) -> None:
    """Nothing in a cell's output is wider than its place, and no letter of its pictures is smaller than 11 pixels."""
    output = page.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-OutputArea").first
    page.until(
        lambda: output.evaluate("(e) => e.scrollWidth <= e.clientWidth + 1"), f"cell {cell} is wider than its place"
    )
    smallest = output.evaluate(
        """(e) => Math.min(...[...e.querySelectorAll('svg')].filter((s) => s.clientWidth > 100).map((s) =>
            12 * s.getBoundingClientRect().width / s.viewBox.baseVal.width))"""
    )
    assert smallest is None or smallest > 11, f"cell {cell}: letters of {smallest:.1f} pixels"


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_calls_are_selected_and_every_picture_fits_a_wide_and_a_narrow_page(
    theme: str,
    jupyterlab: Server,
    page: JupyterPage,
    tmp_path: Path,
    keep_picture: Callable[[JupyterPage, str], None],
):
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.add(notebook(tmp_path, *CELLS)))
    page.page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.page.evaluate("() => window.jupyterapp.commands.execute('filebrowser:hide-main')")
    page.command("notebook:run-all-cells")
    page.wait_for_end()
    assert page.errors() == []

    graph = page.page.locator(".ws-live").first
    graph.scroll_into_view_if_needed()
    by_mouse = graph.get_by_role("button", name="gateway → productpage")
    by_mouse.wait_for(timeout=60_000)
    note = graph.locator(".ws-note")
    by_mouse.locator(".ws-way").dispatch_event("click")
    page.until(lambda: note.inner_text().startswith("gateway → productpage: "), "the call's numbers are not shown")
    other = graph.get_by_role("button", name="productpage → reviews")
    other.focus()
    other.press("Enter")
    page.until(lambda: "mirror copies" in note.inner_text(), "the other call's numbers are not shown")
    assert by_mouse.get_attribute("aria-pressed") == "false"
    # The numbers go on while a call is selected, and neither the picture nor what is below it moves.
    height = graph.bounding_box()
    said = note.inner_text()
    page.until(lambda: note.inner_text() != said, "the numbers stand still")
    assert graph.bounding_box() == height
    assert "without proxy" in graph.inner_text() or "no sidecar" in graph.inner_text()
    keep_picture(page, "graph-wide")

    for cell, name in ((5, "journey"), (6, "explain"), (7, "config")):
        page.show_cell(cell)
        fits(page, cell)
        keep_picture(page, f"{name}-wide")

    page.page.set_viewport_size({"width": 840, "height": 1000})
    page.show_cell(3)
    page.until(lambda: int(graph.locator(".ws-graph > svg").get_attribute("width")) < 700, "the graph is not narrow")
    fits(page, 3)
    assert other.get_attribute("aria-pressed") == "true", "the selection is lost"
    graph.scroll_into_view_if_needed()
    keep_picture(page, "graph-narrow")
    for cell, name in ((5, "journey"), (6, "explain"), (7, "config")):
        page.show_cell(cell)
        fits(page, cell)
        keep_picture(page, f"{name}-narrow")
    assert page.complaints == []


def test_calls_are_selected_by_keyboard_in_notebook_7(
    notebook7: Server, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]
):
    path = notebook7.make("graph", *CELLS[:4])
    page.open(notebook7.url, notebook7.token, path, app="notebook")
    page.run()
    assert page.errors() == []
    graph = page.page.locator(".ws-live").first
    graph.scroll_into_view_if_needed()
    call = graph.get_by_role("button", name="productpage → reviews")
    call.wait_for(timeout=60_000)
    for key, pressed in (("Enter", "true"), (" ", "false"), ("Enter", "true")):
        call.focus()
        call.press(key)
        page.until(lambda: call.get_attribute("aria-pressed") == pressed, f"{key!r} did nothing")  # noqa: B023
    assert graph.locator(".ws-note").inner_text().startswith("productpage → reviews: ")
    keep_picture(page, "graph")


def test_an_exported_notebook_keeps_its_pictures(
    page: JupyterPage, tmp_path: Path, keep_picture: Callable[[JupyterPage, str], None]
):
    source = notebook(tmp_path, *CELLS, *END)
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--execute", "--output", "out.html"]
    subprocess.run([*command, str(source)], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    page.page.goto((tmp_path / "out.html").as_uri())
    text = page.page.locator("body").inner_text()
    assert "Error displaying widget" not in text
    titles = page.page.locator(".ws-title").all_inner_texts()
    for title in ("Service graph", "Journey of one request", "Why", "VirtualService/reviews"):
        assert any(shown.startswith(title) for shown in titles), f"{title} is not in the exported page: {titles}"
    # The live graph has become a static one when the lab was closed.
    assert sum(title.startswith("Service graph") for title in titles) == 2
    pictures = page.page.locator("svg[role=img]")
    assert all(picture.get_attribute("aria-label") for picture in pictures.all())
    for place in range(page.page.locator(".ws-title").count()):
        page.page.locator(".ws-title").nth(place).scroll_into_view_if_needed()
        keep_picture(page, f"export-{place}")
    page.page.emulate_media(color_scheme="dark")
    keep_picture(page, "export-dark")
