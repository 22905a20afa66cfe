"""The shop in Chromium: somebody buys a pair of socks, without a mesh and through its gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
import yaml

from labsupport.course.shopping import visit
from labsupport.display.html.pages import visits_html
from labsupport.lab.lab import Lab

if TYPE_CHECKING:
    from jupyter_page import JupyterPage

pytestmark = pytest.mark.browser

SERVICES = ("carts", "catalogue", "front-end", "orders", "payment", "shipping", "user")
LABELS = {"sidecar.istio.io/inject": "true"}
HOST = {"hosts": ["*"]}
ENTRANCE = [
    {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "shop"},
        "spec": {
            "selector": {"istio": "ingressgateway"},
            "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, **HOST}],
        },
    },
    {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "shop"},
        "spec": {**HOST, "gateways": ["shop"], "http": [{"route": [{"destination": {"host": "front-end"}}]}]},
    },
]


@pytest.fixture(scope="module")
def opened() -> Iterator[Lab]:
    with Lab("embedded") as lab:
        yield lab


@pytest.fixture
def lab(opened: Lab) -> Lab:
    """A lab with the shop, without a sidecar and in its first version."""
    opened.apply("apps/shop")
    return opened


def bring_into_the_mesh(lab: Lab) -> None:
    for service in SERVICES:
        lab.patch(f"deploy/{service}", {"spec": {"template": {"metadata": {"labels": LABELS}}}})
    lab.apply(yaml.safe_dump_all(ENTRANCE), name="entrance")


@pytest.mark.parametrize("meshed", [False, True], ids=["without a mesh", "through the gateway"])
def test_somebody_buys_socks(
    lab: Lab, meshed: bool, page: JupyterPage, keep_picture: Callable[[JupyterPage, str], None]
) -> None:
    if meshed:
        bring_into_the_mesh(lab)
    person = page.page
    failed: list[str] = []
    person.on("requestfailed", lambda request: failed.append(request.url))
    person.on("console", lambda message: failed.append(message.text) if message.type == "error" else None)
    person.goto(lab.urls()["gateway" if meshed else "nodeport:front-end"])
    assert person.title() == "Socks for everybody - Sock shop"
    keep_picture(page, "catalogue")
    # Every sock has a picture of its own size, with something in it.
    drawn = person.locator("article svg").all()
    assert len(drawn) == 8
    assert all(box is not None and box["height"] > 60 for box in (each.bounding_box() for each in drawn))

    person.get_by_role("article").filter(has_text="Night Train").get_by_role("button", name="Add to cart").click()
    assert "18.00" in person.get_by_role("row").filter(has_text="Night Train").inner_text()
    person.get_by_label("Name").fill("nadia")
    person.get_by_label("Password").fill("socks")
    person.get_by_role("button", name="Log in").click()
    person.get_by_text("Hello, nadia").wait_for()
    person.get_by_role("link", name="Cart (1)").click()
    keep_picture(page, "cart")
    person.get_by_role("button", name="Order and pay").click()
    person.get_by_role("heading", name="Your orders").wait_for()
    assert "18.00 EUR" in person.get_by_role("table").inner_text()
    person.get_by_role("link", name="Cart (0)").wait_for()
    keep_picture(page, "orders")
    assert not failed


def test_the_yellow_version_is_seen_to_be_yellow(
    lab: Lab, page: JupyterPage, keep_picture: Callable[..., None]
) -> None:
    lab.scale("front-end", 0)
    lab.apply("apps/shop-v2")
    for scheme in ("light", "dark"):
        page.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.page.goto(lab.urls()["nodeport:front-end"])
        keep_picture(page, scheme)
        shown = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert shown == "rgb(255, 216, 61)"


def test_pages_in_a_notebook_are_those_of_the_shop(
    lab: Lab, page: JupyterPage, keep_picture: Callable[..., None]
) -> None:
    lab.scale("front-end", 0)
    lab.apply("apps/shop-v2")
    page.page.set_content(visits_html(visit(lab, "nodeport:front-end/", count=3)))
    keep_picture(page, "pages")
    frames = page.page.frames[1:]
    shown = "getComputedStyle(document.body).backgroundColor"
    assert [frame.evaluate(shown) for frame in frames] == ["rgb(255, 216, 61)"] * 3
    assert [frame.locator("article svg").count() for frame in frames] == [8] * 3
