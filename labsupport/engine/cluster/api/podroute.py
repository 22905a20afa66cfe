"""The way to a load client that runs in a pod: the API server passes requests on to it (``pods/proxy``)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from urllib3.exceptions import HTTPError, ProtocolError

from labsupport.engine.cluster.api.apierror import ApiError, refusal
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.sending import Reply
from labsupport.errors import EngineError, EngineLostError

__all__ = ["PodRoute"]

# A load client says something every two seconds; what has been silent for longer than this is gone.
_SILENCE_S = 6.0
_ALIVE_S = 3.0
_ATTEMPTS, _PAUSE_S = 8, 0.02


class _PodStream:
    def __init__(self, response: Any) -> None:
        self.status: int = response.status
        self._response = response

    def lines(self) -> Iterator[bytes]:
        rest = b""
        for piece in self._response.stream(65_536, decode_content=True):
            *complete, rest = (rest + piece).split(b"\n")
            yield from complete
        if rest:
            yield rest

    def close(self) -> None:
        # Given back to the pool half read, it would bring the next request the rest of this reply.
        self._response.close()
        self._response.release_conn()


class PodRoute:
    """To a load client in a pod.

    Args:
        connection: the cluster.
        namespace: the pod's namespace.
        pod: its name.
        port: where its load client listens.
    """

    FAILURES: tuple[type[Exception], ...] = (HTTPError, OSError)

    def __init__(self, connection: Connection, namespace: str, pod: str, port: int) -> None:
        self._connection = connection
        self._pod = pod
        self._base = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}:{port}/proxy"

    def start(self, path: str, body: str) -> Reply:
        """Start a run, and return as soon as the headers of its stream are there.

        The API server's proxy breaks an exchange off now and then when the reply begins while it still holds the
        request's body (Go's ``ReverseProxy`` over HTTP/1.1), and a run must not be started twice. So the run is
        prepared by a request that may be repeated, and started by one without a body.
        """
        target = f"{self._base}{path}/{json.loads(body)['run']}"
        for attempt in range(_ATTEMPTS):
            try:
                status, text = self._exchange("PUT", target, body)
                break
            except EngineLostError as error:
                if attempt == _ATTEMPTS - 1 or not isinstance(error.__context__, ProtocolError):
                    raise
                time.sleep(_PAUSE_S)
        if status == 405:
            raise EngineError(
                f"the load client of pod {self._pod} is older than this course. Build the image again with: workshop "
                "cluster images, and let the pod start again."
            )
        if status != 200:
            return _Text(status, text)
        response = self._connection.open("GET", target, timeout_s=_SILENCE_S)
        if response.status == 200:
            return _PodStream(response)
        text = response.data.decode("utf-8", "replace")
        response.release_conn()
        return _Text(*self._answer(response.status, text, response.reason or ""))

    def tell(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        """Send a short request; returns status and text."""
        query = None if body is None else {key: json.dumps(value) for key, value in json.loads(body).items()}
        return self._exchange(method, f"{self._base}{path}", None, query)

    def _exchange(
        self, method: str, target: str, body: str | None, query: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        response = self._connection.open(method, target, body=body, query=query, timeout_s=_SILENCE_S, preload=True)
        return self._answer(response.status, response.data.decode("utf-8", "replace"), response.reason or "")

    def _answer(self, status: int, text: str, reason: str) -> tuple[int, str]:
        """The load client's answer; the API server speaks for itself in a ``Status`` object."""
        if status >= 400 and _is_status(text):
            error = refusal(status, text, reason, self._connection.context)
            if not (error.forbidden or status == 401):
                raise self._unreachable(error)
            raise error
        return status, text

    def lost(self) -> None:
        """Tell whether it is the cluster that does not answer any more.

        Raises:
            EngineLostError: it is.
        """
        self._connection.request("GET", "/version", timeout_s=_ALIVE_S)

    def _unreachable(self, error: ApiError) -> EngineError:
        hint = "lab.pods() shows its state"
        if "reset by peer" in str(error):
            hint = (
                "its sidecar refuses the API server, as with a PeerAuthentication of mode STRICT; the annotation "
                'traffic.sidecar.istio.io/excludeInboundPorts: "5000" in its pod template lets it be reached'
            )
        return EngineError(f"the load client of pod {self._pod} does not answer ({error}); {hint}")


class _Text:
    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self._text = text

    def lines(self) -> Iterator[bytes]:
        yield self._text.encode()

    def close(self) -> None:
        pass


def _is_status(text: str) -> bool:
    try:
        body = json.loads(text)
    except ValueError:
        return False
    return isinstance(body, dict) and body.get("kind") == "Status"
