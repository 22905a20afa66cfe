"""The namespace as istiod sees it: its pods and Services with their real addresses, for our own translation."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from labsupport.controlplane.proxies import PodInfo, Proxy
from labsupport.controlplane.registry.meshconfig import MeshConfig, read_mesh_config
from labsupport.controlplane.registry.registry import Registry
from labsupport.controlplane.registry.workloads import sanitize_locality
from labsupport.engine.cluster.api.apierror import ApiError
from labsupport.engine.cluster.api.connect import Connection
from labsupport.engine.cluster.api.istio import istio_of
from labsupport.engine.cluster.objects.additions import CLOSED
from labsupport.engine.cluster.objects.rollout import is_ready, workload_of
from labsupport.engine.cluster.watch.pods import containers, has_proxy, is_gateway
from labsupport.engine.cluster.watch.proxies import proxy_runs
from labsupport.model import Origin, Resource, parse
from labsupport.model.kinds.index import exported, placed
from labsupport.model.reading.documents import Document

__all__ = ["NamespaceReader", "Seen", "pod_info"]

_REGION = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_ZONE = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_SUBZONE = ("topology.istio.io/subzone",)


def pod_info(pod: Mapping[str, Any], localities: Mapping[str, str]) -> PodInfo:
    """A pod of the API server as the translation takes it.

    Args:
        pod: the object.
        localities: ``region/zone/subzone`` of the nodes that are known.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    labels = metadata.get("labels") or {}
    return PodInfo(
        name=metadata["name"],
        namespace=metadata["namespace"],
        ip=str((pod.get("status") or {}).get("podIP") or ""),
        labels=labels,
        annotations=metadata.get("annotations") or {},
        workload=workload_of(pod),
        ports={
            port["name"]: port["containerPort"]
            for container in containers(pod)
            for port in container.get("ports") or ()
            if port.get("name") and port.get("protocol", "TCP") == "TCP"
        },
        injected=has_proxy(pod) and not is_gateway(pod),
        ready=is_ready(pod),
        service_account=spec.get("serviceAccountName") or "default",
        node=spec.get("nodeName") or "",
        # A pod's own locality comes before that of its node.
        locality=sanitize_locality(labels) or localities.get(spec.get("nodeName") or "", ""),
    )


@dataclass(frozen=True)
class Seen:
    """The pods and Services of the namespace at one moment.

    Args:
        namespace: its name.
        pods: the pods that are not about to end and have an address, oldest first.
        gateways: names of the pods that are gateways.
        proxies: names of the pods whose Envoy runs and is ready.
        services: the Services, oldest first.
        addresses: their cluster IPs.
    """

    namespace: str
    pods: tuple[PodInfo, ...] = ()
    gateways: frozenset[str] = frozenset()
    proxies: frozenset[str] = frozenset()
    services: tuple[Resource, ...] = ()
    addresses: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def registry(self, objects: Sequence[Resource], mesh: MeshConfig) -> Registry:
        """Everything that the translation needs.

        Args:
            objects: of the lab, oldest first; Services that the lab has not applied, such as the gateway's, are added.
            mesh: the mesh configuration.
        """
        known = {resource.name for resource in objects if resource.kind == "Service"}
        added = [service for service in self.services if service.name not in known]
        # As the engine applies them: rules of which none says for whom count in their own namespace alone.
        applied = [exported(placed(resource, self.namespace), CLOSED) for resource in objects]
        return Registry([*added, *applied], self.pods, addresses=self.addresses, mesh=mesh)

    def proxy(self, pod: PodInfo) -> Proxy:
        """The proxy of a pod."""
        return Proxy("gateway" if pod.name in self.gateways else "sidecar", pod)


class NamespaceReader:
    """Looks at one namespace.

    Args:
        connection: the cluster.
        namespace: where the lab is.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._lock = threading.Lock()
        self._localities: dict[str, str] = {}
        self._nodes_readable = True
        self._mesh: MeshConfig | None = None

    def look(self) -> Seen:
        """The namespace now."""
        base = f"/api/v1/namespaces/{self._namespace}"
        services = _oldest_first(self._connection.get(f"{base}/services")["items"])
        running = [
            pod
            for pod in _oldest_first(self._connection.get(f"{base}/pods")["items"])
            if not pod["metadata"].get("deletionTimestamp") and (pod.get("status") or {}).get("podIP")
            # A pod that has ended keeps its address until it is removed.
            and pod["status"].get("phase") not in ("Succeeded", "Failed")
        ]  # fmt: skip
        localities = self._places(pod["spec"].get("nodeName") or "" for pod in running)
        return Seen(
            self._namespace,
            pods=tuple(pod_info(pod, localities) for pod in running),
            gateways=frozenset(pod["metadata"]["name"] for pod in running if is_gateway(pod)),
            proxies=frozenset(pod["metadata"]["name"] for pod in running if proxy_runs(pod)),
            services=tuple(_service(service) for service in services),
            addresses={
                (service["metadata"]["namespace"], service["metadata"]["name"]): service["spec"].get("clusterIP", "")
                for service in services
                if service["spec"].get("clusterIP") not in (None, "", "None")
            },
        )

    @property
    def mesh(self) -> MeshConfig:
        """The mesh configuration; Istio's defaults if it may not be read."""
        if self._mesh is None:
            istio = istio_of(self._connection)
            # JSON is YAML too.
            mesh_config = read_mesh_config((), json.dumps(dict(istio.mesh_config)))
            self._mesh = replace(mesh_config, root_namespace=istio.namespace)
        return self._mesh

    def _places(self, nodes: Iterable[str]) -> Mapping[str, str]:
        wanted = {node for node in nodes if node}
        with self._lock:
            if self._nodes_readable and not wanted <= self._localities.keys():
                try:
                    bodies = self._connection.get("/api/v1/nodes")["items"]
                except ApiError as error:
                    # Nodes belong to the cluster, and a learner may seldom read them; then places play no part.
                    if not error.forbidden:
                        raise
                    self._nodes_readable = False
                    bodies = []
                for body in bodies:
                    self._localities[body["metadata"]["name"]] = _locality(body["metadata"].get("labels") or {})
                for node in wanted:
                    self._localities.setdefault(node, "")
            return dict(self._localities)


def _oldest_first(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: (item["metadata"]["creationTimestamp"], item["metadata"]["name"]))


def _service(raw: Mapping[str, Any]) -> Resource:
    metadata = {
        key: raw["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in raw["metadata"]
    }
    made = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": raw["spec"]}
    document = Document(made, Origin())
    (resource,) = parse([document])
    return resource


def _locality(labels: Mapping[str, str]) -> str:
    parts = [next((labels[key] for key in keys if labels.get(key)), "") for keys in (_REGION, _ZONE, _SUBZONE)]
    return "/".join(parts) if any(parts) else ""
