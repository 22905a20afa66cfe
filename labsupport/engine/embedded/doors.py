"""Gateways of the Gateway API: for each one a Service and an Envoy of its own, as Istio's controller makes them."""

from __future__ import annotations

import asyncio

from labsupport.controlplane.proxies import PodInfo
from labsupport.engine.embedded.control import ControlPlane
from labsupport.engine.embedded.pods.pods import Addresses, LivePod, pod_suffix
from labsupport.engine.embedded.pods.workplace import Workplace
from labsupport.engine.gatewayservices import made_labels, run_by_istio
from labsupport.errors import EngineError, WaitTimeoutError
from labsupport.model.gatewayapi.listeners import made_name
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway

__all__ = ["Doors"]

_Key = tuple[str, str]


class Doors:
    """Brings the Envoys of Gateways to what the objects ask for.

    Args:
        place: where they run.
        addresses: of the lab.
        control: configures them, and knows the Gateways.
    """

    def __init__(self, place: Workplace, addresses: Addresses, control: ControlPlane) -> None:
        self._place = place
        self._addresses = addresses
        self._control = control
        self._pods: dict[_Key, LivePod] = {}

    def _wanted(self) -> dict[_Key, KubernetesGateway]:
        objects = self._control.objects
        return {(item.namespace, item.name): item for item in run_by_istio(objects, objects)}

    def pods(self) -> dict[_Key, LivePod]:
        """The pods that listen, by namespace and name of the Gateway."""
        return {key: pod for key, pod in self._pods.items() if not pod.terminating}

    def open(self) -> None:
        """Start the Envoys of Gateways that have none; what they are to hold is what the objects say now."""
        self._pods = self.pods()
        started = {key: self._made(gateway) for key, gateway in self._wanted().items() if key not in self._pods}
        self._pods |= started
        if started:
            self._control.prepare([*started.values()])
        for pod in started.values():
            pod.start()

    def _made(self, gateway: KubernetesGateway) -> LivePod:
        name = made_name(gateway)
        labels = {
            "service.istio.io/canonical-name": name,
            "service.istio.io/canonical-revision": "latest",
            "sidecar.istio.io/inject": "false",
            **made_labels(gateway),
        }
        info = PodInfo(
            name=f"{name}-{pod_suffix()}",
            namespace=gateway.namespace,
            ip=self._addresses.next_ip(),
            labels=labels,
            workload=name,
            injected=False,
            ready=False,
            service_account=name,
        )
        pod = LivePod(self._place, self._addresses, info, role="gateway")
        pod.announced = True
        self._control.pods[pod.name] = pod
        return pod

    async def ready(self, *, timeout_s: float) -> None:
        """Wait until all of them take requests.

        Raises:
            WaitTimeoutError: one is not ready in time.
            EngineError: one cannot be started.
        """

        async def wait() -> None:
            for pod in self.pods().values():
                while not pod.ready:
                    if isinstance(pod.failure, EngineError):
                        raise pod.failure
                    await asyncio.sleep(0.002)

        try:
            await asyncio.wait_for(wait(), timeout_s)
        except TimeoutError:
            starting = [pod for pod in self.pods().values() if not pod.ready]
            seen = "; ".join(f"{pod.name}: {pod.last_words or 'started, not ready yet'}" for pod in starting)
            raise WaitTimeoutError(f"not ready within {timeout_s:.0f} s: {seen}") from None

    async def close_unwanted(self) -> None:
        """End the Envoys of Gateways that are gone, once their requests are answered."""
        wanted = self._wanted()
        gone = [pod for key, pod in self.pods().items() if key not in wanted]
        for pod in gone:
            pod.terminating = True
        await asyncio.gather(*(self._end(pod) for pod in gone))
        self._pods = self.pods()

    async def _end(self, pod: LivePod) -> None:
        await pod.stop(graceful=True)
        self._control.pods.pop(pod.name, None)

    def pod_of(self, name: str, namespace: str) -> LivePod | None:
        """The pod that listens for a Gateway.

        Args:
            name: of the Gateway, or name and namespace with a dot between them.
            namespace: where a name without one is.
        """
        known = self.pods()
        own, _, space = name.rpartition(".")
        return known.get((namespace, name)) or known.get((space, own))
