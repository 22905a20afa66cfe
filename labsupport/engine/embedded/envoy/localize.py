"""The one step that only the embedded mesh has: from istiod's configuration to proxies that share one machine.

On a cluster every pod has an address of its own, and iptables brings its traffic to its sidecar. Here all pods share
127.0.0.1, so addresses become local ports, and the shape of the listeners changes: one HTTP proxy listener for
requests, one listener for each address that connections are opened to (``captured``), one inbound listener per port
instead of a captured one that matches by destination.
Clusters, endpoints, route tables and the connection managers' settings are istiod's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from labsupport.controlplane.proxies import ProxyResources
from labsupport.controlplane.translate.listeners.chains import HTTP_INSPECTOR
from labsupport.engine.embedded.envoy import captured, httpconn
from labsupport.engine.embedded.envoy.binary import CONTROL_SOCKET
from labsupport.records import JsonObject

__all__ = [
    "LocalResources",
    "LocalizedResources",
    "Needs",
    "Site",
    "collectors",
    "lb_addresses",
    "localize",
    "moved",
    "needs",
    "scope",
]

# A listener waits so long for a certificate before it listens without (15 s in Istio). One that exists comes along with
# the listener; for one that does not, nobody should wait to see what that looks like.
PATIENCE = "0.1s"
# Only reached through captured connections, which do not exist here.
_CAPTURED = frozenset(("PassthroughCluster", "InboundPassthroughCluster"))

_LOOKED_UP = frozenset(("STRICT_DNS", "LOGICAL_DNS"))
_OF_LOOK_UP = frozenset(
    ("dns_lookup_family", "typed_dns_resolver_config", "dns_jitter", "dns_refresh_rate", "respect_dns_ttl")
)
# Weights are whole numbers, and an endpoint's is divided among the pods behind it.
_FINENESS = 1000


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to have a local port before a proxy's resources can be localised.

    Args:
        endpoints: mesh addresses, as (pod address, port).
        inbound: ports on which the proxy's own pod is called.
        gateway: ports on which a gateway listens.
        captured: addresses that the pod's program opens connections to.
        names: hosts with ports that the proxy would look up at a name server.
    """

    endpoints: frozenset[tuple[str, int]]
    inbound: frozenset[int] = frozenset()
    gateway: frozenset[int] = frozenset()
    captured: frozenset[captured.Address] = frozenset()
    names: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Site:
    """Where a proxy and those it calls are on this machine. All values are local ports.

    Args:
        role: sidecar or gateway.
        endpoints: by mesh address (pod address, port).
        outbound: the listener that the pod's program uses as its HTTP proxy.
        inbound: listener by port of the pod.
        app: the program by port of the pod; a port that refuses connections where it does not listen.
        gateway: listener by port of the gateway pod.
        captured: listener by address that the pod's program opens connections to.
        names: what stands behind a host and a port that the proxy would look up; nothing else is ever called.
    """

    role: Literal["sidecar", "gateway"]
    endpoints: Mapping[tuple[str, int], int]
    outbound: int = 0
    inbound: Mapping[int, int] = field(default_factory=dict)
    app: Mapping[int, int] = field(default_factory=dict)
    gateway: Mapping[int, int] = field(default_factory=dict)
    captured: Mapping[captured.Address, int] = field(default_factory=dict)
    names: Mapping[tuple[str, int], Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LocalResources:
    """What one local proxy gets, as proto JSON by name; ``scopes`` choose the route table by port."""

    clusters: Mapping[str, JsonObject] = field(default_factory=dict)
    endpoints: Mapping[str, JsonObject] = field(default_factory=dict)
    listeners: Mapping[str, JsonObject] = field(default_factory=dict)
    scopes: Mapping[str, JsonObject] = field(default_factory=dict)
    routes: Mapping[str, JsonObject] = field(default_factory=dict)


class LocalizedResources:
    """Remembers the localised form of a resource, so that what is shared before is shared after.

    Keys are dict objects by identity; an entry holds its key, which keeps the identity from being reused.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[JsonObject, JsonObject]] = {}
        self._used: set[int] = set()

    def get(self, original: JsonObject, make: Callable[[JsonObject], JsonObject]) -> JsonObject:
        """The localised form of a resource, made when it is first asked for."""
        self._used.add(id(original))
        known = self._kept.get(id(original))
        if known is None:
            known = self._kept[id(original)] = (original, make(original))
        return known[1]

    def forget_unused(self) -> None:
        """Drop what was not asked for since the last call."""
        self._kept = {key: kept for key, kept in self._kept.items() if key in self._used}
        self._used = set()


def lb_addresses(assignment: Mapping[str, Any]) -> Iterator[JsonObject]:
    """The socket addresses among a cluster's endpoints."""
    for locality in assignment.get("endpoints", ()):
        for lb_endpoint in locality.get("lb_endpoints", ()):
            address = lb_endpoint.get("endpoint", {}).get("address", {}).get("socket_address")
            if address is not None:
                yield address


def _inbound_chains(listeners: Mapping[str, JsonObject]) -> Iterator[tuple[int, list[JsonObject]]]:
    """The plaintext filter chains of each port of the pod: one for HTTP, one for connections, or both to choose from.

    istiod gives one inbound listener whose chains match on the captured destination port; chains for ports without a
    Service, and for connections to the capturing port itself, have no use here. TLS that the program speaks itself
    is passed on as other connections are.
    """
    chosen: dict[int, list[JsonObject]] = {}
    for listener in listeners.values():
        if listener.get("traffic_direction") != "INBOUND":
            continue
        own = listener["address"]["socket_address"]["port_value"]
        for chain in listener.get("filter_chains", ()):
            match = chain.get("filter_chain_match", {})
            port = match.get("destination_port")
            if not port or port == own or match.get("transport_protocol") == "tls":
                continue
            chosen.setdefault(port, []).append(chain)
    yield from sorted(chosen.items(), key=lambda item: item[0])


def needs(resources: ProxyResources, role: Literal["sidecar", "gateway"]) -> Needs:
    """List what has to have a local port before these resources can be localised."""
    addresses = {
        (address["address"], address["port_value"])
        for assignment in resources.endpoints.values()
        for address in lb_addresses(assignment)
    }
    names = frozenset(
        (address["address"], address["port_value"])
        for cluster in resources.clusters.values()
        if cluster.get("type") in _LOOKED_UP
        for address in lb_addresses(cluster["load_assignment"])
    )
    if role == "gateway":
        ports = (listener["address"]["socket_address"]["port_value"] for listener in resources.listeners.values())
        return Needs(frozenset(addresses), gateway=frozenset(ports), names=names)
    inbound = frozenset(port for port, _ in _inbound_chains(resources.listeners))
    return Needs(frozenset(addresses), inbound, captured=captured.addresses(resources.listeners), names=names)


def localize(resources: ProxyResources, site: Site, memo: LocalizedResources | None = None) -> LocalResources:
    """Turn istiod's configuration of one proxy into that of a proxy on this machine.

    A pure function: equal arguments give equal results, and nothing given is changed.

    Args:
        resources: as istiod would send them; every pod's address in ``needs(resources)`` is in ``site``.
        site: the local ports.
        memo: shares results between proxies and calls with the same endpoints; may be left out.
    """
    memo = memo or LocalizedResources()

    def move(assignment: JsonObject) -> JsonObject:
        return moved(assignment, site.endpoints)

    endpoints = {name: memo.get(assignment, move) for name, assignment in resources.endpoints.items()}
    # Whatever pods the collector of a cluster would have: the lab itself takes the spans.
    endpoints |= {name: _receiver(name) for name in collectors(resources.listeners) if name in endpoints}

    def local(cluster: JsonObject) -> JsonObject:
        if cluster["name"].startswith("inbound|"):
            return _inbound_cluster(cluster, site.app)
        made = memo.get(cluster, _plaintext)
        return _played(made, site.names) if cluster.get("type") in _LOOKED_UP else made

    clusters = {
        name: local(cluster)
        for name, cluster in resources.clusters.items()
        if name not in _CAPTURED and not _unserved(name, site)
    }
    if site.role == "gateway":
        listeners = [_gateway_listener(listener, site.gateway) for listener in resources.listeners.values()]
        return LocalResources(clusters, endpoints, _named(listeners), {}, dict(resources.routes))
    passing = [captured.listener(resources.listeners, address, port) for address, port in site.captured.items()]
    ports = [name for name in resources.routes if name.isdigit()]
    referred = {table for own in passing for table in _tables(own)}
    asked = [name for name in resources.routes if name.isdigit() or name in referred]
    return LocalResources(
        clusters
        | {captured.cluster_name(address): captured.cluster(address, port) for address, port in site.captured.items()},
        endpoints,
        _named(
            [_outbound_listener(resources.listeners, site), *_inbound_listeners(resources.listeners, site), *passing]
        ),
        {name: scope(name, name) for name in ports},
        {name: resources.routes[name] for name in asked},
    )


def collectors(listeners: Mapping[str, JsonObject]) -> set[str]:
    """The clusters that spans are sent to."""
    found = set()
    for listener in listeners.values():
        for chain in listener.get("filter_chains", ()):
            manager = httpconn.http_connection_manager(chain["filters"]) or {}
            sending = manager.get("tracing", {}).get("provider", {}).get("typed_config", {}).get("grpc_service", {})
            found |= {sending["envoy_grpc"]["cluster_name"]} if sending else set()
    return found


@cache
def _receiver(cluster: str) -> JsonObject:
    address = {"pipe": {"path": CONTROL_SOCKET}}
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}


def _tables(listener: JsonObject) -> Iterator[str]:
    """The route tables that a listener's connection managers refer to."""
    for chain in (*listener["filter_chains"], listener.get("default_filter_chain", {"filters": []})):
        manager = httpconn.http_connection_manager(chain["filters"])
        if manager is not None and "rds" in manager:
            yield manager["rds"]["route_config_name"]


def _unserved(cluster: str, site: Site) -> bool:
    """Whether a cluster is for a port that no listener of captured connections leads to."""
    return cluster.startswith("inbound|") and int(cluster.split("|")[1]) not in site.app


def scope(table: str, *keys: str) -> JsonObject:
    """A scope that leads requests with these key fragments to a route table."""
    return {
        "name": table,
        "route_configuration_name": table,
        "key": {"fragments": [{"string_key": key} for key in keys]},
    }


def _named(listeners: Iterable[JsonObject]) -> dict[str, JsonObject]:
    return {listener["name"]: listener for listener in listeners}


def moved(assignment: JsonObject, ports: Mapping[tuple[str, int], int]) -> JsonObject:
    """The endpoints of a cluster with local addresses instead of mesh addresses; others stay as they are."""

    def endpoint(lb_endpoint: JsonObject) -> JsonObject:
        at = lb_endpoint.get("endpoint", {}).get("address", {}).get("socket_address")
        if at is None or (at["address"], at["port_value"]) not in ports:
            return lb_endpoint
        local = httpconn.local_address(ports[at["address"], at["port_value"]])
        return {**lb_endpoint, "endpoint": {**lb_endpoint["endpoint"], "address": local}}

    if "endpoints" not in assignment:
        return assignment
    return {
        **assignment,
        "endpoints": [
            {**locality, "lb_endpoints": [endpoint(lb_endpoint) for lb_endpoint in locality["lb_endpoints"]]}
            if "lb_endpoints" in locality
            else locality
            for locality in assignment.get("endpoints", ())
        ],
    }


def _played(cluster: JsonObject, names: Mapping[tuple[str, int], Sequence[int]]) -> JsonObject:
    """A cluster of names with the pods of the lab behind them, as kube-proxy puts them behind a Service's address."""

    def endpoints(lb_endpoint: JsonObject) -> list[JsonObject]:
        at = lb_endpoint["endpoint"]["address"]["socket_address"]
        ports = names[at["address"], at["port_value"]]
        weight = max(1, lb_endpoint.get("load_balancing_weight", 1) * _FINENESS // max(1, len(ports)))
        return [
            {
                **lb_endpoint,
                "endpoint": {**lb_endpoint["endpoint"], "address": httpconn.local_address(port)},
                "load_balancing_weight": weight,
            }
            for port in ports
        ]

    made = {key: value for key, value in cluster.items() if key not in _OF_LOOK_UP}
    localities = [
        {**locality, "lb_endpoints": [new for old in locality.get("lb_endpoints", ()) for new in endpoints(old)]}
        for locality in cluster["load_assignment"]["endpoints"]
    ]
    return {**made, "type": "STATIC", "load_assignment": {**cluster["load_assignment"], "endpoints": localities}}


def _plaintext(cluster: JsonObject) -> JsonObject:
    """A cluster without Istio's own filters and without the mesh's mutual TLS, which needs Istio's certificates."""
    made = cluster
    if any(network_filter["name"].startswith("istio.") for network_filter in cluster.get("filters", ())):
        kept = [
            network_filter for network_filter in cluster["filters"] if not network_filter["name"].startswith("istio.")
        ]
        made = {key: value for key, value in made.items() if key != "filters"} | ({"filters": kept} if kept else {})
    matches = cluster.get("transport_socket_matches", ())
    if any(match.get("match", {}).get("tlsMode") == "istio" for match in matches):
        made = {key: value for key, value in made.items() if key != "transport_socket_matches"}
    for key in ("transport_socket", "transport_socket_matches"):
        socket = _with_secrets(made.get(key))
        if socket != made.get(key):
            made = {**made, key: socket}
    return made


def _with_secrets(value: Any) -> Any:
    """The same, with all secrets asked for at the control plane.

    In a pod, Istio's agent serves what is named after a file (``file-root:system``, the authorities of the machine).
    """
    if isinstance(value, dict):
        made = {key: _with_secrets(item) for key, item in value.items()}
        if "sds_config" in made:
            made["sds_config"] = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": PATIENCE}
        return made
    return [_with_secrets(item) for item in value] if isinstance(value, list) else value


def _inbound_cluster(cluster: JsonObject, app: Mapping[int, int]) -> JsonObject:
    port = int(cluster["name"].split("|")[1])
    # ORIGINAL_DST finds the program by the captured destination; here it has an address.
    captured = ("upstream_bind_config", "cleanup_interval", "lb_policy")
    made = {key: value for key, value in _plaintext(cluster).items() if key not in captured}
    made["type"] = "STATIC"
    made["load_assignment"] = {
        "cluster_name": cluster["name"],
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": httpconn.local_address(app[port])}}]}],
    }
    return made


def _outbound_listener(listeners: Mapping[str, JsonObject], site: Site) -> JsonObject:
    manager = httpconn.OUTBOUND
    for listener in listeners.values():
        if listener.get("traffic_direction") != "OUTBOUND" or not listener["name"].startswith("0.0.0.0_"):
            continue
        for chain in listener.get("filter_chains", ()):
            http_connection_manager = httpconn.http_connection_manager(chain["filters"])
            if http_connection_manager is not None and "rds" in http_connection_manager:
                manager = http_connection_manager
    config = httpconn.by_port(httpconn.adapted(manager, "outbound"))
    config["access_log"] = httpconn.access_log("outbound", unless_route=captured.NOT_LOGGED)
    return {
        "name": "outbound",
        "address": httpconn.local_address(site.outbound),
        "traffic_direction": "OUTBOUND",
        "filter_chains": [{"filters": [{"name": httpconn.HCM, "typed_config": config}]}],
    }


def _inbound_listeners(listeners: Mapping[str, JsonObject], site: Site) -> Iterator[JsonObject]:
    for port, chains in _inbound_chains(listeners):
        made: JsonObject = {
            "name": f"inbound_{port}",
            "address": httpconn.local_address(site.inbound[port]),
            "traffic_direction": "INBOUND",
            "filter_chains": [],
        }
        for chain in chains:
            filters = [_inbound_filter(network_filter) for network_filter in httpconn.chain_filters(chain, "inbound")]
            detected = chain["filter_chain_match"].get("application_protocols")
            if detected is None and len(chains) > 1:
                made["default_filter_chain"] = {"filters": filters}
            elif detected is None:
                made["filter_chains"].append({"filters": filters})
            else:
                match = {"application_protocols": detected}
                made["filter_chains"].append({"filter_chain_match": match, "filters": filters})
                made |= {"listener_filters": [HTTP_INSPECTOR], "listener_filters_timeout": "0s"}
                made["continue_on_listener_filters_timeout"] = True
        yield made


def _inbound_filter(network_filter: JsonObject) -> JsonObject:
    if network_filter["name"] != httpconn.HCM:
        return network_filter
    # What a gateway tells of its client comes over mutual TLS in Istio, and is removed where there is none. Here all
    # that calls a sidecar is a proxy of the lab, and each of them removes what its own client claims.
    dropped = "set_current_client_cert_details"
    config = {key: value for key, value in network_filter["typed_config"].items() if key != dropped}
    return {**network_filter, "typed_config": {**config, "forward_client_cert_details": "ALWAYS_FORWARD_ONLY"}}


def _gateway_listener(listener: JsonObject, ports: Mapping[int, int]) -> JsonObject:
    port = listener["address"]["socket_address"]["port_value"]
    made = {**listener, "address": httpconn.local_address(ports[port])}
    chains = []
    for chain in listener.get("filter_chains", ()):
        chain = {
            **chain,
            "filters": [_gateway_filter(chain_filter) for chain_filter in httpconn.chain_filters(chain, "gateway")],
        }
        if "transport_socket" in chain:
            chain["transport_socket"] = _with_secrets(chain["transport_socket"])
        chains.append(chain)
    made["filter_chains"] = chains
    # As in Istio: connections that fit no filter chain, such as one with a server name that nobody serves.
    made["access_log"] = httpconn.connection_log("gateway", flag="NR")
    return made


def _gateway_filter(network_filter: JsonObject) -> JsonObject:
    if network_filter["name"] == httpconn.HCM:
        # A request is followed by the id that its sender gave it; by default an edge proxy replaces it.
        return {
            **network_filter,
            "typed_config": {**network_filter["typed_config"], "preserve_external_request_id": True},
        }
    return httpconn.connections_logged(network_filter, "gateway")
