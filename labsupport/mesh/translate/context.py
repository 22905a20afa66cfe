"""What is known while one proxy's configuration is being made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from labsupport.mesh.index.destinationrules import MergedRule
from labsupport.mesh.index.meshconfig import MeshConfig
from labsupport.mesh.index.scope import Scope
from labsupport.mesh.index.services import ServiceRecord
from labsupport.mesh.records import PodInfo, Proxy
from labsupport.mesh.registry import Registry

__all__ = ["Context", "Locality"]


@dataclass(frozen=True, slots=True)
class Locality:
    """Where a workload runs; unknown parts are empty."""

    region: str = ""
    zone: str = ""
    subzone: str = ""

    @classmethod
    def parse(cls, text: str) -> Locality:
        """Read ``region/zone/subzone``."""
        region, zone, subzone = (*text.split("/", 2), "", "", "")[:3]
        return cls(region, zone, subzone)


@dataclass(frozen=True, eq=False)
class Context:
    """The proxy that configuration is made for, and what it sees.

    Args:
        registry: the desired state.
        proxy: the proxy.
    """

    registry: Registry
    proxy: Proxy

    @property
    def mesh(self) -> MeshConfig:
        """Mesh-wide configuration."""
        return self.registry.mesh

    @property
    def is_gateway(self) -> bool:
        """Whether the proxy is a gateway."""
        return self.proxy.role == "gateway"

    @property
    def pod(self) -> PodInfo:
        """The proxy's pod."""
        return self.proxy.pod

    @property
    def namespace(self) -> str:
        """The proxy's namespace."""
        return self.proxy.pod.namespace

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the proxy's pod."""
        return self.proxy.pod.labels

    @cached_property
    def scope(self) -> Scope:
        """Services and rules that the proxy sees."""
        return self.registry.scope(self.proxy)

    @cached_property
    def locality(self) -> Locality:
        """Where the proxy runs."""
        return Locality.parse(self.proxy.pod.locality)

    @cached_property
    def outbound_traffic_policy(self) -> str:
        """What happens to calls to unknown hosts: the Sidecar's word, or else the mesh's."""
        return self.scope.outbound_traffic_policy or self.registry.outbound_traffic_policy

    def service(self, host: str) -> ServiceRecord | None:
        """A service the proxy sees, by its full name."""
        return self.scope.by_host.get(host)

    def rule(self, host: str) -> MergedRule | None:
        """The DestinationRule for calls of this proxy to a service."""
        return self.scope.destination_rule(host, self.labels)
