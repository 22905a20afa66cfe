"""Sends one request by aiohttp, or bytes over a connection, and tells what became of it; never raises."""

from __future__ import annotations

import asyncio
import contextvars
import math
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
from client_cookies import cookie_header, store_cookies
from client_spec import RunSpec
from client_tcp import exchange, misunderstood, prefix_of
from client_tls import describe, explain
from multidict import CIMultiDict
from yarl import URL

__all__ = ["Gate", "Record", "Sender"]

Record = dict[str, Any]

MAX_BODY = 64 * 1024
MAX_ERROR_BODY = 200
# Kept in every record: where a redirect leads, and Envoy's word that a circuit breaker was the reason.
ALWAYS_KEPT = ("location", "x-envoy-overloaded")
# Set by the embedded mesh's own table for hosts and ports that it does not know.
UNKNOWN = "x-workshop-unknown"
# Set by the embedded mesh where it stands for kube-proxy, which would have refused the connection.
REFUSED = "x-workshop-refused"


class Gate:
    """Lets requests start at the same moment: each waits with its connection open until all have got that far.

    Args:
        expected: how many requests there are.
        patience_s: a connection that takes longer to open holds the others up no more.
    """

    def __init__(self, expected: int, *, patience_s: float = 2.0) -> None:
        self._missing = expected
        self._patience_s = patience_s
        self._open = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    async def arrive(self) -> None:
        """Wait for the others."""
        self.count()
        await self._open.wait()

    def count(self) -> None:
        """Count a request that is ready, or that failed before it could be."""
        self._missing -= 1
        if self._missing <= 0:
            self._release()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._patience_s, self._release)

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._open.set()


@dataclass(slots=True)
class Attempt:
    """What is known of the request under way in the current task."""

    started_s: float
    clock: float
    gate: Gate | None = None
    connection: int = -1
    fresh: bool = False
    sent: bool = False
    tls: dict[str, str] = field(default_factory=dict)

    def restart(self) -> None:
        """Count the time from now: the moment a simultaneous request is written."""
        self.started_s, self.clock = time.time(), time.perf_counter()


_current: contextvars.ContextVar[Attempt] = contextvars.ContextVar("attempt")


class _Connections:
    """Numbers the connections of a run in the order they are opened, and knows the certificates they showed."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._next = 0
        self._certificates: dict[bytes, dict[str, str]] = {}

    def another(self) -> int:
        self._next += 1
        return self._next - 1

    def tls(self, connection: Any) -> dict[str, str]:
        return {} if connection is None else describe(connection, self._certificates)

    def number(self, protocol: object, *, fresh: bool) -> int:
        # An identity may come again once its connection is gone; ``fresh`` says that this is another one.
        if fresh or id(protocol) not in self._numbers:
            self._numbers[id(protocol)] = self.another()
        return self._numbers[id(protocol)]


def _request_class(connections: _Connections) -> type[aiohttp.ClientRequest]:
    class Request(aiohttp.ClientRequest):
        """Tells the attempt its connection, and waits at the gate between connecting and writing."""

        async def send(self, conn: Any) -> aiohttp.ClientResponse:
            attempt = _current.get()
            if attempt.sent:
                # aiohttp would quietly send a second time when a kept connection breaks; a load client must count.
                raise aiohttp.ServerDisconnectedError("the connection was closed before the reply")
            attempt.connection = connections.number(conn.protocol, fresh=attempt.fresh)
            attempt.tls = connections.tls(conn.transport and conn.transport.get_extra_info("ssl_object"))
            if attempt.gate is not None:
                gate, attempt.gate = attempt.gate, None
                await gate.arrive()
                attempt.restart()
            attempt.sent = True
            return await super().send(conn)

    return Request


class Sender:
    """Sends the requests of one run over connections of its own.

    Args:
        spec: what to send.
        proxy: URL of the HTTP proxy, or None.
        connections: how many may be open at once.
        context: of a run in TLS; None for one without.
        released: until when requests are held; None for a run that holds none.
        taken: called with the number of a held request when an application asks for its body.
    """

    def __init__(
        self,
        spec: RunSpec,
        *,
        proxy: str | None,
        connections: int,
        context: ssl.SSLContext | None = None,
        released: asyncio.Event | None = None,
        taken: Callable[[int], None] = lambda index: None,
    ) -> None:
        self._spec = spec
        self._context = context
        self._released = released
        self._taken = taken
        self._connections = _Connections()
        self._limit = connections
        self._headers = {key: value for key, value in spec.headers.items() if key.lower() not in ("host", "cookie")}
        self._headers.setdefault("user-agent", "workshop-load-client")
        lower = {key.lower(): key for key in spec.headers}
        self._host = spec.headers.get(lower.get("host", ""))
        self._request_id = spec.headers.get(lower.get("x-request-id", ""))
        self._cookie = spec.headers.get(lower.get("cookie", ""), "")
        self._has_cookies = bool(spec.cookies or self._cookie)
        self._keep = tuple(dict.fromkeys((*ALWAYS_KEPT, *spec.keep_headers)))
        self._proxy = proxy if spec.scheme == "http" and spec.connect_to is None else None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_on_connected)
        connector = (
            aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=3600)
            if self._spec.reuse_connections
            else aiohttp.TCPConnector(limit=self._limit, force_close=True)
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_request_class(self._connections),
            skip_auto_headers=("accept-encoding", "user-agent", "content-type"),
            timeout=aiohttp.ClientTimeout(total=self._spec.timeout_s, ceil_threshold=math.inf),
            auto_decompress=False,
            trust_env=False,
            trace_configs=[trace],
        )
        # The second try that aiohttp would make of a broken connection is not wanted (see ``Request.send``), and the
        # first one's error is the one that tells why. There is no public switch for it.
        self._session._retry_connection = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self, index: int, *, user: str = "", jar: dict[str, str] | None = None, gate: Gate | None = None
    ) -> Record:
        """Send one request.

        Args:
            index: its number.
            user: who sends it.
            jar: the user's cookies by name; those that the reply sets are put into it.
            gate: where to wait for the others.

        Returns:
            The record, with the fields of ``Response`` in the workshop's library.
        """
        attempt = Attempt(started_s=time.time(), clock=time.perf_counter(), gate=gate)
        _current.set(attempt)
        record: Record = {"index": index, "request_id": "", "outcome": "connection", "status": 0}
        record |= {"path": [], "headers": {}, "body": ""}
        error = ""
        try:
            if self._spec.scheme in ("tcp", "tls"):
                error = await self._bytes(record, attempt)
            else:
                await self._exchange(record, index, user, jar)
        except TimeoutError:
            record["outcome"] = "timeout"
            error = f"no complete reply within {self._spec.timeout_s:g} s"
        except aiohttp.ClientConnectorDNSError as problem:
            record["outcome"] = "unknown_destination"
            error = f"the host name is unknown: {problem}"
        except Exception as problem:
            # Whatever else breaks an exchange (refused, reset, a malformed reply) is the record's to tell.
            record["outcome"] = "connection"
            error = self._tls_failure(problem, attempt) or str(problem) or type(problem).__name__
        finally:
            if attempt.gate is not None:
                attempt.gate.count()
        return {
            **record,
            "started_s": attempt.started_s,
            "duration_s": time.perf_counter() - attempt.clock,
            "error": error,
            "user": user,
            "connection": attempt.connection,
            **({"tls": attempt.tls} if attempt.tls else {}),
        }

    def _tls_failure(self, problem: Exception, attempt: Attempt) -> str:
        if self._context is None:
            return ""
        # A server may refuse a client's certificate when the client takes the connection as made (TLS 1.3).
        return explain(problem, self._spec.host, handshake=attempt.connection < 0)

    async def _bytes(self, record: Record, attempt: Attempt) -> str:
        """Send the body over a connection of its own; returns why the reply is not complete."""
        spec = self._spec
        record["request_id"] = str(uuid.uuid4())

        def opened(connection: Any) -> None:
            attempt.connection = self._connections.another()
            attempt.tls = self._connections.tls(connection)

        async with asyncio.timeout(spec.timeout_s):
            received, missing = await exchange(spec, self._context, opened)
        record["body"] = received[: MAX_BODY if spec.keep_body else MAX_ERROR_BODY]
        missing = missing or misunderstood(spec.body or "", received)
        version = prefix_of(spec.body or "", received)
        if version:
            record["path"] = [["", version, ""]]
        record["outcome"] = "connection" if missing else "ok"
        return missing

    async def _exchange(self, record: Record, index: int, user: str, jar: dict[str, str] | None) -> None:
        spec = self._spec
        assert self._session is not None
        index_text = str(index)

        def fill(text: str) -> str:
            return text.replace("{user}", user).replace("{index}", index_text) if "{" in text else text

        headers = CIMultiDict({key: fill(value) for key, value in self._headers.items()})
        record["request_id"] = fill(self._request_id) if self._request_id else str(uuid.uuid4())
        headers["x-request-id"] = record["request_id"]
        if self._has_cookies or jar:
            given = {key: fill(value) for key, value in spec.cookies.items()}
            headers["cookie"] = cookie_header(fill(self._cookie), {**(jar or {}), **given})
        url, server_name = self._address(fill(self._host) if self._host else None, headers)
        async with self._session.request(
            spec.method,
            url,
            headers=headers,
            data=self._held(index) if self._released else None if spec.body is None else spec.body.encode(),
            expect100=self._released is not None,
            allow_redirects=False,
            proxy=self._proxy,
            ssl=self._context or True,
            server_hostname=server_name,
        ) as reply:
            if REFUSED in reply.headers:
                raise ConnectionRefusedError("the connection was refused: no pod is ready to take it")
            record["status"] = reply.status
            record["path"] = _path(reply.headers.get("x-path", ""))
            kept = {name: ", ".join(reply.headers.getall(name)) for name in self._keep if name in reply.headers}
            record["headers"] = kept
            if jar is not None:
                store_cookies(jar, reply.headers.getall("set-cookie", ()), path=spec.target)
            if UNKNOWN in reply.headers:
                record["outcome"] = "unknown_destination"
            failed = reply.status >= 400
            limit = MAX_BODY if spec.keep_body else MAX_ERROR_BODY * 4 if failed else 0
            body = await _read(reply.content, limit)
            text = body.decode("utf-8", "replace")
            record["body"] = text if spec.keep_body else text[:MAX_ERROR_BODY]
            if UNKNOWN not in reply.headers:
                record["outcome"] = "http_error" if failed else "ok"

    async def _held(self, index: int) -> AsyncIterator[bytes]:
        """The body of a held request: asked for by ``100 Continue``, and sent when it is released."""
        assert self._released is not None
        self._taken(index)
        await self._released.wait()
        if self._spec.body:
            yield self._spec.body.encode()

    def _address(self, host: str | None, headers: CIMultiDict[str]) -> tuple[URL, str | None]:
        """Where to connect and what authority to show: the URL's, or that of a given Host with the URL's port."""
        spec = self._spec
        shown = spec.host if host is None else _without_port(host)
        port = "" if spec.port == (443 if spec.scheme == "https" else 80) else f":{spec.port}"
        if self._proxy is not None:
            return URL(f"{spec.scheme}://{shown}{port}{spec.target}", encoded=True), None
        headers["host"] = f"{shown}{port}"
        if spec.connect_to is None:
            return URL(f"{spec.scheme}://{spec.host}{port}{spec.target}", encoded=True), None
        address, number = spec.connect_to
        # The server name is the URL's host, as with curl; a Host header that differs shows what a gateway makes of it.
        server_name = spec.host if spec.scheme == "https" else None
        return URL(f"{spec.scheme}://{address}:{number}{spec.target}", encoded=True), server_name


async def _on_connected(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    _current.get().fresh = True


async def _read(stream: aiohttp.StreamReader, limit: int) -> bytes:
    """Read to the end, but keep no more than ``limit`` bytes."""
    kept = bytearray()
    while chunk := await stream.readany():
        if len(kept) < limit:
            kept += chunk[: limit - len(kept)]
    return bytes(kept)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and not name.endswith(":") else host


def _path(text: str) -> list[list[str]]:
    """Take ``x-path`` apart: ``service/version/pod, ...``, the one that answered first."""
    hops = [part.strip().split("/") for part in text.split(",") if part.strip()]
    return [[*hop, "", ""][:3] for hop in hops]
