"""The way to a load client that runs in a pod: the API server passes requests on to it (``pods/proxy``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from urllib3.exceptions import HTTPError

from labsupport.engine.cluster.apierror import ApiError, refusal
from labsupport.engine.cluster.connect import Connection
from labsupport.engine.sending import Reply
from labsupport.errors import EngineError

__all__ = ["PodRoute"]

# A load client says something every two seconds; what has been silent for longer than this is gone.
_SILENCE_S = 6.0
_ALIVE_S = 3.0


class _Stream:
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
        """POST JSON, and return as soon as the headers are there."""
        response = self._connection.open("POST", f"{self._base}{path}", body=body, timeout_s=_SILENCE_S)
        if response.status >= 400 and "application/json" in response.headers.get("Content-Type", ""):
            text = response.data.decode("utf-8", "replace")
            response.release_conn()
            # The API server speaks for itself in a Status object; everything else is the load client's answer.
            if _is_status(text):
                raise self._unreachable(refusal(response.status, text, response.reason or "", self._connection.context))
            return _Text(response.status, text)
        return _Stream(response)

    def tell(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        """Send a short request; returns status and text."""
        try:
            reply = self._connection.request(method, f"{self._base}{path}", body=body)
        except ApiError as error:
            if error.server_text.startswith(("error trying to reach", "pods ")) or error.forbidden:
                raise self._unreachable(error) from None
            return error.status, error.server_text
        return reply.status, reply.text

    def lost(self) -> None:
        """Tell whether it is the cluster that does not answer any more.

        Raises:
            EngineLostError: it is.
        """
        self._connection.request("GET", "/version", timeout_s=_ALIVE_S)

    def _unreachable(self, error: ApiError) -> EngineError:
        if error.forbidden or error.status == 401:
            return error
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
