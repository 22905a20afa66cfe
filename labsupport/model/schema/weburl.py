"""URLs as the API server and istiod read them: by the rules of Go's ``net/url``, which differ from Python's."""

from __future__ import annotations

import ipaddress
import re
import string

__all__ = ["is_web_url"]

_USER = re.compile(r"[A-Za-z0-9\-._:!$&'()*+,;=%@]*")
_PORT = re.compile(r"(?::([0-9]*))?")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
# A host may hold escapes of bytes from 0x80 on only, and the percent sign's own.
_ASCII_ESCAPE = re.compile(r"%(?!25)[0-7]")
_HOST = frozenset(string.ascii_letters + string.digits + "-_.~!$&'()*+,;=:[]<>\"%")


def is_web_url(value: str) -> bool:
    """Tell whether a text is a URL with the scheme http or https.

    Args:
        value: what a field such as ``jwksUri`` says.

    Returns:
        Whether both the rule of the custom resource definition and istiod's check of the URL let it pass.
    """
    scheme, colon, rest = value.partition(":")
    if (
        not colon
        or scheme.lower() not in ("http", "https")
        or any(ord(char) < 0x20 or char == "\x7f" for char in value)
    ):
        return False
    rest = rest.partition("?")[0]
    if not rest.startswith("//"):
        return not rest.startswith("/") or not _BROKEN_ESCAPE.search(rest)
    authority, _, path = rest[2:].partition("/")
    user, _, host = authority.rpartition("@")
    if _BROKEN_ESCAPE.search(path) or _BROKEN_ESCAPE.search(user) or not _USER.fullmatch(user):
        return False
    return _is_host(host)


def _is_host(host: str) -> bool:
    if host.startswith("["):
        inner, closed, port = host[1:].rpartition("]")
        name, zoned, zone = inner.partition("%25")
        if not closed or not _is_ipv6(name) or bool(zoned) != bool(zone) or not _is_name(zone):
            return False
    else:
        name, colon, digits = host.partition(":")
        port = colon + digits
        if "[" in name:
            return False
    number = _PORT.fullmatch(port)
    if number is None or len((number.group(1) or "").lstrip("0")) > 18:
        return False
    return _is_name(name) and not _ASCII_ESCAPE.search(name)


def _is_name(text: str) -> bool:
    return not _BROKEN_ESCAPE.search(text) and all(char in _HOST or ord(char) >= 0x80 for char in text)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text
