"""Notes about valid objects at which istiod 1.31 itself falls over, so that no proxy gets anything any more."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.model.analysis.world import World
from labsupport.model.hosts import is_wildcard
from labsupport.model.kinds.destinationrule import DestinationRule
from labsupport.model.kinds.gateway import Gateway
from labsupport.model.kinds.serviceentry import ServiceEntry
from labsupport.model.kinds.trafficpolicy import TrafficPolicy

__all__ = ["analyse_panics"]

_CODE = "PANIC"


def analyse_panics(world: World) -> None:
    """Add the notes about Gateways and DestinationRules at which istiod panics."""
    for gateway in world.of(Gateway):
        for index, server in enumerate(gateway.spec.servers):
            if _loses_hosts(server.hosts):
                text = "istiod 1.31 panics at a host with a namespace after */*; write */* alone, as it serves them all"
                world.note(_CODE, "error", gateway, f"spec.servers[{index}].hosts", text)
    dynamic = {
        host
        for entry in world.of(ServiceEntry)
        if entry.spec.resolution == "DYNAMIC_DNS"
        for host in entry.spec.hosts
        if is_wildcard(host)
    }
    for rule in world.of(DestinationRule):
        if rule.spec.host in dynamic and _ejects(rule.spec.traffic_policy):
            text = f"istiod 1.31 panics at outlierDetection for {rule.spec.host}, which has resolution DYNAMIC_DNS"
            world.note(_CODE, "error", rule, "spec.trafficPolicy", f"{text}; remove it")


def _loses_hosts(hosts: Sequence[str]) -> bool:
    everywhere = next((index for index, host in enumerate(hosts) if host == "*/*"), len(hosts))
    return any(host.startswith(("./", "*/")) and host != "*/*" for host in hosts[everywhere + 1 :])


def _ejects(policy: TrafficPolicy | None) -> bool:
    if policy is None:
        return False
    by_port = (setting.outlier_detection for setting in policy.port_level_settings)
    return any(rule is not None for rule in (policy.outlier_detection, *by_port))
