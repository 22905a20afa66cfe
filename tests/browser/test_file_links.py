"""Links to files, clicked in JupyterLab: names of manifests in cards, and the cheat sheet."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

    from conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "manifests" / "apps" / "web"
OPEN = "from labsupport import Lab\nimport os\nos.environ['WORKSHOP_WORK'] = {folder!r}\nlab = Lab()"


def test_the_name_of_a_manifest_in_a_card_opens_the_file_beside_the_notebook(
    jupyterlab: Server, page: JupyterPage
) -> None:
    shutil.copytree(WEB, jupyterlab.folder / "manifests" / "apps" / "web")
    first = OPEN.format(folder=str(jupyterlab.folder))
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.make("links", first, 'lab.apply("apps/web")', "lab.close()"))
    page.run()
    page.wait_for_end()
    assert page.errors() == []
    link = page.page.locator(".jp-OutputArea-output a", has_text="apps/web/").first
    name = link.inner_text().rpartition(":")[0]
    link.click()
    text = page.page.locator(".jp-FileEditor .cm-content")
    page.until(lambda: text.count() and "kind: " in text.inner_text(), "the file is not shown")
    assert page.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path") == f"manifests/{name}"
    assert len(page.page.context.pages) == 1


def test_the_cheat_sheet_opens_from_lesson_00_as_a_page_with_tables(jupyterlab: Server, page: JupyterPage) -> None:
    shutil.copy(ROOT / "notebooks" / "cheat-sheet.md", jupyterlab.folder / "notebooks")
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.add(ROOT / "notebooks" / "00-start-here.ipynb"))
    page.page.locator(".jp-MarkdownCell a", has_text="cheat sheet").click()
    page.page.locator(".jp-MarkdownViewer td", has_text="timeout: 2s").first.wait_for()
