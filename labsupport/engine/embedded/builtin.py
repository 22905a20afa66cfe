"""What every embedded mesh has: the ingress gateway, the shared Envoy of pods without a sidecar, node ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labsupport.controlplane.proxies import PodInfo
from labsupport.controlplane.translate.http.tables import abbreviations
from labsupport.controlplane.translate.names import outbound_cluster
from labsupport.engine.embedded.control import ControlPlane, PlainView
from labsupport.engine.embedded.envoy.kubeproxy import NodePort
from labsupport.engine.embedded.pods.apps import CLIENT
from labsupport.engine.embedded.pods.pods import Addresses, EnvoyUnit, LivePod
from labsupport.engine.embedded.pods.probes import listening
from labsupport.engine.embedded.pods.workplace import Workplace
from labsupport.engine.embedded.processes import ports
from labsupport.engine.embedded.processes.spawner_client import Process
from labsupport.engine.embedded.workloads import namespace_labels
from labsupport.engine.podtemplate import pod_template
from labsupport.model import Deployment, Resource, Service, parse
from labsupport.model.hosts import CLUSTER_DOMAIN
from labsupport.model.protocols import is_http, kubernetes_protocol
from labsupport.model.reading.documents import read

__all__ = ["GATEWAY_PORTS", "INGRESS_GATEWAY", "ROOT_NAMESPACE", "BuiltIn", "built_in_objects"]

INGRESS_GATEWAY = "istio-ingressgateway"
ROOT_NAMESPACE = "istio-system"
# Service port to container port, as in Istio's own gateway.
GATEWAY_PORTS = {80: 8080, 443: 8443}
_PLAIN = "kube-proxy"
_OBJECTS = """
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}, labels: {{istio-injection: enabled}}}}
---
apiVersion: v1
kind: Service
metadata:
  name: istio-ingressgateway
  namespace: istio-system
  labels: {{app: istio-ingressgateway, istio: ingressgateway}}
spec:
  type: LoadBalancer
  selector: {{app: istio-ingressgateway, istio: ingressgateway}}
  ports:
  - {{name: http2, port: 80, targetPort: 8080}}
  - {{name: https, port: 443, targetPort: 8443}}
"""


def built_in_objects(namespace: str) -> tuple[Resource, ...]:
    """What is there before anything is applied: the lab's namespace, with injection on, and the gateway's Service."""
    return tuple(parse(read(_OBJECTS.format(namespace=namespace)), namespace=namespace))


def _opens_node_ports(service: Service) -> bool:
    """Whether a Service is reached by node ports; the gateway is reached by ports of its own."""
    own = (service.namespace, service.name) == (ROOT_NAMESPACE, INGRESS_GATEWAY)
    return service.spec.opens_node_ports and not own


def _cluster(service: Service, port: int) -> str:
    """The cluster of a Service's port, as istiod names it."""
    return outbound_cluster(f"{service.name}.{service.namespace}.svc.{CLUSTER_DOMAIN}", port)


class BuiltIn:
    """Runs the gateway, the shared Envoy and the load client outside the mesh.

    Args:
        place: where they run.
        addresses: of the lab.
        control: configures them.

    Attributes:
        plain: the shared Envoy; None while nothing needs it.
        gateway: the gateway's pod; None until it is started.
    """

    def __init__(self, place: Workplace, addresses: Addresses, control: ControlPlane) -> None:
        self._place = place
        self._addresses = addresses
        self._control = control
        self.plain: EnvoyUnit | None = None
        self._plain_ports: dict[str, ports.ReservedPort] = {}
        self._node_ports: dict[tuple[str, str, int], tuple[int, ports.ReservedPort]] = {}
        self._connections: dict[tuple[str, str, int], ports.ReservedPort] = {}
        self.outside_port = ports.reserve()
        self._outside: Process | None = None
        self.gateway: LivePod | None = None

    def start_gateway(self) -> LivePod:
        """Start the ingress gateway."""
        labels = {"app": INGRESS_GATEWAY, "istio": "ingressgateway"}
        info = PodInfo(
            name=INGRESS_GATEWAY,
            namespace=ROOT_NAMESPACE,
            ip=self._addresses.next_ip(),
            labels=labels,
            workload=INGRESS_GATEWAY,
            injected=False,
            ready=False,
            service_account="istio-ingressgateway-service-account",
        )
        pod = self.gateway = LivePod(self._place, self._addresses, info, role="gateway")
        for number in GATEWAY_PORTS.values():
            pod.listener(number)
        pod.announced = True
        self._control.pods[pod.name] = pod
        self._control.prepare([pod])
        pod.start()
        return pod

    async def outside(self) -> int:
        """The local port of the load client outside the mesh; it is started when it is first needed."""
        if self._outside is None or not self._outside.running:
            folder = self._place.folder / "outside"
            folder.mkdir(mode=0o700, exist_ok=True)
            self._outside = await self._place.spawner.start_app(
                self._place.programs.path(CLIENT),
                env={
                    "SERVICE_NAME": "outside",
                    "POD_NAME": "outside",
                    "PORT": str(self.outside_port.number),
                    "RUN_TOKEN": self._place.run_token,
                },
                port=self.outside_port.number,
                log=folder / "app.log",
                grace_s=1.0,
            )
            await listening(self.outside_port.number)
        return self.outside_port.number

    @property
    def outside_pid(self) -> int:
        """Process of the load client outside the mesh; 0 while it does not run."""
        return self._outside.pid if self._outside is not None and self._outside.running else 0

    def update_plain(self) -> None:
        """Start the shared Envoy when the objects first need it, and tell it its listeners."""
        objects = self._control.objects
        namespaces = set()
        for resource in objects:
            if isinstance(resource, Deployment):
                plan = pod_template(resource, namespace_labels(objects, resource.namespace))
                if not plan.injected:
                    namespaces.add(resource.namespace)
        served = self._served()
        for namespace in sorted(namespaces):
            self._port_for(namespace)
        if not self._plain_ports and not served:
            return
        # Node ports are looked up through the names of some namespace; any has all Services of the mesh.
        listeners = {name: port.number for name, port in self._plain_ports.items()}
        if not listeners:
            listeners = {served_namespace: self._port_for(served_namespace) for (served_namespace, _, _) in served}
        opened = self._opened() if namespaces else ()
        view = PlainView(f"sidecar~{_PLAIN}", listeners, (*served.values(), *opened))
        if view == self._control.plain:
            return
        self._control.plain = view
        self._control.touch()
        if self.plain is None:
            self._place.make_folder(_PLAIN)
            self._control.prepare_plain()
            self.plain = EnvoyUnit(self._place, _PLAIN, node=view.node, cluster=_PLAIN, concurrency=1)

    def _opened(self) -> Iterator[NodePort]:
        """What pods without a sidecar reach by opening connections: ports of Services that are not said to be HTTP."""
        services = [resource for resource in self._control.objects if isinstance(resource, Service)]
        for service, port in [(owner, port) for owner in services for port in owner.spec.ports]:
            spoken = kubernetes_protocol(port.port, port.name, port.protocol, port.app_protocol)
            if spoken == "UDP" or is_http(spoken):
                continue
            key = (service.namespace, service.name, port.port)
            if key not in self._connections:
                self._connections[key] = ports.reserve()
                self._addresses.own(self._connections[key].number, _PLAIN, sidecar=True)
            name = f"service_{service.namespace}_{service.name}_{port.port}"
            yield NodePort(_cluster(service, port.port), name, self._connections[key].number)

    def connection(self, host: str, port: int, namespace: str) -> int:
        """The local port that leads to a Service as kube-proxy does; 0 if there is none.

        Args:
            host: name of the Service, as a pod calls it.
            port: of the Service.
            namespace: of the pod.
        """
        for (owner, name, number), reserved in self._connections.items():
            hostname = f"{name}.{owner}.svc.{CLUSTER_DOMAIN}"
            if number == port and host in (hostname, *abbreviations(hostname, namespace)):
                return reserved.number
        return 0

    def _port_for(self, namespace: str) -> int:
        if namespace not in self._plain_ports:
            self._plain_ports[namespace] = ports.reserve()
        return self._plain_ports[namespace].number

    async def plain_ready(self) -> None:
        """Wait until the shared Envoy, if there is one, holds its configuration and listens."""
        if self.plain is not None:
            for port in self._plain_ports.values():
                await listening(port.number)

    def _served(self) -> dict[tuple[str, str, int], NodePort]:
        served = {}
        for service in self._control.objects:
            if not isinstance(service, Service) or not _opens_node_ports(service):
                continue
            for port in service.spec.ports:
                if port.protocol != "TCP":
                    continue
                key = (service.namespace, service.name, port.port)
                written, kept = self._node_ports.get(key, (0, None))
                if kept is None or port.node_port not in (0, written):
                    if kept is not None:
                        kept.close()
                    kept = ports.reserve(port.node_port)
                    self._node_ports[key] = (port.node_port, kept)
                name = f"nodeport_{service.namespace}_{service.name}_{port.port}"
                served[key] = NodePort(_cluster(service, port.port), name, kept.number)
        for key in [key for key, (written, _) in self._node_ports.items() if written and key not in served]:
            # Another Service may want that number.
            self._node_ports.pop(key)[1].close()
        return served

    def node_ports(self) -> dict[tuple[str, str, int], tuple[int, int]]:
        """By (namespace, Service, port): the ``nodePort`` as written or made up, and the local port behind it."""
        numbers = {}
        for resource in self._control.objects:
            if not isinstance(resource, Service) or not _opens_node_ports(resource):
                continue
            for index, port in enumerate(resource.spec.ports):
                key = (resource.namespace, resource.name, port.port)
                if key in self._node_ports:
                    numbers[key] = (port.node_port or 30000 + index, self._node_ports[key][1].number)
        return numbers

    def other_node_ports(self, services: Iterable[Resource]) -> list[str]:
        """What is told of Services whose ``nodePort`` somebody else on this machine has."""
        numbers = self.node_ports()
        return [
            f"Service/{service.name}: port {port.node_port} of this machine is in use; its node port is reached at "
            f"{ports.LOOPBACK}:{local}, and lab.urls() tells it"
            for service in services
            if isinstance(service, Service)
            for port in service.spec.ports
            if (local := numbers.get((service.namespace, service.name, port.port), (0, 0))[1])
            and port.node_port not in (0, local)
        ]

    async def stop_plain(self) -> None:
        """End the shared Envoy, when nothing is left that needs it."""
        if self.plain is not None:
            await self.plain.keeper.stop()
            self.plain = None
        if self._control.plain is not None:
            self._place.ads.remove(self._control.plain.node)
            self._control.plain = None
        node_ports = (port for _, port in self._node_ports.values())
        for port in (*self._plain_ports.values(), *node_ports, *self._connections.values()):
            port.close()
        self._plain_ports, self._node_ports, self._connections = {}, {}, {}
