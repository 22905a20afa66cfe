"""Where a rule sends to: cluster, endpoints, and the policies of the DestinationRule that applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from labsupport.explain.catalog import ROOT_NAMESPACE, Catalog, KnownService, exported, place_of
from labsupport.explain.records import Place, Policy, RoutedTo
from labsupport.explain.words import described
from labsupport.mesh.index.hosts import fqdn, is_wildcard
from labsupport.model import Destination, DestinationRule, Subset

__all__ = ["Client", "policies_for", "resolve"]

_BLOCKS = ("load_balancer", "connection_pool", "outlier_detection", "tls")
_OTHERS = ("tunnel", "proxy_protocol", "retry_budget")
_NAMES = {
    "load_balancer": "loadBalancer",
    "connection_pool": "connectionPool",
    "outlier_detection": "outlierDetection",
    "tls": "tls",
    "tunnel": "tunnel",
    "proxy_protocol": "proxyProtocol",
    "retry_budget": "retryBudget",
}


@dataclass(frozen=True, slots=True)
class Client:
    """The deciding proxy, as DestinationRules see it.

    Args:
        namespace: of its pod.
        labels: of its pod.
        gateway: whether it is a gateway.
        port: the port the decision is made for, which is the default port of destinations.
    """

    namespace: str
    labels: Mapping[str, str]
    gateway: bool
    port: int


def resolve(
    catalog: Catalog, client: Client, destination: Destination, owner: str, share: float, place: Place
) -> RoutedTo:
    """Follow a destination to its endpoints.

    Args:
        catalog: what there is.
        client: the deciding proxy.
        destination: as written in a rule.
        owner: namespace in which its host is read.
        share: of the requests that go there.
        place: where it was written.

    Returns:
        The endpoints with the policies for them, or why there are none.
    """
    host = fqdn(destination.host, owner)
    service = catalog.service(host, client.namespace)
    if service is not None:
        host = service.hostname
    port = destination.port.number if destination.port is not None and destination.port.number else 0
    if not port:
        only = client.gateway and service is not None and len(service.ports) == 1
        port = next(iter(service.ports)) if only and service is not None else client.port
    subset = destination.subset
    if service is None:
        known = ", ".join(sorted(item.hostname for item in catalog.services)) or "none"
        reason = f"there is no service {host}; there are {known}"
        return RoutedTo(host, subset, port, share, problem="NC", reason=reason, place=place)
    if port not in service.ports:
        known = ", ".join(str(number) for number in service.ports)
        reason = f"service {host} has no port {port}, only {known}"
        return RoutedTo(host, subset, port, share, problem="NC", reason=reason, place=place)
    return reach(catalog, client, service, subset, port, share, place)


def reach(
    catalog: Catalog, client: Client, service: KnownService, subset: str, port: int, share: float, place: Place | None
) -> RoutedTo:
    """Find the endpoints of a service or of its subset.

    Args:
        catalog: what there is.
        client: the deciding proxy.
        service: the service.
        subset: name of the subset; empty for all of it.
        port: one of its ports.
        share: of the requests that go there.
        place: where the destination was written; None without a rule.

    Returns:
        The endpoints with the policies for them, or why there are none.
    """
    rules = policies_for(catalog, client, service)
    labels: Mapping[str, str] = {}
    if subset:
        found = _subset(rules, subset)
        if found is None:
            if rules:
                names = ", ".join(part.name for rule in rules for part in rule.spec.subsets) or "no subset at all"
                reason = f"DestinationRule/{rules[0].name} defines {names}, but not {subset}"
            else:
                reason = f"no DestinationRule applies to {service.hostname}, so there is no subset {subset}"
            return RoutedTo(service.hostname, subset, port, share, problem="NC", reason=reason, place=place)
        labels = found[1].labels
    endpoints = service.with_labels(labels)
    policies = tuple(_policies(rules, subset, port))
    if not endpoints:
        reason = _empty(service, subset, labels)
        return RoutedTo(
            service.hostname, subset, port, share, problem="UH", reason=reason, policies=policies, place=place
        )
    pods = tuple(endpoint.name for endpoint in endpoints)
    return RoutedTo(service.hostname, subset, port, share, pods=pods, policies=policies, place=place)


def policies_for(catalog: Catalog, client: Client, service: KnownService) -> list[DestinationRule]:
    """The DestinationRules that apply to a service for this client: merged ones together, the oldest first.

    The client's namespace is asked first, then the service's, then the root namespace; the first that has a rule for
    the host counts alone, and in it an exact host counts before a wildcard.
    """
    host = service.hostname.lower()
    own = _best(catalog, host, client.namespace, _private if client.namespace == ROOT_NAMESPACE else _local)
    if own:
        return _chosen(own, client)
    for namespace in (service.namespace, ROOT_NAMESPACE):
        found = _best(catalog, host, namespace, _shared)
        found = [rule for rule in found if exported(rule, namespace, client.namespace)]
        if found:
            return _chosen(found, client)
    return []


def _best(
    catalog: Catalog, host: str, namespace: str, counts: Callable[[DestinationRule, str], bool]
) -> list[DestinationRule]:
    """Those of a namespace's rules that have the most specific host for a service."""
    seen: list[tuple[tuple[bool, int], DestinationRule]] = []
    for rule in catalog.destination_rules:
        if catalog.namespace_of(rule) == namespace and counts(rule, namespace):
            name = fqdn(rule.spec.host, namespace).lower()
            if name == host or (is_wildcard(name) and host.endswith(name[1:])):
                seen.append(((is_wildcard(name), -len(name)), rule))
    best = min((rank for rank, _ in seen), default=None)
    return [rule for rank, rule in seen if rank == best]


def _chosen(found: list[DestinationRule], client: Client) -> list[DestinationRule]:
    """Of rules with the same host those that are merged for a client.

    As in istiod, one for other workloads still keeps less specific ones from being looked for.
    """
    rules = [
        rule
        for rule in found
        if rule.spec.workload_selector is None
        or rule.spec.workload_selector.match_labels.items() <= client.labels.items()
    ]
    # A rule for chosen workloads comes before one for all.
    rules.sort(key=lambda rule: rule.spec.workload_selector is None)
    return [rule for rule in rules if rule is rules[0] or set(rule.spec.export_to) == set(rules[0].spec.export_to)]


def _local(rule: DestinationRule, namespace: str) -> bool:
    """Whether proxies of its own namespace see a rule."""
    spaces = set(rule.spec.export_to)
    return rule.spec.workload_selector is not None or not spaces or bool(spaces & {"*", ".", namespace})


def _private(rule: DestinationRule, namespace: str) -> bool:
    """Whether nobody but its own namespace sees a rule: one for chosen workloads is never exported."""
    spaces = set(rule.spec.export_to)
    return rule.spec.workload_selector is not None or (len(spaces) == 1 and bool(spaces & {".", namespace}))


def _shared(rule: DestinationRule, namespace: str) -> bool:
    """Whether other namespaces may see a rule."""
    return not _private(rule, namespace)


def _subset(rules: list[DestinationRule], name: str) -> tuple[DestinationRule, Subset, int] | None:
    for rule in rules:
        for index, subset in enumerate(rule.spec.subsets):
            if subset.name == name:
                return rule, subset, index
    return None


def _empty(service: KnownService, subset: str, labels: Mapping[str, str]) -> str:
    if service.unready and not service.endpoints:
        return f"no pod of {service.hostname} is ready ({', '.join(service.unready)})"
    if not service.endpoints:
        return f"no pod has the labels that service {service.hostname} selects"
    wanted = ", ".join(f"{key}: {value}" for key, value in labels.items())
    values = sorted({endpoint.labels.get(key, "nothing") for endpoint in service.endpoints for key in labels})
    return f"subset {subset} wants pods with {wanted}, but the pods of {service.hostname} have {', '.join(values)}"


def _policies(rules: list[DestinationRule], subset_name: str, port: int) -> list[Policy]:
    """Blocks are replaced as a whole: port level over top level, and those of the subset over both."""
    blocks: dict[str, tuple[Any, Place]] = {}
    top = next((rule for rule in rules if rule.spec.traffic_policy is not None), None)
    if top is not None:
        blocks, _ = _level(top, top.spec.traffic_policy, "spec.trafficPolicy", port)
    found = _subset(rules, subset_name) if subset_name else None
    if found is not None and found[1].traffic_policy is not None:
        rule, subset, index = found
        own, by_port = _level(rule, subset.traffic_policy, f"spec.subsets[{index}].trafficPolicy", port)
        if by_port:
            blocks = {name: value for name, value in blocks.items() if name not in _BLOCKS}
        blocks = {**blocks, **own}
    result = []
    if "load_balancer" not in blocks:
        result.append(Policy("loadBalancer", "LEAST_REQUEST"))
    for name in (*_BLOCKS, *_OTHERS):
        if name in blocks:
            value, place = blocks[name]
            result.append(Policy(_NAMES[name], described(name, value), place))
    return result


def _level(rule: DestinationRule, policy: Any, path: str, port: int) -> tuple[dict[str, tuple[Any, Place]], bool]:
    names: tuple[str, ...] = (*_BLOCKS, *_OTHERS)
    by_port = False
    for index, setting in enumerate(policy.port_level_settings):
        if setting.port is not None and setting.port.number == port:
            policy, path, names, by_port = setting, f"{path}.portLevelSettings[{index}]", _BLOCKS, True
            break
    blocks = {
        name: (getattr(policy, name), place_of(rule, f"{path}.{_NAMES[name]}"))
        for name in names
        if getattr(policy, name) is not None
    }
    return blocks, by_port
