"""Sends requests: from a load client in a pod, or from outside the cluster, or as near to outside as can be reached."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.api.podroute import PodRoute
from labsupport.engine.cluster.localclient import LocalClient
from labsupport.engine.cluster.objects.rollout import is_ready, workload_of
from labsupport.engine.cluster.watch.accesslog import ClusterAccessLog
from labsupport.engine.cluster.watch.entrances import EntrancePort, Reach, entrances, hosts, port_name
from labsupport.engine.cluster.watch.pods import is_gateway, program
from labsupport.engine.protocol import Sending
from labsupport.engine.sending import ClientSending, LocalRoute, Route
from labsupport.errors import EngineError, NotFoundError, UsageError
from labsupport.model.kinds.gatewayapi.gateway import GATEWAY_NAME
from labsupport.model.schema.syntax import is_digits
from labsupport.records import TrafficSpec
from labsupport.urls import Target, parse_url

__all__ = ["ClusterTraffic"]

_CLIENT = "client"
_CLIENT_PORT = 5000
_KEPT_S = 10.0


class ClusterTraffic:
    """Sends requests in and into one namespace.

    Args:
        connection: the cluster.
        namespace: the lab's namespace.
        gateway: name of the gateway's Service.
        outside: name of the Deployment of the load client without a sidecar.
        make_outside: makes that Deployment and waits until it is ready.
        log: the proxies' access logs.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        *,
        gateway: str,
        outside: str,
        make_outside: Callable[[], object],
        log: ClusterAccessLog,
    ) -> None:
        self._connection = connection
        self._namespace = namespace
        self._gateway = gateway
        self._outside = outside
        self._make_outside = make_outside
        self._local = LocalClient()
        self._lock = threading.Lock()
        self._reach = Reach(connection.server, lambda authority: log.has_authority(authority, self._gateway_pods()))
        self._nodes: tuple[float, list[str]] = (0.0, [])

    def send(self, spec: TrafficSpec) -> Sending:
        """Send requests; a failure of a request is a record, never an exception.

        Raises:
            UsageError: the URL makes no sense from this source.
            NotFoundError: there is no such source, or no such entrance.
            EngineError: the source does not answer.
        """
        target = parse_url(spec.url)
        if target.via == "service" and spec.source == "outside":
            raise UsageError(
                f"{spec.url} is a name inside the mesh, which nobody outside knows. Send from inside, such as "
                'source="client", or through an entrance: gateway:/path or nodeport:<service>/path'
            )
        if target.via == "service" or (spec.source != "outside" and target.secure):
            url = f"{target.scheme}://{target.authority}{target.path}"
            return self._sending(self._inside(spec.source), spec, url, None)
        entrance = self._entrance(target)
        # Where TLS chooses by the host, the URL has one.
        authority = target.authority if target.service and target.via == "gateway" else entrance.authority
        url = f"{target.scheme}://{authority}{target.path}"
        if spec.source != "outside":
            return self._sending(self._inside(spec.source), spec, url, _within(entrance))
        place = self._reach.address(entrance, self._node_addresses())
        if place is not None:
            route = LocalRoute("127.0.0.1", self._local.port(), self._local.token)
            return self._sending(route, spec, url, f"{place[0]}:{place[1]}")
        return self._sending(self._pod_outside(), spec, url, _within(entrance))

    def urls(self, opened: Mapping[str, Mapping[int, str]]) -> Mapping[str, str]:
        """Addresses for a person's browser, of the entrances that this machine reaches.

        Args:
            opened: what is spoken on the ports that Gateways open, by ``gateway`` or ``gateway/<name>``.
        """
        nodes = self._node_addresses()
        spoken = {"gateway": "http"}
        spoken |= {port_name(way, port): scheme for way, ports in opened.items() for port, scheme in ports.items()}
        urls = {}
        for name, entrance in self._entrances().items():
            scheme = "http" if name.startswith("nodeport:") else spoken.get(name)
            place = self._reach.address(entrance, nodes) if scheme else None
            if place is not None:
                urls[name] = f"{scheme}://{place[0]}:{place[1]}"
        return urls

    def close(self) -> None:
        """End the load client of this machine."""
        self._local.close()

    # --- from where --------------------------------------------------------------------------------------------

    def _sending(self, route: Route, spec: TrafficSpec, url: str, connect_to: str | None) -> Sending:
        lost = route.lost if isinstance(route, PodRoute) else self._check
        return ClientSending(route, spec, url=url, connect_to=connect_to, lost=lost)

    def _check(self) -> None:
        self._connection.request("GET", "/version", timeout_s=3.0)

    def _inside(self, name: str) -> PodRoute:
        """The load client of a pod, or of the first pod of a Deployment."""
        pods = [pod for pod in self._pods() if workload_of(pod) != self._outside]
        named = [pod for pod in pods if pod["metadata"]["name"] == name]
        matching = named or [pod for pod in pods if workload_of(pod) == name]
        if not matching:
            known = ", ".join(pod["metadata"]["name"] for pod in pods)
            raise NotFoundError(f"there is no pod or workload {name!r}. There are: {known or 'none'}")
        pod = next((candidate for candidate in matching if is_ready(candidate)), matching[0])
        own = program(pod)
        if _image(own) != _CLIENT:
            clients = sorted({workload_of(candidate) for candidate in pods if _image(program(candidate)) == _CLIENT})
            known = f"Sources are: outside, {', '.join(clients)}" if clients else "Apply apps/client to have one."
            raise NotFoundError(f"{name!r} runs {_image(own) or 'no program'}, not the load client. {known}")
        if not is_ready(pod):
            raise EngineError(f"pod {pod['metadata']['name']} is not ready. lab.pods() shows its state.")
        return PodRoute(self._connection, self._namespace, pod["metadata"]["name"], _port(own))

    def _pod_outside(self) -> PodRoute:
        """The load client that is in the cluster, but not in the mesh."""
        with self._lock:
            ready = [pod for pod in self._pods() if workload_of(pod) == self._outside and is_ready(pod)]
            if not ready:
                self._make_outside()
                ready = [pod for pod in self._pods() if workload_of(pod) == self._outside and is_ready(pod)]
        if not ready:
            raise EngineError("the load client outside the mesh is not ready")
        return PodRoute(self._connection, self._namespace, ready[0]["metadata"]["name"], _port(program(ready[0])))

    # --- to where ----------------------------------------------------------------------------------------------

    def _entrance(self, target: Target) -> EntrancePort:
        known = self._entrances()
        if target.via == "nodeport":
            key = f"nodeport:{target.service}"
            if key not in known:
                there = ", ".join(name for name in known if name.startswith("nodeport:"))
                raise NotFoundError(
                    f"{target.service!r} is no Service with a node port. "
                    f"There are: {there or 'none; a Service has one with type: NodePort'}"
                )
            return known[key]
        way = f"gateway/{target.gateway}" if target.gateway else "gateway"
        key = port_name(way, target.gateway_port)
        if key in known:
            return known[key]
        pods = [pod for pod in self._pods() if self._listens(pod, target.gateway)]
        if target.gateway and not pods:
            there = ", ".join(name for name in known if name.startswith("gateway/"))
            raise NotFoundError(
                f"there is no Gateway {target.gateway!r} of the Gateway API that a proxy listens for. "
                f"There are: {there or 'none'}"
            )
        # Envoy listens on a port that the gateway's Service lacks too; only inside the cluster can it be reached.
        gateway = next(filter(is_ready, pods), None)
        if gateway is None and target.gateway:
            raise EngineError(f"the proxy of Gateway {target.gateway} is not ready. lab.pods() shows its state.")
        if gateway is None:
            raise EngineError("the ingress gateway is not ready. lab.pods() shows its state.")
        return EntrancePort(key, target.gateway_port, 0, gateway["status"]["podIP"])

    def _listens(self, pod: Mapping[str, Any], name: str) -> bool:
        """Whether a pod is that of a Gateway of the Gateway API, or of the ingress gateway where the name is empty."""
        if not name:
            return workload_of(pod) == self._gateway
        return is_gateway(pod) and (pod["metadata"].get("labels") or {}).get(GATEWAY_NAME) == name

    def _entrances(self) -> dict[str, EntrancePort]:
        services = self._connection.get(f"/api/v1/namespaces/{self._namespace}/services")["items"]
        return entrances(services, self._gateway)

    def _node_addresses(self) -> list[str]:
        with self._lock:
            looked, addresses = self._nodes
        if time.monotonic() - looked > _KEPT_S or not addresses:
            try:
                nodes = self._connection.get("/api/v1/nodes")["items"]
            except ApiError as error:
                if not error.forbidden:
                    raise
                nodes = []
            addresses = hosts(self._pods(), nodes)
            with self._lock:
                self._nodes = (time.monotonic(), addresses)
        return addresses

    def _pods(self) -> list[dict[str, Any]]:
        items = self._connection.get(f"/api/v1/namespaces/{self._namespace}/pods")["items"]
        return [pod for pod in items if not pod["metadata"].get("deletionTimestamp")]

    def _gateway_pods(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self._pods() if workload_of(pod) == self._gateway]


def _within(entrance: EntrancePort) -> str:
    return f"{entrance.cluster_ip}:{entrance.port}"


def _image(container: Mapping[str, Any] | None) -> str:
    """Last part of an image's name, without tag or digest."""
    name = str((container or {}).get("image", "")).partition("@")[0].rpartition("/")[2]
    return name.partition(":")[0]


def _port(container: Mapping[str, Any] | None) -> int:
    """Where a program says that it listens: ``PORT``, or its first container port."""
    container = container or {}
    written = (
        next((variable.get("value") for variable in container.get("env") or () if variable["name"] == "PORT"), "") or ""
    )
    declared = next((port["containerPort"] for port in container.get("ports") or ()), _CLIENT_PORT)
    return int(written) if is_digits(written) else int(declared)
