"""Waiting for Deployments: until the pods that are wanted take traffic, and no others do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from labsupport.engine.cluster.api.api import Api
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.errors import EngineError, NotFoundError, WaitTimeoutError
from labsupport.words import join, plural

__all__ = ["Rollout", "last_words", "pod_state", "workload_of"]

_POLL_S = 0.1
# A program that crashed so often before it was ever ready will not become ready by waiting.
HOPELESS_RESTARTS = 2
_NO_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_NO_LOG = "unable to retrieve container logs"
_NO_CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
# A pull that fails may be the registry's hiccup; a second pod or a quick second try may have it.
_PATIENCE_S = {"ErrImagePull": 6.0, "ImagePullBackOff": 6.0, "RunContainerError": 6.0}


def workload_of(pod: Mapping[str, Any]) -> str:
    """The Deployment of a pod, by the ReplicaSet that owns it; its owner, or itself, if there is none."""
    owner: Mapping[str, Any] = next(iter(pod["metadata"].get("ownerReferences") or ()), {})
    name = str(owner.get("name") or pod["metadata"]["name"])
    digest = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
    if owner.get("kind") == "ReplicaSet" and digest:
        return name.removesuffix(f"-{digest}")
    return name


def statuses(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The states of a pod's containers, those of sidecars that are init containers too."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod takes traffic: its condition ``Ready``, and not about to end."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def pod_state(pod: Mapping[str, Any]) -> str:
    """What a pod waits for, in a few words."""
    for status in statuses(pod):
        state = status.get("state") or {}
        waiting, ended = state.get("waiting"), state.get("terminated")
        if waiting and waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return f"container {status['name']}: {waiting['reason']} {waiting.get('message', '')}".strip()
        if ended and ended.get("exitCode"):
            return f"container {status['name']} ended with {ended['exitCode']}"
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"no node for it: {condition.get('message', condition.get('reason', ''))}"
    late = [
        status["name"]
        for status in statuses(pod)
        if not status.get("ready") and "running" in (status.get("state") or {})
    ]
    if late:
        running = f"container {late[0]} runs" if len(late) == 1 else f"containers {join(late)} run"
        return f"{running}, not ready yet"
    return str((pod.get("status") or {}).get("phase") or "Pending").lower()


def last_words(api: Api, pod: Mapping[str, Any]) -> str:
    """The last line of the log of what crashed last in a pod, else how it ended; empty if nothing did."""
    crashed = [
        (ended.get("finishedAt") or "", status["name"], ended)
        for status in statuses(pod)
        for ended in [
            (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated")
        ]
        if ended and (ended.get("exitCode") or status.get("restartCount")) and status["name"] != "istio-init"
    ]
    if not crashed:
        return ""
    _, container, ended = max(crashed, key=lambda crash: crash[0])
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/log"
    for previous in ("true", "false"):
        try:
            query = {"container": container, "previous": previous, "tailLines": "20"}
            text = api.connection.request("GET", path, query=query).text
        except ApiError:
            continue
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        # While a container is replaced the kubelet has neither log; the answer is its own then.
        if lines and not lines[-1].startswith(_NO_LOG):
            return lines[-1][-300:]
    if ended.get("message"):
        return str(ended["message"]).strip().splitlines()[-1][-300:]
    return f"{container} ended with {ended.get('exitCode')} ({ended.get('reason', 'Error')})"


class Rollout:
    """Watches the Deployments of one namespace.

    Args:
        api: the cluster.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._trouble: dict[str, tuple[str, float]] = {}

    def pods(self) -> list[dict[str, Any]]:
        """All pods of the namespace as the API server has them, oldest first."""
        path = f"/api/v1/namespaces/{self._api.namespace}/pods"
        bodies: list[dict[str, Any]] = self._api.connection.get(path)["items"]
        return sorted(bodies, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))

    def living(self) -> list[dict[str, Any]]:
        """The pods that are not ending."""
        return [pod for pod in self.pods() if not pod["metadata"].get("deletionTimestamp")]

    def find(self, name: str) -> dict[str, Any]:
        """A pod by its name, or the first of a Deployment; ``NotFoundError`` if there is none."""
        living = self.living()
        named = [pod for pod in living if pod["metadata"]["name"] == name]
        matching = named or [pod for pod in living if workload_of(pod) == name]
        if matching:
            return matching[0]
        known = ", ".join(pod["metadata"]["name"] for pod in living)
        raise NotFoundError(f"there is no pod or workload {name!r}. There are: {known or 'none'}")

    def wait(self, names: Sequence[str], *, timeout_s: float, check: Callable[[], None] | None = None) -> None:
        """Wait until Deployments have exactly the ready pods that they ask for, and old pods take no traffic.

        Args:
            names: the Deployments.
            timeout_s: how long, in seconds.
            check: called while waiting; raises to give up.

        Raises:
            EngineError: a pod cannot start; says why, without waiting for the time-out.
            WaitTimeoutError: not in time; says what was seen last.
        """
        self._trouble.clear()
        deadline = time.monotonic() + timeout_s
        pause = _POLL_S
        while True:
            pods = self.pods()
            late = {name: why for name in names if (why := self._late(name, pods))}
            if not late and not self._serving_old(pods):
                return
            for name in late:
                self._raise_hopeless(name, pods)
            if check is not None:
                check()
            if time.monotonic() > deadline:
                seen = "; ".join(f"Deployment/{name}: {why}{self._words(name, pods)}" for name, why in late.items())
                raise WaitTimeoutError(
                    f"not ready within {timeout_s:.0f} s: {seen or 'pods that end are still known as endpoints'}"
                )
            time.sleep(pause)
            pause = min(pause * 1.2, 0.5)

    def wait_ended(self, names: Sequence[str], *, timeout_s: float) -> None:
        """Wait until Deployments that were deleted have no pod left that takes traffic.

        Args:
            names: the Deployments.
            timeout_s: how long, in seconds.

        Raises:
            WaitTimeoutError: not in time; names the pods.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            pods = self.pods()
            living = [
                pod["metadata"]["name"]
                for name in names
                for pod in self._of(name, pods)
                if not pod["metadata"].get("deletionTimestamp")
            ]
            if not living and not self._serving_old(pods):
                return
            if time.monotonic() > deadline:
                raise WaitTimeoutError(f"not gone within {timeout_s:.0f} s: {', '.join(living) or 'their endpoints'}")
            time.sleep(_POLL_S)

    def _late(self, name: str, pods: Sequence[Mapping[str, Any]]) -> str:
        """What a Deployment still waits for; empty if it is done."""
        deployment = self._api.connection.get(self._api.path_of("Deployment", name))
        spec, status = deployment["spec"], deployment.get("status") or {}
        wanted = 1 if spec.get("replicas") is None else spec["replicas"]
        if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
            return "its controller has not seen the change yet"
        for condition in status.get("conditions") or ():
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                # A quota, a policy or the injection webhook: no pod will come, and no pod tells why.
                raise EngineError(f"Deployment/{name} cannot make pods: {condition.get('message', '')}")
        living = [pod for pod in self._of(name, pods) if not pod["metadata"].get("deletionTimestamp")]
        ready = [pod for pod in living if is_ready(pod)]
        updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
        available = status.get("availableReplicas", 0)
        if (updated, total, len(ready), len(living), available) == (wanted,) * 5:
            return ""
        waiting = [f"{pod['metadata']['name']} ({pod_state(pod)})" for pod in living if not is_ready(pod)]
        text = f"{len(ready)} of {plural(wanted, 'pod')} ready"
        if (former := total - updated) > 0:
            text += f", {former} of the former template still {'runs' if former == 1 else 'run'}"
        return f"{text}: {', '.join(waiting)}" if waiting else text

    def _words(self, name: str, pods: Sequence[Mapping[str, Any]]) -> str:
        crashed = (last_words(self._api, pod) for pod in self._of(name, pods) if not is_ready(pod))
        words = next(filter(None, crashed), "")
        return f"; last words: {words}" if words else ""

    def _of(self, name: str, pods: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [pod for pod in pods if workload_of(pod) == name]

    def _serving_old(self, pods: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a pod that is about to end is still a ready endpoint of a Service."""
        ending = {pod["metadata"]["name"] for pod in pods if pod["metadata"].get("deletionTimestamp")}
        return bool(ending & self.ready_endpoints()) if ending else False

    def ready_endpoints(self) -> Set[str]:
        """Names of the pods that Services send to; empty if the slices may not be read."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self._api.namespace}/endpointslices"
        try:
            slices = self._api.connection.get(path)["items"]
        except ApiError as error:
            if not error.forbidden:
                raise
            return frozenset()
        return {
            (endpoint.get("targetRef") or {}).get("name", "")
            for piece in slices
            for endpoint in piece.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready", True)
        }

    def _raise_hopeless(self, name: str, pods: Sequence[Mapping[str, Any]]) -> None:
        for pod in self._of(name, pods):
            if pod["metadata"].get("deletionTimestamp"):
                continue
            pod_name = pod["metadata"]["name"]
            for status in statuses(pod):
                waiting = (status.get("state") or {}).get("waiting") or {}
                reason = str(waiting.get("reason") or "")
                if reason in (*_NO_IMAGE, *_NO_CONTAINER) and self._lasts(pod_name, reason):
                    raise WaitTimeoutError(_cannot_start(pod_name, status, reason, str(waiting.get("message") or "")))
                if status.get("restartCount", 0) >= HOPELESS_RESTARTS and not status.get("ready"):
                    words = last_words(self._api, pod)
                    if words.startswith(f"{status['name']} ended with") and not self._lasts(pod_name, "no words"):
                        continue
                    raise WaitTimeoutError(
                        f"pod {pod_name} does not start, it ended {status['restartCount']} times; its last words: "
                        f"{words or '(none)'}. lab.logs({pod_name!r}) shows more; it is still "
                        "being restarted."
                    )

    def _lasts(self, pod: str, reason: str) -> bool:
        """Whether a pod has been in trouble for so long that waiting is in vain."""
        kind = "image" if reason in _NO_IMAGE else reason
        known, since = self._trouble.get(pod, ("", 0.0))
        if known != kind:
            self._trouble[pod] = (kind, time.monotonic())
            since = time.monotonic()
        return time.monotonic() - since >= _PATIENCE_S.get(reason, 1.0)


def _cannot_start(pod: str, status: Mapping[str, Any], reason: str, message: str) -> str:
    if reason in _NO_IMAGE:
        said = re.sub(r"^Back-off pulling image \S+(: )?", "", message) or message
        return (
            f"pod {pod} cannot start: no node can get the image {status.get('image')!r} ({reason}: {said}). "
            "If it is one of the course's: workshop cluster images builds them, and WORKSHOP_REGISTRY and "
            "WORKSHOP_IMAGE_TAG say where they are"
        )
    return f"pod {pod} cannot start: {reason}: {message}"
