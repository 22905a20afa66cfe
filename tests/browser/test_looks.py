"""How pictures and cards look: text measured against its box on pages of several widths, and what axe says of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gallery import gallery

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

pytestmark = pytest.mark.browser

# The variables of JupyterLab's own themes.
THEMES = {
    "light": "--jp-content-font-color1:rgba(0,0,0,.87);--jp-content-font-color2:rgba(0,0,0,.54);"
    "--jp-layout-color1:#fff;--jp-border-color2:#e0e0e0;background:#fff",
    "dark": "--jp-content-font-color1:#fff;--jp-content-font-color2:rgba(255,255,255,.7);"
    "--jp-layout-color1:#111;--jp-border-color2:#424242;background:#111",
}
# What sticks out by more than a pixel: text of its picture or frame, words over words, content of a panel.
OUT = """() => {
    const faults = [], shown = (e) => e.getClientRects().length > 0;
    const name = (e) => e.closest('section[id]').id;
    for (const svg of document.querySelectorAll('section svg[role=img]')) {
        if (!shown(svg)) continue;
        const words = [...svg.querySelectorAll('text')].filter((e) => e.textContent.trim() && shown(e));
        const boxes = words.map((e) => e.getBoundingClientRect());
        const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        words.forEach((e, i) => {
            const frame = e.closest('.ws-box')?.querySelector('rect') ?? svg;
            const outer = frame.getBoundingClientRect(), inner = boxes[i];
            const out = Math.max(outer.left - inner.left, inner.right - outer.right, outer.top - inner.top,
                inner.bottom - outer.bottom);
            if (out > 1) faults.push(`${name(e)}: '${e.textContent}' sticks out by ${out.toFixed(1)} px`);
            if (parseFloat(getComputedStyle(e).fontSize) * scale < 9.9) {
                faults.push(`${name(e)}: '${e.textContent}' is ${(12 * scale).toFixed(1)} px high`);
            }
            for (let k = i + 1; k < words.length; k += 1) {
                const other = boxes[k];
                const wide = Math.min(inner.right, other.right) - Math.max(inner.left, other.left);
                const high = Math.min(inner.bottom, other.bottom) - Math.max(inner.top, other.top);
                if (wide > 1 && high > 4) {
                    faults.push(`${name(e)}: '${e.textContent}' and '${words[k].textContent}' meet`);
                }
            }
        });
    }
    for (const panel of document.querySelectorAll('.ws, .ws-panel, .ws-panel pre, .ws-row > *')) {
        const over = panel.scrollWidth - panel.clientWidth;
        if (!shown(panel) || over <= 1) continue;
        faults.push(`${name(panel)}: ${panel.className || panel.tagName} needs ${over} px more`);
    }
    return faults;
}"""


def show_gallery(page: JupyterPage, theme: str) -> None:
    light = str(theme == "light").lower()
    sections = "".join(f'<section id="{name}">{html}</section>' for name, html in gallery().items())
    page.page.set_content(
        f'<html lang="en"><head><title>pictures</title></head><body data-jp-theme-light="{light}" '
        f'style="margin:12px;{THEMES[theme]}"><main>{sections}</main></body></html>'
    )
    page.page.evaluate("() => document.querySelectorAll('details').forEach((e) => { e.open = true; })")


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_text_stays_in_its_box(theme: str, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]):
    show_gallery(page, theme)
    for width in (700, 1_000, 1_280, 1_920):
        page.page.set_viewport_size({"width": width, "height": 1000})
        keep_picture(page, str(width))
        assert (width, page.page.evaluate(OUT)) == (width, [])


def test_nothing_that_lessons_show_is_shortened_where_there_is_room():
    shown = gallery()
    for name in ("traffic", "traffic-recent", "traffic-scaled", "explain", "explain-unruled", "graph", "pushed"):
        assert "…" not in shown[name], name
    assert "scale web-safe to 9" in shown["traffic-scaled"] and "scale web-risk to 1" in shown["traffic-scaled"]


# Of what axe calls serious or critical, with the element and the reason.
SERIOUS = """() => axe.run('main').then(({violations}) => violations
    .filter(({impact}) => impact === 'serious' || impact === 'critical')
    .flatMap(({id, nodes}) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)}: ${node.failureSummary}`)))"""


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_axe_finds_nothing_serious(theme: str, page: JupyterPage, javascript_packages: Path):
    show_gallery(page, theme)
    page.page.add_script_tag(path=javascript_packages / "axe-core" / "axe.min.js")
    assert page.page.evaluate(SERIOUS) == []


def test_axe_finds_what_it_is_there_for(page: JupyterPage, javascript_packages: Path):
    page.page.set_content('<html lang="en"><main><svg role="img"><path d="M0 0"/></svg></main></html>')
    page.page.add_script_tag(path=javascript_packages / "axe-core" / "axe.min.js")
    assert [text.partition(":")[0] for text in page.page.evaluate(SERIOUS)] == ["svg-img-alt"]


def test_words_that_leave_their_box_are_noticed(page: JupyterPage):
    box = '<g class="ws-box"><rect width="40" height="20"/><text y="15">words that are too long</text></g>'
    svg = f'<svg role="img" viewBox="0 0 300 40" width="300" height="40">{box}<text y="17">other words</text></svg>'
    page.page.set_content(f'<section id="made"><div class="ws">{svg}</div></section>')
    told = page.page.evaluate(OUT)
    assert "'words that are too long' sticks out by" in told[0]
    assert "meet" in told[1]
