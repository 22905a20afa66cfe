"""The picture of traffic as people see it who see fewer colours, or letters only with enough contrast."""

from __future__ import annotations

import io
import itertools
import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from labsupport.display.pictures.timeline import Timeline
from labsupport.display.pictures.traffic_picture import Change, TrafficPicture, traffic_figure
from labsupport.records import Hop, Response

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

pytestmark = pytest.mark.browser

T0 = 1_790_000_000.0
# Chromium's own simulations.
SEEN = ("none", "protanopia", "deuteranopia", "tritanopia", "achromatopsia")
MARKS = """() => Object.fromEntries(['0', '1', '2', 'e'].map((key) => {
    const box = [...document.querySelectorAll(`.ws-big svg path.ws-c${key}`)].map((e) => e.getBoundingClientRect())
        .find((b) => b.x > 650 && b.height < 16); // in the legend, right of the plot
    return [key, [box.x + box.width / 2, box.y + box.height / 2]];
}))"""
TEXTS = """() => [...document.querySelectorAll('.ws text, .ws .ws-title, .ws summary')]
    .filter((e) => e.getClientRects().length)
    .map((e) => getComputedStyle(e)[e.closest('svg') ? 'fill' : 'color'])"""


def figure() -> str:
    dice, made = random.Random(7), []
    for index in range(1_000):
        version = dice.choices(("v1", "v2", "v3"), (0.4, 0.3, 0.3))[0]
        failed = version == "v3" and index % 5 == 0
        body = "no healthy upstream" if failed else ""
        path = () if failed else (Hop("reviews", version, f"reviews-{version}"),)
        made.append(
            Response(
                index,
                T0 + index * 0.029,
                dice.uniform(0.002, 0.009),
                "http_error" if failed else "ok",
                503 if failed else 200,
                f"id-{index}",
                path,
                body=body,
            )
        )
    timeline = Timeline(origin_s=T0)
    timeline.add(made)
    shown = traffic_figure(
        TrafficPicture(timeline),
        now_s=T0 + 29,
        changes=[Change(T0 + 12, "apply 40/30/30", 0.004)],
        expected={"v1": 40, "v2": 30, "v3": 30},
        subtitle="productpage → reviews",
    )
    return shown._repr_html_()


def page_with(page: JupyterPage, theme: str) -> None:
    back = "#fff" if theme == "light" else "#111"
    light = "true" if theme == "light" else "false"
    # The variables of JupyterLab's own themes.
    colours = (
        "--jp-content-font-color1:rgba(0,0,0,.87);--jp-content-font-color2:rgba(0,0,0,.54);--jp-layout-color1:#fff;"
        "--jp-border-color2:#e0e0e0"
        if theme == "light"
        else "--jp-content-font-color1:#fff;--jp-content-font-color2:rgba(255,255,255,.7);--jp-layout-color1:#111;"
        "--jp-border-color2:#424242"
    )
    page.page.set_viewport_size({"width": 1100, "height": 420})
    page.page.set_content(
        f'<body data-jp-theme-light="{light}" style="background:{back};{colours};margin:20px">{figure()}</body>'
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_versions_and_errors_are_told_apart_whatever_colours_one_sees(
    theme: str, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]
):
    from PIL import Image

    page_with(page, theme)
    places = page.page.evaluate(MARKS)
    session = page.page.context.new_cdp_session(page.page)
    for seen in SEEN:
        session.send("Emulation.setEmulatedVisionDeficiency", {"type": seen})
        keep_picture(page, seen)
        image = Image.open(io.BytesIO(page.page.screenshot())).convert("RGB")
        colours = {key: image.getpixel((round(x), round(y))) for key, (x, y) in places.items()}
        if seen == "achromatopsia":
            continue  # without any colour, the shapes tell; that they differ is tested elsewhere
        for combination, other in itertools.combinations(colours, 2):
            distance = math.dist(colours[combination], colours[other])  # type: ignore[arg-type]
            assert distance > 30, (seen, combination, other, colours)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_have_the_contrast_that_reading_needs(theme: str, page: JupyterPage):
    page_with(page, theme)
    back = (255, 255, 255) if theme == "light" else (17, 17, 17)
    evaluate = {text for text in page.page.evaluate(TEXTS)}
    assert len(evaluate) >= 2
    for colour in evaluate:
        numbers = [float(part) for part in colour[colour.index("(") + 1 : -1].replace("/", ",").split(",")]
        alpha = numbers[3] if len(numbers) > 3 else 1.0
        mixed = [alpha * own + (1 - alpha) * below for own, below in zip(numbers, back, strict=False)]
        assert contrast(mixed, back) >= 4.5, colour


def contrast(colour: list[float], other: tuple[int, ...]) -> float:
    """WCAG 2.2, 1.4.3."""

    def luminance(rgb: list[float] | tuple[int, ...]) -> float:
        linear = [c / 3294.6 if c <= 10.31 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(colour), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)
