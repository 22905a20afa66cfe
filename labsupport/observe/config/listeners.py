"""Which filter chains and names of a proxy's configuration come from an object: TCP and TLS rules, Gateway, Sidecar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from labsupport.controlplane.translate.names import kebab
from labsupport.model.schema.base import Resource
from labsupport.records import EnvoyConfig, Json

__all__ = ["chains_of_rule", "chains_to", "gateway_listeners", "in_scope", "origin", "pruned"]

# What says nothing about where a connection goes, or whose certificate is shown.
_NOISE = frozenset({"@type", "sds_config", "stat_prefix", "access_log", "metadata", "transport_socket_connect_timeout"})
_HIDDEN = frozenset({"inline_bytes", "private_key", "password", "private_key_provider"})


def origin(item: Mapping[str, Json], resource: Resource) -> bool:
    """Whether Istio's own note on a route, cluster or filter chain names this object.

    It is in ``filter_metadata.istio.config``.
    """
    config = item.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")
    namespace = f"namespaces/{resource.namespace}/" if resource.namespace else ""
    end = f"{kebab(resource.kind)}/{resource.name}"
    return bool(config.endswith(f"/{namespace}{end}"))


def chains_of_rule(
    resource: Resource, raw: Mapping[str, Json], config: EnvoyConfig
) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Filter chains that come from the ``tcp`` and ``tls`` rules of a VirtualService.

    Args:
        resource: the VirtualService.
        raw: the same as it was written.
        config: what the proxy holds.

    Yields:
        The listener's name, the chain in short, and the clusters that it names.
    """
    spec = raw.get("spec") or {}
    names = {
        str(host) for rule in spec.get("tls") or () for match in rule.get("match") or () for host in match["sniHosts"]
    }
    if not names and not spec.get("tcp"):
        return
    for listener, chain in _chains(config):
        wanted = set(chain.get("filter_chain_match", {}).get("server_names", ()))
        clusters = list(_tcp_clusters(chain))
        # A gateway's chain carries no note, but the names that the rule is for.
        if clusters and (origin(chain, resource) or (names & wanted and not chain.get("metadata"))):
            yield listener, _short(chain), clusters


def chains_to(hosts: Iterable[str], config: EnvoyConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """Filter chains that lead to clusters of some hosts, by the names of their listeners."""
    wanted = set(hosts)
    for listener, chain in _chains(config):
        if any(name.split("|")[-1] in wanted for name in _tcp_clusters(chain)):
            yield listener, _short(chain)


def gateway_listeners(
    resource: Resource, raw: Mapping[str, Json], config: EnvoyConfig
) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Listeners that a Gateway opened, with the filter chains that are its own.

    Yields:
        The listener's name, the listener in short, and the route tables that it uses.
    """
    servers = [server or {} for server in (raw.get("spec") or {}).get("servers") or ()]
    hosts = {str(host).split("/")[-1] for server in servers for host in server.get("hosts") or ()}
    own = f".{resource.name}.{resource.namespace or 'default'}"
    plain = {
        table for table, value in config.routes.items() if not table.startswith("https.") and _serves(value, hosts)
    }
    for name, listener in config.listeners.items():
        chains, tables = [], []
        for chain in listener.get("filter_chains", ()):
            used = list(_tables(chain))
            names = set(chain.get("filter_chain_match", {}).get("server_names", ()))
            mine = any(table.endswith(own) for table in used) or bool(plain & set(used))
            if mine or (not used and (names & hosts or (not names and "*" in hosts))):
                chains.append(_short(chain))
                tables += used
        if chains:
            port = listener.get("address", {}).get("socket_address", {}).get("port_value")
            yield name, {"name": name, "port": port, "filter_chains": chains}, tables


def in_scope(raw: Mapping[str, Json], config: EnvoyConfig) -> Iterator[tuple[str, dict[str, Any], str]]:
    """What a Sidecar left in a proxy, and what it opened.

    Yields:
        A title, the piece, and the xDS type that it came with.
    """
    spec = raw.get("spec") or {}
    for ingress in spec.get("ingress") or ():
        port = (ingress.get("port") or {}).get("number")
        for name, cluster in config.clusters.items():
            if name.startswith(f"inbound|{port}|"):
                ends = [item["endpoint"]["address"] for group in _groups(cluster) for item in group["lb_endpoints"]]
                yield f"cluster {name} (ingress)", {"name": name, "endpoints": [pruned(end) for end in ends]}, "CDS"
    tables = {
        table: sorted(host["name"] for host in value.get("virtual_hosts", ()))
        for table, value in config.routes.items()
        if not table.startswith("inbound|")
    }
    clusters = sorted(name for name in config.clusters if name.startswith("outbound|"))
    yield "outbound clusters that are left", {"clusters": clusters}, "CDS"
    if tables:
        yield "virtual hosts that are left, by route table", tables, "RDS"
    for table in config.routes.values():
        for host in table.get("virtual_hosts", ()):
            if host["name"] in ("block_all", "allow_any"):
                routes = [
                    pruned({key: value for key, value in route.items() if key != "name"})
                    for route in host.get("routes", ())
                ]
                rest = {"name": host["name"], "domains": list(host["domains"]), "routes": routes}
                yield "virtual host for every other name", rest, "RDS"
                return


def _groups(cluster: Mapping[str, Json]) -> Iterable[Mapping[str, Json]]:
    groups: Iterable[Mapping[str, Json]] = (cluster.get("load_assignment") or {}).get("endpoints", ())
    return groups


def _chains(config: EnvoyConfig) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for name, listener in config.listeners.items():
        for chain in listener.get("filter_chains", ()):
            yield name, chain


def _filters(chain: Mapping[str, Json], kind: str) -> Iterator[Mapping[str, Json]]:
    for entry in chain.get("filters", ()):
        if entry.get("name") == f"envoy.filters.network.{kind}":
            yield entry.get("typed_config") or {}


def _tables(chain: Mapping[str, Json]) -> Iterator[str]:
    for manager in _filters(chain, "http_connection_manager"):
        if "rds" in manager:
            yield str(manager["rds"]["route_config_name"])


def _tcp_clusters(chain: Mapping[str, Json]) -> Iterator[str]:
    for proxy in _filters(chain, "tcp_proxy"):
        if "cluster" in proxy:
            yield str(proxy["cluster"])
        for entry in (proxy.get("weighted_clusters") or {}).get("clusters", ()):
            yield str(entry["name"])


def _serves(table: Mapping[str, Json], hosts: set[str]) -> bool:
    domains = {str(domain) for host in table.get("virtual_hosts", ()) for domain in host["domains"]}
    return "*" in hosts or bool(domains & {*hosts, "*"})


def _short(chain: Mapping[str, Json]) -> dict[str, Any]:
    """A filter chain without what every chain has."""
    made: dict[str, Any] = {}
    if match := chain.get("filter_chain_match"):
        made["filter_chain_match"] = pruned(match)
    if socket := (chain.get("transport_socket") or {}).get("typed_config"):
        made["transport_socket"] = pruned(socket)
    if tables := list(_tables(chain)):
        made["http_connection_manager"] = {"rds": {"route_config_name": tables[0]}}
    for proxy in _filters(chain, "tcp_proxy"):
        made["tcp_proxy"] = pruned(proxy)
    return made


def pruned(value: Any) -> Any:
    """A piece of configuration without noise, and without anything that is to be kept secret."""
    if isinstance(value, Mapping):
        return {
            key: "(hidden)" if key in _HIDDEN else pruned(item)
            for key, item in value.items()
            if key not in _NOISE and item != {}
        }
    if isinstance(value, list | tuple):
        return [pruned(item) for item in value]
    return value
