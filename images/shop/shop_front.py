"""The shop as people see it: pages made of what the other services answer, and JSON for programs."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote

import shop_pages as pages
from service import Service
from service_calls import Answer
from shop_roles import JSON_BODY, Role, read_json, status_of
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

__all__ = ["FrontEnd"]

SESSION_COOKIE = "shop_session"
USER_COOKIE = "logged_in"
MAX_SESSIONS = 10_000
_SESSION = re.compile(r"[0-9a-f]{32}")
_USER = re.compile(r"[\w.-]{1,64}", re.ASCII)
_ITEM = re.compile(r"[\w.-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whose request it is.

    Args:
        session: of the browser.
        user: who logged in; empty for nobody.
        known: whether the browser brought its session along.
    """

    session: str
    user: str
    known: bool

    @property
    def cart(self) -> str:
        """The name of the visitor's cart."""
        return self.user or self.session


class FrontEnd(Role):
    """The pages.

    Who has logged in is known to the pod that saw it, as in Sock Shop: another pod does not know, which is what session
    affinity is for. With ``SESSION_REDIS``, which in Sock Shop shares the sessions, a second cookie tells every pod.
    """

    calls: ClassVar = {"catalogue": (10.0, 1), "carts": (10.0, 1), "orders": (30.0, 1), "user": (10.0, 1)}
    tables = "CREATE TABLE session (id TEXT UNIQUE, user TEXT);"

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._shared = service.settings.flag("SESSION_REDIS")

    def routes(self) -> list[Route]:
        """The pages, the forms on them, and what programs ask for without them."""
        pages_of = {
            "/": self._shop, "/index.html": self._shop, "/category.html": self._shop, "/detail.html": self._detail,
            "/basket.html": self._basket, "/customer-orders.html": self._orders, "/catalogue": self._of_catalogue,
            "/catalogue/{id:str}": self._of_catalogue, "/tags": self._of_catalogue, "/cart": self._of_carts,
            "/orders": self._of_orders,
        }  # fmt: skip
        return [
            *(Route(path, shown) for path, shown in pages_of.items()),
            Route("/cart", self._add, methods=["POST"]),
            Route("/cart", self._empty, methods=["DELETE"]),
            Route("/remove", self._remove, methods=["POST"]),
            Route("/cart/{id:str}", self._remove, methods=["DELETE"]),
            Route("/orders", self._order, methods=["POST"]),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["GET", "POST"]),
        ]

    async def _shop(self, request: Request) -> Response:
        visitor = self._visitor(request)
        tags = request.query_params.get("tags", "")
        catalogue, cart = await asyncio.gather(
            self._ask("catalogue", "/catalogue", request, query=f"tags={quote(tags)}" if tags else ""),
            self._ask("carts", f"/carts/{visitor.cart}/items", request),
        )
        return self._page(request, visitor, [catalogue, cart], pages.shop)

    async def _of_catalogue(self, request: Request) -> Response:
        answer = await self._ask("catalogue", request.url.path, request, query=request.url.query)
        return self._passed(self._visitor(request), answer)

    async def _of_carts(self, request: Request) -> Response:
        visitor = self._visitor(request)
        return self._passed(visitor, await self._ask("carts", f"/carts/{visitor.cart}/items", request))

    async def _of_orders(self, request: Request) -> Response:
        visitor = self._visitor(request)
        if not visitor.user:
            return self._refused(request, visitor, [], "Log in to see your orders.", 401)
        query = f"custId={visitor.user}"
        return self._passed(visitor, await self._ask("orders", "/orders/search/customerId", request, query=query))

    async def _detail(self, request: Request) -> Response:
        visitor = self._visitor(request)
        item = _item(request.query_params.get("id"))
        sock, cart = await asyncio.gather(
            self._ask("catalogue", f"/catalogue/{item}", request),
            self._ask("carts", f"/carts/{visitor.cart}/items", request),
        )
        status = 404 if sock.status == 404 else 200
        return self._page(request, visitor, [sock, cart], pages.detail, status=status)

    async def _basket(self, request: Request) -> Response:
        visitor = self._visitor(request)
        catalogue, cart = await asyncio.gather(
            self._ask("catalogue", "/catalogue", request),
            self._ask("carts", f"/carts/{visitor.cart}/items", request),
        )
        return self._page(request, visitor, [catalogue, cart], pages.basket)

    async def _orders(self, request: Request) -> Response:
        visitor = self._visitor(request)
        if not visitor.user:
            return self._refused(request, visitor, [], "Log in to see your orders.", 401)
        orders, cart = await asyncio.gather(
            self._ask("orders", "/orders/search/customerId", request, query=f"custId={visitor.user}"),
            self._ask("carts", f"/carts/{visitor.cart}/items", request),
        )
        return self._page(request, visitor, [orders, cart], pages.orders)

    async def _add(self, request: Request) -> Response:
        visitor, given = self._visitor(request), await _fields(request)
        item = _item(given.get("id"))
        sock = await self._ask("catalogue", f"/catalogue/{item}", request)
        if not sock.ok:
            return self._refused(request, visitor, [sock], "This sock cannot be had right now.", status_of(sock))
        line = {"itemId": item, "unitPrice": sock.data["sock"]["price"], "quantity": given.get("quantity", 1)}
        cart = await self._ask("carts", f"/carts/{visitor.cart}/items", request, method="POST", body=line)
        told = "The sock is not in your cart: the cart does not answer."
        return self._done(request, visitor, [sock, cart], told, "/basket.html", created=True)

    async def _remove(self, request: Request) -> Response:
        visitor = self._visitor(request)
        item = _item(request.path_params.get("id") or (await _fields(request)).get("id"))
        cart = await self._ask("carts", f"/carts/{visitor.cart}/items/{item}", request, method="DELETE")
        told = "The sock is still in your cart: the cart does not answer."
        return self._done(request, visitor, [cart], told, "/basket.html")

    async def _empty(self, request: Request) -> Response:
        visitor = self._visitor(request)
        cart = await self._ask("carts", f"/carts/{visitor.cart}", request, method="DELETE")
        return self._done(request, visitor, [cart], "The cart does not answer.", "/basket.html")

    async def _order(self, request: Request) -> Response:
        visitor = self._visitor(request)
        if not visitor.user:
            return self._refused(request, visitor, [], "Log in to order.", 401)
        order = await self._ask("orders", "/orders", request, method="POST", body={"customer": visitor.user})
        told = {
            400: "There is no order: your cart is empty.",
            402: "There is no order: your payment was declined.",
        }.get(order.status, "There is no order: a part of the shop does not answer.")
        if not order.ok:
            return self._refused(request, visitor, [order], told, status_of(order))
        # The order is made; a cart that stays full is an annoyance and no failure.
        emptied = await self._ask("carts", f"/carts/{visitor.cart}", request, method="DELETE")
        return self._done(request, visitor, [emptied, order], told, "/customer-orders.html", created=True)

    async def _login(self, request: Request) -> Response:
        visitor = self._visitor(request)
        given = request.headers.get("authorization", "")
        if request.method == "POST":
            fields = await _fields(request)
            pair = f"{fields.get('username', '')}:{fields.get('password', '')}"
            given = f"Basic {base64.b64encode(pair.encode()).decode()}"
        answer = await self._ask("user", "/login", request, extra=[("authorization", given)])
        name = str(answer.data["user"]["id"]) if answer.ok else ""
        if not _USER.fullmatch(name):
            told = "There is no such user with that password." if answer.status == 401 else "Nobody can log in now."
            return self._refused(request, visitor, [answer], told, status_of(answer))
        self.store.run("INSERT OR REPLACE INTO session VALUES (?, ?)", visitor.session, name)
        self.store.keep_newest("session", MAX_SESSIONS)
        merge = await self._ask("carts", f"/carts/{name}/merge", request, query=f"sessionId={visitor.session}")
        reply = self._done(request, visitor, [merge, answer], "", "/")
        if self._shared:
            reply.set_cookie(USER_COOKIE, name, httponly=True, samesite="lax")
        return reply

    async def _logout(self, request: Request) -> Response:
        visitor = self._visitor(request)
        self.store.run("DELETE FROM session WHERE id = ?", visitor.session)
        reply = self._done(request, visitor, [], "", "/")
        reply.delete_cookie(USER_COOKIE)
        return reply

    def _visitor(self, request: Request) -> Visitor:
        session = request.cookies.get(SESSION_COOKIE, "")
        if not _SESSION.fullmatch(session):
            return Visitor(secrets.token_hex(16), "", known=False)
        user = request.cookies.get(USER_COOKIE, "") if self._shared else ""
        if not _USER.fullmatch(user):
            user = next((row["user"] for row in self.store.run("SELECT user FROM session WHERE id = ?", session)), "")
        return Visitor(session, user, known=True)

    async def _ask(
        self,
        service: str,
        path: str,
        request: Request,
        *,
        method: str = "GET",
        query: str = "",
        body: Mapping[str, Any] | None = None,
        extra: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        headers = list(extra)
        user = self._visitor(request).user
        if user and "end-user" not in request.headers:
            headers.append(("end-user", user))
        if body is None:
            return await self.caller.ask(service, path, request, method=method, query=query, extra=headers)
        raw = json.dumps(body).encode()
        return await self.caller.ask(
            service, path, request, method=method, query=query, body=raw, extra=[*headers, JSON_BODY]
        )

    def _page(
        self,
        request: Request,
        visitor: Visitor,
        used: Sequence[Answer],
        show: Callable[..., str],
        *,
        status: int = 200,
    ) -> Response:
        """What is seen of some answers: a page that says what is missing, or the same as JSON."""
        if _for_people(request):
            frame = pages.Frame(self.service.identity, visitor.user, self.service.took_part(used), used[-1])
            return self._kept(visitor, used, HTMLResponse(show(frame, used[0]), status_code=status))
        data = {answer.service: answer.data if answer.ok else answer.failure for answer in used}
        return self._kept(visitor, used, self.service.json({"user": visitor.user, **data}, status=status))

    def _passed(self, visitor: Visitor, answer: Answer) -> Response:
        """What another service answered, for programs."""
        data = answer.data if answer.ok else answer.failure
        status = 200 if answer.ok else status_of(answer)
        return self._kept(visitor, [answer], self.service.json({**data, **self.service.identity}, status=status))

    def _refused(self, request: Request, visitor: Visitor, used: Sequence[Answer], told: str, status: int) -> Response:
        """Something that was asked for was not done."""
        reason = "; ".join(answer.reason for answer in used if not answer.ok)
        if _for_people(request):
            frame = pages.Frame(self.service.identity, visitor.user, self.service.took_part(used))
            return self._kept(visitor, used, HTMLResponse(pages.refused(frame, told, reason), status_code=status))
        return self._kept(visitor, used, self.service.json({"error": told, "reason": reason}, status=status))

    def _done(
        self,
        request: Request,
        visitor: Visitor,
        used: Sequence[Answer],
        told: str,
        after: str,
        *,
        created: bool = False,
    ) -> Response:
        """Something was done, if the last answer is a good one: people see the page that shows it."""
        if used and not used[-1].ok:
            return self._refused(request, visitor, used, told, status_of(used[-1]))
        if _for_people(request):
            return self._kept(visitor, used, RedirectResponse(after, status_code=303))
        data = used[-1].data if used else {}
        return self._kept(
            visitor, used, self.service.json({**data, **self.service.identity}, status=201 if created else 200)
        )

    def _kept(self, visitor: Visitor, used: Sequence[Answer], reply: Response) -> Response:
        """A reply with what every one says: who took part, how the parts fared, and whose session it is."""
        reply.headers["x-path"] = self.service.took_part(used)
        if used:
            reply.headers["x-parts"] = ", ".join(f"{answer.service}={answer.status or 'failed'}" for answer in used)
        reply.headers["vary"] = "accept, cookie"
        reply.headers["cache-control"] = "no-store"
        if not visitor.known:
            reply.set_cookie(SESSION_COOKIE, visitor.session, httponly=True, samesite="lax")
        return reply


def _for_people(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _item(value: Any) -> str:
    if not isinstance(value, str) or not _ITEM.fullmatch(value):
        raise HTTPException(400, "say which sock by its id")
    return value


async def _fields(request: Request) -> dict[str, Any]:
    """What a form or a program sends."""
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        return {name: values[0] for name, values in form.items()}
    return await read_json(request)
