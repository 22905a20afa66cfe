"""The body of a request, up to a size: whoever sends more is told so, and nobody keeps it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["body_of"]


async def body_of(request: Request, *, most: int) -> bytes:
    """Read it.

    Args:
        request: nothing of its body has been read.
        most: bytes that it may have.

    Raises:
        HTTPException: it has more (413).
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, f"the body has more than {most} bytes")
    return bytes(body)
