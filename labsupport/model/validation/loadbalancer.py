"""istiod's verdict on ``loadBalancer`` (``validateLoadBalancer``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain, permutations

from labsupport.model.kinds.loadbalancer import (
    ConsistentHashLB,
    Failover,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    WarmupConfiguration,
    ZoneAwareLoadBalancerSetting,
)
from labsupport.model.kinds.trafficpolicy import OutlierDetection
from labsupport.model.validation.findings import Findings

__all__ = ["check_load_balancer"]

_MAGLEV_LIMIT = 5_000_011
_TOPOLOGY = frozenset({"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"})


def check_load_balancer(
    settings: LoadBalancerSettings | None, outlier: OutlierDetection | None, path: str, findings: Findings
) -> None:
    """Check ``loadBalancer``.

    Args:
        settings: may be absent.
        outlier: the outlier detection beside it.
        path: its field path.
        findings: where findings go.
    """
    if settings is None:
        return
    _hash(settings.consistent_hash, f"{path}.consistentHash", findings)
    locality, zone = settings.locality_lb_setting, settings.zone_aware_lb_setting
    if locality is not None and zone is not None:
        findings.error(path, "localityLbSetting and zoneAwareLbSetting cannot be given together", "Remove one of them.")
    _locality(locality, outlier, f"{path}.localityLbSetting", findings)
    _zone_aware(zone, outlier, f"{path}.zoneAwareLbSetting", findings)
    _warmup(settings.warmup, f"{path}.warmup", findings)


def _hash(settings: ConsistentHashLB | None, path: str, findings: Findings) -> None:
    if settings is None:
        return
    cookie = settings.http_cookie
    # Of several hash keys a lenient decoder keeps the last one.
    if cookie is not None and settings.use_source_ip is None and settings.http_query_parameter_name is None:
        if not cookie.name:
            findings.error(f"{path}.httpCookie.name", "is required")
        names: set[str] = set()
        for index, attribute in enumerate(cookie.attributes):
            place = f"{path}.httpCookie.attributes[{index}].name"
            if not attribute.name:
                findings.error(place, "must not be empty")
            elif attribute.name in names:
                findings.error(place, f"{attribute.name[:60]!r} is given twice")
            names.add(attribute.name)
    if settings.minimum_ring_size:
        remedy = "Use ringHash: {minimumRingSize: ...}."
        findings.warn(f"{path}.minimumRingSize", "minimumRingSize is deprecated here", remedy)
        if settings.ring_hash is not None or settings.maglev is not None:
            message = "minimumRingSize cannot be given together with ringHash or maglev"
            findings.error(f"{path}.minimumRingSize", message, "Remove one of them.")
    if settings.maglev is not None:
        size = settings.maglev.table_size
        place = f"{path}.maglev.tableSize"
        if size == 0:
            findings.error(place, "is required")
        elif size >= _MAGLEV_LIMIT:
            findings.error(place, f"must be less than {_MAGLEV_LIMIT}")
        elif not _is_prime(size):
            findings.error(place, f"must be a prime number such as 65537, got {size}")


def _is_prime(number: int) -> bool:
    if number < 4:
        return number > 0  # Envoy's own test takes 1 for a prime
    return number % 2 != 0 and all(number % factor for factor in range(3, math.isqrt(number) + 1, 2))


def _warmup(warmup: WarmupConfiguration | None, path: str, findings: Findings) -> None:
    if warmup is None:
        return
    if warmup.duration is None:
        findings.error(f"{path}.duration", "is required")
    findings.duration(f"{path}.duration", warmup.duration)
    if (warmup.minimum_percent or 0) > 100:
        findings.error(f"{path}.minimumPercent", "must be at most 100")
    if warmup.aggression is not None and warmup.aggression <= 0:
        findings.error(f"{path}.aggression", "must be greater than 0")


def _locality(
    setting: LocalityLoadBalancerSetting | None, outlier: OutlierDetection | None, path: str, findings: Findings
) -> None:
    if setting is None:
        return
    if setting.distribute and setting.failover:
        findings.error(path, "distribute and failover cannot be given together", "Remove one of them.")
        return
    if setting.failover and _TOPOLOGY.intersection(setting.failover_priority):
        findings.error(f"{path}.failoverPriority", "topology labels cannot be given together with failover")
        return
    for index, share in enumerate(setting.distribute):
        place = f"{path}.distribute[{index}].to"
        for locality, weight in share.to.items():
            if not 1 <= weight <= 100:
                findings.error(f"{place}.{locality}", f"must be between 1 and 100, got {weight}")
                return
        total = sum(share.to.values())
        if total != 100:
            findings.error(place, f"the weights must add up to 100, got {total}")
            return
        # istiod goes through this mapping in random order and misses some overlaps in some of them; refusing what any
        # order refuses is the only verdict that stays the same.
        pairs = ([permutation, other] for permutation, other in permutations(share.to, 2))
        orders = chain([list(share.to)], pairs)
        findings.error(place, next((problem for order in orders if (problem := _localities_problem(order))), ""))
    findings.error(f"{path}.distribute", _localities_problem([share.from_ for share in setting.distribute]))
    _needs_outlier(setting, outlier, path, findings)
    _failovers(setting.failover, f"{path}.failover", findings)


def _zone_aware(
    setting: ZoneAwareLoadBalancerSetting | None, outlier: OutlierDetection | None, path: str, findings: Findings
) -> None:
    if setting is None:
        return
    for index, label in enumerate(setting.failover_priority):
        if label in _TOPOLOGY:
            message = f"{label} is not needed here: zone-aware balancing looks at regions and zones by itself"
            findings.error(f"{path}.failoverPriority[{index}]", message)
    _needs_outlier(setting, outlier, path, findings)
    _failovers(setting.failover, f"{path}.failover", findings)


def _needs_outlier(
    setting: LocalityLoadBalancerSetting | ZoneAwareLoadBalancerSetting,
    outlier: OutlierDetection | None,
    path: str,
    findings: Findings,
) -> None:
    if (setting.failover or setting.failover_priority) and outlier is None:
        findings.warn(path, "failover has no effect without outlierDetection", "Add outlierDetection: {}.")


def _failovers(failovers: Sequence[Failover], path: str, findings: Findings) -> None:
    for index, failover in enumerate(failovers):
        place = f"{path}[{index}]"
        if failover.from_ == failover.to:
            findings.error(place, "from and to must be different regions")
        if "/" in failover.from_ or "/" in failover.to:
            findings.error(place, "from and to are regions, without zone")
        if "*" in failover.from_ or "*" in failover.to:
            findings.error(place, "wildcards are not allowed")


def _localities_problem(localities: Sequence[str]) -> str:
    """Check that localities have no empty parts and do not overlap (``validateLocalities``)."""
    known: dict[str, dict[str, set[str]]] = {}
    for locality in localities:
        shown = f"{locality[:60]!r}"
        if locality.count("*") > 1 or ("*" in locality and not locality.endswith("*")):
            return f"{shown}: only one * is allowed, at the end"
        parts = locality.split("/", 2)
        if not all(parts):
            return f"{shown} has an empty part; write region/zone/subzone"
        region, zone, subzone = (*parts, "*", "*")[:3]
        zones = known.get(region, {})
        overlap = "*" in known or "*" in zones or (len(parts) == 1 and region in known)
        overlap = overlap or (len(parts) == 2 and zone in zones)
        if overlap or (len(parts) == 3 and zone in zones and ("*" in zones[zone] or subzone in zones[zone])):
            return f"{shown} overlaps one before"
        known.setdefault(region, {}).setdefault(zone, set()).add(subzone)
    return ""
