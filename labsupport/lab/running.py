"""The background traffic of a lab: every change of the mesh is marked in it, and it ends with the lab."""

from __future__ import annotations

import itertools
import time
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from labsupport import words
from labsupport.cell import CellRun
from labsupport.errors import LabError
from labsupport.lab.callbacks import Callbacks
from labsupport.lab.captions import caption
from labsupport.model.schema.base import Resource
from labsupport.records import ApplyResult, Response
from labsupport.traffic.background import BackgroundTraffic
from labsupport.traffic.held import HeldRequests
from labsupport.traffic.recording import Mark

__all__ = ["Running"]

# Envoys flush their logs within a second at most.
_LATE_S = 2.0
_MARKS = 1_000


class Running:
    """Traffic that a lab began, changes of its mesh, and what pictures want done before the lab closes."""

    def __init__(self) -> None:
        # Weak: traffic that a notebook has let go of must not be kept by the lab.
        self._live: weakref.WeakSet[BackgroundTraffic] = weakref.WeakSet()
        # Not weak: what nobody can release any more is released with the lab.
        self._held: list[HeldRequests] = []
        self.marks: deque[Mark] = deque(maxlen=_MARKS)
        self.when_closed = Callbacks()
        self.sent: Sequence[Response] = ()

    def adopt(self, live: BackgroundTraffic) -> None:
        """Mark changes of the mesh in this traffic, end it with the lab, and end what another run of its cell began.

        Args:
            live: traffic that was just made.
        """
        for former in self.now():
            if live.origin.reruns(former.origin):
                former.halt()
        self._live.add(live)

    def hold(self, held: HeldRequests) -> None:
        """Release these requests with the lab.

        Args:
            held: requests that were just sent.
        """
        self._held = [*self.held(), held]

    def release(self, run: CellRun) -> None:
        """Let go of what another run of a cell held: nobody could any more, and it would be in the way.

        Args:
            run: the run of that cell that begins.
        """
        for former in self.held():
            if run.reruns(former.origin):
                former.let_go()
                former.join()

    def held(self) -> list[HeldRequests]:
        """All requests that are held now."""
        return [held for held in self._held if not held.released]

    def known(self) -> list[BackgroundTraffic]:
        """All traffic that the notebook still holds, whether it runs or not."""
        return list(self._live)

    def now(self) -> list[BackgroundTraffic]:
        """Traffic that runs."""
        return [live for live in self.known() if live.running]

    def answered_of_late(self) -> set[str]:
        """The x-request-ids of requests that were answered so shortly ago that proxies may still write of them."""
        begin_s = time.time() - _LATE_S
        live = (response for traffic in self.known() for response in traffic.snapshot().responses)
        seen = itertools.chain(self.sent, live)
        return {each.request_id for each in seen if each.request_id and each.started_s + each.duration_s >= begin_s}

    def stop(self) -> None:
        """End all traffic that is running."""
        # All are told before any is waited for, and a failed one must not keep the mesh from being taken down.
        running = self.now()
        for held in self._held:
            held.let_go()
        self._held = []
        for live in running:
            live.halt()
        for live in running:
            with suppress(LabError):
                live.close()

    def mark(self, verb: str, result: ApplyResult, resources: Sequence[Resource], *, to: str = "") -> None:
        """Note a change of the mesh, also in all traffic that is running.

        Args:
            verb: what the learner did, such as ``apply``.
            result: what came of it.
            resources: what was applied, or what there is where a change names an object only.
            to: what is to be added to the words.
        """
        running = self.now()
        label = caption(verb, result, resources)
        if label:
            detail = f"in force after {words.duration(result.in_force_s)}"
            done_s = result.started_s + result.in_force_s if result.started_s else None
            self.marks.append(Mark(label + to, done_s or time.time(), result.in_force_s, detail))
            for live in running:
                live.mark(label + to, in_force_s=result.in_force_s, time_s=done_s, detail=detail)
