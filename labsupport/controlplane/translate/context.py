"""What is known while one proxy's configuration is being made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from labsupport.controlplane.proxies import PodInfo, Proxy
from labsupport.controlplane.registry.destinationrules import MergedRule
from labsupport.controlplane.registry.meshconfig import MeshConfig
from labsupport.controlplane.registry.registry import Registry
from labsupport.controlplane.registry.scope import Scope, scope_of
from labsupport.controlplane.registry.services import ServiceRecord
from labsupport.model.kinds.trafficpolicy import PortTrafficPolicy, TrafficPolicy

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
        return scope_of(self.registry, self.proxy)

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

    def place(self, service: ServiceRecord, rule: MergedRule | None) -> tuple[object, ...]:
        """What of the proxy, besides what it sees, shapes the clusters and endpoints of a service."""
        pod = self.proxy.pod
        node = pod.node if service.node_local else ""
        labels = tuple(sorted(self.labels.items())) if self._by_labels(service, rule) else ()
        return self.proxy.role, pod.locality, node, labels

    def _by_labels(self, service: ServiceRecord, rule: MergedRule | None) -> bool:
        """Whether failover goes by labels of the proxy's pod (``failoverPriority``)."""
        if service.traffic_distribution or self.mesh.locality_lb_setting is not None:
            return True
        if rule is None:
            return False
        policies = [rule.traffic_policy, *(subset.traffic_policy for subset in rule.subsets)]
        settings: list[TrafficPolicy | PortTrafficPolicy] = []
        for policy in policies:
            if policy is not None:
                settings += [policy, *policy.port_level_settings]
        balancers = [setting.load_balancer for setting in settings if setting.load_balancer is not None]
        return any(
            setting is not None and setting.failover_priority
            for balancer in balancers
            for setting in (balancer.locality_lb_setting, balancer.zone_aware_lb_setting)
        )
