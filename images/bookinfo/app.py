"""Bookinfo: a page about a book, made of four services that are one program with four roles.

``productpage`` asks ``details`` and ``reviews``; ``reviews`` asks ``ratings`` unless it is the version without stars.
README.md lists the environment variables. Runs as ``python app.py`` in a container, or is loaded by path and asked for
``create_app(env)``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Loaded by path, this file's folder is not where Python looks for modules. The modules of each image have names that
# no other image uses, so several images can be loaded into one process.
sys.path.append(os.path.dirname(os.path.abspath(__file__)))

from bookinfo_faults import Faults
from bookinfo_roles import ROLES, Role

__all__ = ["create_app"]

# Longer than Envoy keeps an idle upstream connection (1 h): a server that closes first can lose a request that is
# already on its way, and this service must never be the reason for a failed request.
KEEP_ALIVE_S = 3900


def create_app(env: Mapping[str, str]) -> ASGIApp:
    """Build one of the four services from its environment.

    Args:
        env: the pod's environment; ``ROLE`` says which service it is.

    Returns:
        An ASGI application without global state.

    Raises:
        ValueError: a variable has a value that makes no sense.
    """
    name = env.get("ROLE", "")
    if name not in ROLES:
        raise ValueError(f"ROLE must be one of {', '.join(ROLES)}, not {name!r}")
    identity = {
        "service": env.get("SERVICE_NAME") or name,
        "version": env.get("SERVICE_VERSION", ""),
        "pod": env.get("POD_NAME") or "local",
    }
    role = ROLES[name](env, identity)

    async def healthz(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def refuse(request: Request, error: Exception) -> JSONResponse:
        code = error.status_code if isinstance(error, HTTPException) else 500
        detail = error.detail if isinstance(error, HTTPException) else "internal error"
        return JSONResponse({**identity, "error": detail}, status_code=code)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await role.caller.close()

    app = Starlette(
        routes=[Route("/healthz", healthz), *role.routes()],
        exception_handlers={HTTPException: refuse, Exception: refuse},
        lifespan=lifespan,
    )
    return Pod(app, role, Faults(env))


class Pod:
    """Wraps a role with what is the same for all: trouble on request, and ``x-path`` on every reply.

    Args:
        app: the role's routes.
        role: the role.
        faults: the trouble; ``/healthz`` is spared, because a pod that misbehaves stays ready.
    """

    def __init__(self, app: ASGIApp, role: Role, faults: Faults) -> None:
        self._app = app
        self._role = role
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("x-path", self._role.path)
            await send(message)

        if scope["path"] != "/healthz":
            status = await self._faults.strike(Headers(scope=scope).get("x-request-id", ""))
            if status:
                body = {**self._role.identity, "error": "this pod was told to fail here"}
                await JSONResponse(body, status_code=status)(scope, receive, marked)
                return
        await self._app(scope, receive, marked)


def main() -> None:
    """Serve on ``HOST``:``PORT`` (127.0.0.1:9080 unless the environment says otherwise)."""
    import uvicorn

    uvicorn.run(
        create_app(os.environ),
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "9080")),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
