"""CDS: the clusters of a proxy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from labsupport.controlplane.registry.destinationrules import MergedRule
from labsupport.controlplane.registry.memo import MEMO
from labsupport.controlplane.registry.services import RegistryPort, ServiceRecord, service_target
from labsupport.controlplane.translate.connection_pool import (
    apply_connection_pool,
    h2_upgrade,
    mesh_timeout,
    use_client_protocol,
)
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.endpoints import locality_groups
from labsupport.controlplane.translate.inbound import InboundPort, inbound_ports
from labsupport.controlplane.translate.load_balancing import apply_load_balancer
from labsupport.controlplane.translate.locality import apply_to_endpoints, effective_setting
from labsupport.controlplane.translate.names import (
    BLACK_HOLE,
    INBOUND_PASSTHROUGH,
    PASSTHROUGH,
    config_path,
    dns_cache,
    inbound_cluster,
    outbound_cluster,
    socket_address,
    stat_name,
)
from labsupport.controlplane.translate.outlier import apply_outlier_detection
from labsupport.controlplane.translate.policy import PortPolicy, for_port, for_subset, with_mesh_defaults
from labsupport.controlplane.translate.tls import apply_tls
from labsupport.model.hosts import is_wildcard
from labsupport.model.kinds.trafficpolicy import ConnectionPoolSettings
from labsupport.model.protocols import is_http2
from labsupport.records import JsonObject

__all__ = ["HTTP_OPTIONS", "build_clusters"]

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_INBOUND_SOURCE = {"source_address": {"address": "127.0.0.6", "port_value": 0}}
_NEVER = "9223372035s"
DYNAMIC_PROTOCOLS = frozenset({"HTTP", "HTTP2", "GRPC", "TLS"})
_ADS = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
_DNS_TYPES = {"DNS": "STRICT_DNS", "DNS_ROUND_ROBIN": "LOGICAL_DNS"}


def build_clusters(context: Context) -> dict[str, JsonObject]:
    """All clusters of a proxy, by name."""
    clusters: dict[str, JsonObject] = {}
    for service in context.scope.services:
        if service.resolution == "ALIAS":
            continue
        for port in service.ports:
            if is_wildcard(service.hostname) and service.resolution == "DYNAMIC_DNS":
                if port.protocol in DYNAMIC_PROTOCOLS:
                    name = outbound_cluster(service.hostname, port.number)
                    clusters[name] = _dynamic(context, service, port, name)
            elif port.protocol != "UDP":
                clusters |= _known_outbound(context, service, port)
    mesh = context.mesh
    clusters[BLACK_HOLE] = MEMO.get("black hole", (mesh,), (), lambda: _black_hole(context))
    if not context.is_gateway:
        for name in (PASSTHROUGH, INBOUND_PASSTHROUGH):
            clusters[name] = MEMO.get("passthrough", (mesh,), name, partial(_passthrough, context, name))
        for inbound in inbound_ports(context):
            name = inbound_cluster(inbound.number)
            clusters[name] = MEMO.intern(name, _inbound(context, inbound))
    return clusters


def _known_outbound(context: Context, service: ServiceRecord, port: RegistryPort) -> dict[str, JsonObject]:
    rule = context.rule(service.hostname)
    return MEMO.get(
        "clusters",
        (service, port, rule, context.mesh),
        context.place(service, rule),
        lambda: _outbound_clusters(context, service, port, rule),
    )


def _outbound_clusters(
    context: Context, service: ServiceRecord, port: RegistryPort, rule: MergedRule | None
) -> dict[str, JsonObject]:
    """The clusters of one service port: one for all endpoints, and one per subset."""
    policy, _ = for_port(rule.traffic_policy, port.number) if rule is not None else (None, False)
    policy = with_mesh_defaults(policy, context.mesh)
    cluster = _outbound(context, service, port, rule, policy, "", _discovery(context, service))
    if cluster is None:
        return {}
    clusters: dict[str, JsonObject] = {cluster["name"]: cluster}
    for subset in rule.subsets if rule is not None else ():
        merged = for_subset(policy, subset.traffic_policy, port.number)
        own = subset.traffic_policy.load_balancer if subset.traffic_policy is not None else None
        # A subset is of the type that the whole service's cluster has become, unless it asks for PASSTHROUGH itself.
        discovery = "ORIGINAL_DST" if own is not None and own.simple == "PASSTHROUGH" else str(cluster["type"])
        subset_cluster = _outbound(context, service, port, rule, merged, subset.name, discovery)
        if subset_cluster is not None:
            clusters.setdefault(subset_cluster["name"], subset_cluster)
    return clusters


def _discovery(context: Context, service: ServiceRecord) -> str:
    if service.resolution == "PASSTHROUGH":
        return "EDS" if context.is_gateway else "ORIGINAL_DST"
    if service.resolution == "DNS" and service.race_connect:
        return "LOGICAL_DNS"
    return _DNS_TYPES.get(service.resolution, "EDS")


def _outbound(
    context: Context,
    service: ServiceRecord,
    port: RegistryPort,
    rule: MergedRule | None,
    policy: PortPolicy | None,
    subset: str,
    discovery: str,
) -> JsonObject | None:
    name = outbound_cluster(service.hostname, port.number, subset)
    settings = policy.load_balancer if policy is not None else None
    cluster: JsonObject = {"name": name, "type": discovery, "alt_stat_name": stat_name(name), "common_lb_config": {}}
    options: JsonObject = {}
    if discovery in ("STRICT_DNS", "LOGICAL_DNS"):
        _resolve_by_dns(cluster, service)
    elif discovery == "ORIGINAL_DST" and port.number in service.target_ports:
        cluster["original_dst_lb_config"] = {"upstream_port_override": service.target_ports[port.number]}
    if is_http2(port.protocol):
        options["explicit_http_config"] = {"http2_protocol_options": {}}
    elif not port.protocol and not context.is_gateway:
        use_client_protocol(options)
    metadata: JsonObject = {"services": [dict(service_target(service))]}
    cluster["metadata"] = {"filter_metadata": {"istio": metadata}}
    if h2_upgrade(policy, port.protocol, context.mesh) and not _has_protocol(options):
        options["explicit_http_config"] = {"http2_protocol_options": {}}
    apply_connection_pool(cluster, options, policy, context.mesh)
    apply_outlier_detection(cluster, policy, service)
    if discovery in ("STRICT_DNS", "LOGICAL_DNS"):
        groups = locality_groups(context, service, port, rule, subset, names_too=True)
        if not groups:
            return None
        setting = effective_setting(context.mesh, settings, service)
        failover = "outlier_detection" in cluster
        cluster["load_assignment"] = {
            "cluster_name": name,
            "endpoints": apply_to_endpoints(context, groups, setting, failover=failover),
        }
    apply_load_balancer(context, service, cluster, policy)
    apply_tls(context, cluster, options, service, port, rule, policy)
    if cluster["type"] == "ORIGINAL_DST":
        cluster["lb_policy"] = "CLUSTER_PROVIDED"
    if cluster["type"] == "EDS":
        cluster["eds_cluster_config"] = {"eds_config": _ADS, "service_name": name}
    if service.mesh_external and not subset:
        metadata["external"] = True
    if rule is not None:
        metadata |= _origin(rule, policy)
        if subset:
            metadata["subset"] = subset
    _finish(cluster, options)
    return cluster


def _origin(rule: MergedRule, policy: PortPolicy | None) -> JsonObject:
    """What the metadata of a cluster says about the rule that shaped it."""
    metadata: JsonObject = {"config": config_path("DestinationRule", rule.namespace, rule.name)}
    tls = policy.tls if policy is not None else None
    if tls is not None and tls.mode in ("SIMPLE", "MUTUAL"):
        metadata["alpn_override"] = "false"
    return metadata


def _has_protocol(options: JsonObject) -> bool:
    return "explicit_http_config" in options or "use_downstream_protocol_config" in options


def _dynamic(context: Context, service: ServiceRecord, port: RegistryPort, name: str) -> JsonObject:
    """The cluster of a wildcard host whose names are resolved one by one, as they are called (DYNAMIC_DNS)."""
    rule = context.rule(service.hostname)
    policy, _ = for_port(rule.traffic_policy, port.number) if rule is not None else (None, False)
    policy = with_mesh_defaults(policy, context.mesh)
    cluster: JsonObject = {
        "name": name,
        "alt_stat_name": stat_name(name),
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.dynamic_forward_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                "dns_cache_config": dns_cache(service.hostname),
            },
        },
    }
    options: JsonObject = {}
    if is_http2(port.protocol) or h2_upgrade(policy, port.protocol, context.mesh):
        options["explicit_http_config"] = {"http2_protocol_options": {}}
    apply_connection_pool(cluster, options, policy, context.mesh)
    apply_tls(context, cluster, options, service, port, rule, policy)
    metadata: JsonObject = {"external": True} if service.mesh_external else {}
    if rule is not None:
        metadata |= _origin(rule, policy)
    if metadata:
        cluster["metadata"] = {"filter_metadata": {"istio": metadata}}
    _finish(cluster, options)
    return cluster


def _finish(cluster: JsonObject, options: JsonObject) -> None:
    """Attach HttpProtocolOptions; without a protocol of their own they say HTTP/1.1."""
    if not options:
        return
    if not _has_protocol(options):
        options["explicit_http_config"] = {"http_protocol_options": {}}
    cluster["typed_extension_protocol_options"] = {
        HTTP_OPTIONS: {"@type": f"type.googleapis.com/{HTTP_OPTIONS}", **options}
    }


def _resolve_by_dns(cluster: JsonObject, service: ServiceRecord) -> None:
    cluster["dns_lookup_family"] = "ALL" if service.race_connect else "V4_ONLY"
    cluster["typed_dns_resolver_config"] = {
        "name": "envoy.network.dns_resolver.cares",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
            "udp_max_queries": 100,
        },
    }
    cluster["dns_jitter"] = "0.100s"
    cluster["dns_refresh_rate"] = "60s"
    cluster["respect_dns_ttl"] = True


def _black_hole(context: Context) -> JsonObject:
    return {
        "name": BLACK_HOLE,
        "type": "STATIC",
        "alt_stat_name": stat_name(BLACK_HOLE),
        "connect_timeout": mesh_timeout(context.mesh),
    }


def _passthrough(context: Context, name: str) -> JsonObject:
    cluster: JsonObject = {
        "name": name,
        "type": "ORIGINAL_DST",
        "alt_stat_name": stat_name(PASSTHROUGH),
        "lb_policy": "CLUSTER_PROVIDED",
    }
    apply_connection_pool(cluster, {}, with_mesh_defaults(None, context.mesh), context.mesh)
    options: JsonObject = {"common_http_protocol_options": {"idle_timeout": "300s"}}
    use_client_protocol(options)
    _finish(cluster, options)
    if name == INBOUND_PASSTHROUGH:
        cluster["upstream_bind_config"] = _INBOUND_SOURCE
    return cluster


def _inbound(context: Context, inbound: InboundPort) -> JsonObject:
    """The cluster of the pod's own port: the connection pool of its callers' rule counts here, too."""
    name = inbound_cluster(inbound.number)
    metadata: JsonObject = {}
    cluster: JsonObject = {"name": name, "alt_stat_name": stat_name(name), "common_lb_config": {}}
    if inbound.endpoint is None:
        cluster.update(type="ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED", cleanup_interval=_NEVER)
    else:
        endpoint = {"endpoint": {"address": socket_address(*inbound.endpoint)}}
        cluster["type"] = "STATIC"
        cluster["load_assignment"] = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    if inbound.endpoint is None or inbound.endpoint[0] not in ("127.0.0.1", "::1"):
        cluster["upstream_bind_config"] = _INBOUND_SOURCE
    options: JsonObject = {}
    if is_http2(inbound.port.protocol):
        options["explicit_http_config"] = {"http2_protocol_options": {}}
    elif not inbound.port.protocol:
        use_client_protocol(options)
    policy = None
    if inbound.services:
        metadata["services"] = [dict(service_target(service)) for service in inbound.services]
        host = inbound.services[0].hostname
        rule = context.scope.destination_rule(host, context.labels, inbound=True)
        if rule is not None and rule.traffic_policy is not None:
            policy, _ = for_port(rule.traffic_policy, inbound.port.number)
            metadata["config"] = config_path("DestinationRule", rule.namespace, rule.name)
        cluster["metadata"] = {"filter_metadata": {"istio": metadata}}
    policy = with_mesh_defaults(policy, context.mesh)
    pool = _sidecar_pool(context, inbound.number)
    if pool is not None:
        policy = replace(policy or PortPolicy(), connection_pool=pool)
    apply_connection_pool(cluster, options, policy, context.mesh)
    _finish(cluster, options)
    return cluster


def _sidecar_pool(context: Context, number: int) -> ConnectionPoolSettings | None:
    """The connection pool that a Sidecar object sets for calls to its pods; None without one."""
    sidecar = context.scope.sidecar
    if sidecar is None:
        return None
    for listener in sidecar.spec.ingress:
        if listener.port.number == number and listener.connection_pool is not None:
            return listener.connection_pool
    return sidecar.spec.inbound_connection_pool
