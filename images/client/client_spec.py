"""What a run is asked to send, and the check that it makes sense.

The fields are those of ``TrafficSpec`` in the workshop's library, but for ``source``: this client is the source.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = ["RunSpec", "SpecError", "TlsSpec", "parse_rate", "parse_spec"]

MAX_COUNT = 1_000_000
MAX_CONCURRENCY = 1_000
MAX_RATE = 100_000.0
MAX_SECONDS = 86_400.0

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Everything that RFC 3986 allows in a path or query stays as it was written, so that routes are tested with exactly it.
_URL_SAFE = "/?%:@!$&'()*+,;=~-._[]"


class SpecError(ValueError):
    """A field of a request to this client makes no sense.

    Args:
        field: its name.
        message: what is wrong with it.
    """

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(f"{field}: {message}")


@dataclass(frozen=True, slots=True)
class TlsSpec:
    """What a client trusts and shows, in PEM; empty texts for nothing. A ``repr`` shows none of it.

    Args:
        ca: certificates of trusted authorities; empty trusts every server.
        certificate, key: the client's own.
        version: the only version to speak, such as ``1.2``.
    """

    ca: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    version: str = ""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run, checked.

    Args:
        scheme, host, port, target: parts of the URL; ``target`` is path and query as they were written, and empty for
            ``tcp`` and ``tls``.
        run: name of the run; empty for a made-up one.
        connect_to: host and port of the TCP connection if it differs from the URL's; it bypasses the proxy.
        method, body, headers, cookies, users, count, duration_s, rate, concurrency, simultaneous,
            hold, reuse_connections, timeout_s, keep_headers, keep_body: as in ``TrafficSpec``. With neither ``count``
            nor ``duration_s`` the run goes on until it is stopped.
        tls: for ``https`` and ``tls``.
    """

    scheme: str
    host: str
    port: int
    target: str
    run: str = ""
    connect_to: tuple[str, int] | None = None
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    users: int = 0
    count: int | None = None
    duration_s: float | None = None
    rate: float | None = None
    concurrency: int = 8
    simultaneous: bool = False
    hold: bool = False
    reuse_connections: bool = False
    timeout_s: float = 15.0
    keep_headers: tuple[str, ...] = ()
    keep_body: bool = False
    tls: TlsSpec | None = None


def parse_spec(data: Any) -> RunSpec:
    """Check the JSON body of ``POST /run``.

    Args:
        data: the decoded JSON.

    Returns:
        The run to make.

    Raises:
        SpecError: names the first field that is wrong.
    """
    if not isinstance(data, dict):
        raise SpecError("body", "must be a JSON object")
    unknown = sorted(set(data) - set(_FIELDS) - {"url"})
    if unknown:
        raise SpecError(unknown[0], f"is not a field of a run; there are url, {', '.join(_FIELDS)}")
    values = _parse_url(data.get("url"))
    for name, check in _FIELDS.items():
        if name in data and not (data[name] is None and name in _OPTIONAL):
            values[name] = check(name, data[name])
    spec = RunSpec(**values)
    if spec.simultaneous:
        if spec.count is None:
            raise SpecError("count", "is needed with simultaneous, to know how many requests start together")
        if spec.rate is not None:
            raise SpecError("rate", "cannot be given together with simultaneous")
        if spec.count > MAX_CONCURRENCY:
            raise SpecError("count", f"must be at most {MAX_CONCURRENCY} with simultaneous")
    if spec.hold and not spec.simultaneous:
        raise SpecError("hold", "needs simultaneous: what waits for nobody's end must not wait for a turn")
    if spec.scheme in ("tcp", "tls"):
        if not spec.body:
            raise SpecError("body", f"is needed with {spec.scheme}, to have something to send")
        for name in ("simultaneous", "users"):
            if getattr(spec, name):
                raise SpecError(name, f"cannot be given with {spec.scheme}")
    return spec


def parse_rate(data: Any) -> float | None:
    """Check the JSON body of ``PATCH /run/{run}``.

    Returns:
        Requests per second; 0 pauses the run, None is as fast as its concurrency allows.

    Raises:
        SpecError: it is not an object with just a rate.
    """
    if not isinstance(data, dict) or set(data) != {"rate"}:
        raise SpecError("body", 'must be a JSON object such as {"rate": 50}')
    return None if data["rate"] is None else _number("rate", data["rate"], 0.0, MAX_RATE)


def _parse_url(value: Any) -> dict[str, Any]:
    if not isinstance(value, str) or not value:
        raise SpecError("url", "is needed, in the form http://host[:port]/path")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise SpecError("url", f"{value!r} is not a URL: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        raise SpecError("url", f"must have the form http://host[:port]/path, https, tcp or tls, not {value!r}")
    if re.search(r"[\s\x00-\x1f]", parts.netloc):
        raise SpecError("url", f"{parts.netloc!r} is not a host name")
    if port == 0:
        raise SpecError("url", "the port must lie between 1 and 65535")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme in ("tcp", "tls"):
        if target != "/":
            raise SpecError("url", f"a connection has no path, as {value!r} has")
        target = ""
        if parts.scheme == "tcp" and port is None:
            raise SpecError("url", "names no port, in the form tcp://host:port")
    # The host keeps the case it was written in: Envoy compares :authority as it is sent.
    host = parts.netloc.rsplit(":", 1)[0] if port is not None else parts.netloc.rstrip(":")
    return {
        "scheme": parts.scheme,
        "host": host,
        "port": port or _PORTS[parts.scheme],
        "target": quote(target, safe=_URL_SAFE),
    }


_PORTS = {"http": 80, "https": 443, "tcp": 0, "tls": 443}


def _tls(name: str, value: Any) -> TlsSpec:
    if not isinstance(value, dict) or set(value) - {"ca", "certificate", "key", "version"}:
        raise SpecError(name, "must be an object with ca, certificate, key and version, each a text or left out")
    for key, text in value.items():
        # Not shown: it may be a private key.
        if not isinstance(text, str):
            raise SpecError(f"{name}.{key}", "must be a text")
    options = TlsSpec(**value)
    if options.version not in ("", "1.0", "1.1", "1.2", "1.3"):
        raise SpecError(f"{name}.version", f"must be 1.0, 1.1, 1.2 or 1.3, not {options.version!r}")
    if bool(options.certificate) != bool(options.key):
        raise SpecError(f"{name}.certificate", "and key belong together")
    return options


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SpecError(name, f"must be a text, not {value!r}")
    return value


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SpecError(name, f"must be true or false, not {value!r}")
    return value


def _number(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SpecError(name, f"must be a number, not {value!r}")
    if not low <= value <= high:
        raise SpecError(name, f"must lie between {low:g} and {high:g}, not {value}")
    return float(value)


def _whole(low: int, high: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise SpecError(name, f"must be a whole number, not {value!r}")
        if not low <= value <= high:
            raise SpecError(name, f"must lie between {low} and {high}, not {value}")
        return value

    return check


def _seconds(name: str, value: Any) -> float:
    return _number(name, value, 0.001, MAX_SECONDS)


def _rate(name: str, value: Any) -> float:
    return _number(name, value, 0.001, MAX_RATE)


def _method(name: str, value: Any) -> str:
    text = _text(name, value)
    if not _TOKEN.fullmatch(text) or text.upper() == "CONNECT":
        raise SpecError(name, f"{value!r} is not a method that can be sent")
    return text.upper()


def _run(name: str, value: Any) -> str:
    text = _text(name, value)
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text):
        raise SpecError(name, f"must be up to 100 letters, digits, '.', '_' or '-', not {value!r}")
    return text


def _connect_to(name: str, value: Any) -> tuple[str, int]:
    host, _, port = _text(name, value).rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise SpecError(name, f"must have the form host:port, not {value!r}")
    return host, int(port)


def _pairs(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise SpecError(name, f"must be an object of texts, not {value!r}")
    for key, text in value.items():
        if not _TOKEN.fullmatch(key):
            raise SpecError(f"{name}.{key}", "is not a name that can be sent")
        if not isinstance(text, str):
            raise SpecError(f"{name}.{key}", f"must be a text, not {text!r}")
        if re.search(r"[\r\n\x00]", text) or (name == "cookies" and ";" in text):
            raise SpecError(f"{name}.{key}", "has a character that cannot be sent")
        if key.lower() in ("content-length", "transfer-encoding", "connection"):
            raise SpecError(f"{name}.{key}", "is set by the client itself")
    return dict(value)


def _names(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and _TOKEN.fullmatch(item) for item in value):
        raise SpecError(name, f"must be a list of header names, not {value!r}")
    return tuple(item.lower() for item in value)


_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "run": _run,
    "connect_to": _connect_to,
    "method": _method,
    "body": _text,
    "headers": _pairs,
    "cookies": _pairs,
    "users": _whole(0, MAX_COUNT),
    "count": _whole(0, MAX_COUNT),
    "duration_s": _seconds,
    "rate": _rate,
    "concurrency": _whole(1, MAX_CONCURRENCY),
    "simultaneous": _flag,
    "hold": _flag,
    "reuse_connections": _flag,
    "timeout_s": _seconds,
    "keep_headers": _names,
    "keep_body": _flag,
    "tls": _tls,
}
_OPTIONAL = frozenset({"run", "connect_to", "body", "count", "duration_s", "rate", "tls"})
