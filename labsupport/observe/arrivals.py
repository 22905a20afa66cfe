"""Access logs that are whole: who took part in an answer has written about it.

Envoys write their lines some milliseconds after a request is over, each in its own time. What a server's calls left in
the log may be there before the server's own line, and looks whole; but the answer tells who took part in it. That is
more than who answered: the first pod with a sidecar may stand behind others without one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from labsupport.observe.tables import AccessLog
from labsupport.records import Pod, Response

__all__ = ["arrived"]

_APPEARS_S = 1.0
_POLL_S = 0.02


def arrived(
    read: Callable[[], AccessLog], responses: Iterable[Response], pods: Callable[[], Iterable[Pod]]
) -> AccessLog:
    """Read a log until each pod with a sidecar that took part in an answer has a line, for a second at most.

    Args:
        read: reads the lines that there are now.
        responses: what the client saw; those that no application answered are not waited for.
        pods: the pods that there are.
    """
    log = read()
    expected = {(response.request_id, hop.pod) for response in responses for hop in response.path}
    deadline = time.monotonic() + _APPEARS_S
    while lacking := expected - {(record.request_id, record.pod) for record in log if record.direction == "inbound"}:
        sidecars = {pod.name for pod in pods() if pod.injected}
        if time.monotonic() > deadline or not any(pod in sidecars for _, pod in lacking):
            break
        time.sleep(_POLL_S)
        log = read()
    return log
