"""Sends bytes over a connection of its own, and reads what comes back."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from client_spec import RunSpec

__all__ = ["exchange", "misunderstood", "prefix_of"]

MAX_LINE = 64 * 1024


async def exchange(spec: RunSpec, context: ssl.SSLContext | None, opened: Any) -> tuple[str, str]:
    """Open a connection, send the body as lines, and read as many lines as were sent.

    A connection has no length of its own; what lines are to an echo is what tells a reply's end.

    Args:
        spec: what to send where.
        context: for TLS; None without.
        opened: called with the ``ssl.SSLObject`` (None without TLS) once the connection is there.

    Returns:
        What came back, and why it is not complete (empty if it is).
    """
    address, port = spec.connect_to or (spec.host, spec.port)
    server_name = spec.host if context is not None else None
    reader, writer = await asyncio.open_connection(
        address, port, ssl=context, server_hostname=server_name, limit=MAX_LINE
    )
    try:
        opened(writer.get_extra_info("ssl_object"))
        lines = (spec.body or "").removesuffix("\n").split("\n")
        # Written while replies are read, so that a long body cannot stop both sides.
        writer.write(("\n".join(lines) + "\n").encode())
        replies: list[str] = []
        for _ in lines:
            line = await reader.readline()
            if not line:
                break
            replies.append(line.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r"))
        missing = ""
        if len(replies) < len(lines):
            missing = "the connection was closed before the reply"
            if replies:
                missing = f"the connection was closed after {len(replies)} of {len(lines)} lines"
        return "\n".join(replies), missing
    finally:
        # Not waited for: a server that does not answer the farewell must not keep the run.
        writer.close()


def misunderstood(sent: str, received: str) -> str:
    """Why a reply is none: HTTP that answers what was no request. Empty if it is a reply."""
    status, asked = received.split("\n", 1)[0].rstrip(), sent.split("\n", 1)[0].rstrip()
    if status.startswith("HTTP/") and not asked.rpartition(" ")[2].startswith("HTTP/"):
        return f"the other end speaks HTTP, and what was sent is no request to it: {status}"
    return ""


def prefix_of(sent: str, received: str) -> str:
    """The one word that an echo put before what it was sent, which names its version; empty if it did not."""
    first, reply = sent.split("\n", 1)[0], received.split("\n", 1)[0]
    word, space, rest = reply.partition(" ")
    return word if space and rest == first else ""
