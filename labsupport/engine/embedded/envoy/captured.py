"""Listeners for connections of a pod that are not requests to its HTTP proxy: one for each address that is called.

On a cluster iptables hands a connection to the sidecar, which looks its listener and filter chain up by the address
that the connection was opened to. Here that address is known beforehand: each has a local port, and of istiod's filter
chains those that fit it. What is chosen by server name or by what the first bytes are stays Envoy's choice.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from labsupport.controlplane.registry.services import UNSPECIFIED
from labsupport.controlplane.translate.names import BLACK_HOLE, PASSTHROUGH, VIRTUAL_OUTBOUND
from labsupport.engine.embedded.envoy import httpconn
from labsupport.records import JsonObject

__all__ = ["NOT_LOGGED", "Address", "addresses", "cluster", "cluster_name", "listener"]

Address = tuple[str, int]
"""What a program connects to: an IP address, ``0.0.0.0`` where none is known, and a port."""

NOT_LOGGED = "connection"
"""Name of the routes that lead requests into a connection: as in Istio the log has the connection, not the request."""

_KEPT = ("listener_filters", "continue_on_listener_filters_timeout", "listener_filters_timeout")


def cluster_name(address: Address) -> str:
    """The cluster that leads an HTTP proxy's requests to the listener of an address."""
    return f"connection|{address[1]}||{address[0]}"


def cluster(address: Address, port: int) -> JsonObject:
    """Lead the requests of a program that knows only its HTTP proxy to the listener of an address.

    Args:
        address: what the program wants to reach.
        port: local port of the listener.
    """
    name = cluster_name(address)
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{httpconn.TYPE}extensions.upstreams.http.v3.HttpProtocolOptions",
                # A connection of the program's own is chosen for by itself.
                "common_http_protocol_options": {"max_requests_per_connection": 1},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": httpconn.local_address(port)}}]}],
        },
    }


def addresses(listeners: Mapping[str, JsonObject]) -> frozenset[Address]:
    """All addresses for which a sidecar's listeners have chains that pass connections on."""
    known = set()
    for original in _outbound(listeners):
        bound = original["address"]["socket_address"]
        port = bound["port_value"]
        names = {bound["address"]}
        if bound["address"] == UNSPECIFIED:
            names |= {block["address_prefix"] for chain in _chains(original) for block in _blocks(chain)}
        known |= {(name, port) for name in names if any(map(_passes_on, _fitting(original, name)))}
    return frozenset(known)


def listener(listeners: Mapping[str, JsonObject], address: Address, port: int) -> JsonObject:
    """The listener of one address.

    Args:
        listeners: of istiod, with this address among their ``addresses``.
        address: what connections are opened to.
        port: local port to listen on.
    """
    bound = {
        original["address"]["socket_address"]["address"]: original
        for original in _outbound(listeners)
        if original["address"]["socket_address"]["port_value"] == address[1]
    }
    theirs = bound[address[0]] if address[0] in bound else bound[UNSPECIFIED]
    made: JsonObject = {
        "name": f"{address[0]}_{address[1]}",
        "address": httpconn.local_address(port),
        "traffic_direction": "OUTBOUND",
        **{key: theirs[key] for key in _KEPT if key in theirs},
        "filter_chains": [],
        "access_log": httpconn.connection_log("outbound", flag="NR"),
    }
    for chain in _fitting(theirs, address[0]):
        match = {key: value for key, value in chain.get("filter_chain_match", {}).items() if key != "prefix_ranges"}
        kept = {key: value for key, value in chain.items() if key != "filter_chain_match"}
        kept["filters"] = [
            httpconn.connections_logged(network_filter, "outbound")
            for network_filter in httpconn.chain_filters(chain, "outbound")
        ]
        if match:
            made["filter_chains"].append({**kept, "filter_chain_match": match})
        else:
            made["default_filter_chain"] = kept
    if not made["filter_chains"]:
        made["filter_chains"] = [made.pop("default_filter_chain")]
    return made


def _outbound(listeners: Mapping[str, JsonObject]) -> Iterator[JsonObject]:
    for original in listeners.values():
        captured = original.get("traffic_direction") == "OUTBOUND" and original["name"] != VIRTUAL_OUTBOUND
        if captured and "socket_address" in original["address"]:
            yield original


def _chains(original: JsonObject) -> list[JsonObject]:
    default = original.get("default_filter_chain")
    return [*original.get("filter_chains", ()), *([default] if default is not None else [])]


def _blocks(chain: Mapping[str, Any]) -> list[JsonObject]:
    blocks: list[JsonObject] = chain.get("filter_chain_match", {}).get("prefix_ranges", [])
    return blocks


def _fitting(original: JsonObject, address: str) -> list[JsonObject]:
    """The chains for an address: as in Envoy, those of the smallest block that has it, and the default one."""
    rank = {id(chain): _closeness(chain, address) for chain in original.get("filter_chains", ())}
    best = max(rank.values(), default=-1)
    default = original.get("default_filter_chain")
    chosen = [chain for chain in original.get("filter_chains", ()) if rank[id(chain)] == best >= 0]
    everything = any(not set(chain.get("filter_chain_match", {})) - {"prefix_ranges"} for chain in chosen)
    return chosen if everything or default is None else [*chosen, default]


def _closeness(chain: Mapping[str, Any], address: str) -> int:
    """Length of the smallest block of a chain that has an address: 0 for a chain without any, -1 if none has it."""
    blocks = _blocks(chain)
    if not blocks:
        return 0
    own = ipaddress.ip_address(address)
    lengths = [
        block["prefix_len"]
        for block in blocks
        if own in ipaddress.ip_network(f"{block['address_prefix']}/{block['prefix_len']}", strict=False)
    ]
    return max(lengths, default=-1)


def _passes_on(chain: Mapping[str, Any]) -> bool:
    """Whether a chain leads connections anywhere that rules or services know."""
    return any(
        network_filter["name"] == httpconn.TCP_PROXY
        and network_filter["typed_config"].get("cluster") not in (BLACK_HOLE, PASSTHROUGH)
        for network_filter in chain["filters"]
    )
