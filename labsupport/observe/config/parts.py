"""Which parts of a proxy's configuration come from an object, shortened to what decides about a request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from labsupport.model.schema.base import Resource
from labsupport.model.writing.lines import Path
from labsupport.observe.config.listeners import chains_of_rule, chains_to, gateway_listeners, in_scope, origin, pruned
from labsupport.records import EnvoyConfig, Json

__all__ = ["ConfigPart", "find_parts"]

_UNLIMITED = 4294967295

# Istio's defaults: pilot/pkg/networking/core/route/retry and the mesh configuration's connectTimeout.
_DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_DEFAULT_CONNECT_TIMEOUT = "10s"

# Single fields that Istio sets to these values whatever a rule says: values that no manifest of such a rule states.
_DEFAULTS = {
    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    "case_sensitive": True,
    "disable_shadow_host_suffix_append": True,
    "enforcing_consecutive_5xx": 100,
    "enforcing_success_rate": 0,
    "filter_enabled": {"default_value": {"numerator": 100}},
    "forward_not_matching_preflights": True,
    "minimum_ring_size": "1024",
    "trace_sampled": False,
}

# What says nothing about where a request goes or how it is treated.
_ROUTE_NOISE = frozenset({"metadata", "decorator", "stat_prefix"})
_ACTION_NOISE = frozenset({"max_grpc_timeout"})
# What is read first comes first; everything else follows in Envoy's order.
_ROUTE_ORDER = ("name", "match", "redirect", "direct_response", "route", "typed_per_filter_config")
_ACTION_ORDER = (
    *("cluster", "weighted_clusters", "prefix_rewrite", "regex_rewrite", "host_rewrite_literal", "timeout"),
    *("retry_policy", "request_mirror_policies", "hash_policy"),
)
_RETRY_NOISE = frozenset({"host_selection_retry_max_attempts", "retry_host_predicate"})
_CLUSTER_SHOWN = (
    *("name", "type", "lb_policy", "least_request_lb_config", "ring_hash_lb_config", "maglev_lb_config"),
    *("connect_timeout", "max_requests_per_connection", "circuit_breakers", "outlier_detection"),
    *("typed_extension_protocol_options", "common_lb_config", "upstream_connection_options", "transport_socket"),
)
_CLUSTER_BRIEF = ("name", "lb_policy")


@dataclass(frozen=True, slots=True)
class ConfigPart:
    """One piece of configuration.

    Args:
        title: what it is, in Envoy's words.
        content: the piece, shortened.
        xds: the xDS type it came with.
        missing: what a request will miss here; empty if nothing.
        explicit: whether the manifest itself states a load balancing policy.
        alike: titles of parts with the same content, but for their names.
    """

    title: str
    content: Mapping[str, Json]
    xds: str
    missing: str = ""
    explicit: bool = False
    alike: tuple[str, ...] = ()

    def is_default(self, path: Path, value: Any) -> bool:
        """Whether Istio added a field that the manifest does not have."""
        last = path[-1]
        if last in _DEFAULTS:
            return bool(value == _DEFAULTS[str(last)])
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


def find_parts(resource: Resource, raw: Mapping[str, Json], config: EnvoyConfig) -> list[ConfigPart]:
    """Parts of a proxy's configuration that come from an object, each once.

    Args:
        resource: a VirtualService, DestinationRule, Gateway, ServiceEntry, Sidecar or Service.
        raw: the same as it was written.
        config: what the proxy holds.

    Returns:
        Parts in the order in which a request meets them; of several that differ in their names alone, the first, which
        names the others.
    """
    parts: list[ConfigPart] = []
    places: dict[str, int] = {}
    for part in _every_part(resource, raw, config):
        key = json.dumps(
            [{field: value for field, value in part.content.items() if field not in ("name", "domains")}, part.missing]
        )
        named = {"domains", "name"} & part.content.keys()
        place = places.get(key)
        if place is None or not named or "(missing)" in part.title:
            places.setdefault(key, len(parts))
            parts.append(part)
        elif len(_domains(part)) > len(_domains(parts[place])):
            # The table with the short names is the one that most requests meet.
            parts[place] = replace(part, alike=(*parts[place].alike, parts[place].title))
        elif part.title not in (parts[place].title, *parts[place].alike):
            parts[place] = replace(parts[place], alike=(*parts[place].alike, part.title))
    return parts


def _domains(part: ConfigPart) -> tuple[Any, ...]:
    return tuple(part.content.get("domains", ()))


def _every_part(resource: Resource, raw: Mapping[str, Json], config: EnvoyConfig) -> list[ConfigPart]:
    if resource.kind == "VirtualService":
        return _of_virtual_service(resource, raw, config)
    if resource.kind == "DestinationRule":
        own = [cluster for cluster in config.clusters.values() if origin(cluster, resource)]
        policy = (raw.get("spec") or {}).get("trafficPolicy") or {}
        subsets = (raw.get("spec") or {}).get("subsets") or ()
        explicit = any(
            "loadBalancer" in (part or {}) for part in (policy, *(subset.get("trafficPolicy") for subset in subsets))
        )
        hashed = _hash_policies({str(cluster["name"]) for cluster in own}, config)
        return [*hashed, *(_cluster(cluster, config, explicit=explicit) for cluster in own)]
    if resource.kind == "Gateway":
        return _of_gateway(resource, raw, config)
    if resource.kind == "ServiceEntry":
        return _of_service_entry(raw, config)
    if resource.kind == "Sidecar":
        return [ConfigPart(*piece) for piece in in_scope(raw, config)]
    namespace = resource.namespace or "default"
    host = f"{resource.name}.{namespace}."
    return [
        _cluster(cluster, config)
        for name, cluster in config.clusters.items()
        if name.startswith("outbound|") and f"{name.split('|')[-1]}.".startswith(host) and not name.split("|")[2]
    ]


def _hash_policies(clusters: set[str], config: EnvoyConfig) -> list[ConfigPart]:
    """The part of a ``consistentHash`` that Envoy has in its routes: what is hashed."""
    parts = []
    for table, value in config.routes.items():
        for host in value.get("virtual_hosts", ()):
            for route in host.get("routes", ()):
                policy = (route.get("route") or {}).get("hash_policy")
                if policy and clusters & set(_clusters_of(route)):
                    content = {"name": str(host["name"]), "hash_policy": pruned(policy)}
                    parts.append(ConfigPart(f"route table {table}, virtual host {host['name']}", content, "RDS"))
    return parts


def _of_virtual_service(resource: Resource, raw: Mapping[str, Json], config: EnvoyConfig) -> list[ConfigPart]:
    ranked: list[tuple[bool, str, ConfigPart, list[str]]] = []
    status: dict[str, int] = {}
    for table_name, table in config.routes.items():
        for host in table.get("virtual_hosts", ()):
            routes = [route for route in host.get("routes", ()) if origin(route, resource)]
            if not routes:
                continue
            content = {"domains": _short_domains(host["domains"]), "routes": [_route(route) for route in routes]}
            named = [name for route in routes for name in _clusters_of(route)]
            status |= {name: _not_found(route) for route in routes for name in _clusters_of(route)}
            part = ConfigPart(f"route table {table_name}, virtual host {host['name']}", content, "RDS")
            ranked.append((any(name in config.clusters for name in named), table_name, part, named))
    # Istio puts a rule into the table of port 80 as well, whatever the ports of its hosts are. Where no such cluster
    # exists, that copy says nothing about any request that somebody sends.
    if any(known for known, *_ in ranked):
        ranked = [entry for entry in ranked if entry[0]]
    elif any(table_name != "80" for _, table_name, *_ in ranked):
        ranked = [entry for entry in ranked if entry[1] != "80"]
    chains = list(chains_of_rule(resource, raw, config))
    named_by = [*(entry[3] for entry in ranked), *(entry[2] for entry in chains)]
    clusters = dict.fromkeys(name for named in named_by for name in named)
    parts = [part for _, _, part, _ in ranked]
    parts += [ConfigPart(f"listener {name}, filter chain", content, "LDS") for name, content, _ in chains]
    return parts + [
        _cluster(config.clusters[name], config, brief=True)
        if name in config.clusters
        else ConfigPart(
            f"cluster {name} (missing)",
            {"name": name},
            "CDS",
            f"This proxy has no cluster {name}: such a request gets {status.get(name, 503)} NC.",
        )
        for name in clusters
    ]


def _of_gateway(resource: Resource, raw: Mapping[str, Json], config: EnvoyConfig) -> list[ConfigPart]:
    hosts = {
        str(host).split("/")[-1]
        for server in (raw.get("spec") or {}).get("servers") or ()
        for host in server.get("hosts") or ()
    }
    parts, tables = [], []
    for name, content, used in gateway_listeners(resource, raw, config):
        parts.append(ConfigPart(f"listener {name}", content, "LDS"))
        tables += used
    for name in dict.fromkeys(tables):
        virtual = [
            {
                "name": host["name"],
                "domains": _short_domains(host["domains"]),
                **({"require_tls": host["require_tls"]} if "require_tls" in host else {}),
                "routes": len(host.get("routes", ())),
            }
            for host in config.routes.get(name, {}).get("virtual_hosts", ())
            if "*" in hosts or hosts & {*host["domains"], "*"}
        ]
        if virtual:
            parts.append(ConfigPart(f"route table {name}", {"virtual_hosts": virtual}, "RDS"))
    return parts


def _of_service_entry(raw: Mapping[str, Json], config: EnvoyConfig) -> list[ConfigPart]:
    hosts = {str(host) for host in (raw.get("spec") or {}).get("hosts") or ()}
    parts = [
        ConfigPart(
            f"route table {table}, virtual host {host['name']}",
            {"domains": _short_domains(host["domains"]), "routes": [_route(route) for route in host.get("routes", ())]},
            "RDS",
        )
        for table, value in config.routes.items()
        for host in value.get("virtual_hosts", ())
        if hosts & set(host["domains"])
    ]
    parts += [ConfigPart(f"listener {name}, filter chain", chain, "LDS") for name, chain in chains_to(hosts, config)]
    return parts + [
        _cluster(cluster, config)
        for name, cluster in config.clusters.items()
        if name.startswith("outbound|") and name.split("|")[-1] in hosts and not name.split("|")[2]
    ]


def _route(route: Mapping[str, Json]) -> dict[str, Any]:
    short = _ordered({key: pruned(value) for key, value in route.items() if key not in _ROUTE_NOISE}, _ROUTE_ORDER)
    if isinstance(action := short.get("route"), Mapping):
        short["route"] = _ordered(
            {field: value for field, value in action.items() if field not in _ACTION_NOISE}, _ACTION_ORDER
        )
        if isinstance(retry := action.get("retry_policy"), Mapping):
            short["route"]["retry_policy"] = {key: value for key, value in retry.items() if key not in _RETRY_NOISE}
    return short


def _ordered(value: Mapping[str, Json], first: Iterable[str]) -> dict[str, Any]:
    begun = {key: value[key] for key in first if key in value}
    return begun | {key: item for key, item in value.items() if key not in begun}


def _cluster(
    cluster: Mapping[str, Json], config: EnvoyConfig, *, explicit: bool = False, brief: bool = False
) -> ConfigPart:
    name = str(cluster["name"])
    wanted = _CLUSTER_BRIEF if brief else _CLUSTER_SHOWN
    # Proto JSON leaves out the first value of an enum, which says more here than its absence.
    full = {"lb_policy": "ROUND_ROBIN"} | dict(cluster)
    short = {key: pruned(full[key]) for key in wanted if key in full}
    short = {key: value for key, value in short.items() if value not in ({}, [])}
    service = str((cluster.get("eds_cluster_config") or {}).get("service_name", name))
    assignment = config.endpoints.get(service)
    missing = ""
    if (own := cluster.get("load_assignment")) and not brief:
        # Names of the Internet, which a cluster holds itself and looks up.
        ends = [item["endpoint"]["address"] for group in own.get("endpoints", ()) for item in group["lb_endpoints"]]
        sockets = [end.get("socket_address", {}) for end in ends]
        short["endpoints"] = [f"{socket.get('address')}:{socket.get('port_value')}" for socket in sockets]
    if assignment is not None:
        known = [
            _endpoint(item, group.get("priority", 0))
            for group in assignment.get("endpoints", ())
            for item in group["lb_endpoints"]
        ]
        short["endpoints"] = [f"{count} × {text}" if count > 1 else text for text, count in Counter(known).items()]
        if not known:
            missing = f"Cluster {name} has no endpoint: such a request gets 503 UH."
    return ConfigPart(f"cluster {name}", short, "CDS", missing, explicit)


def _endpoint(item: Mapping[str, Json], priority: int) -> str:
    """A workload, whether it takes traffic, and if only after others; the address, where istiod names no workload."""
    workload = item.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("workload", "")
    socket = item.get("endpoint", {}).get("address", {}).get("socket_address", {})
    name = workload.split(";")[0] or f"{socket.get('address', 'unknown')}:{socket.get('port_value', 'unknown')}"
    health = str(item.get("health_status", "HEALTHY")).lower()
    return f"{name} ({health}, priority {priority})" if priority else f"{name} ({health})"


def _clusters_of(route: Mapping[str, Json]) -> Iterable[str]:
    action = route.get("route") or {}
    if "cluster" in action:
        yield str(action["cluster"])
    for entry in (action.get("weighted_clusters") or {}).get("clusters", ()):
        yield str(entry["name"])
    for policy in action.get("request_mirror_policies", ()):
        yield str(policy["cluster"])


def _not_found(route: Mapping[str, Json]) -> int:
    """The status of a request whose cluster is not there: Envoy's ``cluster_not_found_response_code``."""
    told = (route.get("route") or {}).get("cluster_not_found_response_code")
    return 500 if told == "INTERNAL_SERVER_ERROR" else 503


def _short_domains(domains: list[str]) -> list[str]:
    """The domains without the variants that end in a dot."""
    return [domain for domain in domains if not domain.endswith(".")]
