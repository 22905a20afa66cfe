"""The site of ``workshop export``: whole without a server and without a network, in both themes, wide and narrow."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ("00-start-here", "02-canary-by-weight")
# What a browser loads by itself, as opposed to a link that a reader may follow.
_LOADED = re.compile(
    r"""<(?:script|img|iframe|source|object|embed)\b[^>]*?\b(?:src|data)=["']([^"']+)|<link\b([^>]*)>"""
)
_STYLE = re.compile(r"url\(\s*[\"']?([^)\"']+)|@import\s+[\"']([^\"']+)")
_LINK = re.compile(r'href="([^"#?]+)')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("export") / "site"
    numbers = [name[:2] for name in LESSONS]
    command = [sys.executable, "-m", "labsupport.cli", "export", "--output", str(target), *numbers]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600)
    return target


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_lesson_and_the_cheat_sheet_are_on_the_first_page_and_in_the_search(site: Path):
    first = (site / "index.html").read_text()
    index = (site / "searchindex.js").read_text()
    for name in (*LESSONS, "cheat-sheet"):
        assert f'href="notebooks/{name}.html"' in first and f'"notebooks/{name}"' in index
        assert (site / "notebooks" / f"{name}.html").is_file()
    assert "traffic" in first and list((site / "_images").glob("*.svg"))


def test_nothing_is_loaded_from_elsewhere(site: Path):
    loaded = [
        address
        for page in pages(site)
        for source, link in _LOADED.findall(page.read_text())
        for address in ([source] if source else re.findall(r'href="([^"]+)', link) if "stylesheet" in link else [])
    ]
    loaded += [one or other for style in site.rglob("*.css") for one, other in _STYLE.findall(style.read_text())]
    assert len(loaded) > 20
    assert [address for address in loaded if re.match(r"(https?:)?//", address)] == []


def test_links_lead_somewhere(site: Path):
    links = [(page, link) for page in pages(site) for link in _LINK.findall(page.read_text())]
    local = [(page, link) for page, link in links if not re.match(r"[a-z]+:", link)]
    assert any("manifests/" in link for _, link in local)
    assert [(page.name, link) for page, link in local if not (page.parent / link).exists()] == []
    assert not [link for _, link in links if "127.0.0.1" in link]


def test_no_place_on_this_machine_is_told(site: Path):
    assert [
        page.name for page in pages(site) if str(ROOT) in page.read_text() or str(Path.home()) + "/" in page.read_text()
    ] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_a_lesson_is_read_without_a_network(
    theme: str, width: int, site: Path, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]
):
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    page.page.set_viewport_size({"width": width, "height": 1000})
    # The reader's own choice, which goes before that of the system.
    page.page.emulate_media(color_scheme="dark" if theme == "light" else "light")
    page.page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page.page.goto((site / "notebooks" / "00-start-here.html").as_uri())
    assert page.page.locator(".ws svg").count() > 10
    assert page.page.locator(".ws-still", has_text="NO ANSWER YET").count() == 3
    assert page.page.locator(".ws-gone").count() == 0
    assert page.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    small = page.page.evaluate(
        """() => [...document.querySelectorAll('.ws svg')]
            .filter((e) => e.getClientRects().length && e.querySelector('text'))
            .map((e) => 12 * e.getBoundingClientRect().width / e.viewBox.baseVal.width)
            .filter((size) => size < 10)"""
    )
    assert small == []
    light = page.page.locator(".ws text").first.evaluate("(e) => getComputedStyle(e).fill.match(/\\d+/g)[0] < 128")
    assert light is (theme == "light")
    keep_picture(page, "lesson")
    assert asked and [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_of_the_first_page_follows_the_reader_s_choice(theme: str, site: Path, page: JupyterPage):
    from PIL import Image

    page.page.emulate_media(color_scheme="dark" if theme == "light" else "light")
    page.page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page.page.goto((site / "index.html").as_uri())
    shown = Image.open(io.BytesIO(page.page.locator("article img").screenshot())).convert("L")
    assert (shown.getpixel((20, 20)) > 128) is (theme == "light")


def test_what_is_searched_is_found_without_a_server(site: Path, page: JupyterPage):
    page.page.goto((site / "search.html").as_uri() + "?q=VirtualService")
    found = page.page.locator("#search-results li a", has_text="Canary by weight")
    found.first.wait_for()


def test_the_cheat_sheet_is_one_sheet_of_paper(site: Path, page: JupyterPage):
    page.page.goto((site / "notebooks" / "cheat-sheet.html").as_uri())
    paper = page.page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
