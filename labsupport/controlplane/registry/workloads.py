"""What endpoints have in common, whether they are pods or WorkloadEntries: labels, locality, TLS mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from labsupport.controlplane.proxies import PodInfo
from labsupport.controlplane.registry.memo import MEMO
from labsupport.controlplane.registry.services import Endpoint
from labsupport.model.kinds.serviceentry import WorkloadEntry, WorkloadEntrySpec
from labsupport.model.schema.syntax import is_ip

__all__ = [
    "CLUSTER_ID",
    "WorkloadRecord",
    "identity",
    "pod_endpoint_labels",
    "sanitize_locality",
    "tls_mode",
    "workload_entries",
    "workload_name",
    "workload_record",
]

CLUSTER_ID = "Kubernetes"
"""Name of the only cluster, as Istio calls it by default."""

_TLS_MODE = "security.istio.io/tlsMode"
_HEALTH_CHECKS = "proxy.istio.io/health-checks-enabled"
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))


def tls_mode(labels: Mapping[str, str], injected: bool) -> str:
    """``istio`` for a workload that takes mutual TLS, from the label that injection leaves behind."""
    return labels.get(_TLS_MODE) or ("istio" if injected else "disabled")


def identity(namespace: str, account: str) -> str:
    """SPIFFE name of a service account."""
    return f"spiffe://cluster.local/ns/{namespace}/sa/{account}"


def workload_name(pod: PodInfo) -> str:
    """The name under which a pod's workload shows up in telemetry."""
    return pod.labels.get("service.istio.io/workload-name") or pod.workload or pod.name


def sanitize_locality(labels: Mapping[str, str]) -> str:
    """The locality a label says, as ``region/zone/subzone``; labels cannot hold slashes, so dots may stand for them."""
    text = labels.get("topology.istio.io/locality") or labels.get("istio-locality") or ""
    return text if "/" in text else text.replace(".", "/")


def pod_endpoint_labels(labels: Mapping[str, str], locality: str, node: str) -> Mapping[str, str]:
    """Labels of an endpoint: those of its workload and those that tell where it runs."""
    result = dict(labels)
    region, zone, subzone = (*locality.split("/"), "", "", "")[:3]
    for key, value in (
        ("topology.kubernetes.io/region", region),
        ("topology.kubernetes.io/zone", zone),
        ("topology.istio.io/subzone", subzone),
        ("topology.istio.io/cluster", CLUSTER_ID),
        ("kubernetes.io/hostname", node),
    ):
        if value:
            result[key] = value
    result.setdefault("topology.istio.io/network", "")
    return result


@dataclass(frozen=True, slots=True)
class WorkloadRecord:
    """An address that is written down, in a WorkloadEntry or in ``endpoints`` of a ServiceEntry.

    Args:
        name, namespace: of the WorkloadEntry, or made up from the ServiceEntry.
        address: IP address, host name or socket path.
        labels: without those that tell where it runs.
        ports: its own port by the name of the service port.
        locality, weight, tls_mode: see ``Endpoint``.
        network: ``network`` of the entry.
        identity: see ``Endpoint``.
    """

    name: str
    namespace: str
    address: str
    labels: Mapping[str, str]
    ports: Mapping[str, int]
    locality: str
    weight: int
    tls_mode: str
    network: str = ""
    identity: str = ""

    @property
    def by_name(self) -> bool:
        """Whether the address is a name or a socket, which only some services can use."""
        return bool(self.address) and not is_ip(self.address)

    def endpoint(self, port_name: str, number: int, port_number: int = 0) -> Endpoint:
        """The endpoint it is for one service port."""
        path = self.address[len("unix://") :] if self.address.startswith("unix://") else ""
        labels = pod_endpoint_labels(self.labels, self.locality, "")
        if self.network:
            labels = {**labels, "topology.istio.io/network": self.network}
        return Endpoint(
            address=path or self.address,
            port=0 if path else number,
            port_name=port_name,
            labels=labels,
            locality=self.locality,
            weight=self.weight,
            tls_mode=self.tls_mode,
            healthy=None,
            workload=self.name,
            namespace=self.namespace,
            port_number=port_number,
            identity=self.identity,
        )


def workload_record(name: str, namespace: str, spec: WorkloadEntrySpec, labels: Mapping[str, str]) -> WorkloadRecord:
    """Make the record of a WorkloadEntry's ``spec`` or of one of a ServiceEntry's ``endpoints``."""
    return WorkloadRecord(
        name=name,
        namespace=namespace,
        address=spec.address,
        labels=labels,
        ports=spec.ports,
        locality=spec.locality or sanitize_locality(labels),
        weight=spec.weight,
        tls_mode=labels.get(_TLS_MODE) or ("istio" if spec.service_account else "disabled"),
        network=spec.network,
        identity=identity(namespace, spec.service_account) if spec.service_account else "",
    )


def _entry_record(resource: WorkloadEntry) -> WorkloadRecord:
    labels = {**resource.spec.labels, **resource.metadata.labels}
    return workload_record(resource.name, resource.namespace, resource.spec, labels)


def _healthy(resource: WorkloadEntry) -> bool:
    """Whether it takes calls: with health checks not before one has passed, which its status then says."""
    if resource.metadata.annotations.get(_HEALTH_CHECKS) not in _TRUE:
        return True
    conditions = resource.status.conditions if resource.status is not None else []
    return any(condition.type == "Healthy" and condition.status == "True" for condition in conditions)


def workload_entries(resources: Iterable[WorkloadEntry]) -> list[WorkloadRecord]:
    """The records of all WorkloadEntries that take calls, by name; labels of the object count, too."""
    records = [
        MEMO.get("WorkloadEntry", (resource,), (), partial(_entry_record, resource))
        for resource in resources
        if _healthy(resource)
    ]
    return sorted(records, key=lambda record: (record.namespace, record.name))
