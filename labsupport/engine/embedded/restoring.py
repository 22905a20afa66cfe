"""Puts the former state back after a change that was refused, or that a proxy did not survive."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Set

from labsupport.engine.embedded.builtin import BuiltIn
from labsupport.engine.embedded.control import ControlPlane
from labsupport.engine.embedded.envoy.ads import AdsServer
from labsupport.engine.embedded.pods.pods import EnvoyUnit
from labsupport.engine.embedded.workloads import Workloads
from labsupport.errors import ConfigRejectedError, WaitTimeoutError
from labsupport.model import Resource

__all__ = ["Blocked", "Restoring"]

_TAKEN_S = 5.0
_BACK_S = 10.0


class Blocked(Exception):
    """A proxy that is connected did not acknowledge a change in time."""


class Restoring:
    """Brings a lab back to a state in which its proxies ran.

    Args:
        ads: knows which proxies hold what they are to hold.
        control: of the lab.
        workloads: of the lab.
        built_in: of the lab.
    """

    def __init__(self, ads: AdsServer, control: ControlPlane, workloads: Workloads, built_in: BuiltIn) -> None:
        self._ads = ads
        self._control = control
        self._workloads = workloads
        self._built_in = built_in

    async def back_to(self, before: tuple[Resource, ...], pods: Set[str]) -> None:
        """Put a former state back; returns when the proxies hold it, started anew where they ended or hang.

        Args:
            before: the objects.
            pods: the names of the pods that there were.
        """
        self._control.objects = before
        self._control.touch()
        await self._workloads.drop(pod for name, pod in list(self._control.pods.items()) if name not in pods)
        with contextlib.suppress(WaitTimeoutError, ConfigRejectedError):
            await self._control.publish(timeout_s=_TAKEN_S)
        envoys = [pod.envoy for pod in self._control.pods.values() if pod.envoy is not None and not pod.terminating]
        envoys += [self._built_in.plain] if self._built_in.plain is not None else []
        lost = [envoy for envoy in envoys if not self._ads.holds_all(envoy.node)]
        await asyncio.gather(*(envoy.keeper.renew() for envoy in lost))
        await self._ready(lost)

    async def _ready(self, envoys: list[EnvoyUnit]) -> None:
        deadline = time.monotonic() + _BACK_S
        while time.monotonic() < deadline and not all(envoy.keeper.ready for envoy in envoys):
            await asyncio.sleep(0.005)
