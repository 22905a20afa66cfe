"""Talk to a load client (image ``client``) from the kernel; both engines send through it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from labsupport.engine.base import Hop, Response, TrafficSpec
from labsupport.errors import EngineError, EngineLostError, UsageError

if TYPE_CHECKING:
    import requests

__all__ = ["LoadClientRun", "direct_session"]

_CONNECT_S = 10.0
_CHANGE_S = 10.0
_CHUNK = 65_536


class LoadClientRun:
    """One run of a load client: iterate over its responses as they complete (an ``engine.base.Sending``).

    The run exists when this is made. Letting go of the iteration, or ``close``, ends it at once.

    Args:
        base_url: where the load client's API is, such as ``http://127.0.0.1:40123``; on a cluster a path of the API
            server's service proxy.
        spec: what to send.
        url: absolute URL that the load client shall ask for.
        connect_to: ``host:port`` of its TCP connections, past any proxy; empty for the URL's own.
        session: makes an HTTP session for the API; by default one without proxies.
        clock_ahead_s: how far the load client's clock is ahead of this one, in seconds; taken off ``started_s``.
        name: what messages call the load client.

    Raises:
        UsageError: the load client refuses the run; its message names the field.
        EngineLostError: it does not answer.
    """

    def __init__(
        self,
        base_url: str,
        spec: TrafficSpec,
        *,
        url: str,
        connect_to: str = "",
        session: Callable[[], requests.Session] | None = None,
        clock_ahead_s: float = 0.0,
        name: str = "the load client",
    ) -> None:
        self._api = f"{base_url.rstrip('/')}/run"
        self._run = uuid.uuid4().hex
        self._session = session or direct_session
        self._clock_ahead_s = clock_ahead_s
        self._name = name
        self._ended = threading.Event()
        # Not said is not set; so a load client that does not know a newer field is not bothered with it.
        body = {key: value for key, value in asdict(spec).items() if key != "source" and value is not None}
        body |= {"url": url, "run": self._run}
        if connect_to:
            body["connect_to"] = connect_to
        self._stream = self._session()
        self._reply = self._call(self._stream, "POST", self._api, json=body, stream=True, timeout=(_CONNECT_S, None))

    def __iter__(self) -> Iterator[Response]:
        """Yield responses in order of completion.

        Raises:
            EngineLostError: the load client went away in the middle of the run.
        """
        import requests
        import urllib3

        rest = b""
        try:
            for piece in self._reply.raw.stream(_CHUNK, decode_content=True):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield self._response(json.loads(line))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise EngineLostError(
                f"{self._name} went away in the middle of a run ({type(error).__name__}); look at lab.status()"
            ) from error
        finally:
            self.close()
        if rest:
            raise EngineLostError(f"{self._name} went away in the middle of a record; look at lab.status()")

    def set_rate(self, rate: float) -> None:
        """Change the rate in requests per second; 0 pauses. Does nothing when the run has ended."""
        self._change("PATCH", json={"rate": rate})

    def stop(self) -> None:
        """Send no more; requests under way still complete. Does nothing when the run has ended."""
        self._change("DELETE")

    def close(self) -> None:
        """End the run at once; what is under way is given up."""
        self._ended.set()
        self._reply.close()
        self._stream.close()

    def _change(self, method: str, **options: Any) -> None:
        if self._ended.is_set():
            return
        # A session belongs to one thread, and the stream's is busy.
        with self._session() as session:
            self._call(session, method, f"{self._api}/{self._run}", timeout=_CHANGE_S, missing_ok=True, **options)

    def _call(
        self, session: requests.Session, method: str, url: str, *, missing_ok: bool = False, **options: Any
    ) -> requests.Response:
        import requests

        try:
            reply = session.request(method, url, **options)
        except requests.RequestException as error:
            raise EngineLostError(
                f"{self._name} does not answer ({type(error).__name__}); look at lab.status()"
            ) from error
        if reply.ok or (reply.status_code == 404 and missing_ok):
            return reply
        with reply:
            try:
                said = str(reply.json()["error"])
            except (ValueError, KeyError, TypeError):
                said = reply.text[:200].strip() or reply.reason
        if reply.status_code == 400:
            raise UsageError(said)
        raise EngineError(f"{self._name} answered {reply.status_code}: {said}")

    def _response(self, record: dict[str, Any]) -> Response:
        record["path"] = tuple(Hop(*hop) for hop in record["path"])
        record["started_s"] -= self._clock_ahead_s
        return Response(**record)


def direct_session() -> requests.Session:
    """An HTTP session that ignores the proxies of this process's environment: the load client is not behind them."""
    import requests

    session = requests.Session()
    session.trust_env = False
    return session
