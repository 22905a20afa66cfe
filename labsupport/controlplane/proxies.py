"""Records that pass between the parts of the embedded mesh: registry, translation, ADS, processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from labsupport.records import JsonObject

__all__ = ["PodInfo", "Proxy", "ProxyResources"]


@dataclass(frozen=True, slots=True)
class PodInfo:
    """One pod as the control plane sees it; ``ip`` is the pod's mesh address, not an address of this machine.

    Args:
        name, namespace, labels, annotations: its metadata.
        ip: mesh address such as ``10.244.0.7``; ``localize`` maps (ip, port) to a local port.
        workload: name of its Deployment.
        ports: container ports by name (unnamed ports are left out).
        injected: whether it has a sidecar.
        ready: whether it takes traffic.
        leaving: whether it has finished or is being deleted.
        service_account: its service account.
        node: name of the Kubernetes node it runs on; empty where nodes play no part.
        locality: ``region/zone/subzone`` of that node; empty if unknown.
    """

    name: str
    namespace: str
    ip: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    workload: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    injected: bool = True
    ready: bool = True
    leaving: bool = False
    service_account: str = "default"
    node: str = ""
    locality: str = ""


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy to configure: the sidecar of a pod, or a gateway pod.

    Args:
        role: which of them.
        pod: its pod.
        service_cluster: how the proxy calls itself, which spans say; empty where nothing runs.
    """

    role: Literal["sidecar", "gateway"]
    pod: PodInfo
    service_cluster: str = ""


@dataclass(frozen=True, slots=True)
class ProxyResources:
    """What istiod would send to one proxy: proto JSON with proto field names, by resource name.

    Equal resources of different proxies should be the same object, so that they are serialised once.
    """

    clusters: Mapping[str, JsonObject] = field(default_factory=dict)
    listeners: Mapping[str, JsonObject] = field(default_factory=dict)
    routes: Mapping[str, JsonObject] = field(default_factory=dict)
    endpoints: Mapping[str, JsonObject] = field(default_factory=dict)
