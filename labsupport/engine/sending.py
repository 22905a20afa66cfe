"""A running batch of requests: the stream of a load client's records, as the engine's responses."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Set
from dataclasses import asdict
from typing import Any, Protocol

from labsupport import words
from labsupport.errors import EngineError, UsageError
from labsupport.records import Hop, Response, TrafficSpec

__all__ = ["ClientSending", "LocalRoute", "Reply", "Route", "response"]


def response(record: dict[str, Any]) -> Response:
    """Make a response of one record of the load client."""
    hops = tuple(Hop(*hop) for hop in record.pop("path", ()))
    return Response(path=hops, **record)


class Reply(Protocol):
    """The answer to the request that starts a run, as far as it has come."""

    status: int

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the body as they arrive; raises when it breaks off."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Route(Protocol):
    """A way to the HTTP API of a load client.

    Attributes:
        FAILURES: what its methods, and the replies that it gives, raise when the way breaks.
    """

    FAILURES: tuple[type[Exception], ...]

    def start(self, path: str, body: str) -> Reply:
        """POST JSON, and return as soon as the headers are there."""
        ...

    def tell(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        """Send a short request; returns status and text."""
        ...


class ClientSending:
    """A run of a load client; see ``Sending``.

    Args:
        route: to the load client.
        spec: what to send.
        url: the URL as the load client is to use it.
        connect_to: where it opens its connections, if not where the URL says.
        lost: raises if the mesh is gone; called when the stream breaks.
    """

    def __init__(
        self, route: Route, spec: TrafficSpec, *, url: str, connect_to: str | None, lost: Callable[[], None]
    ) -> None:
        self._route = route
        self._run = uuid.uuid4().hex
        self._lost = lost
        self._lock = threading.Lock()
        self._ended = False
        self._taken: frozenset[int] = frozenset()
        body = {key: value for key, value in asdict(spec).items() if key != "source" and value is not None}
        body |= {"url": url, "run": self._run}
        if not spec.hold:
            del body["hold"]
        if connect_to:
            body["connect_to"] = connect_to
        try:
            self._reply = route.start("/run", json.dumps(body))
            if self._reply.status != 200:
                said = b"".join(self._reply.lines()).decode("utf-8", "replace")
                self._reply.close()
        except route.FAILURES as error:
            raise self._broken(error) from error
        if self._reply.status != 200:
            raise _refused(self._reply.status, said)

    def __iter__(self) -> Iterator[Response]:
        """Yield responses in order of completion until the batch ends."""
        failures: tuple[type[Exception], ...] = (*self._route.FAILURES, ValueError)
        try:
            for line in self._reply.lines():
                # An empty line only says that the load client is still there.
                if not line.strip():
                    continue
                record = json.loads(line)
                if "taken" in record:
                    self._taken |= {record["taken"]}
                else:
                    yield response(record)
        except failures as error:
            raise self._broken(error) from error
        finally:
            self._ended = True
            self._reply.close()

    def set_rate(self, rate: float) -> None:
        """Change the rate of a batch that is under way, in requests per second."""
        self._tell("PATCH", {"rate": rate})

    def taken(self) -> Set[int]:
        """Of a batch that holds its requests: numbers of those that an application has, as far as it has told."""
        return self._taken

    def release(self) -> None:
        """Let go of the requests that are held."""
        self._tell("POST", None, "/release")

    def stop(self) -> None:
        """Send no more; requests under way still complete and are yielded."""
        self._tell("DELETE", None)

    def _tell(self, method: str, body: Any, below: str = "") -> None:
        with self._lock:
            if self._ended:
                return
            try:
                path = f"/run/{self._run}{below}"
                status, said = self._route.tell(method, path, None if body is None else json.dumps(body))
            except self._route.FAILURES as error:
                raise self._broken(error) from error
            # 404 says that the batch has ended by itself meanwhile.
            if status not in (200, 404):
                raise _refused(status, said)

    def _broken(self, error: Exception) -> EngineError:
        self._lost()
        return EngineError(f"the load client broke off ({words.reason(error)}). lab.pods() shows its state.")


def _refused(status: int, said: str) -> EngineError | UsageError:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        said = json.loads(said)["error"]
    if status >= 500:
        return EngineError(f"the load client does not answer ({status}: {said}). lab.pods() shows its state.")
    return UsageError(f"the load client refuses this: {said}")


class _LocalReply:
    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._reply = connection.getresponse()
        self.status = self._reply.status

    def lines(self) -> Iterator[bytes]:
        # Reading line by line, http.client takes a broken connection for the end of the body.
        rest = b""
        while piece := self._reply.read1(65_536):
            *complete, rest = (rest + piece).split(b"\n")
            yield from complete
        if rest:
            yield rest

    def close(self) -> None:
        self._connection.close()


class LocalRoute:
    """To a load client that listens on this machine.

    Args:
        host, port: where.
        token: what it wants to be shown with every order.
    """

    FAILURES: tuple[type[Exception], ...] = (OSError, http.client.HTTPException)

    def __init__(self, host: str, port: int, token: str) -> None:
        self._address = (host, port)
        self._headers = {"content-type": "application/json", "x-run-token": token}

    def start(self, path: str, body: str) -> Reply:
        """POST JSON, and return as soon as the headers are there."""
        connection = http.client.HTTPConnection(*self._address)
        try:
            connection.request("POST", path, body=body, headers=self._headers)
            return _LocalReply(connection)
        except BaseException:
            connection.close()
            raise

    def tell(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        """Send a short request; returns status and text."""
        connection = http.client.HTTPConnection(*self._address, timeout=5.0)
        try:
            connection.request(method, path, body=body, headers=self._headers)
            reply = connection.getresponse()
            return reply.status, reply.read().decode("utf-8", "replace")
        finally:
            connection.close()
