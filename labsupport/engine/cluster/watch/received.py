"""What proxies receive from istiod, from the counters that they show to Prometheus.

For those who may not create ``pods/exec``: a proxy's connection to istiod (cluster ``xds-grpc``) counts its bytes, and
Istio shows that counter on port 15090 of every pod, which the API server passes on (``pods/proxy``). A proxy that has
received something since a change, and then nothing for a while, has most likely received the change.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from labsupport.engine import dumps
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import Connection
from labsupport.errors import EngineError, EngineLostError

__all__ = ["Received"]

_COUNTER, _CLUSTER = "envoy_cluster_upstream_cx_rx_bytes_total", "xds-grpc"
# A connection that is idle receives a few bytes now and then that keep it open.
_SOMETHING = 200.0
_POLL_S = 0.3
_QUIET_S = 0.9
# Istiod gathers changes for 0.1 s and longer while more of them come; a proxy that nothing reaches in this time has
# nothing to learn.
_PATIENCE_S = 5.0
_BLIND_S = 3.0
_AT_ONCE = 8


class Received:
    """Reads the counters of the proxies of one namespace.

    Args:
        connection: the cluster.
        namespace: where the pods are.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

    def totals(self, pods: Iterable[str]) -> dict[str, float]:
        """Bytes received from istiod so far, by pod; pods that cannot be asked are left out."""
        names = list(pods)
        if not names:
            return {}
        with ThreadPoolExecutor(min(_AT_ONCE, len(names)), thread_name_prefix="received") as pool:
            counted = zip(names, pool.map(self._total, names), strict=True)
        return {name: total for name, total in counted if total is not None}

    def _total(self, pod: str) -> float | None:
        path = f"/api/v1/namespaces/{self._namespace}/pods/http:{pod}:15090/proxy/stats/prometheus"
        try:
            page = self._connection.request("GET", path).text
        except ApiError:
            return None
        samples = (sample for sample in dumps.samples(pod, page) if sample.name == _COUNTER)
        return sum((sample.value for sample in samples if sample.labels.get("cluster_name") == _CLUSTER), 0.0)

    def wait(
        self, before: Mapping[str, float], pods: Sequence[str], *, began: float, deadline: float
    ) -> tuple[dict[str, float], str]:
        """Wait until pods have most likely received a change.

        Args:
            before: bytes received before it, by pod.
            pods: who is to receive it.
            began: when the change was made, as of ``time.monotonic()``.
            deadline: until when to wait.

        Returns:
            By pod, after how many seconds it was taken to have the change; and how that was found out, in words.
        """
        counted = [pod for pod in pods if pod in before]
        blind = [pod for pod in pods if pod not in before]
        last: dict[str, tuple[float, float]] = {}
        took: dict[str, float] = {}
        while counted and len(took) < len(counted) and time.monotonic() < min(deadline, began + _PATIENCE_S):
            try:
                totals = self.totals(pod for pod in counted if pod not in took)
            except EngineLostError:
                raise
            except EngineError:
                break
            now = time.monotonic()
            for pod, total in totals.items():
                if last.get(pod, (-1.0, 0.0))[0] != total:
                    last[pod] = (total, now)
                elif total - before[pod] >= _SOMETHING and now - last[pod][1] >= _QUIET_S:
                    took[pod] = last[pod][1] - began
            if len(took) < len(counted):
                time.sleep(_POLL_S)
        if blind:
            time.sleep(max(0.0, min(_BLIND_S - (time.monotonic() - began), deadline - time.monotonic())))
        durations = {pod: took.get(pod, time.monotonic() - began) for pod in pods}
        if blind:
            return durations, f"{_BLIND_S:.0f} s had passed (their counters cannot be read either: pods/proxy)"
        return durations, "they had received something from istiod, and then nothing for a second"
