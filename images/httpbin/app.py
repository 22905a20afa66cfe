"""Answers with what it was asked: the endpoints of the public service ``httpbin`` that tutorials use.

Runs as ``python app.py`` in a container, or is loaded by path and asked for ``create_app(env)``. README.md lists the
endpoints.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import sys
import uuid
from collections.abc import Callable, Mapping
from http.cookies import CookieError
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

# Loaded by path, this file's folder is not where Python looks for modules. What all images share lies in the folder
# above; in a container it lies beside this file.
sys.path.extend(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder) for folder in ("", ".."))

from service import METHODS, Service, serve

__all__ = ["create_app"]

MAX_DELAY_S = 10.0
MAX_BYTES = 100 * 1024
STATUSES = range(200, 600)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>A page</title></head>
<body><h1>A page</h1><p>It has a heading and this sentence, and asks for nothing else.</p></body>
</html>
"""
DOCUMENT = {
    "slideshow": {"title": "Traffic", "slides": [{"title": "Split it"}, {"title": "Route it", "items": ["by header"]}]}
}


def create_app(env: Mapping[str, str]) -> ASGIApp:
    """Build the service from its environment.

    Args:
        env: the pod's environment; see README.md.

    Returns:
        An ASGI application without global state.
    """
    return Httpbin(Service(env, name="httpbin")).app()


class Httpbin:
    """The endpoints.

    Args:
        service: what every application of the course does.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def app(self) -> ASGIApp:
        """The ASGI application."""
        parts: dict[str, Callable[[Request], dict[str, Any]]] = {
            "/headers": lambda request: {"headers": _headers(request)},
            "/ip": lambda request: {"origin": _origin(request)},
            "/user-agent": lambda request: {"user-agent": request.headers.get("user-agent")},
            "/uuid": lambda request: {"uuid": str(uuid.uuid4())},
            "/hostname": lambda request: {"hostname": self._service.identity["pod"]},
            "/json": lambda request: DOCUMENT,
            "/cookies": lambda request: {"cookies": dict(request.cookies)},
        }
        return self._service.app(
            [
                Route("/", self._index, methods=METHODS),
                *(Route(f"/{method.lower()}", self._echo, methods=[method]) for method in METHODS),
                *(Route(path, self._part(part), methods=METHODS) for path, part in parts.items()),
                Route("/anything", self._anything, methods=METHODS),
                Route("/anything/{rest:path}", self._anything, methods=METHODS),
                Route("/status/{codes}", self._status, methods=METHODS),
                Route("/delay/{seconds:float}", self._delay, methods=METHODS),
                Route("/bytes/{count:int}", self._bytes, methods=METHODS),
                Route("/html", self._html, methods=METHODS),
                Route("/redirect/{count:int}", self._redirect, methods=METHODS),
                Route("/redirect-to", self._redirect_to, methods=METHODS),
                Route("/cookies/set", self._set_cookies, methods=METHODS),
                Route("/cookies/delete", self._delete_cookies, methods=METHODS),
                Route("/response-headers", self._response_headers, methods=METHODS),
                Route("/basic-auth/{user}/{password}", self._basic, methods=METHODS),
                Route("/bearer", self._bearer, methods=METHODS),
                Route("/unstable", self._unstable, methods=METHODS),
            ]
        )

    def _part(self, part: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            return self._service.json(part(request))

        return answer

    async def _index(self, request: Request) -> Response:
        return self._service.json()

    async def _echo(self, request: Request) -> Response:
        return self._service.json(await _asked(request))

    async def _anything(self, request: Request) -> Response:
        return self._service.json({"method": request.method, **await _asked(request, body=True)})

    async def _status(self, request: Request) -> Response:
        codes = request.path_params["codes"].split(",")
        if not all(code.isdecimal() and int(code) in STATUSES for code in codes):
            raise HTTPException(400, "a status lies between 200 and 599; several have commas between them")
        return Response(status_code=int(random.choice(codes)))

    async def _delay(self, request: Request) -> Response:
        seconds = min(request.path_params["seconds"], MAX_DELAY_S)
        await asyncio.sleep(seconds / self._service.settings.time_scale)
        return await self._anything(request)

    async def _bytes(self, request: Request) -> Response:
        count = min(request.path_params["count"], MAX_BYTES)
        return Response(os.urandom(count), media_type="application/octet-stream")

    async def _html(self, request: Request) -> Response:
        return HTMLResponse(PAGE)

    async def _redirect(self, request: Request) -> Response:
        left = request.path_params["count"] - 1
        return RedirectResponse(f"/redirect/{left}" if left > 0 else "/get", status_code=302)

    async def _redirect_to(self, request: Request) -> Response:
        url, status = request.query_params.get("url", ""), request.query_params.get("status_code", "302")
        if not url or status not in ("301", "302", "303", "307", "308"):
            raise HTTPException(400, "url says where to, and status_code is 301, 302, 303, 307 or 308")
        return RedirectResponse(url, status_code=int(status))

    async def _set_cookies(self, request: Request) -> Response:
        reply = RedirectResponse("/cookies", status_code=302)
        for name, value in request.query_params.items():
            _in_header(name, value)
            try:
                reply.set_cookie(name, value)
            except CookieError as error:
                raise HTTPException(400, f"{name!r} cannot be the name of a cookie") from error
        return reply

    async def _delete_cookies(self, request: Request) -> Response:
        reply = RedirectResponse("/cookies", status_code=302)
        for name in request.cookies.keys() & request.query_params.keys():
            reply.delete_cookie(name)
        return reply

    async def _response_headers(self, request: Request) -> Response:
        for name, value in request.query_params.multi_items():
            _in_header(name, value)
        reply = self._service.json(_args(request.query_params))
        for name, value in request.query_params.multi_items():
            reply.headers.append(name, value)
        return reply

    async def _basic(self, request: Request) -> Response:
        user, password = request.path_params["user"], request.path_params["password"]
        wanted = base64.b64encode(f"{user}:{password}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {wanted}":
            raise HTTPException(401, "another user, or none", headers={"www-authenticate": 'Basic realm="httpbin"'})
        return self._service.json({"authenticated": True, "user": user})

    async def _bearer(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise HTTPException(401, "no token", headers={"www-authenticate": "Bearer"})
        return self._service.json({"authenticated": True, "token": token})

    async def _unstable(self, request: Request) -> Response:
        try:
            rate = float(request.query_params.get("failure_rate", "0.5"))
        except ValueError:
            rate = -1.0
        if not 0 <= rate <= 1:
            raise HTTPException(400, "failure_rate lies between 0 and 1")
        return Response(status_code=500 if random.random() < rate else 200)


async def _asked(request: Request, *, body: bool = False) -> dict[str, Any]:
    """What a request asked for; with a body if it may have one."""
    asked: dict[str, Any] = {
        "args": _args(request.query_params),
        "headers": _headers(request),
        "origin": _origin(request),
        "url": str(request.url),
    }
    if body or request.method != "GET":
        text = (await request.body()).decode("utf-8", "replace")
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        form = {name: _single(values) for name, values in parse_qs(text).items()} if is_form else {}
        asked |= {"data": "" if is_form else text, "form": form, "json": _document(text)}
    return asked


def _args(query: QueryParams) -> dict[str, Any]:
    return {name: _single(query.getlist(name)) for name in query}


def _single(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _headers(request: Request) -> dict[str, str]:
    """The request's headers with the capital letters that people write."""
    return {name.title(): ",".join(request.headers.getlist(name)) for name in request.headers}


def _origin(request: Request) -> str:
    """Who asked: as proxies say, else the peer."""
    return request.headers.get("x-forwarded-for", request.client.host if request.client else "")


def _in_header(name: str, value: str) -> None:
    """Refuse what cannot stand in a header."""
    if not name or not f"{name}{value}".isprintable() or not f"{name}{value}".isascii() or set(name) & set(' ():;,"'):
        raise HTTPException(400, f"{name!r} cannot be a header or cookie with the value {value!r}")


if __name__ == "__main__":
    serve(create_app, port=80)
