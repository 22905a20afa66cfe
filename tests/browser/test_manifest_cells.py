"""The YAML of a manifest cell in JupyterLab: colours of YAML, and the numbers of lines that messages name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

    from conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MANIFEST = "%%manifest 02.1\nkind: VirtualService\nmetadata:\n  name: web  # ours"


def test_a_manifest_cell_has_the_colours_of_yaml_and_numbers_of_lines(
    jupyterlab: Server, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]
) -> None:
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.make("cells", "import labsupport", MANIFEST))
    cells = page.page.locator(".jp-CodeCell")

    def language(index: int) -> str | None:
        return cells.nth(index).locator(".cm-content").get_attribute("data-language")

    page.until(lambda: language(1) == "yaml", "the manifest is not shown as YAML")
    page.until(lambda: language(0) == "python", "Python is not shown as such")
    assert cells.nth(1).locator(".cm-lineNumbers .cm-gutterElement:visible").last.inner_text() == "4"
    page.run()
    page.wait_for_end()
    assert (language(0), language(1)) == ("python", "yaml"), "the kernel's language came over it"
    keep_picture(page, "manifest")

    # What is typed counts, not what a cell was at first.
    page.show_cell(0)
    page.page.evaluate(
        "text => window.jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel.setSource(text)", MANIFEST
    )
    page.until(lambda: language(0) == "yaml", "a cell that became a manifest is still shown as Python")
    assert page.errors() == []
