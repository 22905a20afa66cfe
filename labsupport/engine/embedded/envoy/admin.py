"""Talks to the admin interface of an Envoy over its Unix socket."""

from __future__ import annotations

import asyncio
import http.client
import io
from pathlib import Path
from typing import Any

__all__ = ["fetch", "statistics"]


class _Answer(io.BytesIO):
    """Lets ``http.client`` parse an answer that is already complete."""

    def makefile(self, *_: Any, **__: Any) -> _Answer:
        return self


async def fetch(socket_path: Path | str, target: str, *, method: str = "GET", timeout_s: float = 5.0) -> str:
    """Send one request to an admin interface.

    Args:
        socket_path: path of the Unix socket, relative to the working directory if it is long.
        target: path and query, such as ``/config_dump?include_eds``.
        method: ``GET``, or ``POST`` for what changes something.
        timeout_s: bound for the whole exchange.

    Raises:
        OSError: it does not answer, or not with 200.
    """

    async def exchange() -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(socket_path))
        try:
            request = f"{method} {target} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            writer.write(request.encode("ascii"))
            return await reader.read(-1)
        finally:
            writer.close()

    try:
        raw = await asyncio.wait_for(exchange(), timeout_s)
    except TimeoutError as error:
        raise OSError(f"Envoy's admin interface did not answer {target} within {timeout_s:g} s") from error
    response = http.client.HTTPResponse(_Answer(raw))  # type: ignore[arg-type]
    try:
        response.begin()
        body = response.read().decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise OSError(f"Envoy's admin interface broke off while answering {target}") from error
    if response.status != 200:
        raise OSError(f"Envoy's admin interface answered {target} with {response.status}: {body[:200]}")
    return body


async def statistics(socket_path: Path | str, pattern: str, *, timeout_s: float = 5.0) -> dict[str, int]:
    """Counters and gauges whose name matches a regular expression."""
    values = {}
    for line in (await fetch(socket_path, f"/stats?filter={pattern}", timeout_s=timeout_s)).splitlines():
        name, _, value = line.rpartition(": ")
        if value.isdigit():
            values[name] = int(value)
    return values
