"""EDS: the endpoints of a cluster, by locality and priority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from labsupport.controlplane.registry.destinationrules import MergedRule
from labsupport.controlplane.registry.memo import MEMO
from labsupport.controlplane.registry.services import Endpoint, RegistryPort, ServiceRecord
from labsupport.controlplane.registry.workloads import CLUSTER_ID
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.locality import apply_to_endpoints, effective_setting
from labsupport.controlplane.translate.names import outbound_cluster, socket_address
from labsupport.controlplane.translate.policy import rule_policy
from labsupport.model.kinds.pods import CANONICAL_NAME, CANONICAL_REVISION
from labsupport.model.kinds.trafficpolicy import TrafficPolicy
from labsupport.model.schema.syntax import is_ip
from labsupport.records import JsonObject

__all__ = ["build_endpoints", "load_assignment"]


def build_endpoints(context: Context, clusters: Mapping[str, JsonObject]) -> dict[str, JsonObject]:
    """The load assignments of all EDS clusters of a proxy.

    Args:
        context: the proxy.
        clusters: its clusters by name.

    Returns:
        ``ClusterLoadAssignment`` by cluster name.
    """
    assignments: dict[str, JsonObject] = {}
    for service in context.scope.services:
        rule = context.rule(service.hostname)
        place = context.place(service, rule)
        for port in service.ports:
            if port.protocol == "UDP":
                continue
            make = partial(_assignments, context, service, port, rule)
            for name, assignment in MEMO.get("endpoints", (service, port, rule, context.mesh), place, make).items():
                cluster = clusters.get(name)
                if cluster is not None and cluster.get("type") == "EDS":
                    assignments[name] = assignment
    return assignments


def _assignments(
    context: Context, service: ServiceRecord, port: RegistryPort, rule: MergedRule | None
) -> dict[str, JsonObject]:
    names = ["", *(subset.name for subset in rule.subsets)] if rule is not None else [""]
    assignments = [load_assignment(context, service, port, rule, subset) for subset in names]
    return {assignment["cluster_name"]: assignment for assignment in assignments}


def load_assignment(
    context: Context, service: ServiceRecord, port: RegistryPort, rule: MergedRule | None, subset: str
) -> JsonObject:
    """Endpoints of one service port, or of one subset of it.

    Args:
        context: the proxy.
        service: the service.
        port: its port.
        rule: the DestinationRule that counts for it.
        subset: name of a subset; empty for all endpoints.

    Returns:
        A ``ClusterLoadAssignment`` in proto JSON.
    """
    name = outbound_cluster(service.hostname, port.number, subset)
    groups = locality_groups(context, service, port, rule, subset, names_too=False)
    result: JsonObject = {"cluster_name": name}
    if not groups:
        return result
    policy = rule_policy(rule, subset, port.number)
    setting = effective_setting(context.mesh, policy.load_balancer if policy is not None else None, service)
    failover = policy is not None and policy.outlier_detection is not None
    result["endpoints"] = apply_to_endpoints(context, groups, setting, failover=failover)
    return result


def locality_groups(
    context: Context,
    service: ServiceRecord,
    port: RegistryPort,
    rule: MergedRule | None,
    subset: str,
    *,
    names_too: bool,
) -> list[tuple[str, list[tuple[Endpoint, JsonObject]]]]:
    """Endpoints that a proxy may use, with their Envoy form, by locality.

    Args:
        context: the proxy.
        service: the service.
        port: its port.
        rule: the DestinationRule that counts for it.
        subset: name of a subset; empty for all endpoints.
        names_too: whether host names will do as addresses, as in a DNS cluster.

    Returns:
        Localities in order with their endpoints.
    """
    policy = rule_policy(rule, subset, port.number)
    outlier = policy.outlier_detection if policy is not None else None
    # With a minimum share of healthy endpoints Envoy may fall back to all of them, so the unready must not be there.
    panics = outlier is not None and bool(outlier.min_health_percent)
    only_healthy = panics and not service.traffic_distribution
    chosen = rule.subset(subset) if rule is not None and subset else None
    mutual = _mutual_tls(rule, subset, port.number)
    groups: dict[str, list[tuple[Endpoint, JsonObject]]] = {}
    find = service.endpoints_by_number if names_too else service.endpoints_of
    for endpoint in find(port, chosen.labels if chosen is not None else None):
        if only_healthy and endpoint.healthy is False:
            continue
        if service.node_local and endpoint.node != context.pod.node:
            continue
        if not names_too and endpoint.port and not is_ip(endpoint.address):
            continue
        groups.setdefault(endpoint.locality, []).append((endpoint, _proto(service, endpoint, mutual)))
    return sorted(groups.items())


def _proto(service: ServiceRecord, endpoint: Endpoint, mutual: bool | None) -> JsonObject:
    metadata: JsonObject = {}
    takes_mutual_tls = endpoint.tls_mode == "istio" if mutual is None else mutual
    if takes_mutual_tls and endpoint.tls_mode != "disabled":
        metadata["envoy.transport_socket_match"] = {"tlsMode": endpoint.tls_mode}
    workload = ";".join(
        (
            endpoint.workload,
            endpoint.namespace,
            _first(endpoint.labels, CANONICAL_NAME, endpoint.workload),
            _revision(endpoint.labels),
            CLUSTER_ID,
        )
    )
    metadata["istio"] = {"workload": workload}
    result: JsonObject = {
        "endpoint": {"address": socket_address(endpoint.address, endpoint.port)},
        "load_balancing_weight": endpoint.weight or 1,
        "metadata": {"filter_metadata": metadata},
    }
    if endpoint.healthy is not None:
        result["health_status"] = "HEALTHY" if endpoint.healthy else "UNHEALTHY"
    return result


def _first(labels: Mapping[str, str], keys: Sequence[str], default: str) -> str:
    return next((labels[key] for key in keys if key in labels), default)


def _revision(labels: Mapping[str, str]) -> str:
    revision = _first(labels, CANONICAL_REVISION, "")
    return "" if revision == "latest" else revision


def _mutual_tls(rule: MergedRule | None, subset: str, port: int) -> bool | None:
    """Whether the rule says that endpoints are called with mutual TLS; None if it says nothing."""
    if rule is None:
        return None
    mode = None
    if subset:
        chosen = rule.subset(subset)
        mode = _tls_mode(chosen.traffic_policy, port) if chosen is not None else None
        if chosen is None:
            return None
    if mode is None:
        mode = _tls_mode(rule.traffic_policy, port)
    return None if mode is None else mode == "ISTIO_MUTUAL"


def _tls_mode(policy: TrafficPolicy | None, port: int) -> str | None:
    if policy is None:
        return None
    mode = policy.tls.mode if policy.tls is not None else None
    for setting in policy.port_level_settings:
        if setting.port is not None and setting.port.number == port and setting.tls is not None:
            mode = setting.tls.mode
            break
    return str(mode) if mode is not None else None
