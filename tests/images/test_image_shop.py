"""The shop: each service by itself, what they do together, and what the page says when one is missing."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import requests
from image_app import IMAGES, App, StartApp, environment, free_port

BACK = ("catalogue", "carts", "payment", "shipping", "user")
ROLES = (*BACK, "orders", "front-end", "queue-master")
HTML = {"accept": "text/html,application/xhtml+xml"}
# A busy machine must not look like a slow service, except where a test sets limits of its own.
PATIENT = {f"{name.upper()}_TIMEOUT_S": "60" for name in (*BACK, "orders")}


class Shop:
    """The services, each knowing the addresses of those that it asks."""

    def __init__(self, start_app: StartApp) -> None:
        self._start_app = start_app
        self.apps: dict[str, App] = {}
        for role in (*BACK, "orders", "front-end"):
            self.apps[role] = self.another(role, SERVICE_VERSION="v1", POD_NAME=f"{role}-1")

    def another(self, role: str, **env: str) -> App:
        """One more pod of a role, that knows the others unless it is told otherwise."""
        urls = {f"{name.upper()}_URL": app.url for name, app in self.apps.items()}
        return self._start_app("shop", **{"ROLE": role, **PATIENT, **urls, **env})

    def visitor(self, **headers: str) -> Visitor:
        return Visitor(self.apps["front-end"], headers)


def nobody() -> str:
    """An address at which nothing listens."""
    return f"http://127.0.0.1:{free_port()}"


class Visitor(requests.Session):
    """Somebody with a browser of his own."""

    def __init__(self, page: App, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.page = page
        self.headers.update(headers or {})

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.request(method, f"{self.page.url}{path}", timeout=60, **options)

    def log_in(self, name: str = "nadia") -> None:
        reply = self.ask("POST", "/login", data={"username": name, "password": "socks"})
        assert reply.status_code == 200, reply.text


@pytest.fixture(scope="module")
def shop(start_app: StartApp) -> Shop:
    return Shop(start_app)


@pytest.fixture(scope="module")
def carts(start_app: StartApp) -> App:
    return start_app("shop", ROLE="carts")


def hops(reply: Any) -> list[str]:
    return [part.strip().partition("/")[0] for part in reply.headers["x-path"].split(",")]


def items(reply: requests.Response) -> dict[str, int]:
    return {line["itemId"]: line["quantity"] for line in reply.json()["items"]}


# The whole shop, as people use it and as programs do.


def test_a_sock_is_looked_at_put_into_the_cart_ordered_paid_and_sent(shop: Shop) -> None:
    person = shop.visitor(**HTML)
    page = person.ask("GET", "/")
    assert page.headers["content-type"].startswith("text/html") and "Cart (0)" in page.text
    assert page.text.count('action="cart"') == 8
    assert page.headers["x-parts"] == "catalogue=200, carts=200"
    assert "Night Train" in person.ask("GET", "/detail.html?id=night-train").text

    basket = person.ask("POST", "/cart", data={"id": "night-train"})
    assert basket.url.endswith("/basket.html") and "Night Train" in basket.text and "18.00" in basket.text
    assert "Log in to order." in basket.text
    assert person.ask("POST", "/orders").status_code == 401

    # What was put into the cart before is there afterwards.
    person.log_in()
    assert "Hello, <strong>nadia</strong>" in person.ask("GET", "/").text
    assert "Order and pay" in person.ask("GET", "/basket.html").text
    answer = person.ask("POST", "/orders", allow_redirects=False)
    assert answer.status_code == 303 and answer.headers["x-parts"] == "carts=200, orders=200"
    assert hops(answer) == ["front-end", "carts", "orders", "user", "carts", "payment", "shipping"]
    orders = person.ask("GET", "/customer-orders.html").text
    assert "18.00 EUR" in orders and "Cart (0)" in orders
    number = re.findall(r"<td>([0-9a-f]{12})</td>", orders)[0]
    sent = shop.apps["shipping"].get("/shipping").json()["shipments"]
    assert {"id": number, "name": "Nadia"} in sent
    assert shop.apps["orders"].get(f"/orders/{number}").json()["order"]["total"] == 18.0

    person.ask("POST", "/logout")
    assert "Hello" not in person.ask("GET", "/").text
    assert person.ask("GET", "/customer-orders.html").status_code == 401


def test_a_program_buys_with_json(shop: Shop) -> None:
    program = shop.visitor()
    assert program.ask("GET", "/login", auth=("tomasz", "socks")).json()["user"]["id"] == "tomasz"
    added = program.ask("POST", "/cart", json={"id": "ember", "quantity": 2})
    assert (added.status_code, items(added)) == (201, {"ember": 2})
    assert items(program.ask("GET", "/cart")) == {"ember": 2}
    made = program.ask("POST", "/orders")
    assert made.status_code == 201 and made.json()["order"]["total"] == 28.0
    assert made.json()["service"] == "front-end"
    assert items(program.ask("GET", "/cart")) == {}
    assert [order["total"] for order in program.ask("GET", "/orders").json()["orders"]] == [28.0]
    whole = program.ask("GET", "/").json()
    assert whole["user"] == "tomasz" and len(whole["catalogue"]["socks"]) == 8 and whole["carts"]["items"] == []


def test_what_the_catalogue_says_is_passed_on_to_programs(shop: Shop) -> None:
    program = shop.visitor()
    red = program.ask("GET", "/catalogue?tags=red")
    assert {sock["id"] for sock in red.json()["socks"]} == {"ember", "beetroot"}
    assert red.json()["service"] == "front-end" and hops(red) == ["front-end", "catalogue"]
    assert program.ask("GET", "/catalogue/size").json()["size"] == 8
    assert program.ask("GET", "/catalogue/ember").json()["sock"]["price"] == 14.0
    assert program.ask("GET", "/catalogue/nothing").status_code == 404
    assert "striped" in program.ask("GET", "/tags").json()["tags"]


def test_a_sock_is_taken_out_of_the_cart_again(shop: Shop) -> None:
    person = shop.visitor(**HTML)
    for item in ("ember", "lagoon", "meadow"):
        person.ask("POST", "/cart", data={"id": item})
    assert "Cart (2)" in person.ask("POST", "/remove", data={"id": "ember"}).text
    del person.headers["accept"]
    assert items(person.ask("DELETE", "/cart/lagoon")) == {"meadow": 1}
    assert items(person.ask("DELETE", "/cart")) == {}


def test_visitors_do_not_see_each_other_s_carts(shop: Shop) -> None:
    first, second = shop.visitor(), shop.visitor()
    first.ask("POST", "/cart", json={"id": "ember"})
    second.ask("POST", "/cart", json={"id": "lagoon"})
    assert items(first.ask("GET", "/cart")) == {"ember": 1} and items(second.ask("GET", "/cart")) == {"lagoon": 1}
    # A session that nobody was given is no session.
    assert items(shop.visitor(cookie="shop_session=../../nadia").ask("GET", "/cart")) == {}


def test_too_dear_an_order_is_declined_and_nothing_is_bought(shop: Shop) -> None:
    program = shop.visitor()
    program.log_in("tomasz")
    program.ask("POST", "/cart", json={"id": "grand-tour", "quantity": 2})
    before = len(program.ask("GET", "/orders").json()["orders"])
    declined = program.ask("POST", "/orders")
    assert declined.status_code == 402 and "declined" in declined.json()["error"]
    page = program.ask("POST", "/orders", headers=HTML)
    assert page.status_code == 402 and "your payment was declined" in page.text
    assert items(program.ask("GET", "/cart")) == {"grand-tour": 2}
    assert len(program.ask("GET", "/orders").json()["orders"]) == before
    program.ask("DELETE", "/cart")
    assert program.ask("POST", "/orders").status_code == 400


@pytest.mark.parametrize(("name", "password"), [("nadia", "shoes"), ("nobody", "socks"), ("", "")])
def test_somebody_unknown_is_not_let_in(shop: Shop, name: str, password: str) -> None:
    person = shop.visitor(**HTML)
    reply = person.ask("POST", "/login", data={"username": name, "password": password})
    assert reply.status_code == 401 and "no such user" in reply.text
    assert "Hello" not in person.ask("GET", "/").text


@pytest.mark.parametrize("given", [{"id": "../user"}, {"id": 7}, {}, {"id": "ember", "quantity": "many"}])
def test_an_odd_wish_is_refused(shop: Shop, given: dict[str, Any]) -> None:
    assert shop.visitor().ask("POST", "/cart", json=given).status_code == 400


def test_the_page_goes_where_the_sock_is_unknown(shop: Shop) -> None:
    assert shop.visitor(**HTML).ask("GET", "/detail.html?id=shoe").status_code == 404
    assert shop.visitor().ask("POST", "/cart", json={"id": "shoe"}).status_code == 404


# Versions, and who knows whom.


@pytest.mark.parametrize(("version", "colour"), [("v2", "yellow"), ("", "plain")])
def test_the_second_version_is_yellow(shop: Shop, version: str, colour: str) -> None:
    assert '<body class="plain">' in shop.visitor(**HTML).ask("GET", "/").text
    page = shop.another("front-end", SERVICE_VERSION=version).get("/", headers=HTML).text
    assert f'<body class="{colour}">' in page
    assert f"Made by front-end{' ' + version if version else ''}, pod " in page


@pytest.mark.parametrize("shared", ["false", "true"])
def test_another_pod_of_the_page_knows_who_logged_in_only_if_sessions_are_shared(shop: Shop, shared: str) -> None:
    first, second = (shop.another("front-end", SESSION_REDIS=shared) for _ in range(2))
    person = Visitor(first)
    person.log_in("tomasz")
    assert person.ask("GET", "/").json()["user"] == "tomasz"
    person.page = second
    assert person.ask("GET", "/").json()["user"] == ("tomasz" if shared == "true" else "")
    person.page = first
    person.ask("POST", "/logout")
    person.page = second
    assert person.ask("GET", "/").json()["user"] == ""


def test_pictures_are_drawn_by_the_shop_and_fetch_nothing(shop: Shop) -> None:
    page = shop.visitor(**HTML).ask("GET", "/").text
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 8 == len(set(pictures))
    for drawn in pictures:
        assert ET.fromstring(drawn).get("aria-label")
    assert "<script" not in page and not re.search(r"(?:src|href)=\"(?:https?:)?//", page)


def test_letters_have_the_contrast_that_reading_needs_in_every_look(shop: Shop) -> None:
    page = shop.visitor(**HTML).ask("GET", "/").text
    looks = [dict(re.findall(r"--([\w-]+): (#\w{6})", look)) for look in re.findall(r"{[^{}]*--ink: [^{}]*}", page)]
    assert len(looks) == 3
    for look in looks:
        for pair in ("ink page", "ink card", "soft page", "accent page", "on-accent accent", "warn-ink warn"):
            darker, lighter = sorted(luminance(look[name]) for name in pair.split())
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (pair, look)


def luminance(colour: str) -> float:
    """WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# What goes along, and what is missing.


def test_the_headers_that_tell_who_asks_go_along(shop: Shop, start_app: StartApp) -> None:
    echo = start_app("web", SERVICE_NAME="echo")
    page = shop.another("front-end", CATALOGUE_URL=f"{echo.url}/headers?")
    sent = {
        "x-request-id": "r-1",
        "traceparent": "00-1-2-01",
        "end-user": "nobody",
        "x-b3-traceid": "7",
        "x-other": "1",
    }
    seen = page.get("/catalogue", headers=sent).json()["headers"]
    assert {name: seen.get(name) for name in sent} == {**sent, "x-other": None}
    # Who logged in on the page is told to the services, too.
    person = Visitor(page)
    assert "end-user" not in person.ask("GET", "/catalogue").json()["headers"]
    person.log_in()
    assert person.ask("GET", "/catalogue").json()["headers"]["end-user"] == "nadia"


def test_a_service_can_be_told_to_tear_traces(shop: Shop, start_app: StartApp) -> None:
    echo = start_app("web", SERVICE_NAME="echo")
    page = shop.another("front-end", CATALOGUE_URL=f"{echo.url}/headers?", FORWARD_TRACE="false")
    sent = {"x-request-id": "r-1", "traceparent": "00-1-2-01", "tracestate": "a=b", "b3": "0", "x-b3-traceid": "7"}
    seen = page.get("/catalogue", headers=sent).json()["headers"]
    assert {name: seen[name] for name in sent if name in seen} == {"x-request-id": "r-1"}


def test_the_pages_lead_to_each_other_below_any_address(shop: Shop) -> None:
    # Behind a hub the shop's "/" is /user/ann/proxy/8081/.
    person = shop.visitor(**HTML)
    refused = person.ask("POST", "/login", data={"username": "nobody", "password": "x"})
    person.log_in()
    person.ask("POST", "/cart", data={"id": "ember"})
    paths = ("/", "/detail.html?id=ember", "/basket.html", "/customer-orders.html")
    for page in (refused, *(person.ask("GET", path) for path in paths)):
        links = set(re.findall(r'(?:href|action)="(?!data:)([^"]*)"', page.text))
        assert len(links) >= 4
        for link in links:
            assert not link.startswith("/")
            assert shop.visitor().ask("GET", f"/{link.removeprefix('.')}").status_code != 404, link


def test_without_carts_the_page_says_so_and_shows_the_socks(shop: Shop) -> None:
    person = Visitor(shop.another("front-end", CARTS_URL=nobody()), HTML)
    # Somebody can still log in.
    person.log_in()
    page = person.ask("GET", "/")
    assert page.status_code == 200 and page.headers["x-parts"] == "catalogue=200, carts=failed"
    assert "Your cart does not answer." in page.text and "Cart (?)" in page.text
    assert page.text.count('action="cart"') == 8
    assert "no connection to carts" in person.ask("GET", "/basket.html").text
    reply = person.ask("POST", "/cart", data={"id": "ember"})
    assert reply.status_code == 504 and 'role="alert"' in reply.text
    assert person.ask("GET", "/", headers={"accept": "*/*"}).json()["carts"]["reason"].startswith("no connection")


def test_a_cart_that_hangs_holds_the_page_for_its_own_limit_and_no_longer(shop: Shop) -> None:
    carts = shop.another("carts", HOLD="true", HOLD_S="60")
    person = Visitor(shop.another("front-end", CARTS_URL=carts.url, CARTS_TIMEOUT_S="5", TIME_SCALE="10"), HTML)
    page = person.ask("GET", "/")
    assert "no answer from carts within 0.5 s" in page.text
    assert 0.5 <= page.elapsed.total_seconds() < 20
    assert carts.post("/fault/release").status_code == 200


@pytest.mark.parametrize("missing", ["carts", "user", "payment", "shipping"])
def test_an_order_fails_as_the_part_that_is_missing(shop: Shop, missing: str) -> None:
    orders = shop.another("orders", **{f"{missing.upper()}_URL": nobody()})
    cart = f"{shop.apps['carts'].url}/carts/nadia"
    requests.post(f"{cart}/items", json={"itemId": "ember", "unitPrice": 14}, timeout=60)
    direct = orders.post("/orders", json={"customer": "http://user/customers/nadia"})
    assert direct.status_code == 504 and f"no connection to {missing}" in direct.json()["error"]
    assert orders.get("/orders").json()["orders"] == []
    assert items(requests.get(cart, timeout=60)) and items(requests.delete(cart, timeout=60)) == {}


def test_the_page_tells_of_an_order_that_nobody_takes(shop: Shop) -> None:
    person = Visitor(shop.another("front-end", ORDERS_URL=nobody()), HTML)
    person.log_in()
    reply = person.ask("POST", "/orders")
    assert reply.status_code == 504 and "a part of the shop does not answer" in reply.text
    assert "Nobody knows your orders right now." in person.ask("GET", "/customer-orders.html").text


# Each service by itself.


def test_what_the_pod_is_called_says_which_service_it_is_unless_its_role_does(shop: Shop) -> None:
    assert shop.another("", SERVICE_NAME="shipping").get("/shipping").status_code == 200
    assert shop.another("payment", SERVICE_NAME="shipping").get("/shipping").status_code == 404


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_healthy_and_misbehaves_on_request(shop: Shop, role: str) -> None:
    app = shop.apps.get(role) or shop.another(role)
    assert app.get("/health").json()["health"] == [{"service": role, "status": "OK"}]
    assert app.get("/health", headers={"x-fault": "FAIL_STATUS=429"}).status_code == 429


def test_a_cart_holds_what_is_put_into_it(carts: App) -> None:
    def lines(method: str, path: str, **body: Any) -> requests.Response:
        return requests.request(method, f"{carts.url}/carts/a{path}", json=body, timeout=60)

    assert items(lines("POST", "/items", itemId="x", unitPrice=2)) == {"x": 1}
    assert items(lines("POST", "/items", itemId="x", unitPrice=2.5, quantity=3)) == {"x": 4}
    assert items(lines("POST", "/items", itemId="y", unitPrice=1)) == {"x": 4, "y": 1}
    assert items(lines("PATCH", "/items", itemId="y", quantity=7)) == {"x": 4, "y": 7}
    assert lines("PATCH", "/items", itemId="z", quantity=7).status_code == 404
    assert items(lines("DELETE", "/items/x")) == {"y": 7}
    assert items(carts.get("/carts/b/merge?sessionId=a")) == {"y": 7} and items(carts.get("/carts/a")) == {}
    assert items(carts.get("/carts/b/merge?sessionId=b")) == {"y": 7}
    assert items(requests.delete(f"{carts.url}/carts/b", timeout=60)) == {}


@pytest.mark.parametrize(
    "body",
    [
        "[]", "{", '{"itemId": "x"}', '{"itemId": "x", "unitPrice": NaN}', '{"itemId": "x", "unitPrice": -1}',
        '{"itemId": "", "unitPrice": 1}', '{"itemId": "x", "unitPrice": 1, "quantity": 0}',
        '{"itemId": "x", "unitPrice": 1, "quantity": 1.5}', '{"itemId": "x", "unitPrice": true}',
    ],
)  # fmt: skip
def test_a_cart_refuses_what_makes_no_sense(carts: App, body: str) -> None:
    assert carts.post("/carts/odd/items", data=body).status_code == 400
    assert items(carts.get("/carts/odd")) == {}


def test_a_pod_remembers_only_so_much(carts: App) -> None:
    with requests.Session() as session:

        def put(cart: str, item: str) -> int:
            body = {"itemId": item, "unitPrice": 1}
            return session.post(f"{carts.url}/carts/{cart}/items", json=body, timeout=60).status_code

        assert [put("full", str(number)) for number in range(51)] == [200] * 50 + [400]
        for number in range(1_000):
            put(f"c{number}", "x")
    assert items(carts.get("/carts/full")) == {}
    assert items(carts.get("/carts/c0")) == {"x": 1}


def test_payment_says_yes_up_to_its_bound(start_app: StartApp) -> None:
    payment = start_app("shop", ROLE="payment", DECLINE_OVER="20")
    assert payment.post("/paymentAuth", json={"amount": 20}).json()["authorised"] is True
    declined = payment.post("/paymentAuth", json={"amount": 20.01})
    assert declined.status_code == 402 and declined.json()["authorised"] is False
    assert payment.post("/paymentAuth", json={}).status_code == 400


def test_users_are_known_by_name(shop: Shop) -> None:
    user = shop.apps["user"]
    assert [each["id"] for each in user.get("/customers").json()["customers"]] == ["nadia", "tomasz"]
    assert user.get("/customers/nadia").json()["customer"]["address"]["city"] == "Nantes"
    assert user.get("/customers/nobody").status_code == 404
    assert user.get("/login", headers={"authorization": "Basic !"}).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"), [({"customer": "nobody"}, 404), ({"customer": "a b"}, 404), ({"customer": 1}, 400), ({}, 400)]
)
def test_an_order_needs_a_customer(shop: Shop, body: dict[str, Any], status: int) -> None:
    assert shop.apps["orders"].post("/orders", json=body).status_code == status


def test_a_role_that_does_not_exist_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=IMAGES / "shop", env=environment(free_port(), {"ROLE": "till"}),
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.decode().startswith("ROLE must be one of front-end, catalogue, ")


def test_an_order_that_nobody_made_is_not_there(shop: Shop) -> None:
    assert shop.apps["orders"].get("/orders/none").status_code == 404
