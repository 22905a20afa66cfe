"""A running batch of requests: the stream of a load client's records, as the engine's responses."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from labsupport.engine.base import Hop, Response, TrafficSpec
from labsupport.errors import EngineError, UsageError

__all__ = ["HttpSending", "response"]


def response(record: dict[str, Any]) -> Response:
    """Make a response of one record of the load client."""
    hops = tuple(Hop(*hop) for hop in record.pop("path", ()))
    return Response(path=hops, **record)


class HttpSending:
    """Talks to a load client over HTTP; see ``Sending``.

    Args:
        host, port: where the load client listens.
        spec: what to send.
        url: the URL as the load client is to use it.
        connect_to: where it opens its connections, if not where the URL says.
        lost: raises if the mesh is gone; called when the stream breaks.
    """

    def __init__(
        self, host: str, port: int, spec: TrafficSpec, *, url: str, connect_to: str | None, lost: Callable[[], None]
    ) -> None:
        self._address = (host, port)
        self._run = uuid.uuid4().hex
        self._lost = lost
        self._lock = threading.Lock()
        self._ended = False
        body = {key: value for key, value in asdict(spec).items() if key != "source" and value is not None}
        body |= {"url": url, "run": self._run}
        if connect_to:
            body["connect_to"] = connect_to
        self._connection = http.client.HTTPConnection(host, port)
        try:
            self._connection.request(
                "POST", "/run", body=json.dumps(body), headers={"content-type": "application/json"}
            )
            self._reply = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._broken(error) from error
        if self._reply.status != 200:
            said = self._reply.read().decode("utf-8", "replace")
            self._connection.close()
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(said)["error"]
            raise UsageError(f"the load client refuses this: {said}")

    def __iter__(self) -> Iterator[Response]:
        """Yield responses in order of completion until the batch ends."""
        try:
            for line in self._reply:
                yield response(json.loads(line))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._broken(error) from error
        finally:
            self._ended = True
            self._connection.close()

    def set_rate(self, rate: float) -> None:
        """Change the rate of a batch that is under way, in requests per second."""
        self._tell("PATCH", {"rate": rate})

    def stop(self) -> None:
        """Send no more; requests under way still complete and are yielded."""
        self._tell("DELETE", None)

    def _tell(self, method: str, body: Any) -> None:
        with self._lock:
            if self._ended:
                return
            connection = http.client.HTTPConnection(*self._address, timeout=5.0)
            try:
                headers = {"content-type": "application/json"}
                text = None if body is None else json.dumps(body)
                connection.request(method, f"/run/{self._run}", body=text, headers=headers)
                reply = connection.getresponse()
                said = reply.read().decode("utf-8", "replace")
            except (OSError, http.client.HTTPException) as error:
                raise self._broken(error) from error
            finally:
                connection.close()
            # 404 says that the batch has ended by itself meanwhile.
            if reply.status not in (200, 404):
                raise UsageError(f"the load client refuses this: {said}")

    def _broken(self, error: Exception) -> EngineError:
        self._lost()
        return EngineError(f"the load client broke off ({error or type(error).__name__}). lab.pods() shows its state")
