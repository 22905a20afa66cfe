"""What each of the four services answers."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, unquote

from bookinfo_page import render, render_home
from service import Service
from service_calls import Caller
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

__all__ = ["ROLES", "Details", "ProductPage", "Ratings", "Reviews", "Role"]

BOOK: dict[str, Any] = {
    "title": "Twenty Thousand Leagues Under the Seas",
    "author": "Jules Verne",
    "year": 1870,
    "original_title": "Vingt mille lieues sous les mers",
    "publisher": "Pierre-Jules Hetzel",
    "language": "French",
}
REVIEWS = (
    ("Nadia", "The Nautilus is the best vehicle anyone ever dreamt up, and the giant squid still frightens me."),
    ("Tomasz", "Long lists of fish, and yet I could not put it down. Captain Nemo is worth every one of them."),
)
STARS = {"Nadia": 5, "Tomasz": 4}
PRODUCTS = {0: BOOK["title"]}
USER_COOKIE = "user"
MAX_USER = 64
MAX_RATINGS = 100


class Role(ABC):
    """One service.

    Args:
        service: what every application of the course does.
    """

    calls: ClassVar[Mapping[str, tuple[float, int]]] = {}

    def __init__(self, service: Service) -> None:
        self.service = service
        self.caller = Caller(service.settings, self.calls)

    @abstractmethod
    def routes(self) -> list[Route]:
        """The routes that the service answers."""


class Details(Role):
    """Facts about the book."""

    def routes(self) -> list[Route]:
        """``/details/{id}``."""
        return [Route("/details/{id:int}", self._details)]

    async def _details(self, request: Request) -> Response:
        return self.service.json({"id": request.path_params["id"], **BOOK})


class Ratings(Role):
    """Stars per reviewer; this pod remembers those that it is given, as long as it runs."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._given: dict[int, dict[str, int]] = {}

    def routes(self) -> list[Route]:
        """``/ratings/{id}``, to read and to give."""
        return [
            Route("/ratings/{id:int}", self._ratings),
            Route("/ratings/{id:int}", self._give, methods=["POST"]),
        ]

    async def _ratings(self, request: Request) -> Response:
        number = request.path_params["id"]
        return self.service.json({"id": number, "ratings": self._given.get(number, STARS)})

    async def _give(self, request: Request) -> Response:
        number = request.path_params["id"]
        try:
            ratings = json.loads(await request.body())
        except (ValueError, RecursionError):
            ratings = None
        if not isinstance(ratings, dict) or not all(
            type(stars) is int and 0 <= stars <= 5 for stars in ratings.values()
        ):
            raise HTTPException(400, 'give ratings as JSON, such as {"Nadia": 5}, with 0 to 5 stars')
        if len(ratings) > MAX_RATINGS or (number not in self._given and len(self._given) == MAX_RATINGS):
            raise HTTPException(400, f"there is room for {MAX_RATINGS} ratings of {MAX_RATINGS} books")
        self._given[number] = ratings
        return self.service.json({"id": number, "ratings": ratings})


class Reviews(Role):
    """What readers say; with ``STAR_COLOR`` also their stars, which it gets from ratings."""

    calls: ClassVar = {"ratings": (10.0, 1)}

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._color = service.settings.text("STAR_COLOR")
        self._forward_query = service.settings.flag("FORWARD_QUERY")

    def routes(self) -> list[Route]:
        """``/reviews/{id}`` and anything below it."""
        return [Route("/reviews/{id:int}", self._reviews), Route("/reviews/{id:int}/{rest:path}", self._reviews)]

    async def _reviews(self, request: Request) -> Response:
        number = request.path_params["id"]
        reviews: list[dict[str, Any]] = [{"reviewer": reviewer, "text": text} for reviewer, text in REVIEWS]
        if not self._color:
            return self.service.json({"id": number, "reviews": reviews})
        query = request.url.query if self._forward_query else ""
        answer = await self.caller.ask("ratings", f"/ratings/{number}", request, query=query)
        stars = answer.data.get("ratings", {}) if answer.ok and isinstance(answer.data, dict) else {}
        for review in reviews:
            if answer.ok:
                review["rating"] = {"stars": stars.get(review["reviewer"], 0), "color": self._color}
            else:
                review["rating"] = answer.failure
        return self.service.json({"id": number, "reviews": reviews}, used=[answer])


class ProductPage(Role):
    """The page: details and reviews together, for people and for programs."""

    calls: ClassVar = {"details": (3.0, 1), "reviews": (3.0, 2), "ratings": (10.0, 1)}

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._forward_query = service.settings.flag("FORWARD_QUERY")
        self._forward_path = service.settings.flag("FORWARD_PATH")

    def routes(self) -> list[Route]:
        """The page, the API, and who is reading."""
        return [
            Route("/", self._home),
            Route("/productpage", self._page),
            Route("/productpage/{rest:path}", self._page),
            Route("/api/v1/products", self._products),
            Route("/api/v1/products/{id:int}", self._part),
            Route("/api/v1/products/{id:int}/{part:str}", self._part),
            Route("/login", self._login, methods=["POST"]),
            Route("/logout", self._logout, methods=["GET", "POST"]),
        ]

    async def _home(self, request: Request) -> Response:
        return HTMLResponse(render_home(), headers={"vary": "accept"})

    async def _page(self, request: Request) -> Response:
        user, extra = self._user(request)
        rest = _raw_rest(request, "/productpage") if self._forward_path else ""
        query = request.url.query if self._forward_query else ""
        details, reviews = await asyncio.gather(
            self.caller.ask("details", "/details/0", request, extra=extra),
            self.caller.ask("reviews", f"/reviews/0{rest}", request, query=query, extra=extra),
        )
        used = [details, reviews]
        parts = ", ".join(f"{answer.service}={answer.status or 'failed'}" for answer in used)
        headers = {"x-parts": parts, "vary": "accept, cookie", "cache-control": "no-store"}
        if "text/html" in request.headers.get("accept", ""):
            html = render(self.service.identity, details, reviews, user=user, journey=self.service.took_part(used))
            return HTMLResponse(html, headers={"x-path": self.service.took_part(used), **headers})
        data = {
            "id": 0,
            "title": PRODUCTS[0],
            "user": user,
            "details": details.data if details.ok else details.failure,
            "reviews": reviews.data if reviews.ok else reviews.failure,
        }
        return self.service.json(data, used=used, headers=headers)

    async def _products(self, request: Request) -> Response:
        return self.service.json({"products": [{"id": number, "title": title} for number, title in PRODUCTS.items()]})

    async def _part(self, request: Request) -> Response:
        part = request.path_params.get("part", "details")
        if part not in self.calls:
            raise HTTPException(404, f"a product has {', '.join(self.calls)}, but no {part}")
        _, extra = self._user(request)
        answer = await self.caller.ask(part, f"/{part}/{request.path_params['id']}", request, extra=extra)
        if answer.ok:
            return self.service.json({part: answer.data}, used=[answer])
        # A program is told the truth: the other service's own status, or that of a gateway without an answer.
        return self.service.json(
            {part: answer.failure}, used=[answer], status=answer.status if answer.status >= 400 else 504
        )

    async def _login(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        name = "".join(form.get("username", [""])[0].split())[:MAX_USER]
        reply = RedirectResponse("/productpage", status_code=303)
        if name:
            reply.set_cookie(USER_COOKIE, quote(name), httponly=True, samesite="lax")
        return reply

    async def _logout(self, request: Request) -> Response:
        reply = RedirectResponse("/productpage", status_code=303)
        reply.delete_cookie(USER_COOKIE)
        return reply

    def _user(self, request: Request) -> tuple[str, list[tuple[str, str]]]:
        """Who reads, and the header that tells the other services of somebody who logged in on the page."""
        name = request.cookies.get(USER_COOKIE, "")
        header = request.headers.get("end-user", "")
        if name and not header:
            return unquote(name), [("end-user", name)]
        return header, []


def _raw_rest(request: Request, prefix: str) -> str:
    """What follows the prefix in the path, exactly as the client sent it."""
    raw = request.scope.get("raw_path") or quote(request.url.path).encode()
    return str(raw.decode("latin-1").partition("?")[0].removeprefix(prefix)).rstrip("/")


ROLES: dict[str, type[Role]] = {"details": Details, "productpage": ProductPage, "ratings": Ratings, "reviews": Reviews}
