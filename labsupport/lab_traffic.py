"""The part of ``Lab`` that sends requests; kept apart only because its options are many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from labsupport.engine.base import Engine
from labsupport.errors import NotFoundError

if TYPE_CHECKING:
    from labsupport.confirm import Explained
    from labsupport.observation import Observations
    from labsupport.traffic import BackgroundTraffic

__all__ = ["TrafficVerbs"]


class TrafficVerbs(ABC):
    """``send``, ``traffic`` and ``explain`` of a lab."""

    def send(
        self,
        url: str,
        *,
        count: int | None = None,
        duration_s: float | None = None,
        source: str = "outside",
        method: str = "GET",
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        users: int = 0,
        rate: float | None = None,
        concurrency: int | None = None,
        simultaneous: bool = False,
        reuse_connections: bool = False,
        timeout_s: float = 15.0,
        keep_headers: Iterable[str] = (),
        keep_body: bool = False,
    ) -> Observations:
        """Send requests and wait for all responses; what goes wrong with a request is a record, never an exception.

        Args:
            url: ``gateway:/path``, ``nodeport:<service>/path`` or ``http://<service>[:port]/path``.
            count: how many requests; 1 if neither ``duration_s`` nor ``rate`` is given.
            duration_s: or for how many seconds to send.
            source: ``outside``, or the Deployment or pod (of image ``client``) that sends.
            method: HTTP method.
            body: request body.
            headers: request headers; a ``Host`` header becomes the request's authority. ``{user}`` and ``{index}`` are
                replaced.
            cookies: cookies of every request.
            users: deal the requests to this many users in turn, each with a cookie jar of its own.
            rate: requests per second; as fast as ``concurrency`` allows if None.
            concurrency: requests under way at most; by default 8, with a rate 64, with ``simultaneous`` all.
            simultaneous: start all ``count`` requests at the same moment.
            reuse_connections: keep connections; False opens one for each request.
            timeout_s: seconds until the client gives up.
            keep_headers: response headers to keep in the records.
            keep_body: keep response bodies.

        Returns:
            One response per request, in order of completion.

        Raises:
            UsageError: an argument makes no sense.
        """
        from labsupport import traffic

        spec = traffic.build_spec(
            url,
            source=source,
            method=method,
            body=body,
            headers=headers,
            cookies=cookies,
            users=users,
            count=count,
            duration_s=duration_s,
            rate=rate,
            concurrency=concurrency,
            simultaneous=simultaneous,
            reuse_connections=reuse_connections,
            timeout_s=timeout_s,
            keep_headers=keep_headers,
            keep_body=keep_body,
        )
        return traffic.send(self._open(), spec)

    def traffic(
        self,
        url: str,
        *,
        rate: float = 50.0,
        source: str = "outside",
        duration_s: float | None = None,
        method: str = "GET",
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        users: int = 0,
        concurrency: int | None = None,
        reuse_connections: bool = False,
        timeout_s: float = 15.0,
        keep_headers: Iterable[str] = (),
    ) -> BackgroundTraffic:
        """Send requests in the background, while the next cells work; every change of the mesh is marked in it.

        Args:
            url: as for ``send``.
            rate: requests per second.
            source: as for ``send``.
            duration_s: stop after so many seconds; None goes on until ``stop()``.
            method: HTTP method.
            body: request body.
            headers: request headers.
            cookies: cookies of every request.
            users: deal the requests to this many users in turn.
            concurrency: requests under way at most; 64 by default.
            reuse_connections: keep connections; False opens one for each request.
            timeout_s: seconds until the client gives up on a request.
            keep_headers: response headers to keep in the records.

        Returns:
            A handle with ``start``, ``stop``, ``set_rate`` and the observations so far; as a context manager it runs
            while the block does.
        """
        from labsupport import traffic

        spec = traffic.build_spec(
            url,
            source=source,
            method=method,
            body=body,
            headers=headers,
            cookies=cookies,
            users=users,
            duration_s=duration_s,
            rate=rate,
            concurrency=concurrency,
            reuse_connections=reuse_connections,
            timeout_s=timeout_s,
            keep_headers=keep_headers,
            background=True,
        )
        live = traffic.BackgroundTraffic(self._open(), spec)
        self._adopt(live)
        return live

    def explain(
        self,
        url: str,
        *,
        source: str = "outside",
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        confirm: bool = True,
    ) -> Explained:
        """Say why a request goes where it goes: every rule in order, the route, the endpoints, the policies in force.

        The reasons come from the manifests alone; then the request is sent, and the access log confirms them.

        Args:
            url: as for ``send``.
            source: ``outside``, or the Deployment or pod that calls (any with a sidecar can be explained).
            headers: request headers.
            method: HTTP method.
            confirm: send the request once, where the source can send.

        Returns:
            The explanation, the response and the access log.

        Raises:
            NotFoundError: there is no such source.
            UsageError: the URL makes no sense.
        """
        from labsupport import confirm as confirming
        from labsupport import traffic
        from labsupport.explain import explain

        engine = self._open()
        # First of all, because it says what is wrong with an argument.
        spec = traffic.build_spec(url, source=source, headers=headers, method=method, count=1)
        pods = engine.pods()
        caller = next((pod for pod in pods if source in (pod.name, pod.workload)), None)
        if caller is None and source != "outside":
            known = ", ".join(dict.fromkeys(pod.workload or pod.name for pod in pods)) or "none"
            raise NotFoundError(f"There is no Deployment or pod {source!r}. Write 'outside' or one of: {known}.")
        why = explain(
            engine.get("*"),
            pods,
            url=url,
            headers=headers,
            method=method,
            source=caller if caller is not None else "outside",
            namespace=engine.namespace,
        )
        if not confirm:
            return confirming.Explained(why)
        if caller is not None and caller.image.split("/")[-1].split(":")[0] != "client":
            note = (
                f"Not sent: {source} runs no load client. Send a request that makes it call, and see lab.access_log()."
            )
            return confirming.Explained(why, findings=(note,))
        (response,) = traffic.send(engine, spec)
        return confirming.compare(why, response, engine.access_records(request_ids=[response.request_id]))

    # --- provided by the lab ------------------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> Engine:
        """The engine, unless the lab is closed."""

    @abstractmethod
    def _adopt(self, live: BackgroundTraffic) -> None:
        """Mark changes of the mesh in this traffic, and end it with the lab."""
