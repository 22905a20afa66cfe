"""Which parts of a proxy's configuration come from an object, shortened to what decides about a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from labsupport.config_lines import Path
from labsupport.engine.base import ProxyConfig
from labsupport.model.base import Resource

__all__ = ["Part", "find_parts"]

Json = Mapping[str, Any]

_KEBAB = {"VirtualService": "virtual-service", "DestinationRule": "destination-rule", "Gateway": "gateway"}
_UNLIMITED = 4294967295

# Istio's defaults: pilot/pkg/networking/core/route/retry and the mesh configuration's connectTimeout.
_DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_DEFAULT_CONNECT_TIMEOUT = "10s"

# What says nothing about where a request goes or how it is treated.
_ROUTE_NOISE = frozenset({"metadata", "decorator", "stat_prefix"})
_ACTION_NOISE = frozenset({"max_grpc_timeout"})
_RETRY_NOISE = frozenset({"host_selection_retry_max_attempts", "retry_host_predicate"})
_CLUSTER_SHOWN = (
    *("name", "type", "lb_policy", "least_request_lb_config", "ring_hash_lb_config", "maglev_lb_config"),
    *("connect_timeout", "max_requests_per_connection", "circuit_breakers", "outlier_detection"),
    *("typed_extension_protocol_options", "common_lb_config", "upstream_connection_options"),
)
_CLUSTER_BRIEF = ("name", "lb_policy")


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of configuration.

    Args:
        title: what it is, in Envoy's words.
        content: the piece, shortened.
        xds: the xDS type it came with.
        missing: what a request will miss here; empty if nothing.
        explicit: whether the manifest itself states a load balancing policy.
    """

    title: str
    content: Json
    xds: str
    missing: str = ""
    explicit: bool = False

    def is_default(self, path: Path, value: Any) -> bool:
        """Whether Istio added a field that the manifest does not have."""
        last = path[-1]
        if last == "timeout":
            # 0s switches the timeout off, and is refused in a manifest: it can only be the default.
            return bool(value == "0s")
        if last == "retry_policy":
            return bool(value.get("retry_on") == _DEFAULT_RETRY_ON and value.get("num_retries") == 2)
        if last == "connect_timeout":
            return bool(value == _DEFAULT_CONNECT_TIMEOUT)
        if last == "lb_policy":
            return value == "LEAST_REQUEST" and not self.explicit
        if last == "circuit_breakers":
            return all(limit == _UNLIMITED for threshold in value.get("thresholds", ()) for limit in threshold.values())
        return bool(value == _UNLIMITED)


def find_parts(resource: Resource, raw: Json, config: ProxyConfig) -> list[Part]:
    """Parts of a proxy's configuration that come from an object, in the order in which a request meets them.

    Args:
        resource: a VirtualService, DestinationRule, Gateway or Service.
        raw: the same as it was written.
        config: what the proxy holds.
    """
    if resource.kind == "VirtualService":
        return _of_virtual_service(resource, config)
    if resource.kind == "DestinationRule":
        own = [cluster for cluster in config.clusters.values() if _is_origin(cluster, resource)]
        policy = (raw.get("spec") or {}).get("trafficPolicy") or {}
        subsets = (raw.get("spec") or {}).get("subsets") or ()
        explicit = any("loadBalancer" in (part or {}) for part in (policy, *(s.get("trafficPolicy") for s in subsets)))
        return [_cluster(cluster, config, explicit=explicit) for cluster in own]
    if resource.kind == "Gateway":
        return _of_gateway(raw, config)
    namespace = resource.namespace or "default"
    host = f"{resource.name}.{namespace}."
    return [
        _cluster(cluster, config)
        for name, cluster in config.clusters.items()
        if name.startswith("outbound|") and f"{name.split('|')[-1]}.".startswith(host) and not name.split("|")[2]
    ]


def _of_virtual_service(resource: Resource, config: ProxyConfig) -> list[Part]:
    found: list[tuple[bool, str, Part, list[str]]] = []
    for table_name, table in config.routes.items():
        for host in table.get("virtual_hosts", ()):
            routes = [route for route in host.get("routes", ()) if _is_origin(route, resource)]
            if not routes:
                continue
            content = {"domains": _short_domains(host["domains"]), "routes": [_route(route) for route in routes]}
            named = [name for route in routes for name in _clusters_of(route)]
            part = Part(f"route table {table_name}, virtual host {host['name']}", content, "RDS")
            found.append((any(name in config.clusters for name in named), table_name, part, named))
    # Istio puts a rule into the table of port 80 as well, whatever the ports of its hosts are. Where no such cluster
    # exists, that copy says nothing about any request that somebody sends.
    if any(known for known, *_ in found):
        found = [entry for entry in found if entry[0]]
    elif any(table_name != "80" for _, table_name, *_ in found):
        found = [entry for entry in found if entry[1] != "80"]
    clusters = dict.fromkeys(name for *_, named in found for name in named)
    return [part for _, _, part, _ in found] + [
        _cluster(config.clusters[name], config, brief=True)
        if name in config.clusters
        else Part(
            f"cluster {name} (missing)",
            {"name": name},
            "CDS",
            f"This proxy has no cluster {name}: such a request gets 503 NC.",
        )
        for name in clusters
    ]


def _of_gateway(raw: Json, config: ProxyConfig) -> list[Part]:
    hosts = {
        str(host).split("/")[-1] for server in (raw.get("spec") or {}).get("servers", ()) for host in server["hosts"]
    }
    parts = []
    for name, listener in config.listeners.items():
        tables = sorted({value["route_config_name"] for value in _find(listener, "rds")})
        if tables:
            address = listener.get("address", {}).get("socket_address", {})
            content = {"name": name, "port": address.get("port_value"), "route_config_names": tables}
            parts.append(Part(f"listener {name}", content, "LDS"))
    for name, table in config.routes.items():
        virtual = [
            {"name": host["name"], "domains": list(host["domains"]), "routes": len(host.get("routes", ()))}
            for host in table.get("virtual_hosts", ())
            if "*" in hosts or hosts & {*host["domains"], "*"}
        ]
        if virtual:
            parts.append(Part(f"route table {name}", {"virtual_hosts": virtual}, "RDS"))
    return parts


def _is_origin(item: Json, resource: Resource) -> bool:
    """Whether Istio's own note on a route or cluster names this object (``filter_metadata.istio.config``)."""
    config = item.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")
    namespace = f"namespaces/{resource.namespace}/" if resource.namespace else ""
    end = f"{_KEBAB[resource.kind]}/{resource.name}"
    return bool(config.endswith(f"/{namespace}{end}"))


def _route(route: Json) -> dict[str, Any]:
    short = {key: value for key, value in route.items() if key not in _ROUTE_NOISE}
    if isinstance(action := short.get("route"), Mapping):
        short["route"] = {key: value for key, value in action.items() if key not in _ACTION_NOISE}
        if isinstance(retry := action.get("retry_policy"), Mapping):
            short["route"]["retry_policy"] = {key: value for key, value in retry.items() if key not in _RETRY_NOISE}
    return short


def _cluster(cluster: Json, config: ProxyConfig, *, explicit: bool = False, brief: bool = False) -> Part:
    name = str(cluster["name"])
    wanted = _CLUSTER_BRIEF if brief else _CLUSTER_SHOWN
    # Proto JSON leaves out the first value of an enum, which says more here than its absence.
    full = {"lb_policy": "ROUND_ROBIN"} | dict(cluster)
    short = {key: full[key] for key in wanted if key in full and full[key] not in ({}, [])}
    if short.get("common_lb_config") == {"healthy_panic_threshold": {}}:
        del short["common_lb_config"]
    service = str((cluster.get("eds_cluster_config") or {}).get("service_name", name))
    assignment = config.endpoints.get(service)
    missing = ""
    if assignment is not None:
        endpoints = [_endpoint(item) for group in assignment.get("endpoints", ()) for item in group["lb_endpoints"]]
        short["endpoints"] = endpoints
        if not endpoints:
            missing = f"Cluster {name} has no endpoint: such a request gets 503 UH."
    return Part(f"cluster {name}", short, "CDS", missing, explicit)


def _endpoint(item: Json) -> str:
    """A workload and whether it takes traffic; addresses differ between engines and say nothing to a learner."""
    workload = item.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("workload", "")
    socket = item.get("endpoint", {}).get("address", {}).get("socket_address", {})
    name = workload.split(";")[0] or f"port {socket.get('port_value', 'unknown')}"
    health = str(item.get("health_status", "HEALTHY")).lower()
    return f"{name} ({health})"


def _clusters_of(route: Json) -> Iterable[str]:
    action = route.get("route") or {}
    if "cluster" in action:
        yield str(action["cluster"])
    for entry in (action.get("weighted_clusters") or {}).get("clusters", ()):
        yield str(entry["name"])
    for policy in action.get("request_mirror_policies", ()):
        yield str(policy["cluster"])


def _short_domains(domains: list[str]) -> list[str]:
    """The domains without the variants that end in a dot."""
    return [domain for domain in domains if not domain.endswith(".")]


def _find(value: Any, key: str) -> Iterable[Any]:
    if isinstance(value, Mapping):
        if key in value:
            yield value[key]
        for below in value.values():
            yield from _find(below, key)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _find(below, key)
