"""The web service of the canary lessons: one program, whose versions differ only in their environment.

It is a small HTTP service with endpoints that make routing visible (``/``, ``/name``, ``/headers``) and
others that misbehave on request (``/slow``, ``/status/503``, ``/hold``). README.md lists the environment
variables. Runs as ``python app.py`` in a container, or is loaded by path and asked for ``create_app(env)``.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import tempfile
from collections.abc import Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["create_app", "ssl_context"]

OPTIONAL_ENDPOINTS = ("name", "slow", "status", "headers", "hold")
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
MAX_WAIT_S = 300.0

# Longer than Envoy keeps an idle upstream connection (1 h): a server that closes first can lose a request that is
# already on its way, and this service must never be the reason for a failed request.
KEEP_ALIVE_S = 3900


def create_app(env: Mapping[str, str]) -> ASGIApp:
    """Build the service from its environment.

    Args:
        env: the pod's environment; see README.md.

    Returns:
        An ASGI application without global state.

    Raises:
        ValueError: a variable has a value that makes no sense.
    """
    identity = {
        "service": env.get("SERVICE_NAME") or "web",
        "version": env.get("SERVICE_VERSION", ""),
        "pod": env.get("POD_NAME") or "local",
    }
    enabled = _endpoints(env.get("ENDPOINTS"))
    holds = Holds()

    async def index(request: Request) -> JSONResponse:
        return JSONResponse(identity)

    async def name(request: Request) -> JSONResponse:
        return JSONResponse({**identity, "name": f"{identity['service']} {identity['version']}".strip()})

    async def slow(request: Request) -> JSONResponse:
        seconds = _seconds(request, default=1.0)
        await asyncio.sleep(seconds)
        return JSONResponse({**identity, "slept_s": seconds})

    async def status(request: Request) -> JSONResponse:
        code = request.path_params["code"]
        if not 200 <= code <= 599:
            raise HTTPException(400, f"the status must lie between 200 and 599, not {code}")
        return JSONResponse(identity, status_code=code)

    async def headers(request: Request) -> JSONResponse:
        seen: dict[str, str] = {}
        for key, value in request.headers.items():
            seen[key] = f"{seen[key]}, {value}" if key in seen else value
        return JSONResponse(
            {
                **identity,
                "method": request.method,
                "path": request.url.path,
                "query": dict(request.query_params),
                "raw_query": request.url.query,
                "headers": seen,
            }
        )

    async def hold(request: Request) -> JSONResponse:
        seconds = _seconds(request, default=30.0)
        released = await holds.wait(request.query_params.get("key", ""), seconds)
        return JSONResponse({**identity, "released": released})

    async def held(request: Request) -> JSONResponse:
        return JSONResponse({**identity, "held": holds.count(request.query_params.get("key", ""))})

    async def release(request: Request) -> JSONResponse:
        return JSONResponse({**identity, "released": holds.release(request.query_params.get("key", ""))})

    async def healthz(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def refuse(request: Request, error: Exception) -> JSONResponse:
        code = error.status_code if isinstance(error, HTTPException) else 500
        detail = error.detail if isinstance(error, HTTPException) else "internal error"
        extra = error.headers if isinstance(error, HTTPException) else None
        if code == 404:
            detail = f"{request.url.path} does not exist in {identity['service']} {identity['version']}".rstrip()
        return JSONResponse({**identity, "error": detail}, status_code=code, headers=extra)

    optional = {
        "name": [Route("/name", name, methods=METHODS)],
        "slow": [Route("/slow", slow, methods=METHODS)],
        "status": [Route("/status/{code:int}", status, methods=METHODS)],
        "headers": [
            Route("/headers", headers, methods=METHODS),
            Route("/headers/{rest:path}", headers, methods=METHODS),
        ],
        "hold": [
            Route("/hold", hold, methods=METHODS),
            Route("/held", held, methods=["GET"]),
            Route("/release", release, methods=["POST"]),
        ],
    }
    routes = [Route("/", index, methods=METHODS), Route("/healthz", healthz, methods=["GET"])]
    routes += [route for key in OPTIONAL_ENDPOINTS if key in enabled for route in optional[key]]
    app = Starlette(routes=routes, exception_handlers={HTTPException: refuse, Exception: refuse})
    return Pod(
        app,
        identity=identity,
        latency_s=_number(env, "LATENCY_S", maximum=MAX_WAIT_S),
        error_rate=_number(env, "ERROR_RATE", maximum=1.0),
    )


def ssl_context(env: Mapping[str, str]) -> ssl.SSLContext | None:
    """What the service shows when it speaks TLS itself; a gateway in mode PASSTHROUGH leaves that to it.

    Args:
        env: ``TLS_CERT`` and ``TLS_KEY`` are its certificate and private key, as PEM texts.

    Returns:
        The context; None for a service that speaks plain HTTP.

    Raises:
        ValueError: only one of them is given, or they are no certificate and the key that belongs to it.
    """
    certificate, key = env.get("TLS_CERT", ""), env.get("TLS_KEY", "")
    if not certificate and not key:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    # Python reads a certificate from a file only; this one exists for that moment.
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pair.pem")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{key.rstrip()}\n{certificate.rstrip()}\n")
        try:
            context.load_cert_chain(path, password=lambda: b"")
        except ssl.SSLError:
            raise ValueError("TLS_CERT and TLS_KEY must be a certificate in PEM and its private key") from None
    return context


class Holds:
    """Requests that are held open until somebody releases them, by key."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def wait(self, key: str, seconds: float) -> bool:
        """Hold until released or for so many seconds; says whether it was released."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, set())
        waiting.add(future)
        try:
            await asyncio.wait_for(future, seconds)
            return True
        except TimeoutError:
            return False
        finally:
            waiting.discard(future)
            if not waiting and self._waiting.get(key) is waiting:
                del self._waiting[key]

    def count(self, key: str) -> int:
        """How many requests are held under this key."""
        return len(self._waiting.get(key, ()))

    def release(self, key: str) -> int:
        """Let every request go that is held under this key; returns how many there were."""
        waiting = self._waiting.pop(key, set())
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return len(waiting)


class Pod:
    """Wraps the service with what is the same for all its endpoints: ``x-path``, added latency, added errors.

    The knobs leave ``/healthz`` alone, because a pod that is merely slow or faulty stays ready.

    Args:
        app: the service.
        identity: service, version and pod, as told in ``x-path`` and in JSON bodies.
        latency_s: added before each answer.
        error_rate: share of requests that are answered 500 instead.
    """

    def __init__(self, app: ASGIApp, *, identity: Mapping[str, str], latency_s: float, error_rate: float) -> None:
        self._app = app
        self._identity = dict(identity)
        self._path = (b"x-path", "/".join(identity.values()).encode("latin-1", "replace"))
        self._latency_s = latency_s
        self._error_rate = error_rate
        self._random = random.Random()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append(self._path)
            await send(message)

        if (self._latency_s or self._error_rate) and scope["path"] != "/healthz":
            await asyncio.sleep(self._latency_s)
            if self._random.random() < self._error_rate:
                body = {**self._identity, "error": "this version fails some requests (ERROR_RATE)"}
                await JSONResponse(body, status_code=HTTPStatus.INTERNAL_SERVER_ERROR)(scope, receive, marked)
                return
        await self._app(scope, receive, marked)


def _endpoints(text: str | None) -> set[str]:
    """The optional endpoints that exist: all of them unless ``ENDPOINTS`` names them, separated by commas."""
    if text is None:
        return set(OPTIONAL_ENDPOINTS)
    names = {name.strip().strip("/") for name in text.split(",")} - {""}
    unknown = sorted(names - set(OPTIONAL_ENDPOINTS))
    if unknown:
        raise ValueError(f"ENDPOINTS names {', '.join(unknown)}; known are {', '.join(OPTIONAL_ENDPOINTS)}")
    return names


def _number(env: Mapping[str, str], key: str, *, maximum: float) -> float:
    text = env.get(key) or "0"
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{key} must be a number, not {text!r}") from None
    if not 0 <= value <= maximum:
        raise ValueError(f"{key} must lie between 0 and {maximum:g}, not {text}")
    return value


def _seconds(request: Request, *, default: float) -> float:
    text = request.query_params.get("seconds")
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise HTTPException(400, f"seconds must be a number, not {text!r}") from None
    if not 0 <= value <= MAX_WAIT_S:
        raise HTTPException(400, f"seconds must lie between 0 and {MAX_WAIT_S:g}, not {text}")
    return value


def main() -> None:
    """Serve on ``HOST``:``PORT`` (127.0.0.1:5000 unless the environment says otherwise)."""
    import uvicorn

    config = uvicorn.Config(
        create_app(os.environ),
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "5000")),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
    )
    config.load()
    config.ssl = ssl_context(os.environ)
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main()
