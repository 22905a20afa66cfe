"""A shop for socks, cut as Sock Shop is: seven services that are one program with seven roles.

``front-end`` asks ``catalogue``, ``carts``, ``orders`` and ``user``; ``orders`` asks ``carts``, ``user``, ``payment``
and ``shipping``. README.md lists the environment variables. Runs as ``python app.py`` in a container, or is loaded by
path and asked for ``create_app(env)``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from starlette.types import ASGIApp

# As in bookinfo: this folder holds modules whose names no other image uses, the one above what all images share.
sys.path.extend(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder) for folder in ("", ".."))

from service import Service, serve
from shop_front import FrontEnd
from shop_roles import BACK_ENDS, Role
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

__all__ = ["create_app"]

ROLES: dict[str, type[Role]] = {"front-end": FrontEnd, **BACK_ENDS}


def create_app(env: Mapping[str, str]) -> ASGIApp:
    """Build one of the services from its environment.

    Args:
        env: the pod's environment; ``ROLE`` says which service it is, or else the name that the service goes by.

    Returns:
        An ASGI application without global state.

    Raises:
        ValueError: a variable has a value that makes no sense.
    """
    name = env.get("ROLE") or env.get("SERVICE_NAME") or ""
    if name not in ROLES:
        raise ValueError(f"ROLE must be one of {', '.join(ROLES)}, not {name!r}")
    service = Service(env, name=name)
    role = ROLES[name](service)

    async def health(request: Request) -> JSONResponse:
        return service.json({"health": [{"service": name, "status": "OK"}]})

    return service.app([Route("/health", health), *role.routes()], closing=[role.close])


if __name__ == "__main__":
    serve(create_app, port=8079)
