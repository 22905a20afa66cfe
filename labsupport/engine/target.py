"""The three forms of a traffic URL, as both engines understand them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from labsupport.errors import UsageError

__all__ = ["FORMS", "Target", "parse_url"]

FORMS = "gateway:/path, nodeport:<service>/path or http://<service>[:port]/path"

# RFC 1123 labels, as Kubernetes requires of names; a single upper-case letter would never be found.
_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_UNSAFE = re.compile(r"[\s\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads.

    Args:
        via: ``gateway`` (the ingress gateway), ``nodeport`` (a Service's node port) or ``service`` (from inside).
        service: host name as written, such as ``web`` or ``web.default``; empty for the gateway.
        port: port of the Service, 80 if the URL names none; 0 for ``gateway`` and ``nodeport``, which have one of
            their own.
        path: path with query, always beginning with ``/``.
    """

    via: Literal["gateway", "nodeport", "service"]
    service: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as the request carries them, the port left out where it is the default."""
        return self.service if self.port in (0, 80) else f"{self.service}:{self.port}"

    def __str__(self) -> str:
        if self.via == "gateway":
            return f"gateway:{self.path}"
        return (
            f"nodeport:{self.service}{self.path}" if self.via == "nodeport" else f"http://{self.authority}{self.path}"
        )


def parse_url(url: str) -> Target:
    """Read a traffic URL.

    Args:
        url: ``gateway:/path``, ``nodeport:<service>/path`` or ``http://<service>[:port]/path``; the path may be left
            out and may carry a query.

    Returns:
        Where it leads.

    Raises:
        UsageError: if it has none of the three forms; the message proposes the one that was probably meant.
    """
    if not isinstance(url, str):
        raise UsageError(f"url={url!r} is not text: write {FORMS}")
    if _UNSAFE.search(url):
        raise UsageError(f"url={url!r} contains a space or a line break: write %20 for a space in a path")
    scheme, colon, rest = url.partition(":")
    if colon and scheme == "gateway":
        if rest and not rest.startswith("/"):
            raise UsageError(f"url={url!r}: the gateway has no host name in its URL. Write gateway:/{rest}")
        if rest.startswith("//"):
            raise UsageError(
                f"url={url!r}: write gateway:/{rest.lstrip('/')}, and a host name as headers={{'Host': ...}}"
            )
        return Target("gateway", "", 0, _path(rest, url))
    if colon and scheme == "nodeport":
        host, path = _split(rest)
        return Target("nodeport", _host(host, url), 0, _path(path, url))
    if colon and scheme == "http" and rest.startswith("//"):
        authority, path = _split(rest[2:])
        host, colon, digits = authority.partition(":")
        port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 5 else 0
        if colon and not 1 <= port <= 65535:
            raise UsageError(f"url={url!r}: write http://<service>:<port>/path with a port from 1 to 65535")
        return Target("service", _host(host, url), port if colon else 80, _path(path, url))
    raise UsageError(f"url={url!r} is not understood. {_proposal(url)}")


def _split(text: str) -> tuple[str, str]:
    """What stands before the path and query, and these."""
    found = re.search(r"[/?#]", text)
    return (text[: found.start()], text[found.start() :]) if found else (text, "")


def _host(host: str, url: str) -> str:
    if not host:
        raise UsageError(f"url={url!r} names no service: write {FORMS}")
    if not _HOST.match(host) or len(host) > 253:
        remedy = f" Write {host.lower()!r}" if _HOST.match(host.lower()) else ""
        raise UsageError(
            f"url={url!r}: {host!r} is not a service name (lower-case letters, digits, '-' and '.').{remedy}"
        )
    return host


def _path(path: str, url: str) -> str:
    if "#" in path:
        raise UsageError(f"url={url!r}: a fragment ('#...') is never sent, leave it out")
    return path if path.startswith("/") else f"/{path}"


def _proposal(url: str) -> str:
    if url.startswith("/"):
        return f"Write gateway:{url} to go through the ingress gateway, or http://<service>{url} from inside the mesh"
    if url.startswith("https:"):
        return f"The course sends plain HTTP, as applications behind a sidecar do: write http{url[5:]}"
    if re.match(r"gateway\b", url):
        return f"Write gateway:/{url[len('gateway') :].lstrip('/')} to go through the ingress gateway"
    host = url.partition("/")[0].partition(":")[0]
    if "://" not in url and _HOST.match(host):
        return f"Write http://{url} (from a client in the mesh) or nodeport:{host} (from outside)"
    return f"Write {FORMS}"
