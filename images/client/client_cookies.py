"""The cookies of one made-up user of one site, as far as a browser would keep them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from email.utils import parsedate_to_datetime

__all__ = ["cookie_header", "store_cookies"]


def store_cookies(jar: MutableMapping[str, str], set_cookies: Iterable[str], *, path: str) -> None:
    """Apply ``Set-Cookie`` headers to a jar (RFC 6265 as far as a run with one URL needs it).

    Args:
        jar: cookies by name; changed in place.
        set_cookies: the headers' values.
        path: the path requested; a cookie for another path is not kept.
    """
    for header in set_cookies:
        pair, *rest = header.split(";")
        name, equals, value = pair.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name:
            continue
        attributes = {key.strip().lower(): text.strip() for key, _, text in (part.partition("=") for part in rest)}
        if not _covers(attributes.get("path", ""), path.partition("?")[0]):
            continue
        if _expired(attributes):
            jar.pop(name, None)
        else:
            jar[name] = value


def cookie_header(given: str, cookies: Mapping[str, str]) -> str:
    """The ``Cookie`` header for a header that was given and cookies by name."""
    pairs = [f"{name}={value}" for name, value in cookies.items()]
    return "; ".join([given, *pairs] if given else pairs)


def _covers(cookie_path: str, path: str) -> bool:
    if not cookie_path.startswith("/"):
        return True
    return path == cookie_path or path.startswith(cookie_path if cookie_path.endswith("/") else f"{cookie_path}/")


def _expired(attributes: Mapping[str, str]) -> bool:
    max_age = attributes.get("max-age", "")
    if re.fullmatch(r"-?[0-9]+", max_age):
        return max_age.startswith("-") or not max_age.strip("0")
    try:
        # A date in the future may be taken as for ever: no run of this client outlives a cookie's date.
        return parsedate_to_datetime(attributes.get("expires", "")).year < 2000
    except ValueError:
        return False
