"""What every HTTP application of the course does: it names itself, is healthy, misbehaves on request, and serves.

An application makes a ``Service`` of its environment, gives it routes, and gets an ASGI application::

    def create_app(env):
        service = Service(env, name="hello")

        async def hello(request):
            return service.json({"hello": "world"})

        return service.app([Route("/", hello)])

    if __name__ == "__main__":
        serve(create_app, port=5000)

README.md lists the variables. Calls to other services are in ``service_calls``, which needs aiohttp.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from service_faults import Faults, crash
from service_log import RequestLog
from service_settings import LONGEST_S, Settings
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LONGEST_S", "METHODS", "Service", "Settings", "serve"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
# Longer than Envoy keeps an idle upstream connection (1 h): a server that closes first can lose a request that is
# already on its way, and an application must never be the reason for a failed request.
KEEP_ALIVE_S = 3900
GRACE_S = 5


class TookPart(Protocol):
    """An answer of another service, as far as it tells who took part in it."""

    @property
    def path(self) -> str:
        """Its ``x-path``."""
        ...


class Service:
    """One application in one pod.

    Args:
        env: the pod's environment.
        name: what it is called unless ``SERVICE_NAME`` says otherwise.

    Raises:
        ValueError: a variable has a value that makes no sense; the message names it.
    """

    def __init__(self, env: Mapping[str, str], *, name: str) -> None:
        self.settings = Settings(env)
        self.identity = {
            "service": env.get("SERVICE_NAME") or name,
            "version": env.get("SERVICE_VERSION", ""),
            "pod": env.get("POD_NAME") or "local",
        }
        self.path = "/".join(self.identity.values())
        self.faults = Faults(self.settings, service=self.identity["service"])
        self._ready_at = time.monotonic() + self.settings.seconds("READY_AFTER_S")

    def json(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        used: Sequence[TookPart] = (),
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> JSONResponse:
        """JSON that names this pod.

        Args:
            data: what it says besides.
            used: answers of other services that it was made of.
            status: HTTP status.
            headers: further headers.
        """
        named = {"x-path": self.took_part(used), **(headers or {})}
        return JSONResponse({**self.identity, **(data or {})}, status_code=status, headers=named)

    def took_part(self, used: Sequence[TookPart]) -> str:
        """The value of ``x-path``: this pod, then whoever took part in the answers used."""
        whole = ", ".join([self.path, *(answer.path for answer in used if answer.path)])
        # A header holds no other letters, and a name that has some must not cost the reply.
        return _CONTROL.sub("?", whole.encode("latin-1", "replace").decode("latin-1"))

    def app(
        self,
        routes: Sequence[BaseRoute],
        *,
        errors: Mapping[type[Exception], Callable[[Request, Any], Awaitable[Response]]] | None = None,
        closing: Sequence[Callable[[], Awaitable[None]]] = (),
        make: Callable[..., Starlette] = Starlette,
    ) -> ASGIApp:
        """The ASGI application: these routes, ``/healthz`` and ``/fault/...``, with ``x-path`` on every reply.

        Args:
            routes: what the application answers.
            errors: how its own exceptions are told.
            closing: called at the end.
            make: makes it; another one for what is built on Starlette and takes the same arguments, such as FastAPI.
        """

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            yield
            for close in closing:
                await close()

        own = [
            Route("/healthz", self._healthz, methods=["GET"]),
            Route("/fault/held", self.held, methods=["GET"]),
            Route("/fault/release", self.release, methods=["POST"]),
            Route("/fault/crash", self._crash, methods=["POST"]),
        ]
        handlers: Any = {HTTPException: self._refuse, Exception: self._refuse, **(errors or {})}
        return _Pod(make(routes=[*own, *routes], exception_handlers=handlers, lifespan=lifespan), self)

    async def held(self, request: Request) -> JSONResponse:
        """How many requests are held under ``?key=``."""
        return self.json({"held": self.faults.holds.count(request.query_params.get("key", ""))})

    async def release(self, request: Request) -> JSONResponse:
        """Let the requests go that are held under ``?key=``."""
        return self.json({"released": self.faults.holds.release(request.query_params.get("key", ""))})

    async def _crash(self, request: Request) -> JSONResponse:
        if not self.faults.may_crash:
            raise HTTPException(403, "this pod may not be told to crash; CRASH=asked in its environment allows it")
        crash()
        raise AssertionError("a crashed process answers nothing")

    async def _healthz(self, request: Request) -> JSONResponse:
        left_s = self._ready_at - time.monotonic()
        if left_s > 0:
            return JSONResponse({"status": f"ready in {left_s:.1f} s"}, status_code=503)
        return JSONResponse({"status": "ok"})

    async def _refuse(self, request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            return self.json({"error": "internal error"}, status=500)
        detail = error.detail
        if detail == "Not Found":
            detail = f"{request.url.path} does not exist in {self.identity['service']} {self.identity['version']}"
        return self.json({"error": detail.rstrip()}, status=error.status_code, headers=error.headers)


class _Pod:
    """Wraps an application with what is the same for all its routes: ``x-path``, the faults, a line in the log.

    The faults spare ``/healthz``, because a pod that misbehaves stays ready, and ``/fault/...``, which ends them.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._log = RequestLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        began, status = time.monotonic(), 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = list(message.get("headers", ()))
                MutableHeaders(scope=message).setdefault("x-path", self._service.took_part(()))
            await send(message)

        if scope["path"] == "/healthz":
            await self._app(scope, receive, marked)
            return
        try:
            await self._answer(scope, receive, marked)
        finally:
            self._log.write(scope, status, began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith("/fault/"):
            headers = Headers(scope=scope)
            faults = self._service.faults
            try:
                fault = faults.of_request(headers.get("x-fault", ""))
            except ValueError as error:
                await self._service.json({"error": str(error)}, status=400)(scope, receive, send)
                return
            if headers.get("expect", "").lower() == "100-continue":
                # The sender has the body and waits for a word: it holds the request, and lets it go by going on.
                first = await receive()
                if first["type"] != "http.request":
                    return
                receive = _beginning_with(first, receive)
            status = await faults.strike(fault, headers.get("x-request-id", ""))
            if status:
                reply = self._service.json({"error": "this pod was told to fail here"}, status=status)
                await reply(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _beginning_with(first: Message, receive: Receive) -> Receive:
    """The same messages again, one of which has been read already."""
    read = [first]

    async def again() -> Message:
        return read.pop() if read else await receive()

    return again


def serve(
    create_app: Callable[[Mapping[str, str]], ASGIApp],
    *,
    port: int,
    ssl_context: Callable[[Mapping[str, str]], ssl.SSLContext | None] | None = None,
) -> None:
    """Run an application on ``HOST``:``PORT`` of the environment until this process is asked to end.

    A variable that makes no sense ends the process with one line that names it.

    Args:
        create_app: makes it of the environment.
        port: where it listens unless ``PORT`` says otherwise; on 127.0.0.1 unless ``HOST`` does.
        ssl_context: what it shows if it speaks TLS itself.
    """
    import uvicorn

    env = os.environ
    try:
        config = uvicorn.Config(
            create_app(env),
            host=env.get("HOST") or "127.0.0.1",
            port=Settings(env).whole("PORT", default=port, low=1, high=65535),
            log_level="warning",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        if ssl_context is not None:
            config.load()
            config.ssl = ssl_context(env)
    except ValueError as error:
        sys.exit(str(error))
    uvicorn.Server(config).run()
