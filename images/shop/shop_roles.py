"""What the services behind the page answer."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import math
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from service import Service
from service_calls import Answer, Caller
from shop_socks import SOCKS
from shop_state import Store
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = ["BACK_ENDS", "JSON_BODY", "Role", "read_json", "status_of"]

JSON_BODY = ("content-type", "application/json")
MAX_CARTS = 1_000
MAX_LINES = 50
MAX_QUANTITY = 99
MAX_PRICE = 10_000
MAX_REMEMBERED = 1_000
MAX_NAME = 64
_PLAIN = re.compile(r"[\w.-]+", re.ASCII)
# People of the project's own; there is nothing to protect.
PASSWORD = "socks"
CUSTOMERS: dict[str, dict[str, Any]] = {
    name.lower(): {
        "id": name.lower(),
        "username": name.lower(),
        "firstName": name,
        "address": {"street": street, "city": city, "country": country},
        "card": {"longNum": f"**** **** **** {number}", "expires": "12/30"},
    }
    for name, street, city, country, number in (
        ("Nadia", "Quai des Brumes 7", "Nantes", "France", "1870"),
        ("Tomasz", "Ulica Wodna 20", "Gdynia", "Poland", "2000"),
    )
}


async def read_json(request: Request) -> dict[str, Any]:
    """The body of a request.

    Raises:
        HTTPException: it is no JSON object.
    """
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise HTTPException(400, "give a JSON object")
    return body


def status_of(answer: Answer) -> int:
    """The status with which to pass on that there is no good answer: its own, or that of a gateway without one."""
    return answer.status if answer.status >= 400 else 504


def _number(value: Any, name: str, low: float, high: float) -> float:
    if type(value) not in (int, float) or not low <= value <= high:
        raise HTTPException(400, f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def _whole(value: Any, name: str, low: int, high: int) -> int:
    if type(value) is not int:
        raise HTTPException(400, f"{name} must be a whole number")
    return int(_number(value, name, low, high))


def _name(value: Any, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise HTTPException(400, f"{what} must be a text of 1 to {MAX_NAME} letters")
    return value


class Role(ABC):
    """One service.

    Args:
        service: what every application of the course does.
    """

    calls: ClassVar[Mapping[str, tuple[float, int]]] = {}
    tables: ClassVar[str] = ""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.caller = Caller(service.settings, self.calls, port=80)
        self.store = Store(self.tables)

    @abstractmethod
    def routes(self) -> list[Route]:
        """The routes that the service answers."""

    async def close(self) -> None:
        """End the connections, and forget what was remembered."""
        await self.caller.close()
        self.store.close()


class Catalogue(Role):
    """The socks."""

    def routes(self) -> list[Route]:
        """``/catalogue``, one sock of it, how many there are, and ``/tags``."""
        return [
            Route("/catalogue", self._list),
            Route("/catalogue/size", self._size),
            Route("/catalogue/{id:str}", self._one),
            Route("/tags", self._tags),
        ]

    def _chosen(self, request: Request) -> list[dict[str, Any]]:
        tags = {tag for tag in request.query_params.get("tags", "").split(",") if tag}
        return [sock for sock in SOCKS if not tags or tags & set(sock["tag"])]

    async def _list(self, request: Request) -> Response:
        return self.service.json({"socks": self._chosen(request)})

    async def _size(self, request: Request) -> Response:
        return self.service.json({"size": len(self._chosen(request))})

    async def _one(self, request: Request) -> Response:
        for sock in SOCKS:
            if sock["id"] == request.path_params["id"]:
                return self.service.json({"sock": sock})
        raise HTTPException(404, "there is no such sock")

    async def _tags(self, request: Request) -> Response:
        return self.service.json({"tags": sorted({tag for sock in SOCKS for tag in sock["tag"]})})


class Carts(Role):
    """What each visitor is about to buy; the name of a cart is a customer's or a session's."""

    tables = """
        CREATE TABLE cart (name TEXT UNIQUE);
        CREATE TABLE line (cart TEXT, item TEXT, quantity INTEGER, price REAL, UNIQUE (cart, item));
    """

    def routes(self) -> list[Route]:
        """``/carts/{name}``, the items in it, and what makes one cart of two."""
        items = "/carts/{cart:str}/items"
        return [
            Route("/carts/{cart:str}", self._show),
            Route("/carts/{cart:str}", self._empty, methods=["DELETE"]),
            Route("/carts/{cart:str}/merge", self._merge),
            Route(items, self._show),
            Route(items, self._add, methods=["POST"]),
            Route(items, self._set, methods=["PATCH"]),
            Route(f"{items}/{{item:str}}", self._remove, methods=["DELETE"]),
        ]

    def _answer(self, cart: str) -> Response:
        lines = self.store.run(
            "SELECT item AS itemId, quantity, price AS unitPrice FROM line WHERE cart = ? ORDER BY rowid", cart
        )
        return self.service.json({"customerId": cart, "items": lines})

    def _put(self, cart: str, item: str, quantity: int, price: float) -> None:
        known = self.store.run("SELECT item FROM line WHERE cart = ?", cart)
        if len(known) >= MAX_LINES and {"item": item} not in known:
            raise HTTPException(400, f"a cart holds {MAX_LINES} different items")
        self.store.run("INSERT OR IGNORE INTO cart VALUES (?)", cart)
        self.store.keep_newest("cart", MAX_CARTS)
        self.store.run("DELETE FROM line WHERE cart NOT IN (SELECT name FROM cart)")
        self.store.run(
            "INSERT INTO line VALUES (?, ?, ?, ?) ON CONFLICT (cart, item) DO UPDATE "
            f"SET price = excluded.price, quantity = min({MAX_QUANTITY}, quantity + excluded.quantity)",
            cart, item, quantity, price,
        )  # fmt: skip

    async def _show(self, request: Request) -> Response:
        return self._answer(request.path_params["cart"])

    async def _empty(self, request: Request) -> Response:
        cart = request.path_params["cart"]
        self.store.run("DELETE FROM cart WHERE name = ?", cart)
        self.store.run("DELETE FROM line WHERE cart = ?", cart)
        return self._answer(cart)

    async def _add(self, request: Request) -> Response:
        cart, body = _name(request.path_params["cart"], "the name of a cart"), await read_json(request)
        price = _number(body.get("unitPrice"), "unitPrice", 0, MAX_PRICE)
        quantity = _whole(body.get("quantity", 1), "quantity", 1, MAX_QUANTITY)
        self._put(cart, _name(body.get("itemId"), "itemId"), quantity, price)
        return self._answer(cart)

    async def _set(self, request: Request) -> Response:
        cart, body = request.path_params["cart"], await read_json(request)
        quantity = _whole(body.get("quantity"), "quantity", 1, MAX_QUANTITY)
        item = _name(body.get("itemId"), "itemId")
        changed = "UPDATE line SET quantity = ? WHERE cart = ? AND item = ? RETURNING item"
        if not self.store.run(changed, quantity, cart, item):
            raise HTTPException(404, f"there is no {item} in the cart")
        return self._answer(cart)

    async def _remove(self, request: Request) -> Response:
        cart = request.path_params["cart"]
        self.store.run("DELETE FROM line WHERE cart = ? AND item = ?", cart, request.path_params["item"])
        return self._answer(cart)

    async def _merge(self, request: Request) -> Response:
        cart = _name(request.path_params["cart"], "the name of a cart")
        other = request.query_params.get("sessionId", "")
        for line in self.store.run("SELECT item, quantity, price FROM line WHERE cart = ?", other):
            if other != cart:
                self._put(cart, line["item"], line["quantity"], line["price"])
        if other != cart:
            self.store.run("DELETE FROM cart WHERE name = ?", other)
            self.store.run("DELETE FROM line WHERE cart = ?", other)
        return self._answer(cart)


class Orders(Role):
    """Makes an order of a cart: who buys, what, is it paid, is it sent."""

    calls: ClassVar = {"carts": (5.0, 1), "user": (5.0, 1), "payment": (5.0, 1), "shipping": (5.0, 1)}
    tables = "CREATE TABLE made (id TEXT, customer TEXT, text TEXT);"

    def routes(self) -> list[Route]:
        """``/orders``: make one, all, one, and those of a customer."""
        return [
            Route("/orders", self._list),
            Route("/orders", self._make, methods=["POST"]),
            Route("/orders/search/customerId", self._list),
            Route("/orders/{id:str}", self._one),
        ]

    def _found(self, where: str, value: str) -> list[dict[str, Any]]:
        rows = self.store.run(f"SELECT text FROM made WHERE {where} = ? OR ? = '' ORDER BY rowid DESC", value, value)
        return [json.loads(row["text"]) for row in rows]

    async def _list(self, request: Request) -> Response:
        return self.service.json({"orders": self._found("customer", request.query_params.get("custId", ""))})

    async def _one(self, request: Request) -> Response:
        for order in self._found("id", request.path_params["id"]):
            return self.service.json({"order": order})
        raise HTTPException(404, "there is no such order")

    async def _make(self, request: Request) -> Response:
        # Sock Shop names the customer by an address, of which only the end says who it is.
        who = _name((await read_json(request)).get("customer"), "customer").rstrip("/").rpartition("/")[2]
        if not _PLAIN.fullmatch(who):
            raise HTTPException(404, "there is no such customer")
        used = list(
            await asyncio.gather(
                self.caller.ask("user", f"/customers/{who}", request),
                self.caller.ask("carts", f"/carts/{who}/items", request),
            )
        )
        user, cart = used
        if not (user.ok and cart.ok):
            return self._without(cart if user.ok else user, used)
        items = cart.data["items"]
        if not items:
            raise HTTPException(400, "the cart is empty")
        total = round(math.fsum(line["quantity"] * line["unitPrice"] for line in items), 2)
        order = {"id": secrets.token_hex(6), "customerId": who, "items": items, "total": total}
        customer = user.data["customer"]
        sent = {"amount": total, "customer": who, "address": customer["address"], "card": customer["card"]}
        for name, path, body in (
            ("payment", "/paymentAuth", sent),
            ("shipping", "/shipping", {"id": order["id"], "name": customer["firstName"]}),
        ):
            used.append(
                await self.caller.ask(
                    name, path, request, method="POST", body=json.dumps(body).encode(), extra=[JSON_BODY]
                )
            )
            if not used[-1].ok:
                return self._without(used[-1], used)
        order["shipment"] = used[-1].data["shipment"]
        self.store.run("INSERT INTO made VALUES (?, ?, ?)", order["id"], who, json.dumps(order))
        self.store.keep_newest("made", MAX_REMEMBERED)
        return self.service.json({"order": order}, used=used)

    def _without(self, answer: Answer, used: list[Answer]) -> Response:
        return self.service.json({"error": f"there is no order: {answer.reason}"}, used=used, status=status_of(answer))


class Payment(Role):
    """Says yes to every amount up to ``DECLINE_OVER``."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._most = service.settings.number("DECLINE_OVER", default=105.0, low=0.0, high=1e6)

    def routes(self) -> list[Route]:
        """``/paymentAuth``."""
        return [Route("/paymentAuth", self._authorise, methods=["POST"])]

    async def _authorise(self, request: Request) -> Response:
        amount = _number((await read_json(request)).get("amount"), "amount", 0, 1e9)
        if amount > self._most:
            told = f"payment declined: {amount:.2f} is more than {self._most:.2f}"
            return self.service.json({"authorised": False, "error": told}, status=402)
        return self.service.json({"authorised": True, "message": "payment authorised"})


class Shipping(Role):
    """Remembers what is on its way."""

    tables = "CREATE TABLE sent (id TEXT, name TEXT);"

    def routes(self) -> list[Route]:
        """``/shipping``: send something, and what was sent."""
        return [Route("/shipping", self._list), Route("/shipping", self._send, methods=["POST"])]

    async def _list(self, request: Request) -> Response:
        return self.service.json({"shipments": self.store.run("SELECT id, name FROM sent ORDER BY rowid DESC")})

    async def _send(self, request: Request) -> Response:
        body = await read_json(request)
        shipment = {"id": _name(body.get("id"), "id"), "name": _name(body.get("name"), "name")}
        self.store.run("INSERT INTO sent VALUES (?, ?)", *shipment.values())
        self.store.keep_newest("sent", MAX_REMEMBERED)
        return self.service.json({"shipment": shipment})


class User(Role):
    """The customers, and whether somebody is one of them."""

    def routes(self) -> list[Route]:
        """``/login``, ``/customers`` and what belongs to one."""
        return [
            Route("/login", self._login),
            Route("/customers", self._list),
            Route("/customers/{id:str}", self._one),
        ]

    async def _login(self, request: Request) -> Response:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        try:
            name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            name = password = ""
        if kind.lower() != "basic" or name not in CUSTOMERS or password != PASSWORD:
            raise HTTPException(401, "there is no such user with that password")
        return self.service.json({"user": {"id": name, "username": name}})

    async def _list(self, request: Request) -> Response:
        return self.service.json({"customers": list(CUSTOMERS.values())})

    async def _one(self, request: Request) -> Response:
        customer = CUSTOMERS.get(request.path_params["id"])
        if customer is None:
            raise HTTPException(404, "there is no such customer")
        return self.service.json({"customer": customer})


class QueueMaster(Role):
    """Has nothing to do: what is sent here waits in no queue."""

    def routes(self) -> list[Route]:
        """None of its own."""
        return []


BACK_ENDS: dict[str, type[Role]] = {
    "catalogue": Catalogue, "carts": Carts, "orders": Orders, "payment": Payment, "shipping": Shipping, "user": User,
    "queue-master": QueueMaster,
}  # fmt: skip
