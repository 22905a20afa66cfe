"""Filter chains: what they match, and when two of them would match the same connections."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.controlplane.registry.services import UNSPECIFIED
from labsupport.records import JsonObject

__all__ = ["CONNECT_TIMEOUT", "HTTP_INSPECTOR", "PLAINTEXT_HTTP", "TLS_INSPECTOR", "Chain"]

PLAINTEXT_HTTP = ("http/1.1", "h2c")
"""What the HTTP inspector tells apart."""

CONNECT_TIMEOUT = "15s"
"""How long a handshake may take, on listeners for a pod's own calls and on gateways."""

_LISTENER = "type.googleapis.com/envoy.extensions.filters.listener"
TLS_INSPECTOR: JsonObject = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {"@type": f"{_LISTENER}.tls_inspector.v3.TlsInspector", "initial_read_buffer_size": 512},
}
HTTP_INSPECTOR: JsonObject = {
    "name": "envoy.filters.listener.http_inspector",
    "typed_config": {"@type": f"{_LISTENER}.http_inspector.v3.HttpInspector"},
}


@dataclass(frozen=True, slots=True)
class Chain:
    """A filter chain before it becomes part of a listener.

    Args:
        filters: network filters.
        server_names: SNI hosts; ``*`` is any.
        subnets: destination addresses or blocks.
        application_protocols: ALPN values, or what the HTTP inspector found.
        transport_protocol: ``raw_buffer``, ``tls`` or empty.
        metadata: where it comes from.
        transport_socket: TLS that is terminated.
    """

    filters: tuple[JsonObject, ...]
    server_names: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    application_protocols: tuple[str, ...] = ()
    transport_protocol: str = ""
    metadata: JsonObject | None = None
    transport_socket: JsonObject | None = None

    @property
    def matches_all(self) -> bool:
        """Whether it takes every connection."""
        any_name = not self.server_names or "*" in self.server_names
        return any_name and not (self.application_protocols or self.transport_protocol or self.subnets)

    def conflicts(self, other: Chain) -> bool:
        """Whether both would take the same connections, so that only one can be in a listener."""
        return (
            self.transport_protocol == other.transport_protocol
            and self.application_protocols == other.application_protocols
            and _names(self.server_names) == _names(other.server_names)
            and _blocks(self.subnets) == _blocks(other.subnets)
        )

    def match(self) -> JsonObject | None:
        """Its FilterChainMatch; None if it takes everything."""
        if self.matches_all:
            return None
        result: JsonObject = {}
        if self.application_protocols:
            result["application_protocols"] = list(self.application_protocols)
        if self.transport_protocol:
            result["transport_protocol"] = self.transport_protocol
        if self.server_names and "*" not in self.server_names:
            result["server_names"] = sorted(self.server_names)
        ranges = [block for text in sorted(self.subnets) if (block := _range(text)) is not None]
        if ranges:
            result["prefix_ranges"] = ranges
        return result

    def proto(self) -> JsonObject:
        """The chain as Envoy takes it, without its match."""
        result: JsonObject = {"filters": list(self.filters), "transport_socket_connect_timeout": CONNECT_TIMEOUT}
        if self.metadata is not None:
            result["metadata"] = self.metadata
        if self.transport_socket is not None:
            result["transport_socket"] = self.transport_socket
        return result


def _names(names: Sequence[str]) -> frozenset[str]:
    return frozenset(name for name in names if name != "*")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _blocks(subnets: Sequence[str]) -> frozenset[str]:
    networks = [_network(text) for text in subnets if text.partition("/")[0] != UNSPECIFIED]
    return frozenset(str(network) for network in networks if network is not None)


def _range(text: str) -> JsonObject | None:
    """An address or block as CidrRange, with the address as it was written; ``0.0.0.0`` is no restriction."""
    address, _, length = text.partition("/")
    if address == UNSPECIFIED:
        return None
    network = _network(text)
    if network is None:
        return None
    return {"address_prefix": address, "prefix_len": int(length) if length else network.max_prefixlen}
