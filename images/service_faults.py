"""Trouble on request: what a pod's environment asks for, or the header ``x-fault`` of a single request."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
from collections import OrderedDict
from dataclasses import dataclass

from service_settings import LONGEST_S, Settings

__all__ = ["Fault", "Faults", "Holds", "crash", "position"]

REMEMBERED = 10_000
# What one request may ask for; the rest is the pod's own affair.
PER_REQUEST = ("CRASH", "DELAY_S", "FAIL_FIRST_TRIES", "FAIL_RATE", "FAIL_SHARE", "FAIL_STATUS", "HOLD", "HOLD_S")
# Where a request passes several services that forward the header, this one alone does it.
WHERE = "SERVICE"
CONDITIONS = ("FAIL_FIRST_TRIES", "FAIL_RATE", "FAIL_SHARE")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with a request.

    Args:
        delay_s: seconds before it is answered.
        first_tries: how many of its tries fail, told apart by ``x-request-id``.
        rate: probability that a try fails, drawn anew for each.
        share: share of the request ids whose every try fails.
        status: status of a failure.
        hold: whether it waits until somebody releases it.
        hold_s: how long it waits at most.
        crash: ``never``, ``asked`` (a single request may ask for it), or ``always``.
    """

    delay_s: float
    first_tries: int
    rate: float
    share: float
    status: int
    hold: bool
    hold_s: float
    crash: str

    @classmethod
    def read(cls, settings: Settings) -> Fault:
        """Read the variables.

        Raises:
            ValueError: one has a value that makes no sense.
        """
        return cls(
            delay_s=settings.seconds("DELAY_S"),
            first_tries=settings.whole("FAIL_FIRST_TRIES", default=0, low=0, high=1000),
            rate=settings.number("FAIL_RATE", default=0.0, low=0.0, high=1.0),
            share=settings.number("FAIL_SHARE", default=0.0, low=0.0, high=1.0),
            status=settings.whole("FAIL_STATUS", default=503, low=400, high=599),
            hold=settings.flag("HOLD"),
            hold_s=settings.seconds("HOLD_S", default=30.0, high=LONGEST_S),
            crash=settings.choice("CRASH", ("never", "asked", "always")),
        )


class Holds:
    """Requests that are held open until somebody releases them, by key."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    async def wait(self, key: str, seconds: float) -> bool:
        """Hold until released or for so many seconds; says whether it was released."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, set())
        waiting.add(future)
        try:
            await asyncio.wait_for(future, seconds)
            return True
        except TimeoutError:
            return False
        finally:
            waiting.discard(future)
            if not waiting and self._waiting.get(key) is waiting:
                del self._waiting[key]

    def count(self, key: str) -> int:
        """How many requests are held under this key."""
        return len(self._waiting.get(key, ()))

    def release(self, key: str) -> int:
        """Let every request go that is held under this key; returns how many there were."""
        waiting = self._waiting.pop(key, set())
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return len(waiting)


class Faults:
    """Does to requests what was asked for.

    Args:
        settings: the pod's environment.
        service: what this application is called.

    Raises:
        ValueError: a variable has a value that makes no sense.
    """

    def __init__(self, settings: Settings, *, service: str = "") -> None:
        self._settings = settings
        self._service = service
        self._standing = Fault.read(settings)
        self.holds = Holds()
        # Oldest first, so that what is forgotten is what has not been asked for longest.
        self._tries: OrderedDict[str, int] = OrderedDict()
        self._random = random.Random()

    @property
    def may_crash(self) -> bool:
        """Whether this pod may be told to end."""
        return self._standing.crash != "never"

    def of_request(self, written: str) -> Fault:
        """What goes wrong with a request: the standing fault, changed by its own ``x-fault``.

        Args:
            written: such as ``DELAY_S=0.2, FAIL_STATUS=503``; upper and lower case are one.

        Raises:
            ValueError: it cannot be read, or asks for what a request may not ask for.
        """
        if not written:
            return self._standing
        given: dict[str, str] = {}
        for part in written.split(","):
            name, equals, value = part.partition("=")
            key = name.strip().upper()
            if not equals or key not in (*PER_REQUEST, WHERE):
                known = ", ".join((*PER_REQUEST, WHERE))
                raise ValueError(f"x-fault must be NAME=VALUE of {known}, not {part.strip()!r}")
            given[key] = value.strip()
        if given.pop(WHERE, self._service) != self._service:
            return self._standing
        if "FAIL_STATUS" in given and not given.keys() & set(CONDITIONS):
            given["FAIL_SHARE"] = "1"
        fault = Fault.read(Settings({**self._settings.env, **given}))
        if "CRASH" in given and fault.crash != "never" and not self.may_crash:
            raise ValueError("CRASH must be allowed by the environment of this pod: asked")
        return fault

    async def strike(self, fault: Fault, request_id: str) -> int:
        """Crash, delay and hold as asked, and say how the request fails.

        Args:
            fault: what goes wrong.
            request_id: its ``x-request-id``; without one, every try counts as the first of a request of its own.

        Returns:
            The status to fail with; 0 to answer properly.
        """
        if fault.crash == "always":
            crash()
        failed = (
            self._tries_before(fault, request_id) < fault.first_tries
            or (fault.share > 0 and (position(request_id) if request_id else self._random.random()) < fault.share)
            or self._random.random() < fault.rate
        )
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.hold:
            await self.holds.wait("", fault.hold_s)
        return fault.status if failed else 0

    def _tries_before(self, fault: Fault, request_id: str) -> int:
        """How many tries of this request there were before."""
        if not fault.first_tries or not request_id:
            return 0
        before = self._tries.pop(request_id, 0)
        self._tries[request_id] = before + 1
        if len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)
        return before


def position(request_id: str) -> float:
    """Where a request stands between 0 and 1; those below ``FAIL_SHARE`` fail. Known before it is sent."""
    return int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:8], "big") / 2**64


def crash() -> None:
    """End this process at once, without a reply and without a farewell."""
    print("crashed, as it was told to (CRASH)", file=sys.stderr, flush=True)
    os._exit(1)
