"""A pause before a pod's program is told to end, so that no caller is still on its way to it.

Kubernetes takes a pod out of the endpoints and tells its program to end at the same moment. A program that ends at
once is then missed by those whose proxy has not heard of it yet. The usual remedy is a ``preStop`` hook that waits; the
engine adds one where the manifest has no ``lifecycle`` of its own. The embedded mesh does the same by waiting itself.
"""

from __future__ import annotations

from typing import Any

from labsupport.engine.cluster.objects.images import pod_specs

__all__ = ["add_pause", "remove_pause"]

PAUSE_S = 3
_DEFAULT_GRACE_S = 30
# The action "sleep" needs nothing in the image, and is on by default since this version.
_SLEEP_SINCE = (1, 30)


def _hook(seconds: int, version: tuple[int, ...]) -> dict[str, Any]:
    if version >= _SLEEP_SINCE:
        return {"preStop": {"sleep": {"seconds": seconds}}}
    return {"preStop": {"exec": {"command": ["sleep", str(seconds)]}}}


def add_pause(kind: str, raw: dict[str, Any], version: tuple[int, ...]) -> None:
    """Add the pause to the containers of an object's pods, in place.

    Args:
        kind: of the object.
        raw: the object, a copy of the caller's own.
        version: of Kubernetes, such as ``(1, 34)``.
    """
    for _, spec in pod_specs(kind, raw):
        grace = spec.get("terminationGracePeriodSeconds")
        seconds = min(PAUSE_S, (_DEFAULT_GRACE_S if grace is None else int(grace)) - 2)
        for container in spec.get("containers") or ():
            if seconds > 0 and not container.get("lifecycle"):
                container["lifecycle"] = _hook(seconds, version)


def remove_pause(kind: str, raw: dict[str, Any]) -> None:
    """Take the pause away again, in place."""
    ours = [_hook(seconds, version) for seconds in range(1, PAUSE_S + 1) for version in ((1, 0), _SLEEP_SINCE)]
    for _, spec in pod_specs(kind, raw):
        for container in spec.get("containers") or ():
            if container.get("lifecycle") in ours:
                del container["lifecycle"]
