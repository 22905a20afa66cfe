"""The web service of the canary lessons: one program, whose versions differ only in their environment.

It is a small HTTP service with endpoints that make routing visible (``/``, ``/name``, ``/headers``) and
others that misbehave on request (``/slow``, ``/status/503``, ``/hold``). README.md lists the environment
variables. Runs as ``python app.py`` in a container, or is loaded by path and asked for ``create_app(env)``.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import tempfile
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

# Loaded by path, this file's folder is not where Python looks for modules. The modules of each image have names that
# no other image uses, so several images can be loaded into one process. What all images share lies in the folder above;
# in a container it lies beside this file.
sys.path.extend(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder) for folder in ("", ".."))

from service import LONGEST_S, METHODS, Service, serve

__all__ = ["create_app", "ssl_context"]

OPTIONAL_ENDPOINTS = ("name", "slow", "status", "headers", "hold")


def create_app(env: Mapping[str, str]) -> ASGIApp:
    """Build the service from its environment.

    Args:
        env: the pod's environment; see README.md.

    Returns:
        An ASGI application without global state.

    Raises:
        ValueError: a variable has a value that makes no sense.
    """
    service = Service(env, name="web")
    enabled = _endpoints(env.get("ENDPOINTS"))

    def seconds(request: Request, *, default: float) -> float:
        return _seconds(request, default=default) / service.settings.time_scale

    async def index(request: Request) -> JSONResponse:
        return service.json()

    async def name(request: Request) -> JSONResponse:
        return service.json({"name": f"{service.identity['service']} {service.identity['version']}".strip()})

    async def slow(request: Request) -> JSONResponse:
        slept_s = seconds(request, default=1.0)
        await asyncio.sleep(slept_s)
        return service.json({"slept_s": slept_s})

    async def status(request: Request) -> JSONResponse:
        code = request.path_params["code"]
        if not 200 <= code <= 599:
            raise HTTPException(400, f"the status must lie between 200 and 599, not {code}")
        return service.json(status=code)

    async def headers(request: Request) -> JSONResponse:
        seen: dict[str, str] = {}
        for key, value in request.headers.items():
            seen[key] = f"{seen[key]}, {value}" if key in seen else value
        return service.json(
            {
                "method": request.method,
                "path": request.url.path,
                "query": dict(request.query_params),
                "raw_query": request.url.query,
                "headers": seen,
            }
        )

    async def hold(request: Request) -> JSONResponse:
        key = request.query_params.get("key", "")
        return service.json({"released": await service.faults.holds.wait(key, seconds(request, default=30.0))})

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
            Route("/held", service.held, methods=["GET"]),
            Route("/release", service.release, methods=["POST"]),
        ],
    }
    routes = [Route("/", index, methods=METHODS)]
    routes += [route for key in OPTIONAL_ENDPOINTS if key in enabled for route in optional[key]]
    return service.app(routes)


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


def _endpoints(text: str | None) -> set[str]:
    """The optional endpoints that exist: all of them unless ``ENDPOINTS`` names them, separated by commas."""
    if text is None:
        return set(OPTIONAL_ENDPOINTS)
    names = {name.strip().strip("/") for name in text.split(",")} - {""}
    unknown = sorted(names - set(OPTIONAL_ENDPOINTS))
    if unknown:
        raise ValueError(f"ENDPOINTS names {', '.join(unknown)}; known are {', '.join(OPTIONAL_ENDPOINTS)}")
    return names


def _seconds(request: Request, *, default: float) -> float:
    text = request.query_params.get("seconds")
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise HTTPException(400, f"seconds must be a number, not {text!r}") from None
    if not 0 <= value <= LONGEST_S:
        raise HTTPException(400, f"seconds must lie between 0 and {LONGEST_S:g}, not {text}")
    return value


if __name__ == "__main__":
    serve(create_app, port=5000, ssl_context=ssl_context)
