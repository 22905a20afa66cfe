"""The picture of traffic used as a learner would: its sliders dragged, its keys pressed, its cell run again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from jupyter_page import JupyterPage
    from playwright.sync_api import Locator

    from conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.slow]

OPEN = (
    "from labsupport import Lab, watch\nlab = Lab()\n"
    'lab.apply("02-canary-by-weight/web", "apps/client", "02-canary-by-weight/destination-rule-web-versions.yaml",\n'
    '          "02-canary-by-weight/exercises/02.1/solution.yaml")'
)
TRAFFIC = 'live = lab.traffic("http://web:8080/", source="client", rate=40)\nwatch(live, rule="vs/web")'
# Everything that has text in a picture: how high it is on the screen, and whether it sticks out of its panel.
LETTERS = """(root) => {
    const panel = root.querySelector('.ws-panel').getBoundingClientRect();
    return [...root.querySelectorAll('.ws-panel text, .ws-head, .ws-head *, .ws-weights *, .ws-panel td, .ws-panel th')]
        .filter((e) => e.textContent.trim() && e.getClientRects().length)
        .map((e) => {
            const box = e.getBoundingClientRect();
            const svg = e.closest('svg');
            const scale = svg?.viewBox.baseVal ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
            return {
                text: e.textContent.trim().slice(0, 40),
                size: parseFloat(getComputedStyle(e).fontSize) * scale,
                out: Math.max(panel.left - box.left, box.right - panel.right),
            };
        });
}"""

Keep = Callable[["JupyterPage", str], None]


def picture_of(page: JupyterPage) -> Locator:
    picture = page.live_picture()
    picture.scroll_into_view_if_needed()
    page.until(lambda: "expected" in (picture.text_content() or ""), "no shares in the picture")
    return picture


def letters(picture: Locator) -> list[dict[str, float | str]]:
    seen: list[dict[str, float | str]] = picture.evaluate(LETTERS)
    assert len(seen) > 10
    return seen


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_weights_are_turned_by_hand_and_by_key(theme: str, jupyterlab: Server, page: JupyterPage, keep_picture: Keep):
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.make("weights", OPEN, TRAFFIC))
    page.theme(theme)
    page.run()
    picture = picture_of(page)
    text = lambda: picture.text_content() or ""  # noqa: E731
    assert "expected 90," in text()
    slider = picture.get_by_role("slider", name="weight of safe in VirtualService/web")
    assert slider.input_value() == "90"

    page.drag(slider, 0.9, 0.5)
    dragged = int(slider.input_value())
    assert 45 <= dragged <= 55
    assert f"safe {dragged}, risk {100 - dragged}" == slider.get_attribute("aria-valuetext")
    page.until(lambda: f"patch {dragged}/{100 - dragged}" in text(), "no line for the change of the weights")
    page.until(lambda: f"expected {dragged}," in text(), "the expected shares are still those of before")
    assert re.search(r"patch \d+/\d+ · in force after [\d.]+ m?s", text())

    slider.focus()
    slider.press("ArrowLeft")
    page.until(lambda: f"expected {dragged - 1}," in text(), "the key changed no weight")
    slider.press("Home")
    page.until(lambda: "expected 100," in text(), "the key Home changed no weight")
    slider.press("End")
    page.until(lambda: "patch 100/0 · in force" in text() and "expected 0," in text(), "the key End changed no weight")
    keep_picture(page, "wide")

    page.width(700)
    picture.scroll_into_view_if_needed()
    page.until(lambda: picture.evaluate("(e) => e.scrollWidth <= e.clientWidth"), "the picture is cut")
    small = [letter for letter in letters(picture) if letter["size"] < 10 or letter["out"] > 0.5]
    assert small == []
    keep_picture(page, "narrow")
    assert page.complaints == []


def test_what_a_weight_could_not_do_is_said_in_the_picture(jupyterlab: Server, page: JupyterPage, keep_picture: Keep):
    page.open(
        jupyterlab.url, jupyterlab.token, jupyterlab.make("gone", OPEN, TRAFFIC, 'lab.delete("VirtualService/web")')
    )
    page.run()
    picture = page.live_picture()
    picture.scroll_into_view_if_needed()
    note = picture.locator(".ws-note")
    page.until(
        lambda: "There is no VirtualService/web" in note.inner_text(), "the picture does not say what is missing"
    )
    slider = picture.get_by_role("slider", name="weight of safe in VirtualService/web")
    assert slider.is_disabled()
    keep_picture(page, "said")


def test_a_picture_that_moves_stays_where_it_is_and_sends_little(jupyterlab: Server, page: JupyterPage):
    page.open(jupyterlab.url, jupyterlab.token, jupyterlab.make("still", OPEN, TRAFFIC))
    page.run()
    picture = picture_of(page)
    boxes = """() => [...document.querySelectorAll('.jp-CodeCell, .ws-live, .ws-panel, .ws-panel > *, .ws-head > *')]
        .map((e) => { const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height].map(Math.round); })"""
    places, drawn = set(), set()
    before, begun = page.comms.copy(), page.page.evaluate("() => performance.now()")
    slider = picture.get_by_role("slider", name="weight of safe in VirtualService/web")
    while (now := page.page.evaluate("() => performance.now()")) - begun < 10_000:
        places.add(json.dumps(page.page.evaluate(boxes)))
        drawn.add(page.drawn())
        # A hand that never rests: the worst that a person can do to a slider.
        slider.evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }", now % 100)
        page.page.wait_for_timeout(60)
    seconds = (now - begun) / 1000
    sent = page.comms - before
    assert len(drawn) > 20
    assert len(places) == 1, places
    assert sent["received"] > 20 and sent["sent"] > 5, "nothing was counted"
    # At most five a second in all, and what was on its way when the counting began.
    assert sent.total() <= 5 * seconds + 2, sent


def test_a_cell_that_is_run_again_has_one_traffic_and_one_picture(jupyterlab: Server, page: JupyterPage):
    count = "import threading\n[t.name for t in threading.enumerate()].count('traffic')"
    path = jupyterlab.make("again", OPEN, TRAFFIC, count)
    page.open(jupyterlab.url, jupyterlab.token, path)
    page.run()
    for _ in range(2):
        page.show_cell(1)
        page.run("notebook:run-cell")
        picture_of(page)
    assert page.page.locator(".ws-live").count() == 1
    page.show_cell(2)

    def only_one_runs() -> bool:
        page.run("notebook:run-cell")
        return page.page.locator(".jp-CodeCell").nth(2).locator(".jp-OutputArea-output").inner_text().strip() == "1"

    page.until(only_one_runs, "the traffic of the runs before still runs")


def test_a_closed_lab_leaves_static_pictures_that_need_no_kernel(
    jupyterlab: Server, page: JupyterPage, keep_picture: Keep
):
    path = jupyterlab.make("close", OPEN, TRAFFIC, "watch(lab)", "lab.close()")
    page.open(jupyterlab.url, jupyterlab.token, path)
    page.show_cell(3)
    page.run("notebook:run-all-above")
    picture_of(page)
    page.run("notebook:run-cell")
    page.until(lambda: page.page.locator(".ws-live").count() == 0, "a picture is still live")
    figure = page.page.locator(".jp-CodeCell").nth(1).locator("svg[role=img]").first
    assert "safe" in (figure.text_content() or "")
    page.command("docmanager:save")
    page.until(lambda: page.page.evaluate("() => window.__command") == "done", "not saved")
    saved = json.loads((jupyterlab.folder / path).read_text(encoding="utf-8"))
    shown = [output["data"] for cell in saved["cells"][1:3] for output in cell["outputs"]]
    assert ["application/vnd.jupyter.widget-view+json" in data for data in shown] == [False, False]
    assert "<svg" in "".join(shown[0]["text/html"])
    assert "image/svg+xml" in shown[0]
    assert "web-risk" in "".join(shown[1]["text/html"])
    page.show_cell(1)
    keep_picture(page, "closed")


def test_pictures_work_in_notebook_7(notebook7: Server, page: JupyterPage, keep_picture: Keep):
    path = notebook7.make("seven", OPEN, TRAFFIC, "watch(lab)")
    page.open(notebook7.url, notebook7.token, path, app="notebook")
    page.run()
    picture = picture_of(page)
    slider = picture.get_by_role("slider", name="weight of safe in VirtualService/web")
    slider.focus()
    slider.press("ArrowLeft")
    page.until(lambda: "expected 89," in (picture.text_content() or ""), "the key changed no weight")
    picture.get_by_role("button", name="Stop").click()
    picture.get_by_role("button", name="Start").wait_for(timeout=20_000)
    keep_picture(page, "traffic")
    overview = page.page.locator(".ws-overview")
    overview.scroll_into_view_if_needed()
    assert "VirtualService/web" in overview.inner_text()
    keep_picture(page, "overview")
    # Notebook 7 itself misses the settings of a plugin that only JupyterLab has.
    assert [text for text in page.complaints if "'schema'" not in text] == []
