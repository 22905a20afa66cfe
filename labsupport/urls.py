"""The forms of a traffic URL, as both engines understand them.

Outside the mesh there is one address, the ingress gateway's, as behind a load balancer. ``gateway:/path`` names it
where the host does not matter; with TLS it does, because the server name (SNI) chooses the certificate. So an
``https://`` URL from outside has a host, as in a browser, and every host leads to the gateway, as with
``curl --resolve``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from labsupport.errors import UsageError

__all__ = ["FORMS", "Scheme", "Target", "entrance_url", "is_address", "parse_url"]

FORMS = (
    "gateway:/path, gateway:<port>/path, https://<host>[:port]/path, tcp://gateway:<port> or tls://<host>[:port] (from "
    "outside, through the ingress gateway), gateway/<name>:/path (a Gateway of the Gateway API), "
    "nodeport:<service>/path, loadbalancer:<service>/path, http://<service>[:port]/path or tcp://<service>:<port> "
    "(from inside the mesh)"
)

Scheme = Literal["http", "https", "tcp", "tls"]
_DEFAULT_PORTS: dict[str, int] = {"http": 80, "https": 443, "tcp": 0, "tls": 443}

# RFC 1123 labels, as Kubernetes requires of names; a single upper-case letter would never be found.
_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_ADDRESS = re.compile(r"[a-z]+://(localhost|[\d.]+)(:\d+)?([/?#]|\Z)")
_UNSAFE = re.compile(r"[\s\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads.

    Args:
        via: ``gateway`` (the ingress gateway), ``nodeport`` (a Service's node port) or ``service`` (from inside).
        service: host name as written, such as ``web`` or ``web.default``. For the gateway it is the server name (SNI)
            and the authority of requests, empty if the URL names none.
        port: port of the Service, 80 if the URL names none; 0 for ``nodeport``, which has one of its own, and for the
            gateway's default port.
        path: path with query, always beginning with ``/``; empty for ``tcp`` and ``tls``.
        scheme: ``http``, ``https`` (HTTP in TLS), ``tcp`` (bytes) or ``tls`` (bytes in TLS). With TLS the URL does not
            say where it leads: from outside to the gateway, from a pod to the host.
        gateway: name of a Gateway of the Gateway API, with its namespace behind a dot if that is another one; empty for
            the ingress gateway.
    """

    via: Literal["gateway", "nodeport", "service"]
    service: str
    port: int
    path: str
    scheme: Scheme = "http"
    gateway: str = ""

    @property
    def gateway_port(self) -> int:
        """Port of the gateway's Service that a URL by way of the gateway leads to."""
        return self.port or _DEFAULT_PORTS[self.scheme]

    @property
    def secure(self) -> bool:
        """Whether the client speaks TLS."""
        return self.scheme in ("https", "tls")

    @property
    def raw(self) -> bool:
        """Whether it carries bytes, and no HTTP."""
        return self.scheme in ("tcp", "tls")

    @property
    def authority(self) -> str:
        """Host and port as the request carries them, the port left out where it is the default."""
        return self.service if self.port in (0, _DEFAULT_PORTS[self.scheme]) else f"{self.service}:{self.port}"

    def __str__(self) -> str:
        if self.gateway:
            own = str(replace(self, gateway=""))
            return f"gateway/{self.gateway}:{own.removeprefix('gateway:')}"
        if self.scheme == "tcp":
            return f"tcp://{self.service or 'gateway'}:{self.port}"
        if self.scheme in ("https", "tls"):
            return f"{self.scheme}://{self.authority}{self.path}"
        if self.via == "gateway":
            return f"gateway:{self.port or ''}{self.path}"
        return (
            f"nodeport:{self.service}{self.path}" if self.via == "nodeport" else f"http://{self.authority}{self.path}"
        )


def parse_url(url: str) -> Target:
    """Read a traffic URL.

    Args:
        url: one of

            * ``gateway:/path`` or ``gateway:8081/path``: HTTP to the ingress gateway, port 80 unless it names one;
            * ``gateway/<name>:/path``: the same to a Gateway of the Gateway API, in front of any URL from outside:
              ``gateway/front:8080/path``, ``gateway/front:https://shop.example/path``;
            * ``https://<host>[:port]/path``: the same in TLS, port 443; the host is the server name;
            * ``tcp://gateway:<port>`` or ``tls://<host>[:port]``: bytes to the gateway, in TLS for the latter;
            * ``tcp://<service>:<port>``: bytes from inside the mesh; so are ``https://`` and ``tls://`` from a pod;
            * ``nodeport:<service>/path``: HTTP to a Service's node port;
            * ``loadbalancer:<service>/path``: the same, as load balancers lead to node ports;
            * ``http://<service>[:port]/path``: HTTP from inside the mesh.

            The path may be left out and may carry a query.

    Returns:
        Where it leads.

    Raises:
        UsageError: if it has none of these forms; the message proposes the one that was probably meant.
    """
    if not isinstance(url, str):
        raise UsageError(f"url={url!r} is not text: write {FORMS}")
    if _UNSAFE.search(url):
        raise UsageError(f"url={url!r} contains a space or a line break: write %20 for a space in a path")
    scheme, colon, rest = url.partition(":")
    if colon and scheme.startswith("gateway/"):
        inner = rest if re.match(r"(https|tls|tcp)://", rest) else f"gateway:{rest}"
        return replace(parse_url(inner), gateway=_host(scheme.partition("/")[2], url))
    if colon and scheme == "gateway":
        return _gateway(rest, url)
    if colon and scheme in ("nodeport", "loadbalancer"):
        host, path = _split(rest)
        return Target("nodeport", _host(host, url), 0, _path(path, url))
    if colon and rest.startswith("//"):
        if scheme == "http":
            host, port, path = _place(rest, url, "http://<service>:<port>/path")
            return Target("service", host, port or 80, _path(path, url))
        if scheme == "https":
            host, port, path = _place(rest, url, "https://<host>:<port>/path")
            return Target("gateway", host, port or 443, _path(path, url), "https")
        if scheme in ("tcp", "tls"):
            return _bytes("tcp" if scheme == "tcp" else "tls", rest, url)
    raise UsageError(f"url={url!r} is not understood. {_proposal(url)}")


def is_address(url: object) -> bool:
    """Whether a URL is one for a person's browser, with the address of a machine in it, or the gateway's bare name."""
    return isinstance(url, str) and (url == "gateway" or bool(_ADDRESS.match(url)))


def entrance_url(url: str, entrances: Mapping[str, str]) -> str:
    """The traffic URL that leads the way of a URL for a person's browser.

    Args:
        url: an address, perhaps with a path, or the name of an entrance.
        entrances: the addresses of all entrances by name: ``gateway``, ``gateway:<port>`` and ``nodeport:<service>``;
            with ``gateway/<name>`` in front those of a Gateway of the Gateway API.

    Returns:
        The same way as ``parse_url`` takes it; the URL itself if it leads to no entrance.
    """
    for name, address in entrances.items():
        known = name if url == name else address
        rest = url.removeprefix(known)
        if not url.startswith(known) or rest[:1] not in ("", "/", "?", "#"):
            continue
        scheme, _, place = address.partition("://")
        before = f"{name.partition(':')[0]}:" if name.startswith("gateway/") else ""
        port = name.partition(":")[2]
        if name.startswith("nodeport:"):
            return f"{name}{rest}"
        if scheme == "http":
            return f"{before or 'gateway:'}{port}{rest or '/'}"
        # With TLS the address is the server name, as in a browser.
        host = "gateway" if scheme == "tcp" else place.partition(":")[0]
        return f"{before}{scheme}://{host}:{port or 80}{rest}"
    return url


def _gateway(rest: str, url: str) -> Target:
    place, path = _split(rest)
    if place:
        port = _port(place)
        if not port:
            raise UsageError(
                f"url={url!r}: the gateway has no host name in its URL. Write gateway:/{rest}, or gateway:8081/path "
                "for another port (1 to 65535)."
            )
        return Target("gateway", "", 0 if port == 80 else port, _path(path, url))
    if rest.startswith("//"):
        raise UsageError(f"url={url!r}: write gateway:/{rest.lstrip('/')}, and a host name as headers={{'Host': ...}}")
    return Target("gateway", "", 0, _path(path, url))


def _bytes(scheme: Literal["tcp", "tls"], rest: str, url: str) -> Target:
    form = "tcp://gateway:<port> or tcp://<service>:<port>" if scheme == "tcp" else "tls://<host>[:port]"
    host, port, path = _place(rest, url, form)
    if path not in ("", "/"):
        raise UsageError(f"url={url!r}: a connection has no path. Write {form}, and what to send as body=...")
    if scheme == "tcp":
        if not port:
            raise UsageError(f"url={url!r} names no port: write tcp://{host}:<port>")
        if host != "gateway":
            return Target("service", host, port, "", "tcp")
        return Target("gateway", "", port, "", "tcp")
    return Target("gateway", host, port or 443, "", "tls")


def _place(rest: str, url: str, form: str) -> tuple[str, int, str]:
    """Host, port (0 without one) and path of what stands behind ``scheme:``."""
    authority, path = _split(rest[2:])
    host, colon, digits = authority.partition(":")
    port = _port(digits)
    if colon and not port:
        raise UsageError(f"url={url!r}: write {form} with a port from 1 to 65535")
    return _host(host, url), port, path


def _port(digits: str) -> int:
    """A port number; 0 if the text is none."""
    port = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 5 else 0
    return port if port <= 65535 else 0


def _split(text: str) -> tuple[str, str]:
    """What stands before the path and query, and these."""
    match = re.search(r"[/?#]", text)
    return (text[: match.start()], text[match.start() :]) if match else (text, "")


def _host(host: str, url: str) -> str:
    if not host:
        raise UsageError(f"url={url!r} names no service: write {FORMS}")
    if not _HOST.match(host) or len(host) > 253:
        remedy = f" Write {host.lower()!r}." if _HOST.match(host.lower()) else ""
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
        return f"Write gateway:{url} to go through the ingress gateway, or http://<service>{url} from inside the mesh."
    if re.match(r"gateway\+?https:", url):
        path = url.partition(":")[2].lstrip("/")
        return f"Write https://<host>/{path}: with TLS the host name chooses the certificate, so the URL has one."
    if re.match(r"gateway\b", url):
        return f"Write gateway:/{url[len('gateway') :].lstrip('/')} to go through the ingress gateway."
    host = url.partition("/")[0].partition(":")[0]
    if "://" not in url and _HOST.match(host):
        return f"Write http://{url} (from a client in the mesh) or nodeport:{host} (from outside)."
    return f"Write {FORMS}."
