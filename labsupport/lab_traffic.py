"""The part of ``Lab`` that sends requests; kept apart only because its options are many."""

from __future__ import annotations

import inspect
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from labsupport import origin, words
from labsupport.captions import caption
from labsupport.engine.base import ApplyResult, Engine, Ref
from labsupport.errors import LabError, NotFoundError
from labsupport.model.base import Resource

if TYPE_CHECKING:
    from labsupport.confirm import Explained
    from labsupport.engine.base import TrafficSpec
    from labsupport.observation import Observations
    from labsupport.steering import Steering
    from labsupport.traffic import BackgroundTraffic
    from labsupport.traffic_tls import Authority, ClientCertificate

__all__ = ["TrafficVerbs"]

_RULE = ("VirtualService", "changed")


class TrafficVerbs(ABC):
    """``send``, ``traffic`` and ``explain`` of a lab."""

    def __init__(self) -> None:
        # Weak: traffic that a notebook has let go of must not be kept by the lab.
        self._live: weakref.WeakSet[BackgroundTraffic] = weakref.WeakSet()
        self._last_wishes: list[Callable[[], Callable[[], None] | None]] = []
        # Number of changes of the mesh; what was read before the last one is to be read again.
        self._changes = 0

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
        keep_body: bool | None = None,
        ca: str | Authority | None = None,
        certificate: ClientCertificate | tuple[str, str] | None = None,
        tls_version: str | None = None,
    ) -> Observations:
        """Send requests and wait for all responses; what goes wrong with a request is a record, never an exception.

        Args:
            url: from outside ``gateway:/path``, ``gateway:<port>/path``, ``https://<host>[:port]/path`` (every host
                leads to the gateway), ``tcp://gateway:<port>`` or ``tls://<host>[:port]`` (these send the body and
                read what comes back) or ``nodeport:<service>/path``; from inside ``http://<service>[:port]/path``.
            count: how many requests; 1 if neither ``duration_s`` nor ``rate`` is given.
            duration_s: or for how many seconds to send.
            source: ``outside``, or the Deployment or pod (of image ``client``) that sends.
            method: HTTP method.
            body: request body.
            headers: request headers; a ``Host`` header becomes the request's authority, while the server name (SNI)
                of TLS is the URL's host. ``{user}`` and ``{index}`` are
                replaced.
            cookies: cookies of every request.
            users: deal the requests to this many users in turn, each with a cookie jar of its own.
            rate: requests per second; as fast as ``concurrency`` allows if None.
            concurrency: requests under way at most; by default 8, with a rate 64, with ``simultaneous`` all.
            simultaneous: start all ``count`` requests at the same moment.
            reuse_connections: keep connections; False opens one for each request.
            timeout_s: seconds until the client gives up.
            keep_headers: response headers to keep in the records.
            keep_body: keep response bodies; by default only over ``tcp`` and ``tls``.
            ca: with TLS, whom the client trusts: a ``labsupport.certificates.Authority``, or certificates as PEM
                text; by default it trusts every server.
            certificate: with TLS, what the client shows: what ``Authority.client`` makes, or certificate and key as
                two PEM texts.
            tls_version: the only version of TLS that the client speaks, such as ``"1.2"``.

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
            ca=ca,
            certificate=certificate,
            tls_version=tls_version,
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
        ca: str | Authority | None = None,
        certificate: ClientCertificate | tuple[str, str] | None = None,
        tls_version: str | None = None,
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
            ca: with TLS, whom the client trusts, as for ``send``.
            certificate: with TLS, what the client shows, as for ``send``.
            tls_version: the only version of TLS that the client speaks.

        Returns:
            A handle with ``start``, ``stop``, ``set_rate`` and the observations so far; as a context manager it runs
            while the block does. Running its cell again ends what the cell had started before.
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
            ca=ca,
            certificate=certificate,
            tls_version=tls_version,
            background=True,
        )
        live = traffic.BackgroundTraffic(self._open(), spec, steering=self._steering(spec), origin=origin.here())
        self._adopt(live)
        return live

    def explain(
        self,
        url: str,
        *,
        source: str = "outside",
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: str | None = None,
        certificate: ClientCertificate | tuple[str, str] | None = None,
        confirm: bool = True,
    ) -> Explained:
        """Say why a request goes where it goes: every rule in order, the route, the endpoints, the policies in force.

        The reasons come from the manifests alone; then the request is sent, and the access log confirms them.

        Args:
            url: as for ``send``.
            source: ``outside``, or the Deployment or pod that calls (any with a sidecar can be explained).
            headers: request headers.
            method: HTTP method.
            body: request body; over ``tcp`` and ``tls`` what is sent.
            certificate: with TLS, what the client shows, as for ``send``.
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
        spec = traffic.build_spec(
            url, source=source, headers=headers, method=method, body=body, certificate=certificate, count=1
        )
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
            # Without iptables only what a program hands to its proxy gets there, and that is HTTP.
            captured=engine.name != "embedded",
            # Learners who share a cluster do not see each other's rules.
            default_export_to=["."] if engine.name == "cluster" else (),
            certificate=certificate is not None,
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

    def _steering(self, spec: TrafficSpec) -> Steering:
        """What the picture of this traffic asks of the lab."""
        from labsupport.steering import Steering, World

        def look() -> World:
            engine = self._open()
            return World(engine.get("*"), engine.pods(), engine.namespace)

        return Steering(spec, look, self.patch, lambda: self._changes, self.when_closed)

    def _adopt(self, live: BackgroundTraffic) -> None:
        """Mark changes of the mesh in this traffic, end it with the lab, and end what another run of its cell began."""
        for former in self._running():
            if live.origin.reruns(former.origin):
                former.halt()
        self._live.add(live)

    def _running(self) -> list[BackgroundTraffic]:
        return [live for live in list(self._live) if live.state in ("running", "paused", "stopping")]

    def when_closed(self, act: Callable[[], None]) -> None:
        """Have a function called when the lab is about to close: what a live picture needs to leave a static one.

        Args:
            act: called once, in the thread that closes the lab. The object of a bound method is not kept alive by it.
        """
        bound = inspect.ismethod(act)
        self._last_wishes.append(weakref.WeakMethod(act) if bound else lambda: act)

    def _fulfil_last_wishes(self) -> None:
        wishes, self._last_wishes = self._last_wishes, []
        for wish in wishes:
            # A picture must not keep the mesh from being taken down.
            with suppress(Exception):
                if (act := wish()) is not None:
                    act()

    def _stop_traffic(self) -> None:
        # All are told before any is waited for, and a failed one must not keep the mesh from being taken down.
        running = self._running()
        for live in running:
            live.halt()
        for live in running:
            with suppress(LabError):
                live.close()

    def _mark(self, verb: str, result: ApplyResult, resources: Sequence[Resource] | None, *, to: str = "") -> None:
        """Note a change in all traffic that is running, and that what was read of the mesh is old."""
        self._changes += 1
        running = self._running()
        if running and resources is None:
            # A patch names an object only: its weights, which the picture is to say, are in what came of it.
            refs = [change.ref for change in result.changes if (change.ref.kind, change.action) == _RULE]
            with suppress(LabError):
                resources = [found for ref in refs for found in self._open().get(ref.kind, ref.name)]
        label = caption(verb, result, resources or ())
        if label:
            detail = f"in force after {words.duration(result.in_force_s)}"
            done_s = result.started_s + result.in_force_s if result.started_s else None
            for live in running:
                live.mark(label + to, in_force_s=result.in_force_s, time_s=done_s, detail=detail)

    # --- provided by the lab ------------------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> Engine:
        """The engine, unless the lab is closed."""

    @abstractmethod
    def patch(self, target: str | Ref, patch: Mapping[str, Any], *, timeout_s: float | None = None) -> ApplyResult:
        """Change some fields of an object."""
