"""Removing everything that people put into a lab's namespace, and the proof that it is gone."""

from __future__ import annotations

import time
from typing import Any

from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.objects.additions import PART_LABEL
from labsupport.engine.cluster.objects.doors import made_services
from labsupport.engine.cluster.objects.objects import ObjectStore
from labsupport.engine.cluster.objects.rollout import Rollout
from labsupport.records import Ref

__all__ = ["remove"]

TIMEOUT_S = 30.0


def remove(
    api: Api, objects: ObjectStore, rollout: Rollout, *, timeout_s: float = TIMEOUT_S
) -> tuple[list[Ref], list[str]]:
    """Delete all objects and pods but the engine's own, and wait until they are gone.

    It goes by what is in the namespace and not by what somebody remembers, so it repairs whatever a killed kernel left.

    Args:
        api: the cluster.
        objects: of the lab.
        rollout: sees the pods.
        timeout_s: how long to wait, in seconds.

    Returns:
        what was removed, and what is still there.
    """
    deadline = time.monotonic() + timeout_s
    removed = objects.delete(objects.leftovers(), grace_s=1)
    objects.forget()
    hastened: set[str] = set()
    while True:
        pods = [pod for pod in rollout.pods() if PART_LABEL not in (pod["metadata"].get("labels") or {})]
        left = [f"{ref.kind}/{ref.name}" for ref in objects.leftovers()] if not pods else []
        left = left or [f"Service/{name}" for name in ([] if pods else made_services(api))]
        if not pods and not left:
            return removed, []
        if time.monotonic() > deadline:
            return removed, [*(f"pod {pod['metadata']['name']}" for pod in pods), *left]
        # Nobody waits for the last requests of a lab that is cleared, so its pods need not be drained. One that its
        # ReplicaSet makes in the meantime is found in the next round.
        late = [pod for pod in pods if pod["metadata"]["uid"] not in hastened]
        api.map(lambda pod: _end(api, pod), late)
        hastened |= {pod["metadata"]["uid"] for pod in late if pod["metadata"].get("deletionTimestamp")}
        time.sleep(0.1)


def _end(api: Api, pod: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{api.namespace}/pods/{pod['metadata']['name']}"
    try:
        api.connection.request("DELETE", path, body={"gracePeriodSeconds": 1})
    except ApiError as error:
        # Without the right to delete pods they end in their own time.
        if not (error.missing or error.forbidden or error.status == 409):
            raise
