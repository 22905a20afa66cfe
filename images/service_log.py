"""A line in the pod's log for each request that an application answers."""

from __future__ import annotations

import contextlib
import os
import stat
import time

from starlette.datastructures import Headers
from starlette.types import Scope

__all__ = ["MOST_BYTES", "RequestLog"]

MOST_BYTES = 8 * 2**20
"""A log that is a file begins anew beyond that, as a node's do."""

_LOOK_EVERY = 4096
_STDOUT = 1


class RequestLog:
    """Writes when, what, the status, how long it took and the x-request-id; probes of ``/healthz`` are left out."""

    def __init__(self) -> None:
        self._lines = 0

    def write(self, scope: Scope, status: int, began: float) -> None:
        """Write the line of a request that has ended.

        Args:
            scope: of the request.
            status: of the reply; 0 if there was none.
            began: when the request came, by the monotonic clock.
        """
        at = time.strftime("%H:%M:%S", time.localtime())
        path = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "backslashreplace")
        query = scope.get("query_string", b"").decode("ascii", "backslashreplace")
        target = f"{path}?{query}" if query else path
        took = 1000 * (time.monotonic() - began)
        request_id = Headers(scope=scope).get("x-request-id", "-")
        line = f"{at} {scope['method']} {target} {status or '-'} {took:.1f} ms {request_id}\n"
        # A full disk must not cost the reply.
        with contextlib.suppress(OSError):
            if self._lines % _LOOK_EVERY == 0:
                self._begin_anew()
            os.write(_STDOUT, line.encode("ascii", "backslashreplace"))
        self._lines += 1

    @staticmethod
    def _begin_anew() -> None:
        about = os.fstat(_STDOUT)
        if stat.S_ISREG(about.st_mode) and about.st_size > MOST_BYTES:
            os.ftruncate(_STDOUT, 0)
