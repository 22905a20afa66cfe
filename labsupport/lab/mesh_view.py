"""What a service graph looks at."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

from labsupport.errors import UsageError
from labsupport.lab.objects import Objects
from labsupport.lab.running import Running
from labsupport.observe.tables import AccessLog, Pods
from labsupport.traffic.background import BackgroundTraffic

__all__ = ["MeshView"]


class _Lab(Protocol):
    def access_log(self, of: Any = None, *, since_s: float | None = None) -> AccessLog: ...

    def pods(self) -> Pods: ...

    def get(self, kind: str, *, namespace: str | None = None) -> Objects: ...

    def when_closed(self, act: Callable[[], None]) -> None: ...


class MeshView:
    """The side of a lab that a graph needs; a graph that outlives its lab does not keep it.

    Args:
        lab: what is looked at.
        running: its background traffic.
    """

    def __init__(self, lab: _Lab, running: Running) -> None:
        self._lab = weakref.ref(lab)
        self._running = running

    def _here(self) -> _Lab:
        lab = self._lab()
        if lab is None:
            raise UsageError("The lab of this graph is gone. Open another one: lab = Lab()")
        return lab

    def access_log(self, of: Any = None, *, since_s: float | None = None) -> AccessLog:
        """Access-log lines of all proxies, of some requests or since a time."""
        return self._here().access_log(of, since_s=since_s)

    def pods(self) -> Pods:
        """All pods."""
        return self._here().pods()

    def get(self, kind: str) -> Objects:
        """Objects of a kind, of all namespaces."""
        return self._here().get(kind, namespace="*")

    def when_closed(self, act: Callable[[], None]) -> None:
        """Have a function called when the lab is about to close."""
        self._here().when_closed(act)

    def traffic(self, *, running: bool = True) -> list[BackgroundTraffic]:
        """Background traffic; what has ended is known as long as the notebook holds it."""
        self._here()
        return self._running.now() if running else self._running.known()
