"""Says hello, its version and its pod, as the service of Istio's sample ``helloworld``.

Runs as ``python app.py`` in a container, or is loaded by path and asked for ``create_app(env)``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

# Loaded by path, this file's folder is not where Python looks for modules. What all images share lies in the folder
# above; in a container it lies beside this file.
sys.path.extend(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder) for folder in ("", ".."))

from service import METHODS, Service, serve

__all__ = ["create_app"]


def create_app(env: Mapping[str, str]) -> ASGIApp:
    """Build the service from its environment.

    Args:
        env: the pod's environment; see README.md.

    Returns:
        An ASGI application without global state.
    """
    service = Service(env, name="helloworld")
    version = service.settings.text("HELLO_VERSION", service.identity["version"])

    async def index(request: Request) -> JSONResponse:
        return service.json()

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"Hello version: {version}, instance: {service.identity['pod']}\n")

    return service.app([Route("/", index, methods=METHODS), Route("/hello", hello, methods=METHODS)])


if __name__ == "__main__":
    serve(create_app, port=5000)
