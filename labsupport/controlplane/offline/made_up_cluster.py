"""A made-up cluster for a set of manifests: the pods, addresses and defaults that a real one would add.

Used by ``workshop translate``, which starts nothing. Pods are named ``<workload>-0``, ``<workload>-1`` and so on; every
pod outside the system namespaces has a sidecar unless it opts out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from labsupport.controlplane.offline.endpointslices import given_endpoints
from labsupport.controlplane.proxies import PodInfo, Proxy
from labsupport.controlplane.registry.meshconfig import read_mesh_config
from labsupport.controlplane.registry.registry import Registry
from labsupport.controlplane.registry.workloads import sanitize_locality
from labsupport.errors import UsageError
from labsupport.model import (
    BarePod,
    DaemonSet,
    Deployment,
    Namespace,
    ReplicaSet,
    Resource,
    Service,
    StatefulSet,
    parse,
)
from labsupport.model.kinds.pods import PodTemplateSpec
from labsupport.model.reading.documents import Document, read

__all__ = ["INGRESS_GATEWAY", "ROOT_NAMESPACE", "MadeUp", "make_up"]

ROOT_NAMESPACE = "istio-system"
INGRESS_GATEWAY = "istio-ingressgateway"
TEMPLATE_HASH = "oracle"
"""Stands for the ``pod-template-hash`` of made-up pods."""

_GATEWAY_LABELS = {"app": INGRESS_GATEWAY, "istio": "ingressgateway"}
_CRON_JOB = re.compile(r"(.+)-[0-9]{8,10}")
Inject = Literal["all", "auto", "none"]
"""Which pods of a made-up cluster have a sidecar."""

_WORKLOADS = (Deployment, ReplicaSet, StatefulSet, DaemonSet)
_GATEWAY = f"""
apiVersion: v1
kind: Service
metadata:
  name: {INGRESS_GATEWAY}
  namespace: {ROOT_NAMESPACE}
  labels: {{app: {INGRESS_GATEWAY}, istio: ingressgateway}}
  creationTimestamp: "2026-01-01T00:00:00Z"
spec:
  type: LoadBalancer
  selector: {{app: {INGRESS_GATEWAY}, istio: ingressgateway}}
  ports:
  - {{name: status-port, port: 15021, targetPort: 15021}}
  - {{name: http2, port: 80, targetPort: 8080}}
  - {{name: https, port: 443, targetPort: 8443}}
"""


@dataclass
class MadeUp:
    """A registry of a made-up cluster and the proxy that was asked for.

    Args:
        registry: the desired state.
        proxy: the proxy.
        localities: ``region/zone/subzone`` of every node.
        proxy_made_up: whether the proxy's pod is not among the objects.
    """

    registry: Registry
    proxy: Proxy
    localities: Mapping[str, str] = field(default_factory=dict)
    proxy_made_up: bool = False


def make_up(
    objects: Sequence[Resource],
    extra: Sequence[Document],
    proxy: str,
    *,
    labels: Mapping[str, str] | None = None,
    inject: Inject = "all",
    mesh_config: str = "",
) -> MadeUp:
    """Complete a set of objects to a cluster, and find a proxy in it.

    Args:
        objects: oldest first, namespaces filled in.
        extra: documents of Kubernetes kinds that have no model: Node, Endpoints, EndpointSlice.
        proxy: ``sidecar:<pod or workload>.<namespace>`` or ``gateway:<pod or workload>.<namespace>``.
        labels: of the proxy's pod, if that is not among the objects.
        inject: which pods have a sidecar: ``all``, those that labels ask for (``auto``), or ``none``.
        mesh_config: YAML text of fields of MeshConfig that count before those of the objects.

    Returns:
        The cluster and the proxy. A proxy whose pod is not among the objects gets a pod without labels of its own.
    """
    role, name, namespace = parse_proxy(proxy)
    injection = _Injection(inject, objects)
    localities = _node_localities(extra)
    listed = list(objects)
    pods = [pod for resource in objects for pod in _pods(resource, localities, injection)]
    asked = (role, name, namespace)
    if asked == ("gateway", INGRESS_GATEWAY, ROOT_NAMESPACE) and _find(pods, name, namespace) is None:
        listed += parse(read(_GATEWAY))
        account = f"{INGRESS_GATEWAY}-service-account"
        pods.append(PodInfo(name, namespace, "", labels=_GATEWAY_LABELS, injected=False, service_account=account))
    own = _find(pods, name, namespace)
    missing = own is None
    if own is None:
        own = injection.complete(PodInfo(name, namespace, "", labels=dict(labels or {})))
        pods.append(own)
    numbered = _with_addresses(pods)
    own = numbered[pods.index(own)]
    own = replace(own, locality=localities.get(own.node, ""), ports=_own_ports(objects, own))
    registry = Registry(
        listed,
        numbered,
        addresses=_service_addresses(listed),
        endpoints=given_endpoints(extra, listed, numbered),
        mesh=read_mesh_config(listed, mesh_config),
    )
    return MadeUp(registry, Proxy(role, own), localities, missing)


def _own_ports(objects: Iterable[Resource], pod: PodInfo) -> dict[str, int]:
    """Named ports of the proxy's own pod that it knows as inbound ones.

    An API server fills ``protocol`` of container ports in; the made-up cluster that istiod is asked about has none, so
    that there a named target port is found only if its protocol is written out.
    """
    for resource in objects:
        if resource.namespace != pod.namespace:
            continue
        if isinstance(resource, BarePod) and resource.name == pod.name and not pod.workload:
            containers = resource.spec.containers
        elif isinstance(resource, _WORKLOADS) and resource.name == pod.workload:
            containers = resource.spec.template.spec.containers
        else:
            continue
        return {
            port.name: port.container_port
            for container in containers
            for port in container.ports
            if port.name and port.protocol == "TCP" and "protocol" in port.model_fields_set
        }
    return {}


def parse_proxy(text: str) -> tuple[Literal["sidecar", "gateway"], str, str]:
    """Split ``sidecar:<name>.<namespace>`` or ``gateway:<name>.<namespace>`` into its parts."""
    role, colon, rest = text.partition(":")
    name, dot, namespace = rest.rpartition(".")
    if role not in ("sidecar", "gateway") or not (colon and dot and name and namespace):
        raise UsageError(
            f"{text!r} does not name a proxy: write sidecar:<pod or Deployment>.<namespace> "
            "or gateway:<pod or Deployment>.<namespace>"
        )
    return ("gateway" if role == "gateway" else "sidecar"), name, namespace


def _find(pods: Iterable[PodInfo], name: str, namespace: str) -> PodInfo | None:
    here = [pod for pod in pods if pod.namespace == namespace]
    by_name = [pod for pod in here if pod.name == name]
    by_workload = [pod for pod in here if (pod.workload or pod.name) == name]
    return next(iter(by_name + by_workload), None)


def _node_localities(extra: Iterable[Document]) -> dict[str, str]:
    localities = {}
    for document in extra:
        if document.raw.get("kind") != "Node":
            continue
        meta = document.raw.get("metadata") or {}
        labels = meta.get("labels") or {}
        parts = (
            labels.get("topology.kubernetes.io/region") or labels.get("failure-domain.beta.kubernetes.io/region", ""),
            labels.get("topology.kubernetes.io/zone") or labels.get("failure-domain.beta.kubernetes.io/zone", ""),
            labels.get("topology.istio.io/subzone", ""),
        )
        localities[str(meta.get("name", ""))] = "/".join(parts) if any(parts) else ""
    return localities


def _pods(resource: Resource, localities: Mapping[str, str], injection: _Injection) -> list[PodInfo]:
    if isinstance(resource, BarePod):
        owned = _workload(resource)
        pod = _pod(resource, resource.name, owned, resource, localities, {})
        return [injection.complete(pod, owner=_controller(resource)[1])]
    if not isinstance(resource, _WORKLOADS):
        return []
    template = resource.spec.template
    replicas = None if isinstance(resource, DaemonSet) else resource.spec.replicas
    count = 1 if replicas is None else replicas
    pods = []
    for index in range(count):
        name = f"{resource.name}-{index}"
        labels = {}
        if isinstance(resource, Deployment | ReplicaSet):
            labels["pod-template-hash"] = TEMPLATE_HASH
        elif isinstance(resource, StatefulSet):
            labels["statefulset.kubernetes.io/pod-name"] = name
        pods.append(injection.complete(_pod(resource, name, resource.name, template, localities, labels)))
    return pods


def _pod(
    owner: Resource,
    name: str,
    workload: str,
    template: BarePod | PodTemplateSpec,
    localities: Mapping[str, str],
    labels: Mapping[str, str],
) -> PodInfo:
    spec = template.spec
    status = (template.status or {}) if isinstance(template, BarePod) else {}
    conditions = status.get("conditions") or []
    ready = all(item.get("status") == "True" for item in conditions if item.get("type") == "Ready")
    ports: dict[str, int] = {}
    for container in spec.containers:
        for port in container.ports:
            if port.name and port.protocol == "TCP":
                ports.setdefault(port.name, port.container_port)
    own_labels = {**template.metadata.labels, **labels}
    node = spec.node_name or ""
    return PodInfo(
        name=name,
        namespace=owner.namespace,
        ip=str(status.get("podIP") or ""),
        labels=own_labels,
        annotations=dict(template.metadata.annotations),
        workload=workload,
        ports=ports,
        injected=not spec.host_network,
        ready=ready,
        leaving=status.get("phase") in ("Succeeded", "Failed") or template.metadata.deletion_timestamp is not None,
        service_account=spec.service_account_name or "default",
        node=node,
        locality=sanitize_locality(own_labels) or localities.get(node, ""),
    )


def _controller(pod: BarePod) -> tuple[str, str]:
    """Kind and name of what controls a pod; empty without such an owner."""
    for owner in pod.metadata.owner_references:
        if owner.controller:
            return owner.kind, owner.name
    return "", ""


def _workload(pod: BarePod) -> str:
    """The workload that a pod with an owner belongs to, as Istio guesses it; empty if it stands for itself."""
    kind, name = _controller(pod)
    if not (name and pod.metadata.generate_name):
        return ""
    labels = pod.metadata.labels
    suffix = labels.get("pod-template-hash") or labels.get("rollouts-pod-template-hash") or ""
    if kind == "ReplicaSet" and suffix and name.endswith(suffix):
        return name.removesuffix(f"-{suffix}")
    if kind == "ReplicationController":
        return labels.get("deploymentconfig") or name
    cron_job = _CRON_JOB.fullmatch(name) if kind == "Job" else None
    return cron_job[1] if cron_job else name


class _Injection:
    """Who has a sidecar, and what the injector leaves behind on a pod."""

    def __init__(self, mode: Inject, objects: Iterable[Resource]) -> None:
        self._mode = mode
        self._asked = {
            resource.name
            for resource in objects
            if isinstance(resource, Namespace)
            and (
                resource.metadata.labels.get("istio-injection") == "enabled"
                or resource.metadata.labels.get("istio.io/rev")
            )
        }

    def _takes(self, pod: PodInfo) -> bool:
        key = "sidecar.istio.io/inject"
        choice = pod.labels.get(key) or pod.annotations.get(key)
        system = pod.namespace.startswith("kube-") or pod.namespace == ROOT_NAMESPACE
        if self._mode == "none" or not pod.injected or choice == "false" or system:
            return False
        return self._mode == "all" or choice == "true" or pod.namespace in self._asked

    def complete(self, pod: PodInfo, *, owner: str = "") -> PodInfo:
        """Add what the sidecar injector leaves behind, if the pod has a sidecar."""
        if not self._takes(pod):
            return replace(pod, injected=False)
        labels = dict(pod.labels)
        labels.setdefault("security.istio.io/tlsMode", "istio")
        owner = owner.removesuffix(f"-{labels.get('pod-template-hash', '')}") or pod.workload or pod.name
        name = labels.get("app.kubernetes.io/name") or labels.get("app") or owner
        labels.setdefault("service.istio.io/canonical-name", name)
        revision = labels.get("app.kubernetes.io/version") or labels.get("version") or "latest"
        labels.setdefault("service.istio.io/canonical-revision", revision)
        return replace(pod, labels=labels)


def _with_addresses(pods: Sequence[PodInfo]) -> list[PodInfo]:
    numbered = []
    count = 0
    for pod in pods:
        if not pod.ip:
            count += 1
            pod = replace(pod, ip=f"10.244.{count // 250}.{count % 250 + 1}")
        numbered.append(pod)
    return numbered


def _service_addresses(objects: Iterable[Resource]) -> dict[tuple[str, str], str]:
    addresses: dict[tuple[str, str], str] = {}
    for resource in objects:
        if not isinstance(resource, Service) or resource.spec.type == "ExternalName" or resource.spec.cluster_ip:
            continue
        count = len(addresses) + 1
        addresses[resource.namespace, resource.name] = f"10.96.{count // 250}.{count % 250 + 1}"
    return addresses
