"""Calls to other services: what is forwarded, how long to wait, how often to try."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from service_settings import LONGEST_S, Settings
from starlette.requests import Request
from yarl import URL

__all__ = ["DEFAULT_FORWARD", "Answer", "Caller"]

# A service that drops these tears the trace of a request apart: nobody can tell any more which calls belong together.
TRACE_HEADERS = ("traceparent", "tracestate", "b3")
TRACE_PREFIX = "x-b3-"
REQUEST_ID = "x-request-id"
DEFAULT_FORWARD = "end-user,x-user,cookie,user-agent"
MAX_TRIES = 10
# Set by the embedded mesh where it stands for kube-proxy, which would have refused the connection.
REFUSED = "x-workshop-refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """What another service answered, after all tries.

    Args:
        service: its name.
        status: HTTP status of the last try; 0 without a reply.
        data: the decoded JSON, also of an answer that is not good; None if there is none.
        path: the reply's ``x-path``: the applications that took part.
        reason: why there is no good answer; empty if there is one.
        late: whether that is because it took too long.
    """

    service: str
    status: int = 0
    data: Any = None
    path: str = ""
    reason: str = ""
    late: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is a good answer."""
        return not self.reason

    @property
    def failure(self) -> dict[str, Any]:
        """How JSON for programs tells that a part is missing."""
        return {"error": f"{self.service} are currently unavailable", "reason": self.reason, "status": self.status}


class Caller:
    """Calls other services by name, with what belongs to the incoming request.

    Args:
        settings: the pod's environment. ``<SERVICE>_URL``, ``<SERVICE>_TIMEOUT_S`` and ``<SERVICE>_TRIES`` say how each
            service is called, ``FORWARD_HEADERS`` which headers go along, ``FORWARD_TRACE`` whether
            those of a trace do, and ``HTTP_PROXY`` or ``http_proxy`` that
            every call goes through a proxy: the sidecar, where one does not capture connections.
        services: the services that will be called, with their time limit in seconds and number of tries by default.
        port: theirs, unless their URL says otherwise.

    Raises:
        ValueError: a variable has a value that makes no sense.
    """

    def __init__(self, settings: Settings, services: Mapping[str, tuple[float, int]], *, port: int = 9080) -> None:
        env = settings.env
        self._urls: dict[str, str] = {}
        self._timeouts: dict[str, float] = {}
        self._tries: dict[str, int] = {}
        for name, (timeout_s, tries) in services.items():
            key = name.upper().replace("-", "_")
            self._urls[name] = settings.text(f"{key}_URL", f"http://{name}:{port}").rstrip("/")
            self._timeouts[name] = settings.seconds(f"{key}_TIMEOUT_S", default=timeout_s, low=0.001, high=LONGEST_S)
            self._tries[name] = settings.whole(f"{key}_TRIES", default=tries, low=1, high=MAX_TRIES)
        listed = env.get("FORWARD_HEADERS", DEFAULT_FORWARD)
        self._forward = tuple(name.strip().lower() for name in listed.split(",") if name.strip())
        self._traced = settings.choice("FORWARD_TRACE", ("true", "false")) == "true"
        self._proxy = env.get("http_proxy") or env.get("HTTP_PROXY") or None
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        service: str,
        path: str,
        request: Request,
        *,
        method: str = "GET",
        query: str = "",
        body: bytes | None = None,
        extra: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Ask another service for JSON.

        A try that takes too long, breaks, or is answered 5xx is followed by the next one at once; any other status
        is an answer.

        Args:
            service: its name.
            path: path of the call, as it goes on the wire.
            request: the incoming request, whose headers are forwarded.
            method: of the call.
            query: query string of the call.
            body: of the call.
            extra: headers in place of forwarded ones of the same name.

        Returns:
            The answer of the last try; it never raises for what another service does.
        """
        url = URL(f"{self._urls[service]}{path}{'?' + query if query else ''}", encoded=True)
        headers = {**self.forwarded(request), **dict(extra)}
        answer = Answer(service, reason="it was not asked")
        for _ in range(self._tries[service]):
            answer = await self._try(service, method, url, headers, body)
            if answer.ok or 0 < answer.status < 500:
                break
        return answer

    def forwarded(self, request: Request) -> dict[str, str]:
        """The incoming headers that go along with every call: the request's id always does."""
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            traced = self._traced and (name in TRACE_HEADERS or name.startswith(TRACE_PREFIX))
            if traced or name == REQUEST_ID or name in self._forward:
                headers[name] = (
                    f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}" if name in headers else value
                )
        return headers

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _try(self, service: str, method: str, url: URL, headers: Mapping[str, str], body: bytes | None) -> Answer:
        timeout_s = self._timeouts[service]
        limit = aiohttp.ClientTimeout(total=timeout_s, ceil_threshold=math.inf)
        data = None
        try:
            async with self._open().request(
                method, url, headers=headers, data=body, proxy=self._proxy, timeout=limit, allow_redirects=False
            ) as reply:
                if REFUSED in reply.headers:
                    return Answer(service, reason=f"no connection to {service}: no pod is ready to take it")
                path = reply.headers.get("x-path", "")
                if reply.status != 200:
                    with contextlib.suppress(ValueError):
                        data = json.loads(await reply.read())
                    reason = f"{service} answered {reply.status}"
                    return Answer(service, reply.status, data=data, path=path, reason=reason)
                return Answer(service, 200, data=json.loads(await reply.read()), path=path)
        except TimeoutError:
            return Answer(service, reason=f"no answer from {service} within {timeout_s:g} s", late=True)
        except ValueError:
            return Answer(service, 502, reason=f"{service} answered something that is not JSON")
        except (aiohttp.ClientError, OSError) as error:
            return Answer(service, reason=f"no connection to {service}: {error}")

    def _open(self) -> aiohttp.ClientSession:
        # Made at the first call, because a session belongs to the event loop that serves the requests.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("user-agent", "accept-encoding"),
                headers={"accept": "application/json"},
                trust_env=False,
            )
        return self._session
