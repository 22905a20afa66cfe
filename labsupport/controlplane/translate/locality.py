"""Locality: weights and priorities of endpoints by where they run (``localityLbSetting``)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labsupport.controlplane.registry.meshconfig import MeshConfig
from labsupport.controlplane.registry.services import Endpoint, ServiceRecord
from labsupport.controlplane.translate.context import Context, Locality
from labsupport.model.kinds.loadbalancer import (
    Distribute,
    Failover,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    ZoneAwareLoadBalancerSetting,
)
from labsupport.records import JsonObject

__all__ = ["Setting", "apply_to_cluster", "apply_to_endpoints", "effective_setting"]

_REGION = "topology.kubernetes.io/region"
_ZONE = "topology.kubernetes.io/zone"
_SUBZONE = "topology.istio.io/subzone"
_NETWORK = "topology.istio.io/network"
_HOSTNAME = "kubernetes.io/hostname"


@dataclass(frozen=True, slots=True)
class Setting:
    """A ``localityLbSetting`` in force.

    Args:
        distribute: rules with ``from_`` and ``to``.
        failover: rules with ``from_`` and ``to``.
        failover_priority: labels, most important first.
        force: whether failover happens without outlier detection, as ``trafficDistribution`` of a Service asks.
        zone_aware: the ``zoneAwareLbSetting`` it stands for, if it is one.
    """

    distribute: Sequence[Distribute] = ()
    failover: Sequence[Failover] = ()
    failover_priority: Sequence[str] = ()
    force: bool = False
    zone_aware: ZoneAwareLoadBalancerSetting | None = None


def effective_setting(
    mesh: MeshConfig, load_balancer: LoadBalancerSettings | None, service: ServiceRecord
) -> Setting | None:
    """The setting that counts: the rule's, or else the Service's, or else the mesh's; None if it is off."""
    if load_balancer is not None and load_balancer.zone_aware_lb_setting is not None:
        return _zone_aware(load_balancer.zone_aware_lb_setting)
    written = load_balancer.locality_lb_setting if load_balancer is not None else None
    if written is not None:
        return _setting(written)
    if service.traffic_distribution == "zone":
        return Setting(failover_priority=(_NETWORK, _REGION, _ZONE), force=True)
    if service.traffic_distribution == "node":
        return Setting(failover_priority=(_NETWORK, _REGION, _ZONE, _SUBZONE, _HOSTNAME), force=True)
    if mesh.zone_aware_lb_setting is not None:
        return _zone_aware(mesh.zone_aware_lb_setting)
    return Setting() if mesh.locality_lb_setting is None else _setting(mesh.locality_lb_setting)


def _zone_aware(aware: ZoneAwareLoadBalancerSetting) -> Setting:
    return Setting(failover=aware.failover, failover_priority=aware.failover_priority, zone_aware=aware)


def _setting(written: LocalityLoadBalancerSetting) -> Setting | None:
    if written.enabled is False:
        return None
    return Setting(written.distribute, written.failover, written.failover_priority)


def apply_to_cluster(context: Context, cluster: JsonObject, setting: Setting | None, service: ServiceRecord) -> None:
    """Tell a cluster to heed locality weights, where rules about locality give any."""
    if setting is None:
        return
    common = cluster["common_lb_config"]
    if setting.zone_aware is not None:
        config: JsonObject = {}
        if setting.zone_aware.enabled is False:
            config["routing_enabled"] = {}
        if setting.zone_aware.min_cluster_size is not None:
            config["min_cluster_size"] = str(setting.zone_aware.min_cluster_size)
        common["zone_aware_lb_config"] = config
        return
    enabled = setting.force or "outlier_detection" in cluster
    if setting.distribute or (enabled and (setting.failover or setting.failover_priority)):
        common["locality_weighted_lb_config"] = {}


@dataclass(slots=True)
class _LocalityGroup:
    """Endpoints of one locality and priority."""

    locality: Locality
    members: list[tuple[Endpoint, JsonObject]]
    weight: int
    priority: int = 0


def apply_to_endpoints(
    context: Context,
    groups: Sequence[tuple[str, Sequence[tuple[Endpoint, JsonObject]]]],
    setting: Setting | None,
    *,
    failover: bool,
) -> list[JsonObject]:
    """Arrange endpoints by locality and priority.

    Args:
        context: the proxy.
        groups: endpoints with their Envoy form by locality, in the order of the localities' names.
        setting: what counts; None if locality plays no part.
        failover: whether the cluster has outlier detection, without which failover is not done.

    Returns:
        ``LocalityLbEndpoints`` in proto JSON.
    """
    arranged = [
        _LocalityGroup(
            Locality.parse(locality), list(members), sum(item["load_balancing_weight"] for _, item in members)
        )
        for locality, members in groups
    ]
    if setting is not None and setting.zone_aware is not None:
        if setting.zone_aware.enabled is not False:
            if setting.failover_priority:
                arranged = _by_labels(context.labels, arranged, setting.failover_priority)
            _by_region(context.locality, arranged, setting.failover)
    elif setting is not None:
        if setting.distribute:
            _distribute(context.locality, arranged, setting.distribute)
        elif failover or setting.force:
            if setting.failover_priority:
                arranged = _by_labels(context.labels, arranged, setting.failover_priority)
            if setting.failover or not setting.failover_priority:
                _by_locality(context.locality, arranged, setting.failover)
    return [_proto(group) for group in arranged]


def _proto(group: _LocalityGroup) -> JsonObject:
    locality = {
        name: value
        for name, value in (
            ("region", group.locality.region),
            ("zone", group.locality.zone),
            ("sub_zone", group.locality.subzone),
        )
        if value
    }
    result: JsonObject = {"locality": locality, "load_balancing_weight": group.weight}
    if group.members:
        result["lb_endpoints"] = [item for _, item in group.members]
    if group.priority:
        result["priority"] = group.priority
    return result


def _covers(pattern: str, locality: Locality) -> bool:
    """Whether a locality of a rule, such as ``us-west/zone1/*``, covers one that workloads run in."""
    rule = Locality.parse(pattern)
    return (
        rule.region in ("*", locality.region)
        and rule.zone in ("*", "", locality.zone)
        and rule.subzone in ("*", "", locality.subzone)
    )


def _distribute(own: Locality, groups: list[_LocalityGroup], rules: Sequence[Distribute]) -> None:
    """Give every locality its share; localities that the first fitting rule does not name get nothing."""
    rule = next((rule for rule in rules if _covers(rule.from_, own)), None)
    if rule is None:
        return
    left = set(range(len(groups)))
    for pattern, share in rule.to.items():
        covered = [index for index in sorted(left) if _covers(pattern, groups[index].locality)]
        left -= set(covered)
        total = sum(groups[index].weight for index in covered)
        for index in covered:
            weight = groups[index].weight * share / total if total else 0
            if weight > 0:
                groups[index].weight = math.ceil(weight)
    for index in left:
        groups[index].members = []


def _closeness(own: Locality, other: Locality) -> int:
    if own.region != other.region:
        return 3
    if own.zone != other.zone:
        return 2
    return 0 if own.subzone == other.subzone else 1


def _by_locality(own: Locality, groups: list[_LocalityGroup], rules: Sequence[Failover]) -> None:
    """Prefer what is close; of other regions the one that a rule names comes first."""
    rule = next((rule for rule in rules if rule.from_ == own.region), None)
    for group in groups:
        priority = _closeness(own, group.locality)
        if priority == 3 and rule is not None and group.locality.region != rule.to:
            priority = 4
        group.priority = group.priority * 5 + priority
    _close_gaps(groups)


def _by_region(own: Locality, groups: list[_LocalityGroup], rules: Sequence[Failover]) -> None:
    rule = next((rule for rule in rules if rule.from_ == own.region), None)
    for group in groups:
        priority = 0
        if group.locality.region != own.region:
            priority = 1 if rule is not None and group.locality.region == rule.to else 2
        group.priority = group.priority * 3 + priority
    _close_gaps(groups)


def _close_gaps(groups: list[_LocalityGroup]) -> None:
    """Number the priorities from 0 without gaps, as Envoy wants them."""
    ranks = {priority: rank for rank, priority in enumerate(sorted({group.priority for group in groups}))}
    for group in groups:
        group.priority = ranks[group.priority]


def _by_labels(
    labels: Mapping[str, str], groups: list[_LocalityGroup], priorities: Sequence[str]
) -> list[_LocalityGroup]:
    """Prefer endpoints that share more of the leading labels with the caller."""
    if not labels or not groups:
        return groups
    wanted = [(name, value) for name, _, value in (entry.partition("=") for entry in priorities)]
    wanted = [
        (name, value if "=" in entry else labels.get(name, ""))
        for (name, value), entry in zip(wanted, priorities, strict=True)
    ]
    network_first = priorities[0] == _NETWORK
    result = []
    for group in groups:
        split: dict[int, list[tuple[Endpoint, JsonObject]]] = {}
        for endpoint, item in group.members:
            priority = adjust = 0
            for position, (name, value) in enumerate(wanted):
                if endpoint.labels.get(name, "") == value:
                    continue
                if position == 0 and network_first:
                    adjust = len(priorities)
                    continue
                priority = len(priorities) - position
                break
            split.setdefault(priority + adjust, []).append((endpoint, item))
        for priority in sorted(split):
            members = split[priority]
            weight = sum(item["load_balancing_weight"] for _, item in members)
            result.append(_LocalityGroup(group.locality, members, weight, priority))
    _close_gaps(result)
    return result
