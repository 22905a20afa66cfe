"""Who may give orders to a load client: whoever knows its token, and no web page."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["TOKEN_HEADER", "guarded"]

TOKEN_HEADER = "x-run-token"
_THIS_MACHINE = ("127.0.0.1", "localhost", "[::1]")


def guarded(endpoint: Callable[[Request], Awaitable[Any]], token: str) -> Callable[[Request], Awaitable[Any]]:
    """An endpoint that answers nobody else.

    Args:
        endpoint: takes orders.
        token: what an order has to bring along; without one only web pages are kept out, as in a pod, where the API
            server asks who comes.
    """

    async def careful(request: Request) -> Any:
        # Only a browser names an origin, and none has a reason to be here.
        if "origin" in request.headers:
            raise HTTPException(403, "a load client takes no orders from web pages")
        if token:
            host = request.headers.get("host", "")
            if (host[: host.rindex(":")] if ":" in host.rpartition("]")[2] else host).lower() not in _THIS_MACHINE:
                raise HTTPException(403, "a load client with a token is asked for by the name of this machine")
            if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), token.encode()):
                raise HTTPException(401, f"orders need the token of this load client in the header {TOKEN_HEADER}")
        return await endpoint(request)

    return careful
