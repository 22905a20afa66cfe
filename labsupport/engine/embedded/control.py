"""The control plane: from the desired state and the pods to what every proxy acknowledges.

It holds no processes. Whatever changes (objects, a pod that becomes ready, a crash) is noted with ``touch``;
``publish`` then brings all connected proxies to the state of that moment, one publication at a time. Those who wait
for the same state share one publication.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from labsupport.controlplane.credentials import Credential, credential, references
from labsupport.controlplane.desired import ServiceAddresses
from labsupport.controlplane.encode import Encoded, Encoder, XdsType
from labsupport.controlplane.entrances import conflicts
from labsupport.controlplane.proxies import PodInfo, Proxy, ProxyResources
from labsupport.controlplane.registry.memo import Memo
from labsupport.controlplane.registry.meshconfig import DEFAULT_MESH_CONFIG
from labsupport.controlplane.registry.registry import Registry
from labsupport.controlplane.snapshot import Snapshot, build
from labsupport.controlplane.translate import translate
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.http.tables import sidecar_tables
from labsupport.engine.embedded.collector import mesh_of, with_collector
from labsupport.engine.embedded.connections import Called, called, called_by_name, with_requests
from labsupport.engine.embedded.envoy.ads import AdsServer, Delivery
from labsupport.engine.embedded.envoy.captured import Address
from labsupport.engine.embedded.envoy.kubeproxy import NodePort, balance
from labsupport.engine.embedded.envoy.localize import LocalizedResources, LocalResources, Site, localize, needs
from labsupport.engine.embedded.pods.pods import Addresses, LivePod
from labsupport.engine.gatewayservices import with_gateway_services
from labsupport.errors import ConfigRejectedError, ManifestError, WaitTimeoutError
from labsupport.model import Resource, Service
from labsupport.model.hosts import looked_up
from labsupport.model.schema.syntax import is_ip
from labsupport.records import JsonObject

__all__ = ["ControlPlane", "PlainView", "Published"]

# What a mesh without rules consists of.
_RULELESS = frozenset(("Namespace", "Service", "ConfigMap", "Deployment"))


def _view(registry: Registry, proxy: Proxy) -> ProxyResources:
    """Istiod's configuration of a proxy, with a table for every port.

    A Service port without a protocol in its name has a listener and a table of its own in a pod, which are found by
    the captured address. A proxy request names its host instead, as in the table of a port: every port has one.
    """
    resources = translate(registry, proxy)
    if proxy.role == "gateway":
        return resources
    detected = {name.rpartition(":")[2] for name in resources.routes if ":" in name} - resources.routes.keys()
    if not detected:
        return resources
    tables = sidecar_tables(Context(registry, proxy), sorted(detected))
    return replace(resources, routes={**resources.routes, **tables})


def _spoken(resource: Resource) -> Resource:
    """A Service with HTTP on all its ports: kube-proxy knows of no protocols, and programs ask their HTTP proxy."""
    if not isinstance(resource, Service):
        return resource
    ports = [port.model_copy(update={"app_protocol": "http"}) for port in resource.spec.ports]
    return resource.model_copy(update={"spec": resource.spec.model_copy(update={"ports": ports})})


@dataclass(frozen=True, slots=True)
class Published:
    """A proxy acknowledged a change: which types, and when (``time.monotonic``)."""

    proxy: str
    types: tuple[XdsType, ...]
    done: float


@dataclass(frozen=True)
class PlainView:
    """The shared Envoy of pods without a sidecar: its node, and its local ports by namespace and node port."""

    node: str
    listeners: Mapping[str, int]
    node_ports: tuple[NodePort, ...]


class ControlPlane:
    """Configures the proxies of one lab.

    Args:
        ads: serves the snapshots.
        addresses: local ports by mesh address.
        services: cluster addresses of Services.
        namespace: the lab's namespace.

    Attributes:
        namespace: the lab's namespace.
        objects: the desired state, oldest first.
        pods: pods that run or are about to, oldest first, the gateway included.
        plain: the shared Envoy of pods without a sidecar, when there is one.
        journal: what was acknowledged, oldest first.
    """

    def __init__(
        self, ads: AdsServer, addresses: Addresses, services: ServiceAddresses, namespace: str = "default"
    ) -> None:
        self._ads = ads
        self.namespace = namespace
        self._addresses = addresses
        self._services = services
        self._encoder = Encoder()
        self._memo = LocalizedResources()
        self._balanced = Memo(limit=1)
        self._credentials: dict[str, tuple[Credential, ...]] = {}
        self._called: dict[str, Mapping[Address, Called]] = {}
        self._lock = asyncio.Lock()
        self._revision = 0
        self._published = -1
        self._count = 0
        self.objects: tuple[Resource, ...] = ()
        self.pods: dict[str, LivePod] = {}
        self.plain: PlainView | None = None
        self.journal: list[Published] = []

    def touch(self) -> None:
        """Note that something changed which proxies have to learn."""
        self._revision += 1

    def prepare(self, pods: Iterable[LivePod]) -> None:
        """Give the ADS server the configuration of proxies that are about to start.

        Raises:
            ValueError: what was translated is not valid proto JSON; the message names the field.
        """
        registry = self._registry()
        self._count += 1
        for pod in pods:
            if pod.info.injected or pod.role == "gateway":
                self._ads.add(pod.node, self._snapshot(pod, registry))

    def prepare_plain(self) -> None:
        """Give the ADS server the configuration of the shared Envoy, which is about to start."""
        if self.plain is not None:
            self._count += 1
            self._ads.add(self.plain.node, self._build(self.plain.node, self._balance(self.plain)))

    async def publish(self, *, timeout_s: float) -> None:
        """Bring every connected proxy to the present state; returns when all have acknowledged it.

        Raises:
            ManifestError: servers of the gateway conflict. The caller restores the former state and publishes that.
            ConfigRejectedError: a proxy refused it. The caller does the same.
            WaitTimeoutError: a proxy did not acknowledge in time.
        """
        wanted = self._revision
        async with self._lock:
            if self._published >= wanted:
                return
            revision = self._revision
            await self._send(self._render(), time.monotonic() + timeout_s)
            self._published = revision

    async def _send(self, snapshots: Mapping[str, Snapshot], deadline: float) -> None:
        names = {pod.node: pod.name for pod in self.pods.values()}
        waiting = {}
        for node, snapshot in snapshots.items():
            if not snapshot.changed(self._ads.snapshot(node)):
                continue
            if self._ads.connected(node):
                waiting[node] = self._ads.publish(node, snapshot, timeout_s=deadline - time.monotonic())
            else:
                self._ads.add(node, snapshot)
        results = await asyncio.gather(*waiting.values(), return_exceptions=True)
        errors: list[BaseException] = []
        for node, result in zip(waiting, results, strict=True):
            if isinstance(result, Delivery):
                self.note(names.get(node, ""), result.types, result.done)
            elif isinstance(result, ConfigRejectedError | WaitTimeoutError):
                # A rejection is the reason for the change as a whole; a proxy that is slow besides is not.
                where = 0 if isinstance(result, ConfigRejectedError) else len(errors)
                errors.insert(
                    where, type(result)(f"{names.get(node, 'the proxy of pods without a sidecar')}: {result}")
                )
            else:
                errors.append(result)
        if errors:
            raise errors[0]

    def note(self, proxy: str, types: tuple[XdsType, ...], done: float) -> None:
        """Write an acknowledgement into the journal."""
        if proxy:
            self.journal.append(Published(proxy, types, done))
            del self.journal[:-10_000]

    def snapshot(self, pod: LivePod) -> Snapshot:
        """What a pod's proxy is to hold now."""
        return self._ads.snapshot(pod.node)

    def _running(self) -> list[PodInfo]:
        return [pod.info for pod in self.pods.values() if pod.announced and not pod.terminating]

    def _registry(self, objects: Sequence[Resource] | None = None) -> Registry:
        mesh = DEFAULT_MESH_CONFIG
        if objects is None:
            mesh = mesh_of(self.objects)
            objects = with_collector(with_gateway_services(self.objects), mesh, namespace=self.namespace)
        return Registry(
            objects,
            self._running(),
            addresses=self._services.of(objects),
            mesh=mesh,
            outbound_traffic_policy="REGISTRY_ONLY",
        )

    def _render(self) -> dict[str, Snapshot]:
        registry = self._registry()
        self._count += 1
        snapshots = {
            pod.node: self._snapshot(pod, registry)
            for pod in self.pods.values()
            # A pod that is ending keeps what it has: nobody should wait for its proxy.
            if (pod.info.injected or pod.role == "gateway") and not pod.terminating
        }
        if self.plain is not None:
            snapshots[self.plain.node] = self._build(self.plain.node, self._balance(self.plain))
        self._encoder.forget_unused()
        self._memo.forget_unused()
        return snapshots

    def _snapshot(self, pod: LivePod, registry: Registry) -> Snapshot:
        role = "gateway" if pod.role == "gateway" else "sidecar"
        proxy = Proxy(role, pod.info, pod.service_cluster)  # type: ignore[arg-type]
        resources = _view(registry, proxy)
        if role == "gateway":
            problems = conflicts(resources.listeners, self.objects, pod.info)
            if problems:
                raise ManifestError(problems)
        wanted = needs(resources, role)  # type: ignore[arg-type]
        self._called[pod.name] = {}
        if wanted.captured:
            context = Context(registry, proxy)
            ports = called(context, wanted.captured)
            resources = with_requests(resources, context, ports)
            self._called[pod.name] = called_by_name(ports)
        refusing = int(self._addresses.refusing)
        site = Site(
            role,  # type: ignore[arg-type]
            endpoints=self._local(wanted.endpoints),
            outbound=pod.outbound.number,
            inbound={port: pod.listener(port) for port in wanted.inbound},
            app={port: pod.app_at(port, refusing) for port in wanted.inbound},
            gateway={port: pod.listener(port) for port in wanted.gateway},
            captured={address: pod.connection(address) for address in sorted(wanted.captured)},
            names={name: self._named(registry, *name) for name in sorted(wanted.names)},
        )
        local = localize(resources, site, self._memo)
        secrets = self._secrets(pod, local)
        return self._build(pod.node, local, secrets)

    def _secrets(self, pod: LivePod, local: LocalResources) -> list[JsonObject]:
        """What a proxy gets of the credentials that its listeners and clusters name."""
        keys = ("transport_socket", "transport_socket_matches")
        parts = [{key: cluster[key]} for cluster in local.clusters.values() for key in keys if key in cluster]
        wanted = references((*parts, *(local.listeners.values() if pod.role == "gateway" else ())))
        # The lab's gateway serves one lab. Its Secrets may lie where it runs, as Istio wants it, or beside the rules:
        # on the cluster engine the gateway runs there.
        gateway = pod.role == "gateway"
        namespaces = list(dict.fromkeys((pod.info.namespace, self.namespace))) if gateway else [pod.info.namespace]
        credentials = tuple(
            credential(name, uses, self.objects, namespaces, gateway=gateway) for name, uses in sorted(wanted.items())
        )
        self._credentials.pop(pod.name, None)
        if credentials:
            self._credentials[pod.name] = credentials
        return [issued.secret for issued in credentials if issued.secret is not None]

    def cluster_ips(self) -> Mapping[tuple[str, str], str]:
        """Cluster addresses of Services that name none, by namespace and name."""
        return self._services.of(self.objects)

    def credentials(self, pod: LivePod) -> tuple[Credential, ...]:
        """The credentials that a pod's proxy refers to, as they were when its configuration was last made."""
        return self._credentials.get(pod.name, ())

    def called(self, pod: LivePod, host: str, port: int) -> Called | None:
        """What a pod's program reaches by opening a connection, as its proxy's configuration was last made."""
        return self._called.get(pod.name, {}).get((host.lower(), port))

    def _local(self, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Local ports of pods; what a ServiceEntry names on this machine keeps its address, and all else is refused."""
        return {(ip, port): self._addresses.port(ip, port) for ip, port in wanted if not ip.startswith("127.")}

    def _named(self, registry: Registry, host: str, port: int) -> list[int]:
        """Local ports of the pods behind a name and a port, or behind a pod's address; none for an unknown name.

        Where a Service has nobody to answer, kube-proxy refuses connections.
        """
        if is_ip(host):
            return [port if host.startswith("127.") else self._addresses.port(host, port)]
        named = registry.by_host_and_namespace.get(looked_up(host), {}).values()
        service = next((service for service in named if service.kubernetes), None)
        if service is None:
            return []
        own = service.port(port)
        serving = [endpoint for endpoint in service.endpoints_of(own) if endpoint.healthy] if own is not None else []
        refusing = [int(self._addresses.refusing)]
        return [self._addresses.port(endpoint.address, endpoint.port) for endpoint in serving] or refusing

    def _balance(self, plain: PlainView) -> LocalResources:
        # A change of a rule leaves this as it is.
        objects = [resource for resource in self.objects if resource.kind in _RULELESS]
        inputs = (plain, *objects, *self._running())
        return self._balanced.get("balance", inputs, (), lambda: self._make_balance(plain, objects))

    def _make_balance(self, plain: PlainView, objects: Sequence[Resource]) -> LocalResources:
        registry = self._registry([_spoken(resource) for resource in objects])
        views: dict[str, ProxyResources] = {}
        endpoints: dict[tuple[str, int], int] = {}
        for namespace in plain.listeners:
            # A caller that is no pod: only its namespace matters, which decides what short names mean.
            client = PodInfo("kube-proxy", namespace, "")
            views[namespace] = _view(registry, Proxy("sidecar", client))
            endpoints |= self._local(needs(views[namespace], "sidecar").endpoints)
        return balance(
            views, endpoints=endpoints, listeners=plain.listeners, node_ports=plain.node_ports, memo=self._memo
        )

    def _build(self, node: str, local: LocalResources, secrets: Iterable[JsonObject] = ()) -> Snapshot:
        resources: dict[XdsType, list[Encoded]] = {
            "CDS": [self._encoder.encode("CDS", cluster) for cluster in local.clusters.values()],
            "EDS": [self._encoder.encode("EDS", endpoint) for endpoint in local.endpoints.values()],
            "LDS": [self._encoder.encode("LDS", listener) for listener in local.listeners.values()],
            "SRDS": [self._encoder.encode("SRDS", scope) for scope in local.scopes.values()],
            "RDS": [self._encoder.encode("RDS", route) for route in local.routes.values()],
            "SDS": [self._encoder.encode("SDS", secret) for secret in secrets],
        }
        return build(resources, previous=self._ads.snapshot(node), version=str(self._count))
