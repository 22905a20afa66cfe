"""Bookinfo: a page about a book, made of four services that are one program with four roles.

``productpage`` asks ``details`` and ``reviews``; ``reviews`` asks ``ratings`` unless it is the version without stars.
README.md lists the environment variables. Runs as ``python app.py`` in a container, or is loaded by path and asked for
``create_app(env)``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from starlette.types import ASGIApp

# Loaded by path, this file's folder is not where Python looks for modules. The modules of each image have names that
# no other image uses, so several images can be loaded into one process. What all images share lies in the folder above;
# in a container it lies beside this file.
sys.path.extend(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder) for folder in ("", ".."))

from bookinfo_roles import ROLES
from service import Service, serve
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

__all__ = ["create_app"]


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
    service = Service(env, name=name)
    role = ROLES[name](service)

    async def health(request: Request) -> JSONResponse:
        return service.json({"status": f"{name} is healthy"})

    return service.app([Route("/health", health), *role.routes()], closing=[role.caller.close])


if __name__ == "__main__":
    serve(create_app, port=9080)
