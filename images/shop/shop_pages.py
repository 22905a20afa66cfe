"""The pages for people: HTML without anything from elsewhere, and without a script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from service_calls import Answer
from shop_socks import picture

__all__ = ["Frame", "basket", "detail", "orders", "refused", "shop"]

STYLE = """
:root { color-scheme: light dark; --page: #f4f6f8; --card: #ffffff; --ink: #1a2733; --soft: #52606d; --line: #d5dce3;
  --accent: #0b5ea8; --on-accent: #ffffff; --warn: #fdf1e3; --warn-ink: #7a3b00; }
@media (prefers-color-scheme: dark) { :root { --page: #12181f; --card: #1c252e; --ink: #e8edf2; --soft: #a6b3c0;
  --line: #344250; --accent: #7cbcf5; --on-accent: #0d1a26; --warn: #3a2a17; --warn-ink: #ffd9ae; } }
.yellow { color-scheme: light; --page: #ffd83d; --card: #fff8da; --ink: #241c00; --soft: #574a10; --line: #c9a400;
  --accent: #4a3800; --on-accent: #ffe98a; --warn: #ffffff; --warn-ink: #7a2b00; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
header, main, footer { max-width: 66rem; margin: 0 auto; padding: 1rem 1.25rem; }
header, nav, form { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: center; }
header { justify-content: space-between; }
a { color: var(--accent); } .brand { font: 700 1.4rem/1 Georgia, serif; color: var(--ink); text-decoration: none; }
label, .soft { color: var(--soft); }
input, button { font: inherit; padding: .35rem .7rem; border: 1px solid var(--line); border-radius: .5rem; }
input { background: var(--card); color: var(--ink); width: 8rem; }
button { background: var(--accent); color: var(--on-accent); border-color: var(--accent); cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
h1 { font: 600 clamp(1.5rem, 4vw, 2.1rem)/1.2 Georgia, serif; margin: .5rem 0 1rem; }
h2 { margin: 0; font-size: 1.1rem; }
.socks { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); padding: 0; margin: 0;
  list-style: none; }
.card, table { background: var(--card); border: 1px solid var(--line); border-radius: .9rem; padding: 1rem; }
.card svg { display: block; width: 100%; max-height: 9rem; } .card p { margin: .3rem 0 .8rem; }
li .card { height: 100%; display: flex; flex-direction: column; } li .card p { flex: 1; }
.card form { justify-content: space-between; flex-wrap: nowrap; gap: .4rem; white-space: nowrap; }
.card button { padding: .35rem .5rem; } .price { font-weight: 600; }
table { border-collapse: separate; border-spacing: 1rem .4rem; width: 100%; text-align: left; }
.number { text-align: right; }
.missing { padding: .6rem .8rem; background: var(--warn); color: var(--warn-ink); border-radius: .5rem;
  border-left: .3rem solid currentColor; } .missing small { display: block; }
footer ol { list-style: none; display: flex; flex-wrap: wrap; gap: .5rem; margin: .5rem 0; padding: 0; }
footer li { border: 1px solid var(--line); border-radius: .6rem; padding: .2rem .6rem; }
footer li small { display: block; }
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """What is around every page.

    Args:
        identity: service, version and pod of the front-end.
        user: who is logged in; empty for nobody.
        journey: the page's ``x-path``.
        cart: what carts answered; None if it was not asked.
    """

    identity: Mapping[str, str]
    user: str
    journey: str
    cart: Answer | None = None

    def around(self, title: str, body: str) -> str:
        """A complete HTML document."""
        colour = "yellow" if self.identity["version"].startswith("v2") else "plain"
        version = escape(f"{self.identity['service']} {self.identity['version']}".strip())
        return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - Sock shop</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body class="{colour}">
<header><a class="brand" href=".">Sock shop</a>
<nav><a href=".">Catalogue</a><a href="basket.html">{self._cart()}</a><a href="customer-orders.html">Orders</a></nav>
{self._login()}</header>
<main><h1>{escape(title)}</h1>
{body}
</main>
<footer class="soft">Made by {version}, pod {escape(self.identity["pod"])}. Pods that took part:
<ol>{_journey(self.journey)}</ol></footer>
</body>
</html>
"""

    def _cart(self) -> str:
        if self.cart is None:
            return "Cart"
        if not self.cart.ok:
            return "Cart (?)"
        return f"Cart ({sum(line['quantity'] for line in _lines(self.cart, 'items'))})"

    def _login(self) -> str:
        if self.user:
            return (
                f'<form method="post" action="logout"><span>Hello, <strong>{escape(self.user)}</strong></span>'
                "<button>Log out</button></form>"
            )
        return (
            '<form method="post" action="login"><label for="username">Name</label>'
            '<input id="username" name="username" required autocomplete="username" placeholder="nadia">'
            '<label for="password">Password</label>'
            '<input id="password" name="password" type="password" required placeholder="socks">'
            "<button>Log in</button></form>"
        )


def shop(frame: Frame, catalogue: Answer) -> str:
    """The socks, and what is missing."""
    cards = "".join(f"<li>{_card(sock)}</li>" for sock in _lines(catalogue, "socks"))
    body = f'<ul class="socks">{cards}</ul>' if catalogue.ok else _missing("The catalogue does not answer.", catalogue)
    return frame.around("Socks for everybody", _cart_missing(frame) + body)


def detail(frame: Frame, answer: Answer) -> str:
    """One sock."""
    if not answer.ok:
        told = "There is no such sock." if answer.status == 404 else "The catalogue does not answer."
        return frame.around("A sock", _missing(told, answer))
    sock = answer.data["sock"]
    return frame.around(str(sock["name"]), _cart_missing(frame) + _card(sock))


def basket(frame: Frame, catalogue: Answer) -> str:
    """What is in the cart."""
    cart = frame.cart
    if cart is None or not cart.ok:
        return frame.around("Your cart", _cart_missing(frame))
    lines = _lines(cart, "items")
    if not lines:
        return frame.around("Your cart", "<p>It is empty.</p>")
    names = {sock["id"]: sock["name"] for sock in _lines(catalogue, "socks")}
    rows = "".join(
        f"<tr><td>{escape(str(names.get(line['itemId'], line['itemId'])))}</td>"
        f'<td class="number">{line["quantity"]}</td><td class="number">{line["unitPrice"]:.2f}</td>'
        f'<td><form method="post" action="remove"><input type="hidden" name="id" '
        f'value="{escape(str(line["itemId"]))}"><button>Remove</button></form></td></tr>'
        for line in lines
    )
    total = sum(line["quantity"] * line["unitPrice"] for line in lines)
    order = (
        '<form method="post" action="orders"><button>Order and pay</button></form>'
        if frame.user
        else "<p>Log in to order.</p>"
    )
    head = '<tr><th>Sock</th><th class="number">Pairs</th><th class="number">Price</th><th></th></tr>'
    body = f'<table>{head}{rows}</table><p class="price">Together {total:.2f} EUR</p>{order}'
    return frame.around("Your cart", body)


def orders(frame: Frame, answer: Answer) -> str:
    """What was bought."""
    if not answer.ok:
        return frame.around("Your orders", _missing("Nobody knows your orders right now.", answer))
    rows = "".join(
        f"<tr><td>{escape(str(order['id']))}</td>"
        f'<td class="number">{sum(line["quantity"] for line in order["items"])}</td>'
        f'<td class="number">{order["total"]:.2f} EUR</td><td>paid, on its way</td></tr>'
        for order in _lines(answer, "orders")
    )
    head = '<tr><th>Order</th><th class="number">Pairs</th><th class="number">Paid</th><th></th></tr>'
    return frame.around("Your orders", f"<table>{head}{rows}</table>" if rows else "<p>There are none yet.</p>")


def refused(frame: Frame, told: str, reason: str) -> str:
    """Something was not done."""
    note = f'<p class="missing" role="alert">{escape(told)}<small>{escape(reason)}</small></p>'
    return frame.around("Sorry", f'{note}<p><a href="basket.html">To your cart</a></p>')


def _lines(answer: Answer, key: str) -> list[dict[str, Any]]:
    """A list out of an answer; empty if somebody else answered, who has no such list."""
    found = answer.data.get(key) if isinstance(answer.data, dict) else None
    return found if isinstance(found, list) else []


def _card(sock: Mapping[str, Any]) -> str:
    item = escape(str(sock["id"]))
    return (
        f'<article class="card">{picture(sock)}<h2><a href="detail.html?id={item}">{escape(str(sock["name"]))}</a>'
        f"</h2><p>{escape(str(sock['description']))}</p>"
        f'<form method="post" action="cart"><span class="price">{sock["price"]:.2f} EUR</span>'
        f'<input type="hidden" name="id" value="{item}"><button>Add to cart</button></form></article>'
    )


def _missing(text: str, answer: Answer) -> str:
    return f'<p class="missing" role="status">{escape(text)}<small>{escape(answer.reason)}</small></p>'


def _cart_missing(frame: Frame) -> str:
    if frame.cart is None or frame.cart.ok:
        return ""
    return _missing("Your cart does not answer. You can look around, but not buy.", frame.cart)


def _journey(path: str) -> str:
    items = []
    for hop in path.split(","):
        service, version, pod = [*hop.strip().split("/"), "", ""][:3]
        items.append(f"<li><strong>{escape(f'{service} {version}'.strip())}</strong><small>{escape(pod)}</small></li>")
    return "".join(items)
