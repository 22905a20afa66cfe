"""The part of ``Lab`` that puts together what is drawn: the journey of one request, and the graph of all."""

from __future__ import annotations

import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from labsupport.engine.base import Engine, Response
from labsupport.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from labsupport.background import BackgroundTraffic
    from labsupport.graph_view import ServiceGraph
    from labsupport.journey import Journey
    from labsupport.objects import Objects
    from labsupport.observation import Observations
    from labsupport.status import AccessLog, Pods

__all__ = ["PictureVerbs", "settled"]

_QUIET_S = 0.3
_SETTLED_AT_MOST_S = 3.0


class PictureVerbs(ABC):
    """``journey`` and ``graph`` of a lab."""

    def journey(self, of: Response | Observations | str) -> Journey:
        """One request over all hops: who called whom, tries, injected delays, mirror copies, response flags in words.

        Put together from the access logs of all proxies, which carry the same ``x-request-id``.

        Args:
            of: a response, observations (their first response), or an x-request-id.

        Returns:
            The journey; in a notebook it is a picture, and ``show(...)`` makes a figure of it that can be saved.

        Raises:
            UsageError: it is none of these, or there is no response.
        """
        from labsupport.journey import journey_of
        from labsupport.observation import Observations

        if isinstance(of, Observations):
            if not of:
                raise UsageError("There is no response, so there is no request to follow.")
            of = of[0]
        if not isinstance(of, Response | str) or not of:
            raise UsageError(
                f"A {type(of).__name__} has no journey. Give a response, such as lab.send(...)[0], or its request_id."
            )
        response = of if isinstance(of, Response) else None
        request_id = of.request_id if isinstance(of, Response) else of
        if isinstance(of, str) and not self.access_log(of):
            raise NotFoundError(
                f"No proxy knows a request {of!r}. Give a response, or the request_id of one that passed a proxy."
            )
        lines = settled(lambda: self.access_log(request_id)) if request_id else ()
        # A cluster's proxies write Istio's default format.
        counted = self._open().name != "cluster"
        return journey_of(lines, pods=self.pods(), request_id=request_id, response=response, counted=counted)

    def graph(
        self, of: Observations | Iterable[Response] | Response | None = None, *, span_s: float = 10.0
    ) -> ServiceGraph:
        """The service graph: services with their versions, calls with rate, errors and latency, rules in force.

        Args:
            of: responses whose calls are to be shown; by default all calls of the last ``span_s`` seconds, live while
                background traffic runs.
            span_s: how many seconds are looked at.

        Returns:
            The graph; in a notebook it is a picture in which a call can be selected, and ``show(...)`` makes a figure
            of it that can be saved.

        Raises:
            UsageError: an argument makes no sense.
        """
        from labsupport.graph_view import ServiceGraph

        if not span_s > 0:
            raise UsageError(f"span_s={span_s!r}: give a number of seconds above 0.")
        one = (of,) if isinstance(of, Response) else of
        if isinstance(one, str) or (one is not None and not isinstance(one, Iterable)):
            raise UsageError(f"A {type(of).__name__} has no calls. Give responses, such as lab.send(...), or nothing.")
        self.pods()
        return ServiceGraph(_meshes.setdefault(self, _Mesh(self)), of=one, span_s=span_s)

    # --- provided by the lab ------------------------------------------------------------------------------------

    @abstractmethod
    def access_log(
        self, of: Observations | Response | Iterable[str] | str | None = None, *, since_s: float | None = None
    ) -> AccessLog:
        """What the proxies wrote about requests."""

    @abstractmethod
    def pods(self) -> Pods:
        """All pods."""

    @abstractmethod
    def get(self, kind: str, name: str | None = None) -> Objects:
        """Objects of a kind."""

    @abstractmethod
    def when_closed(self, act: Callable[[], None]) -> None:
        """Have a function called when the lab is about to close."""

    @abstractmethod
    def _open(self) -> Engine:
        """The engine, unless the lab is closed."""

    @abstractmethod
    def _running(self) -> list[BackgroundTraffic]:
        """Background traffic that is running."""


def settled(read: Callable[[], AccessLog]) -> AccessLog:
    """Read a log until nothing is added to it for a moment.

    Mirror copies, and what an application goes on with although nobody waits for it any more, are logged after the
    request itself, and nothing tells how many lines there will be.

    Args:
        read: reads the lines that there are now.
    """
    lines = read()
    deadline = time.monotonic() + _SETTLED_AT_MOST_S
    since = time.monotonic()
    while time.monotonic() < min(since + _QUIET_S, deadline):
        time.sleep(0.05)
        now = read()
        if len(now) > len(lines):
            lines, since = now, time.monotonic()
    return lines


class _Mesh:
    """What a graph looks at; it shows the lab that it was made by, and does not keep it."""

    def __init__(self, lab: PictureVerbs) -> None:
        self._lab = weakref.ref(lab)

    def _here(self) -> PictureVerbs:
        lab = self._lab()
        if lab is None:
            raise UsageError("The lab of this graph is gone. Open another one: lab = Lab()")
        return lab

    def access_log(self, of: Any = None, *, since_s: float | None = None) -> AccessLog:
        return self._here().access_log(of, since_s=since_s)

    def pods(self) -> Pods:
        return self._here().pods()

    def get(self, kind: str) -> Objects:
        return self._here().get(kind)

    def when_closed(self, act: Callable[[], None]) -> None:
        self._here().when_closed(act)

    def traffic(self, *, running: bool = True) -> list[BackgroundTraffic]:
        lab = self._here()
        # What has ended is still known as long as the notebook holds it.
        return lab._running() if running else list(getattr(lab, "_live", ()))


# One for each lab, so that a cell that is run again shows the same live picture.
_meshes: weakref.WeakKeyDictionary[PictureVerbs, _Mesh] = weakref.WeakKeyDictionary()
