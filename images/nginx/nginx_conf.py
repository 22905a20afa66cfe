"""The part of nginx's configuration that decides what a web server answers: servers, their certificates, their files.

What changes no answer of such a server (logs, timeouts, buffers) is read over. A directive that means something else is
an error with its line: a server that left it out would answer as if it were not there.
"""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

__all__ = ["HTML", "VARIABLES", "Location", "Server", "expanded", "inside", "read_servers"]

HTML = "/usr/share/nginx/html"
_MAIN, _MORE = "/etc/nginx/nginx.conf", "/etc/nginx/conf.d"
_TOKEN = re.compile(
    r"\s+|#[^\n]*|([;{}])|\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|([^\s;{}\"'#][^\s;{}]*)", re.DOTALL
)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
VARIABLES = ("host", "hostname", "request_method", "request_uri", "scheme", "server_name", "uri")
_DEEPEST = 12
_WITHOUT_EFFECT = (
    "access_log", "charset", "client_*", "default_type", "error_log", "error_page", "events", "gzip*", "http2",
    "keepalive_*", "large_client_header_buffers", "log_format", "log_not_found", "multi_accept", "pid", "reset_*",
    "send_timeout", "sendfile*", "server_names_*", "server_tokens", "ssl_ciphers", "ssl_dhparam", "ssl_ecdh_curve",
    "ssl_prefer_server_ciphers", "ssl_protocols", "ssl_session_*", "tcp_nodelay", "tcp_nopush", "types", "types_*",
    "use", "user", "worker_*",
)  # fmt: skip


@dataclass(frozen=True)
class Directive:
    """A directive with its words and, where it has one, its block."""

    name: str
    words: tuple[str, ...]
    block: tuple[Directive, ...] | None
    place: str


@dataclass(frozen=True)
class Location:
    """What a server answers below a path.

    Args:
        path: the path, or its beginning.
        exact: whether it is that path alone.
        root: folder of the files.
        index: names of the file that stands for a folder.
        reply: status and text, instead of files.
        fallback: the path of the file that is sent where there is none.
        headers: added to each reply.
    """

    path: str = "/"
    exact: bool = False
    root: str = HTML
    index: tuple[str, ...] = ("index.html",)
    reply: tuple[int, str] | None = None
    fallback: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Server:
    """A server.

    Args:
        ports: where it listens, and whether it speaks TLS there.
        default: the ports whose first server it is, whatever its names.
        names: hosts that it answers.
        certificate, key: paths of its certificate and private key.
        locations: what it answers; the last one is for all that no other takes.
    """

    ports: dict[int, bool] = field(default_factory=dict)
    default: frozenset[int] = frozenset()
    names: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    locations: tuple[Location, ...] = ()


def read_servers(read: Callable[[str], str | None], listed: Callable[[str], Sequence[str]]) -> list[Server] | None:
    """The servers of a configuration.

    Args:
        read: gives the text of a file; None if there is none.
        listed: gives the names of the files in a folder.

    Returns:
        The servers in their order; None if there is no configuration.

    Raises:
        ValueError: it cannot be read, or asks for something that this server does not do; the message says where.
    """
    path = _MAIN
    text = read(path)
    if text is None:
        if not any(fnmatch.fnmatch(name, "*.conf") for name in listed(_MORE)):
            return None
        path, text = _MAIN, f"http {{ include {_MORE}/*.conf; }}"
    http: list[Directive] = []
    for directive in _directives(text, path, read, listed, 0):
        if directive.name == "http":
            http += directive.block or ()
        else:
            _known(directive)
    around = replace(Location(), path="")
    for directive in http:
        if directive.name != "server":
            around = _setting(directive, around)
    servers = [_server(directive, around) for directive in http if directive.name == "server"]
    if not servers:
        raise ValueError(f"{path}: there is no server in it")
    return servers


def _server(block: Directive, around: Location) -> Server:
    server, own, locations = Server(), around, list[Directive]()
    for directive in block.block or ():
        if directive.name == "listen":
            server = _listening(directive, server)
        elif directive.name == "server_name":
            server = replace(server, names=(*server.names, *(word.lower() for word in directive.words)))
        elif directive.name in ("ssl_certificate", "ssl_certificate_key"):
            field_name = "certificate" if directive.name == "ssl_certificate" else "key"
            server = replace(server, **{field_name: _word(directive)})
        elif directive.name == "location":
            locations.append(directive)
        else:
            own = _setting(directive, own)
    made = [_location(directive, own) for directive in locations]
    # As nginx does: the exact path, then the longest beginning.
    made.sort(key=lambda location: (not location.exact, -len(location.path)))
    return replace(server, ports=server.ports or {80: False}, locations=(*made, replace(own, path="/")))


def _listening(directive: Directive, server: Server) -> Server:
    address = _word(directive, many=True)
    number = address.rpartition("]")[2].rpartition(":")[2]
    if not number.isdecimal() or len(number) > 5:
        number = "80"
    port, words = int(number), directive.words[1:]
    default = server.default | {port} if {"default_server", "default"} & set(words) else server.default
    return replace(server, ports={**server.ports, port: "ssl" in words}, default=default)


def _location(directive: Directive, around: Location) -> Location:
    words = directive.words
    if words[:1] == ("=",) and len(words) == 2:
        made = replace(around, path=words[1], exact=True)
    elif len(words) in (1, 2) and words[0] not in ("~", "~*") and (len(words) == 1 or words[0] == "^~"):
        made = replace(around, path=words[-1], exact=False)
    else:
        raise ValueError(f"{directive.place}: the workshop's nginx knows locations by path, and none by {words[0]}")
    for inner in directive.block or ():
        made = _setting(inner, made)
    return made


def _setting(directive: Directive, location: Location) -> Location:
    """A location with what a directive sets for it."""
    words = directive.words
    if directive.name == "root":
        return replace(location, root=_word(directive))
    if directive.name == "index" and words:
        return replace(location, index=words)
    if directive.name == "return" and words and words[0].isdecimal() and 200 <= int(words[0][:4]) <= 599:
        _check_variables(directive)
        return replace(location, reply=(int(words[0]), " ".join(words[1:])))
    if directive.name == "add_header" and len(words) >= 2:
        _check_variables(directive)
        return replace(location, headers=(*location.headers, (words[0], words[1])))
    if directive.name == "try_files" and words and words[-1] == "=404":
        return location
    if directive.name == "try_files" and words and words[-1].startswith("/"):
        return replace(location, fallback=words[-1])
    _known(directive)
    return location


def _check_variables(directive: Directive) -> None:
    for match in _VARIABLE.finditer(" ".join(directive.words)):
        if (match[1] or match[2]) not in VARIABLES:
            raise ValueError(f"{directive.place}: the workshop's nginx does not know the variable {match[0]}")


def _known(directive: Directive) -> None:
    if not any(fnmatch.fnmatchcase(directive.name, pattern) for pattern in _WITHOUT_EFFECT):
        raise ValueError(
            f"{directive.place}: the workshop's nginx does not know {directive.name} as it is written here"
        )


def _word(directive: Directive, *, many: bool = False) -> str:
    if not directive.words or (len(directive.words) > 1 and not many):
        raise ValueError(f"{directive.place}: {directive.name} has another number of words")
    return directive.words[0]


def _directives(
    text: str, path: str, read: Callable[[str], str | None], listed: Callable[[str], Sequence[str]], depth: int
) -> list[Directive]:
    """All directives of a text, those of files that it includes in their place."""
    stack: list[tuple[Directive | None, list[Directive]]] = [(None, [])]
    words: list[str] = []
    line = 1
    for token, symbol, number in _tokens(text, path):
        line = line if words else number
        place = f"{path}:{line}"
        if not symbol:
            words.append(token)
        elif token == "}":
            opened, inner = stack.pop()
            if words or opened is None:
                raise ValueError(f"{path}:{number}: unexpected }}")
            stack[-1][1].append(replace(opened, block=tuple(inner)))
        elif not words:
            raise ValueError(f"{path}:{number}: unexpected {token}")
        elif token == "{":
            if len(stack) > _DEEPEST:
                raise ValueError(f"{place}: blocks lie too deep in each other")
            stack.append((Directive(words[0], tuple(words[1:]), None, place), []))
            words = []
        else:
            directive = Directive(words[0], tuple(words[1:]), None, place)
            stack[-1][1].extend(_included(directive, read, listed, depth) if words[0] == "include" else [directive])
            words = []
    if words or len(stack) > 1:
        raise ValueError(f"{path}: it ends within {words[0] if words else 'a block'}")
    return stack[0][1]


def _included(
    directive: Directive, read: Callable[[str], str | None], listed: Callable[[str], Sequence[str]], depth: int
) -> list[Directive]:
    wanted = posixpath.normpath(posixpath.join("/etc/nginx", _word(directive)))
    folder, pattern = posixpath.split(wanted)
    names = sorted(name for name in listed(folder) if fnmatch.fnmatchcase(name, pattern))
    if pattern in ("mime.types", "fastcgi_params"):
        return []
    if not names and not set(pattern) & set("*?["):
        raise ValueError(f"{directive.place}: there is no file {wanted}")
    if depth >= 3:
        raise ValueError(f"{directive.place}: files include each other too deep")
    made: list[Directive] = []
    for name in names:
        path = posixpath.join(folder, name)
        made += _directives(read(path) or "", path, read, listed, depth + 1)
    return made


def _tokens(text: str, path: str) -> Iterator[tuple[str, bool, int]]:
    """Words and symbols: the text, whether it is a symbol, and its line."""
    at, line = 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{path}:{line}: a quotation mark is not closed")
        symbol, double, single, bare = match.groups()
        quoted = double if double is not None else single
        if symbol is not None:
            yield symbol, True, line
        elif quoted is not None:
            yield re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL), False, line
        elif bare is not None:
            yield bare, False, line
        line += match[0].count("\n")
        at = match.end()


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """A text with the values of its variables."""
    return _VARIABLE.sub(lambda match: variables[match[1] or match[2]], text)


def inside(root: str, path: str) -> str:
    """A path of the container, below the folder that stands for its root, whatever dots it has."""
    return os.path.join(root, posixpath.normpath(f"/{path}").lstrip("/"))
