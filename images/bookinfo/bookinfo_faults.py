"""Trouble on request: delays and failures that the environment of a pod asks for."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Mapping

from bookinfo_upstream import MAX_SECONDS, number

__all__ = ["Faults"]

REMEMBERED = 10_000


class Faults:
    """What this pod does wrong, and when.

    Args:
        env: ``DELAY_S`` (seconds before each answer), ``FAIL_FIRST_TRIES`` (how many tries of each request fail,
            told apart by ``x-request-id``), ``FAIL_RATE`` (share of requests that fail at random, 0 to 1) and
            ``FAIL_STATUS`` (status of a failure, 503 by default).
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._delay_s = number(env, "DELAY_S", default=0.0, low=0.0, high=MAX_SECONDS)
        self._first_tries = int(number(env, "FAIL_FIRST_TRIES", default=0, low=0, high=1000))
        self._rate = number(env, "FAIL_RATE", default=0.0, low=0.0, high=1.0)
        self._status = int(number(env, "FAIL_STATUS", default=503, low=400, high=599))
        # Oldest first, so that what is forgotten is what has not been asked for longest.
        self._tries: OrderedDict[str, int] = OrderedDict()
        self._random = random.Random()

    async def strike(self, request_id: str) -> int:
        """Delay as asked and say how the request fails.

        Args:
            request_id: its ``x-request-id``; without one, every try counts as the first.

        Returns:
            The status to fail with; 0 to answer properly.
        """
        failed = self._count(request_id) < self._first_tries or self._random.random() < self._rate
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        return self._status if failed else 0

    def _count(self, request_id: str) -> int:
        """How many tries of this request there were before."""
        if not self._first_tries or not request_id:
            return 0
        before = self._tries.pop(request_id, 0)
        self._tries[request_id] = before + 1
        if len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)
        return before
