"""Where a rule sends to: cluster, endpoints, and the policies of the DestinationRule that applies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from labsupport import words
from labsupport.explain.catalog import Catalog, meant
from labsupport.explain.known import KnownEndpoint, KnownService, place_of
from labsupport.explain.locality import later_for, left_to
from labsupport.explain.outcomes import nobody_listens
from labsupport.explain.records import Place, Policy, RoutedTo
from labsupport.explain.scope import ProxyKnowledge
from labsupport.explain.whose import rules_for
from labsupport.explain.words import described
from labsupport.model import Destination, DestinationRule, Schema, Subset
from labsupport.model.hosts import fqdn
from labsupport.model.kinds.loadbalancer import LoadBalancerSettings
from labsupport.model.kinds.trafficpolicy import PortTrafficPolicy, TrafficPolicy

__all__ = ["Client", "reach", "resolve", "serving"]

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
    """The deciding proxy, as destinations and DestinationRules see it.

    Args:
        scope: what it knows.
        labels: of its pod.
        gateway: whether it is a gateway.
        port: the port the decision is made for, which is the default port of destinations.
    """

    scope: ProxyKnowledge
    labels: Mapping[str, str]
    gateway: bool
    port: int

    @property
    def namespace(self) -> str:
        """Namespace of its pod."""
        return self.scope.namespace


def resolve(
    catalog: Catalog,
    client: Client,
    destination: Destination,
    owner: str,
    share: float,
    place: Place,
    *,
    by_connection: bool = False,
) -> RoutedTo:
    """Follow a destination to its endpoints.

    Args:
        catalog: what there is.
        client: the deciding proxy.
        destination: as written in a rule.
        owner: namespace in which its host is read.
        share: of the requests that go there.
        place: where it was written.
        by_connection: whether a ``tcp`` or ``tls`` rule sends there, for which all ports of a service are looked at.

    Returns:
        The endpoints with the policies for them, or why there are none.
    """
    if not destination.host:
        return RoutedTo("", "", 0, share, problem="NC", reason="the reference leads to no Service", place=place)
    host = fqdn(destination.host, owner)
    named = client.scope.services.get(host) if by_connection else _named(catalog, client, host, owner)
    if named is not None and named.alias_of:
        host = named.alias_of
    subset = destination.subset
    port = destination.port.number if destination.port is not None and destination.port.number else 0
    if not port:
        only = (client.gateway or by_connection) and named is not None and len(named.ports) == 1
        port = next(iter(named.ports)) if only and named is not None else client.port
    service = client.scope.services.get(host.lower())
    reason = ""
    if service is None or service.hostname != host or service.alias_of:
        reason = _unknown(catalog, client, host, destination.host)
    elif port not in service.ports or service.ports[port] == "UDP":
        known = words.join(number for number, kind in sorted(service.ports.items()) if kind != "UDP")
        reason = f"service {host} has no port {port}" + (f", only {known}" if known else "")
    if reason or service is None:
        return RoutedTo(host, subset, port, share, problem="NC", reason=reason, place=place)
    return reach(catalog, client, service, subset, port, share, place)


def _named(catalog: Catalog, client: Client, host: str, owner: str) -> KnownService | None:
    """The service whose name a destination has: at a gateway that of the rule's own namespace comes first."""
    if not client.gateway:
        listener = client.scope.listener_for(client.port)
        return listener.at(client.port).get(host) if listener is not None else None
    for service in catalog.visible(client.namespace):
        if service.hostname == host and service.namespace == owner:
            return service
    in_scope = client.scope.services.get(host.lower())
    return in_scope if in_scope is not None and in_scope.hostname == host else None


def _unknown(catalog: Catalog, client: Client, host: str, written: str) -> str:
    there = {service.hostname: service for service in catalog.services}
    if host in there and not there[host].alias_of:
        if not there[host].visible(client.namespace):
            return f"service {host} is not shown to namespace {client.namespace} (exportTo)"
        return f"a Sidecar object leaves service {host} out of what this proxy knows"
    known = sorted(service.hostname for service in client.scope.services.values() if not service.alias_of)
    hint = meant(host, known)
    if not hint and "." in written and f"{written}.svc.cluster.local" in there:
        hint = f"a name with a dot is taken as it is; write {written}.svc.cluster.local"
    return f"there is no service {host}" + (f"; {hint}" if hint else f"; there are {', '.join(known) or 'none'}")


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
    rules = rules_for(catalog, client.namespace, client.labels, service)
    labels: Mapping[str, str] = {}
    host = service.hostname
    if subset:
        named = _subset(rules, subset)
        if named is None:
            reason = _no_subset(rules, subset, host)
            return RoutedTo(host, subset, port, share, problem="NC", reason=reason, place=place)
        labels = named[1].labels
    blocks = _blocks(rules, subset, port)
    endpoints = service.serving(port, labels)
    policies = tuple(_policies(blocks, len(endpoints)))
    destination = RoutedTo(host, subset, port, share, policies=policies, place=place)
    passes = any(policy.name == "loadBalancer" and policy.text.startswith("PASSTHROUGH") for policy in policies)
    if passes or (service.resolution == "caller" and not client.gateway):
        # The proxy connects to the address that the caller has looked up, subset or not.
        if service.endpoints:
            return serving(destination, service.endpoints)
        return replace(destination, pods=(host,))
    if not endpoints and service.resolution == "dns":
        reason = f"nothing of {host} can be looked up, so there is no cluster"
        return RoutedTo(host, subset, port, share, problem="NC", reason=reason, place=place)
    if not endpoints:
        reason = _empty(service, subset, labels, port)
        return replace(destination, problem="UH", reason=reason)
    if service.kubernetes:
        written = blocks["load_balancer"][0] if "load_balancer" in blocks else None
        balancer = written if isinstance(written, LoadBalancerSettings) else None
        endpoints = left_to(client.labels, balancer, endpoints)
        later = later_for(client.labels, balancer, endpoints) if "outlier_detection" in blocks else ()
        destination = replace(destination, later=later)
    if not endpoints:
        reason = f"distribute leaves callers of this locality none of the places where pods of {host} run"
        return replace(destination, problem="UH", reason=reason)
    return serving(destination, endpoints)


def serving(destination: RoutedTo, endpoints: Sequence[KnownEndpoint]) -> RoutedTo:
    """A destination with the endpoints that take its traffic, and what is wrong where nobody listens at any of them."""
    port = destination.port
    names = tuple(endpoint.name for endpoint in endpoints)
    refusing = {endpoint.name: endpoint.refuses[port] for endpoint in endpoints if port in endpoint.refuses}
    doubtful = {endpoint.name: endpoint.doubts[port] for endpoint in endpoints if port in endpoint.doubts}
    if len(refusing) < len(names):
        return replace(destination, pods=names, refusing=refusing, doubtful=doubtful)
    return replace(destination, pods=names, refusing=refusing, problem="UF", reason=nobody_listens(refusing))


def _subset(rules: list[DestinationRule], name: str) -> tuple[DestinationRule, Subset, int] | None:
    for rule in rules:
        for index, subset in enumerate(rule.spec.subsets):
            if subset.name == name:
                return rule, subset, index
    return None


def _no_subset(rules: list[DestinationRule], subset: str, host: str) -> str:
    if not rules:
        return f"no DestinationRule applies to {host}, so there is no subset {subset}"
    known = [part.name for rule in rules for part in rule.spec.subsets]
    if not known:
        return f"DestinationRule/{rules[0].name} defines no subset, so there is no subset {subset}"
    hint = meant(subset, known)
    return f"DestinationRule/{rules[0].name} defines {', '.join(known)}, but not {subset}" + (
        f"; {hint}" if hint else ""
    )


def _empty(service: KnownService, subset: str, labels: Mapping[str, str], port: int) -> str:
    host = service.hostname
    if service.unready and not service.endpoints:
        return f"no pod of {host} is ready ({', '.join(service.unready)})"
    if not service.endpoints:
        return f"no pod has the labels that service {host} selects" if service.kubernetes else f"{host} has no endpoint"
    if all(labels.items() <= endpoint.labels.items() for endpoint in service.endpoints):
        return f"no pod of {host} has a container port named as targetPort of port {port} says"
    wanted = ", ".join(f"{key}: {value}" for key, value in labels.items())
    values = sorted({endpoint.labels.get(key, "nothing") for endpoint in service.endpoints for key in labels})
    return f"subset {subset} wants pods with {wanted}, but the pods of {host} have {', '.join(values)}"


_Blocks = dict[str, tuple[Schema, Place, str]]


def _blocks(rules: list[DestinationRule], subset_name: str, port: int) -> _Blocks:
    """Blocks are replaced as a whole: port level over top level, and those of the subset over both."""
    blocks: _Blocks = {}
    for rule in rules:
        if rule.spec.traffic_policy is not None:
            blocks, _ = _level(rule, rule.spec.traffic_policy, "spec.trafficPolicy", "", port)
            break
    named = _subset(rules, subset_name) if subset_name else None
    if named is not None and (policy := named[1].traffic_policy) is not None:
        path = f"spec.subsets[{named[2]}].trafficPolicy"
        own, by_port = _level(named[0], policy, path, f"subset {subset_name}", port)
        if by_port:
            blocks = {name: value for name, value in blocks.items() if name not in _BLOCKS}
        blocks = {**blocks, **own}
    return blocks


def _policies(blocks: _Blocks, endpoints: int) -> list[Policy]:
    result = []
    if "load_balancer" not in blocks:
        result.append(Policy("loadBalancer", "LEAST_REQUEST"))
    for name in (*_BLOCKS, *_OTHERS):
        if name in blocks:
            value, place, level = blocks[name]
            text = described(name, value, endpoints)
            if isinstance(value, LoadBalancerSettings) and _has_order(value) and "outlier_detection" not in blocks:
                text += "; without outlierDetection, none comes after others"
            result.append(Policy(_NAMES[name], text, place, level))
    return result


def _has_order(balancer: LoadBalancerSettings) -> bool:
    setting = balancer.locality_lb_setting
    return setting is not None and setting.enabled is not False and bool(setting.failover or setting.failover_priority)


def _level(rule: DestinationRule, policy: TrafficPolicy, path: str, subset: str, port: int) -> tuple[_Blocks, bool]:
    for index, setting in enumerate(policy.port_level_settings):
        if setting.port is not None and setting.port.number == port:
            whom = f"port {port} of {subset}" if subset else f"port {port}"
            return _set(rule, setting, f"{path}.portLevelSettings[{index}]", whom, _BLOCKS), True
    return _set(rule, policy, path, subset or f"all of {rule.spec.host}", (*_BLOCKS, *_OTHERS)), False


def _set(
    rule: DestinationRule, policy: TrafficPolicy | PortTrafficPolicy, path: str, whom: str, names: Iterable[str]
) -> _Blocks:
    given = ((name, getattr(policy, name)) for name in names)
    return {name: (value, place_of(rule, f"{path}.{_NAMES[name]}"), whom) for name, value in given if value is not None}
