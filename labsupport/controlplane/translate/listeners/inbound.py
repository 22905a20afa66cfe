"""Listeners of a sidecar for calls to its own pod; VirtualServices play no part here."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.controlplane.registry.services import UNSPECIFIED
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.inbound import InboundPort, inbound_ports
from labsupport.controlplane.translate.listeners.chains import HTTP_INSPECTOR, PLAINTEXT_HTTP, TLS_INSPECTOR
from labsupport.controlplane.translate.listeners.http import inbound_manager
from labsupport.controlplane.translate.listeners.network import destination_filters, tcp_proxy
from labsupport.controlplane.translate.listeners.outbound import RESERVED_PORTS
from labsupport.controlplane.translate.names import (
    BLACK_HOLE,
    INBOUND_PASSTHROUGH,
    VIRTUAL_INBOUND,
    inbound_cluster,
    listener_name,
    socket_address,
)
from labsupport.model.protocols import is_grpc, is_http2, listener_kind
from labsupport.records import JsonObject

__all__ = ["inbound_listeners"]

INBOUND_PORT = 15006
_ORIGINAL_DST: JsonObject = {
    "name": "envoy.filters.listener.original_dst",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"},
}


def inbound_listeners(context: Context) -> dict[str, JsonObject]:
    """The listener ``virtualInbound``, with a chain per port of the pod and what passes all other ports on.

    Ports of a Sidecar's ``ingress`` with ``captureMode: NONE`` have listeners of their own. Chains for mutual TLS
    between sidecars are left out.
    """
    ports = [port for port in inbound_ports(context) if port.number not in RESERVED_PORTS]
    shared = [port for port in ports if not port.bind_to_port]
    chains = _passthrough()
    for port in shared:
        chains += _chains(port)
    listeners = {VIRTUAL_INBOUND: _listener(VIRTUAL_INBOUND, UNSPECIFIED, INBOUND_PORT, chains)}
    listeners[VIRTUAL_INBOUND]["listener_filters"] = _listener_filters(shared)
    for port in ports:
        if port.bind_to_port:
            name = listener_name(port.bind, port.number)
            listeners[name] = _listener(name, port.bind, port.number, _chains(port))
            listeners[name]["listener_filters"] = _inspectors(port)
    return listeners


def _listener(name: str, bind: str, port: int, chains: list[JsonObject]) -> JsonObject:
    return {
        "name": name,
        "address": socket_address(bind, port),
        "traffic_direction": "INBOUND",
        "continue_on_listener_filters_timeout": True,
        "listener_filters_timeout": "0s",
        "max_connections_to_accept_per_socket_event": 1,
        "filter_chains": chains,
    }


def _inspectors(port: InboundPort) -> list[JsonObject]:
    """Listener filters of a port with a socket of its own, where the original destination plays no part."""
    tls = {**TLS_INSPECTOR, "filter_disabled": {"not_match": _ports([port.number])}}
    return [tls, HTTP_INSPECTOR] if listener_kind(port.port.protocol) == "auto" else [tls]


def _routes(cluster: str, port: int, protocol: str) -> JsonObject:
    action: JsonObject = {
        "cluster": cluster,
        "timeout": "0s",
        "max_stream_duration": {"max_stream_duration": "0s", "grpc_timeout_header_max": "0s"},
    }
    if not is_grpc(protocol):
        action["retry_policy"] = {"retry_on": "reset-before-request", "num_retries": 2}
    route = {"name": "default", "match": {"prefix": "/"}, "route": action}
    return {
        "name": cluster,
        "validate_clusters": False,
        "virtual_hosts": [{"name": f"inbound|http|{port}", "domains": ["*"], "routes": [route]}],
    }


def _passthrough() -> list[JsonObject]:
    manager = inbound_manager(INBOUND_PASSTHROUGH, _routes(INBOUND_PASSTHROUGH, 0, ""), "", http2=False)
    proxy = tcp_proxy(INBOUND_PASSTHROUGH, INBOUND_PASSTHROUGH)
    return [
        {
            "name": "virtualInbound-blackhole",
            "filter_chain_match": {"destination_port": INBOUND_PORT},
            "filters": [tcp_proxy(BLACK_HOLE, BLACK_HOLE)],
        },
        {
            "name": "virtualInbound-catchall-http",
            "filter_chain_match": {
                "application_protocols": list(PLAINTEXT_HTTP),
                "transport_protocol": "raw_buffer",
            },
            "filters": [manager],
        },
        *(
            {"name": VIRTUAL_INBOUND, "filter_chain_match": {"transport_protocol": protocol}, "filters": [proxy]}
            for protocol in ("raw_buffer", "tls")
        ),
    ]


def _chains(target: InboundPort) -> list[JsonObject]:
    protocol = target.port.protocol
    name = listener_name(target.bind, target.number)
    cluster = inbound_cluster(target.number)
    manager = inbound_manager(
        f"inbound_{name}",
        _routes(cluster, target.port.number, protocol),
        protocol,
        http2=is_http2(protocol),
    )
    proxy = list(destination_filters(cluster, cluster, "", protocol, None))

    def chain(filters: list[JsonObject], transport: str, detected: Sequence[str] = ()) -> JsonObject:
        match: JsonObject = {"destination_port": target.number, "transport_protocol": transport}
        if detected:
            match["application_protocols"] = list(detected)
        result: JsonObject = {"name": name, "filter_chain_match": match, "filters": filters}
        if target.metadata is not None:
            result["metadata"] = target.metadata
        return result

    kind = listener_kind(protocol)
    if kind == "http":
        return [chain([manager], "raw_buffer")]
    if kind == "auto":
        return [
            chain([manager], "raw_buffer", PLAINTEXT_HTTP),
            chain(proxy, "raw_buffer"),
            chain(proxy, "tls"),
        ]
    # Also for a UDP port, which istiod does not tell apart here.
    return [chain(proxy, "tls"), chain(proxy, "raw_buffer")]


def _ports(numbers: Sequence[int]) -> JsonObject:
    ranges = [{"destination_port_range": {"start": number, "end": number + 1}} for number in numbers]
    return ranges[0] if len(ranges) == 1 else {"or_match": {"rules": ranges}}


def _listener_filters(targets: Sequence[InboundPort]) -> list[JsonObject]:
    """Inspect what is not known beforehand: TLS everywhere, HTTP where the protocol is detected."""
    known = [target.number for target in targets if listener_kind(target.port.protocol) != "auto"]
    return [
        _ORIGINAL_DST,
        {**TLS_INSPECTOR, "filter_disabled": _ports([INBOUND_PORT])},
        {**HTTP_INSPECTOR, "filter_disabled": _ports(sorted([*known, INBOUND_PORT]))},
    ]
