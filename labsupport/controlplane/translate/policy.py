"""Which traffic policy counts: top level, port level, subset, and the subset's port level.

Follows ``trafficPolicy``, ``portLevelSettings`` and ``subsets[].trafficPolicy`` of DestinationRule: blocks are replaced
as a whole, never merged field by field.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from labsupport.controlplane.registry.destinationrules import MergedRule
from labsupport.controlplane.registry.meshconfig import MeshConfig
from labsupport.model.kinds.loadbalancer import LoadBalancerSettings
from labsupport.model.kinds.trafficpolicy import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    OutlierDetection,
    ProxyProtocol,
    RetryBudget,
    TrafficPolicy,
    TunnelSettings,
)

__all__ = ["PortPolicy", "for_port", "for_subset", "rule_policy", "with_mesh_defaults"]

_BLOCKS = ("connection_pool", "load_balancer", "outlier_detection", "tls")
_OTHERS = ("proxy_protocol", "tunnel", "retry_budget")


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """The blocks of a traffic policy that count for one port; each is None if it is not set."""

    connection_pool: ConnectionPoolSettings | None = None
    load_balancer: LoadBalancerSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    tunnel: TunnelSettings | None = None
    retry_budget: RetryBudget | None = None


def for_port(policy: TrafficPolicy | None, port: int) -> tuple[PortPolicy | None, bool]:
    """The policy for a port and whether an entry of ``portLevelSettings`` replaced the whole of it."""
    if policy is None:
        return None, False
    for setting in policy.port_level_settings:
        if setting.port is not None and setting.port.number == port:
            return PortPolicy(**{block: getattr(setting, block) for block in _BLOCKS}), True
    return PortPolicy(**{block: getattr(policy, block) for block in (*_BLOCKS, *_OTHERS)}), False


def with_mesh_defaults(policy: PortPolicy | None, mesh: MeshConfig) -> PortPolicy | None:
    """The policy with the blocks of the mesh's ``defaultTrafficPolicy`` that it does not set itself."""
    pool, outlier = mesh.default_connection_pool, mesh.default_outlier_detection
    if pool is None and outlier is None:
        return policy
    policy = policy or PortPolicy()
    return replace(
        policy,
        connection_pool=policy.connection_pool if policy.connection_pool is not None else pool,
        outlier_detection=policy.outlier_detection if policy.outlier_detection is not None else outlier,
    )


def for_subset(general: PortPolicy | None, subset: TrafficPolicy | None, port: int) -> PortPolicy | None:
    """The policy of a subset for a port: its own blocks, and for the missing ones those of the top level.

    Args:
        general: what counts at the top level for the port.
        subset: ``trafficPolicy`` of the subset.
        port: service port.

    Returns:
        The blocks; None if neither has a policy.
    """
    own, port_level = for_port(subset, port)
    if own is None:
        return general
    if general is None:
        return own
    blocks = {}
    for block in (*_BLOCKS, *_OTHERS):
        value = getattr(own, block)
        replaces = value is not None or (port_level and block in _BLOCKS)
        blocks[block] = value if replaces else getattr(general, block)
    return PortPolicy(**blocks)


def rule_policy(rule: MergedRule | None, subset: str, port: int) -> PortPolicy | None:
    """What a rule itself gives to a subset (or, without a name, to a whole service) on a port, no mesh defaults."""
    if rule is None:
        return None
    chosen = rule.subset(subset) if subset else None
    general, _ = for_port(rule.traffic_policy, port)
    return for_subset(general, chosen.traffic_policy if chosen is not None else None, port)
