"""Notes about Gateways, DestinationRules, Sidecars, Services and AuthorizationPolicies."""

from __future__ import annotations

from collections.abc import Mapping

from labsupport.model.analysis.world import World
from labsupport.model.kinds.core import Service
from labsupport.model.kinds.destinationrule import DestinationRule
from labsupport.model.kinds.gateway import Gateway
from labsupport.model.kinds.otheristio import OtherIstio
from labsupport.model.kinds.sidecar import Sidecar
from labsupport.model.protocols import APP_PROTOCOLS, SERVER_FIRST
from labsupport.model.validation.common import PROTOCOLS

__all__ = ["analyse_destination_rules", "analyse_gateways", "analyse_selectors", "analyse_services"]


def _shown(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def analyse_gateways(world: World) -> None:
    """Add the notes about Gateways: pods they run on, and servers that two of them claim."""
    gateways = world.of(Gateway)
    # Of several servers of one Gateway on one port, istioctl remembers the last one's hosts.
    claimed: dict[tuple[str, int, str], tuple[Gateway, dict[str, str]]] = {}
    for gateway in gateways:
        for server in gateway.spec.servers:
            hosts = dict.fromkeys(server.hosts, server.bind)
            key = (_shown(gateway.spec.selector), server.port.number, world.full_name(gateway))
            claimed[key] = (gateway, hosts)
    for gateway in gateways:
        selector = _shown(gateway.spec.selector)
        if not any(pod.matches(gateway.spec.selector) for pod in world.pods):
            world.note("IST0101", "error", gateway, "spec.selector", f"no pod has the labels {selector}")
        for index, server in enumerate(gateway.spec.servers):
            rivals = [
                name
                for (other_selector, port, name), (other, hosts) in claimed.items()
                if port == server.port.number
                and name != world.full_name(gateway)
                and _same_pods(selector, other_selector, gateway, other, world)
                and any(hosts.get(host) == server.bind for host in server.hosts)
            ]
            if rivals:
                text = f"port {server.port.number} with the same hosts is also claimed by {', '.join(sorted(rivals))}"
                world.note("IST0145", "error", gateway, f"spec.servers[{index}]", text)


def _same_pods(mine: str, theirs: str, gateway: Gateway, other: Gateway, world: World) -> bool:
    if mine == theirs:
        return True
    if mine not in theirs and theirs not in mine:
        return False
    return any(pod.matches(gateway.spec.selector) and pod.matches(other.spec.selector) for pod in world.pods)


def analyse_destination_rules(world: World) -> None:
    """Add the notes about DestinationRules: hosts that do not exist, subsets without pods."""
    for rule in world.of(DestinationRule):
        host = world.host(rule.spec.host, world.namespace(rule), rule.spec.export_to)
        if host is None:
            text = f"there is no host {rule.spec.host}, so the rule has no effect"
            world.note("IST0174", "warning", rule, "spec.host", text)
            continue
        for index, subset in enumerate(rule.spec.subsets):
            selector = {**host.selector, **subset.labels}
            if not any(pod.matches(selector) for pod in world.pods):
                text = f"no pod has the labels {_shown(selector)} of subset {subset.name}; requests get 503 (UH)"
                world.note("IST0173", "error", rule, f"spec.subsets[{index}]", text)


def analyse_services(world: World) -> None:
    """Add the notes about Services: ports whose protocol Istio has to guess."""
    for service in world.of(Service):
        labels = service.metadata.labels
        if "istio" in labels or labels.get("release") == "istio" or service.spec.type == "ExternalName":
            continue
        for index, port in enumerate(service.spec.ports):
            if port.protocol == "UDP" or port.app_protocol in APP_PROTOCOLS:
                continue
            name = port.name if port.app_protocol is None else port.app_protocol
            prefix = name.partition("-")[0].lower()
            if prefix in PROTOCOLS or name.lower().startswith("grpc-web") or port.port in SERVER_FIRST:
                continue
            shown = f"port {port.port} is named {port.name!r}" if port.name else f"port {port.port} has no name"
            text = f"{shown}; Istio knows the protocol from the name: http, http-api, grpc, tcp ... or from appProtocol"
            world.note("IST0118", "info", service, f"spec.ports[{index}]", text)


def analyse_selectors(world: World) -> None:
    """Add the notes about selectors of Sidecars and AuthorizationPolicies that select no pod."""
    for sidecar in world.of(Sidecar):
        selector = sidecar.spec.workload_selector.labels if sidecar.spec.workload_selector is not None else {}
        space = world.namespace(sidecar)
        if selector and not any(pod.namespace == space and pod.matches(selector) for pod in world.pods):
            text = f"no pod of namespace {space} has the labels {_shown(selector)}"
            world.note("IST0101", "error", sidecar, "spec.workloadSelector", text)
    for policy in world.of(OtherIstio):
        if policy.kind != "AuthorizationPolicy":
            continue
        labels = policy.match_labels
        space = world.namespace(policy)
        everywhere = space == "istio-system"
        if labels is None and everywhere:
            continue
        pods = [pod for pod in world.pods if pod.in_mesh and (everywhere or pod.namespace == space)]
        # Without a selector istioctl asks only whether the namespace has pods at all.
        selected = any(pod.matches(labels) for pod in pods) if labels is not None else bool(pods)
        if not selected:
            shown = f"with the labels {_shown(labels)} " if labels else ""
            text = f"there is no pod with a sidecar {shown}in namespace {space}, so the policy has no effect"
            world.note("IST0127", "warning", policy, "spec.selector" if labels else "", text)
