"""What can be asked of a lab that runs: its objects and pods, ways in, and what its proxies hold and have seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from labsupport import words
from labsupport.controlplane import entrances
from labsupport.controlplane.desired import key_of
from labsupport.controlplane.entrances import Entrance
from labsupport.engine.embedded.builtin import BuiltIn
from labsupport.engine.embedded.control import ControlPlane
from labsupport.engine.embedded.doors import Doors
from labsupport.engine.embedded.envoy import admin
from labsupport.engine.embedded.envoy.httpconn import ACCESS_LOG
from labsupport.engine.embedded.envoy.receiver import SpanReceiver
from labsupport.engine.embedded.holding import RulesInForce
from labsupport.engine.embedded.pods.pods import ENVOY_LOG, Addresses, LivePod
from labsupport.engine.embedded.pods.workplace import Workplace, log_name
from labsupport.engine.gatewayservices import with_gateway_services
from labsupport.engine.routeplaces import listened
from labsupport.errors import EngineError, NotFoundError
from labsupport.model import Resource
from labsupport.records import Pod, RuleStatus

__all__ = ["Questions"]


class Questions:
    """Answers from what is there; nothing is changed.

    Args:
        place: where pods run.
        addresses: of the lab.
        control: holds the objects and the pods.
        built_in: the gateway and the node ports.
        doors: the proxies of Gateways of the Gateway API.
        rules: since when rules are in force.
        base: what every mesh has.

    Attributes:
        receiver: has the spans of all proxies.
    """

    def __init__(
        self,
        place: Workplace,
        addresses: Addresses,
        control: ControlPlane,
        built_in: BuiltIn,
        doors: Doors,
        rules: RulesInForce,
        base: Sequence[Resource],
    ) -> None:
        self._place = place
        self._addresses = addresses
        self._control = control
        self._built_in = built_in
        self._doors = doors
        self._rules = rules
        self._base_keys = {key_of(resource) for resource in base}
        self.receiver = SpanReceiver()

    async def get(self, *, built_in: bool = False) -> list[Resource]:
        """All objects, oldest first; what every mesh has only if asked for."""
        return [resource for resource in self._control.objects if built_in or key_of(resource) not in self._base_keys]

    async def built_in(self) -> list[Resource]:
        """What every mesh has, as it is now."""
        return [resource for resource in self._control.objects if key_of(resource) in self._base_keys]

    async def pods(self) -> list[Pod]:
        """All pods; those that are ending are left out."""
        return [pod.record() for pod in self._control.pods.values() if not pod.terminating]

    async def rules(self) -> list[RuleStatus]:
        """Every rule with when it came into force, and which proxies hold something of it."""
        gateway = self._built_in.gateway
        at = (gateway.name, gateway.info.labels) if gateway is not None else None
        running = [pod for pod in self._control.pods.values() if pod.envoy is not None]
        origins = {pod.name: self._control.snapshot(pod).origins for pod in running}
        doors = {key: pod.name for key, pod in self._doors.pods().items()}
        objects = with_gateway_services(self._control.objects)
        return self._rules.listed(objects, origins, gateway=at, doors=doors)

    def _pod(self, name: str) -> LivePod:
        pod = self._control.pods.get(name)
        if pod is None:
            matching = [
                candidate
                for candidate in self._control.pods.values()
                if candidate.info.workload == name and not candidate.terminating
            ]
            if not matching:
                known = ", ".join(
                    candidate.name for candidate in self._control.pods.values() if not candidate.terminating
                )
                raise NotFoundError(f"there is no pod or workload {name!r}. There are: {known or 'none'}")
            pod = matching[0]
        return pod

    async def source(self, name: str) -> tuple[int, str]:
        """The load client of a pod: its local port, and the token that it wants to be shown."""
        if name == "outside":
            return await self._built_in.outside(), self._place.run_token
        pod = self._pod(name)
        client = pod.client
        if client is None:
            clients = sorted({running.info.workload for running in self._control.pods.values() if running.client})
            known = f"Sources are: outside, {', '.join(clients)}" if clients else "Apply apps/client to have one."
            raise NotFoundError(f"{name!r} runs {pod.image or 'no program'}, not the load client. {known}")
        if not pod.ready:
            raise EngineError(f"pod {pod.name} is not ready; its last words: {pod.last_words or '(none)'}")
        return client.port.number, self._place.run_token

    async def connection(self, name: str, host: str, port: int, *, http: bool) -> int:
        """The local port to which a pod's load client opens a connection to a service; 0 where it asks its HTTP proxy.

        It refuses connections where the mesh would lead nowhere.

        Args:
            name: the pod, or the Deployment of it.
            host: name of the service, as the pod calls it.
            port: of the service.
            http: whether the client speaks plain HTTP.
        """
        pod = self._pod(name)
        refusing = int(self._addresses.refusing)
        if not pod.info.injected:
            return 0 if http else self._built_in.connection(host, port, pod.info.namespace) or refusing
        called = self._control.called(pod, host, port)
        if http and (called is None or called.detected):
            return 0
        return pod.connection(called.address) if called is not None else refusing

    async def entrances(self) -> dict[str, Entrance]:
        """Ways in from outside: ``gateway`` (port 80), ``gateway:<port>`` for what Gateways open, node ports.

        A Gateway of the Gateway API has its own: ``gateway/<name>`` and ``gateway/<name>:<port>``.
        """
        ways = {}
        gateway = self._built_in.gateway
        if gateway is not None:
            opened = {80: "http"} | entrances.schemes(self._control.objects, gateway.info.labels)
            for port, scheme in opened.items():
                name = "gateway" if port == 80 else f"gateway:{port}"
                ways[name] = Entrance(scheme, f"localhost:{port}", await self.gateway_port(port))
        spoken = listened(self._control.objects)
        for (namespace, own), pod in self._doors.pods().items():
            called = own if namespace == self._control.namespace else f"{own}.{namespace}"
            for port, scheme in spoken.get((namespace, own), {}).items():
                name = f"gateway/{called}" if port == 80 else f"gateway/{called}:{port}"
                ways[name] = Entrance(scheme, f"localhost:{port}", pod.listener(port))
        for (namespace, service, _), (shown, local) in self._built_in.node_ports().items():
            name = service if namespace == self._control.namespace else f"{service}.{namespace}"
            ways.setdefault(f"nodeport:{name}", Entrance("http", f"localhost:{shown}", local))
        return ways

    async def gateway_port(self, number: int, name: str = "") -> int:
        """The local port behind a port of a gateway; it refuses connections while no Gateway opens it.

        Args:
            number: the port.
            name: of a Gateway of the Gateway API; empty for the ingress gateway.
        """
        if name:
            pod = self._doors.pod_of(name, self._control.namespace)
            if pod is None:
                known = ", ".join(way for way in await self.entrances() if way.startswith("gateway/"))
                raise NotFoundError(
                    f"there is no Gateway {name!r} of the Gateway API that a proxy listens for. "
                    f"There are: {known or 'none'}"
                )
            return pod.listener(number)
        gateway = self._built_in.gateway
        if gateway is None:
            raise EngineError("the gateway is not there yet")
        return gateway.listener(entrances.container_port(self._control.objects, gateway.info, number))

    async def config_dump(self, name: str) -> tuple[str, str]:
        """Pod name and the raw config dump of its Envoy."""
        pod = self._pod(name)
        if pod.envoy is None:
            raise NotFoundError(f"pod {pod.name} has no sidecar, so no proxy holds any configuration for it")
        return pod.name, await self._ask(pod, "/config_dump?include_eds")

    async def _ask(self, pod: LivePod, target: str) -> str:
        assert pod.envoy is not None
        try:
            return await admin.fetch(pod.envoy.admin, target)
        except OSError as error:
            raise EngineError(f"the Envoy of pod {pod.name} does not answer: {words.reason(error)}") from error

    async def statistics(self) -> dict[str, str]:
        """The Prometheus page of every Envoy, by pod."""
        pods = [pod for pod in self._control.pods.values() if pod.envoy is not None and pod.envoy.keeper.ready]
        pages = await asyncio.gather(
            *(admin.fetch(pod.envoy.admin, "/stats/prometheus") for pod in pods if pod.envoy is not None),
            return_exceptions=True,
        )
        return {pod.name: page for pod, page in zip(pods, pages, strict=True) if isinstance(page, str)}

    async def log_files(self, name: str, container: str) -> tuple[str, str]:
        """Pod name and the log file of its program or its Envoy."""
        pod = self._pod(name)
        if container == "app" and not pod.image:
            container = "proxy"
        return pod.name, str(pod.folder / (log_name(0) if container == "app" else ENVOY_LOG))

    async def spans(self, number: int) -> tuple[int, list[bytes]]:
        """What proxies have exported of traces, from a number on; see ``SpanReceiver.since``."""
        return self.receiver.since(number)

    async def access_logs(self) -> tuple[dict[str, str], dict[int, tuple[str, bool]]]:
        """Access logs by pod, and for each local port ever used: its pod, and whether it leads to a sidecar."""
        logs = {}
        for entry in self._place.folder.iterdir():
            if (entry / ACCESS_LOG).exists():
                logs[entry.name] = str(entry / ACCESS_LOG)
        return logs, self._addresses.owners()
