"""The request as the deciding proxy sees it, after Envoy's path normalisation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Request", "normal_path", "query_values"]

_UNRESERVED = re.compile(r"%([0-9A-Fa-f]{2})")
# What the load client and Envoy itself put on every request, so that a condition on its presence holds.
_ALWAYS = {
    "accept": "*/*",
    "user-agent": "workshop-load-client",
    "x-forwarded-proto": "http",
    "x-request-id": "a made-up id",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Args:
        method: in capitals.
        scheme: ``http`` or ``https``.
        authority: host as it is sent, in its own case, with the port if the client sends it.
        target: path and query as they are written.
        headers: by lower-case name.
    """

    method: str
    scheme: str
    authority: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path without query, as routes compare it (``normalize_path`` of the connection manager)."""
        return normal_path(self.target.partition("?")[0])

    @property
    def query(self) -> str:
        """The query string, without its question mark."""
        return self.target.partition("?")[2]

    @property
    def host(self) -> str:
        """The host in lower case without port, as virtual hosts compare it."""
        name, colon, port = self.authority.rpartition(":")
        return (name if colon and port.isdigit() else self.authority).lower()

    def header(self, name: str) -> str | None:
        """Value of a header or pseudo header; None without it."""
        key = name.lower()
        pseudo = {
            ":method": self.method,
            ":scheme": self.scheme,
            ":authority": self.authority,
            "host": self.authority,
            ":path": self.path + (f"?{self.query}" if self.query else ""),
        }
        return pseudo[key] if key in pseudo else self.headers.get(key, _ALWAYS.get(key))


def normal_path(path: str) -> str:
    """Normalise a path as Envoy's ``normalize_path`` does: dots, backslashes, needless escapes (RFC 3986, 6)."""
    path = path.replace("\\", "/") or "/"

    def unescape(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character.isascii() and (character.isalnum() or character in "-._~") else match[0]

    path = _UNRESERVED.sub(unescape, path)
    kept: list[str] = []
    parts = path.split("/")[1:]
    for position, part in enumerate(parts):
        if part == "..":
            kept = kept[:-1]
        elif part != ".":
            kept.append(part)
            continue
        if position == len(parts) - 1:
            kept.append("")
    return "/" + "/".join(kept)


def query_values(query: str) -> dict[str, str]:
    """The first value of each query parameter, undecoded, as Envoy's ``QueryParameterMatcher`` compares it."""
    values: dict[str, str] = {}
    for part in query.split("&"):
        if part:
            key, _, value = part.partition("=")
            values.setdefault(key, value)
    return values
