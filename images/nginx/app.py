"""A web server that reads the part of nginx's configuration which tutorials use: hosts, certificates, files, replies.

Runs as ``python app.py``, or is loaded by path and asked for ``create_app(env)``. README.md lists what it understands.
"""

from __future__ import annotations

import contextlib
import mimetypes
import os
import ssl
import sys
from collections.abc import Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

# Loaded by path, this file's folder is not where Python looks for modules. What all images share lies in the folder
# above; in a container it lies beside this file.
sys.path.extend(os.path.join(os.path.dirname(os.path.abspath(__file__)), folder) for folder in ("", ".."))

from nginx_conf import HTML, Location, Server, expanded, inside, read_servers
from service import METHODS, Service, serve

__all__ = ["create_app", "ssl_context"]

WELCOME = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Welcome to nginx!</title></head>
<body><h1>Welcome to nginx!</h1><p>The workshop's web server answers in its place.</p></body>
</html>
"""


def create_app(env: Mapping[str, str]) -> ASGIApp:
    """Build the web server from its environment and its configuration.

    Args:
        env: the pod's environment; see README.md.

    Returns:
        An ASGI application without global state.

    Raises:
        ValueError: the configuration cannot be read, asks for what this server does not do, or listens elsewhere.
    """
    service = Service(env, name="nginx")
    servers = _servers(env)
    root = env.get("FILES_ROOT", "")

    async def answer(request: Request) -> Response:
        host = request.headers.get("host", "").rpartition("@")[2].partition(":")[0].lower()
        server = _chosen(servers, host)
        variables = {
            "host": host,
            "hostname": service.identity["pod"],
            "request_method": request.method,
            "request_uri": _raw(request, query=True),
            "scheme": request.url.scheme,
            "server_name": server.names[0] if server.names else "",
            "uri": _raw(request, query=False),
        }
        reply, headers = _reply(server, request.url.path, request.method, root, variables)
        for name, value in headers:
            reply.headers[name] = expanded(value, variables)
        return reply

    return service.app([Route("/{path:path}", answer, methods=METHODS)])


def ssl_context(env: Mapping[str, str]) -> ssl.SSLContext | None:
    """What the server shows when it speaks TLS: the certificate of the server whose name the client asks for.

    Args:
        env: the pod's environment; see README.md.

    Returns:
        The context; None if it speaks plain HTTP where it listens.

    Raises:
        ValueError: a certificate or its key cannot be read.
    """
    servers = [server for server in _servers(env) if server.ports.get(_port(env))]
    if not servers:
        return None
    contexts = [(server, _context(server, env.get("FILES_ROOT", ""))) for server in servers]

    def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        chosen = _chosen(servers, (name or "").lower())
        connection.context = next(own for server, own in contexts if server is chosen)

    first = contexts[0][1]
    first.sni_callback = choose
    return first


def _raw(request: Request, *, query: bool) -> str:
    """The path as the client wrote it, in which nothing is that a header cannot hold."""
    path = request.scope["raw_path"].decode("latin-1")
    more = request.scope["query_string"].decode("latin-1")
    return f"{path}?{more}" if query and more else path


def _port(env: Mapping[str, str]) -> int:
    """The port of this pod: ``PORT``, else the first of the configuration."""
    text = env.get("PORT", "")
    if text.isdecimal() and len(text) <= 5:
        return int(text)
    return next((port for server in _configured(env) or () for port in server.ports), 80)


def _servers(env: Mapping[str, str]) -> list[Server]:
    """The servers that listen on this pod's port, the one for unknown hosts first."""
    port, servers = _port(env), _configured(env)
    if servers is None:
        return [Server({port: False}, locations=(Location(),))]
    here = [server for server in servers if port in server.ports]
    if not here:
        others = ", ".join(str(number) for number in sorted({number for each in servers for number in each.ports}))
        raise ValueError(
            f"the configuration listens on {others}, and not on {port}, where the pod is called: the workshop's nginx "
            "listens on the first containerPort alone"
        )
    return sorted(here, key=lambda server: port not in server.default)


def _configured(env: Mapping[str, str]) -> list[Server] | None:
    root = env.get("FILES_ROOT", "")

    def read(path: str) -> str | None:
        try:
            with open(inside(root, path), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return None

    def listed(folder: str) -> Sequence[str]:
        try:
            return os.listdir(inside(root, folder))
        except OSError:
            return ()

    # Without volumes there is nothing to read: this machine's own root is none of its business.
    return read_servers(read, listed) if root else None


def _context(server: Server, root: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    if not server.certificate or not server.key:
        raise ValueError('no "ssl_certificate" or "ssl_certificate_key" is defined for a server that listens with ssl')
    try:
        context.load_cert_chain(inside(root, server.certificate), inside(root, server.key), password=lambda: b"")
    except OSError as error:
        raise ValueError(
            f"cannot load certificate {server.certificate!r} with its key {server.key!r}: {error}"
        ) from None
    return context


def _chosen(servers: Sequence[Server], host: str) -> Server:
    """The server of a host: by its name, by the longest wildcard, or the first."""
    for server in servers:
        if host in server.names:
            return server
    wild = [
        (len(name), server)
        for server in servers
        for name in server.names
        if name.startswith("*.") and host.endswith(name[1:])
    ]
    return max(wild, key=lambda pair: pair[0])[1] if wild else servers[0]


def _reply(
    server: Server, path: str, method: str, root: str, variables: Mapping[str, str]
) -> tuple[Response, Sequence[tuple[str, str]]]:
    """The reply, and the headers that the location adds."""
    location = next(
        location
        for location in server.locations
        if (path == location.path if location.exact else path.startswith(location.path))
    )
    if location.reply is not None:
        status, text = location.reply[0], expanded(location.reply[1], variables)
        if status in (301, 302, 303, 307, 308):
            return RedirectResponse(text or "/", status_code=status), location.headers
        return PlainTextResponse(text, status_code=status), location.headers
    if method not in ("GET", "HEAD"):
        raise HTTPException(405)
    wanted = [path, location.fallback] if location.fallback else [path]
    file = next((file for each in wanted if root and (file := _file(location, each, root))), None)
    if file is not None:
        return FileResponse(file, media_type=mimetypes.guess_type(file)[0] or "text/plain"), location.headers
    if path in ("/", "/index.html") and location.root == HTML and not (root and os.path.isdir(inside(root, HTML))):
        return HTMLResponse(WELCOME), location.headers
    raise HTTPException(404)


def _file(location: Location, path: str, root: str) -> str | None:
    place = inside(inside(root, location.root), path)
    for candidate in (place, *(os.path.join(place, name) for name in location.index)):
        if os.path.isfile(candidate):
            return candidate
    return None


if __name__ == "__main__":
    # What cannot be read is told when the application is made.
    with contextlib.suppress(ValueError):
        os.environ["PORT"] = os.environ.get("PORT") or str(_port(os.environ))
    serve(create_app, port=80, ssl_context=ssl_context)
