"""The proxies of a namespace: what each Envoy holds and counts, asked through ``pilot-agent`` in its own container.

Envoy's admin interface listens on the pod's loopback address only. ``pilot-agent request GET <path>`` in the container
``istio-proxy`` asks it from inside, which needs the right to create ``pods/exec``, as ``istioctl proxy-config`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from labsupport.engine import dumps
from labsupport.engine.additions import PROXY
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.api.podexec import run_in_pod
from labsupport.engine.cluster.objects.rollout import statuses
from labsupport.errors import EngineError, EngineLostError
from labsupport.records import EnvoyConfig, Sample

__all__ = ["Proxies", "proxy_runs"]

# Each asks a kubelet to start a process; more at once only makes all of them slower.
_AT_ONCE = 8
_TIMEOUT_S = 8.0

_Result = TypeVar("_Result")


def proxy_runs(pod: Mapping[str, Any]) -> bool:
    """Whether a pod has an Envoy that has got its first configuration."""
    return any(status.get("name") == PROXY and status.get("ready") for status in statuses(pod))


class Proxies:
    """Asks the Envoys of one namespace; any thread may.

    Args:
        connection: the cluster.
        namespace: where the pods are.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

    def exec(self, pod: str, path: str, *, timeout_s: float = _TIMEOUT_S) -> str:
        """Ask the admin interface of a pod's Envoy.

        Args:
            pod: name of the pod.
            path: of the admin interface, such as ``config_dump?include_eds``.
            timeout_s: in seconds.

        Raises:
            ApiError: the right to create ``pods/exec`` is missing, or there is no such pod.
            EngineError: its Envoy does not answer.
        """
        command = ("pilot-agent", "request", "GET", path)
        return run_in_pod(self._connection, self._namespace, pod, PROXY, command, timeout_s=timeout_s)

    def config(self, pod: str, *, timeout_s: float = _TIMEOUT_S) -> EnvoyConfig:
        """The configuration that a pod's Envoy holds now."""
        return dumps.proxy_config(pod, self.exec(pod, "config_dump?include_eds", timeout_s=timeout_s))

    def samples(self, pods: Iterable[str]) -> list[Sample]:
        """The statistics of pods; those whose Envoy does not answer are left out."""
        pages = self.each(pods, lambda pod: self.exec(pod, "stats/prometheus"))
        return [sample for pod, page in pages.items() if isinstance(page, str) for sample in dumps.samples(pod, page)]

    def each(self, pods: Iterable[str], ask: Callable[[str], _Result]) -> dict[str, _Result | EngineError]:
        """Ask several pods, a few at once.

        Args:
            pods: their names.
            ask: is called with each name.

        Returns:
            By pod: the answer, or why there is none.

        Raises:
            EngineLostError: the cluster itself does not answer.
        """

        def answer(pod: str) -> _Result | EngineError:
            try:
                return ask(pod)
            except EngineLostError:
                raise
            except EngineError as error:
                return error

        names = list(pods)
        if len(names) < 2:
            return {pod: answer(pod) for pod in names}
        with ThreadPoolExecutor(min(_AT_ONCE, len(names)), thread_name_prefix="proxies") as pool:
            return dict(zip(names, pool.map(answer, names), strict=True))
