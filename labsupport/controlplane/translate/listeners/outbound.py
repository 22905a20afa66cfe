"""Listeners of a sidecar for its own pod's calls: one per HTTP port, one per address of other services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from labsupport.controlplane.registry.scope import EgressListener
from labsupport.controlplane.registry.services import UNSPECIFIED, RegistryPort, ServiceRecord
from labsupport.controlplane.translate.context import Context
from labsupport.controlplane.translate.http.actions import destination_cluster
from labsupport.controlplane.translate.listeners.chains import HTTP_INSPECTOR, PLAINTEXT_HTTP, TLS_INSPECTOR, Chain
from labsupport.controlplane.translate.listeners.http import outbound_manager
from labsupport.controlplane.translate.listeners.l4 import l4_chains
from labsupport.controlplane.translate.listeners.network import tcp_proxy
from labsupport.controlplane.translate.names import (
    BLACK_HOLE,
    PASSTHROUGH,
    VIRTUAL_OUTBOUND,
    listener_name,
    socket_address,
)
from labsupport.model.hosts import is_wildcard
from labsupport.model.protocols import is_http, is_tcp, listener_kind
from labsupport.model.schema.syntax import is_ip
from labsupport.records import JsonObject

__all__ = ["RESERVED_PORTS", "outbound_listeners"]

OUTBOUND_PORT = 15001
RESERVED_PORTS = frozenset({15001, 15006, 15021, 15090})
"""Ports that the sidecar itself listens on."""

_LOCALHOST = "127.0.0.1"
_WELL_KNOWN = frozenset({"Mongo", "MySQL"})


@dataclass(slots=True)
class _Entry:
    """A listener in the making."""

    bind: str
    port: RegistryPort
    chains: list[Chain]
    protocol: str
    bind_to_port: bool
    locked: bool = False


@dataclass(slots=True)
class _Listeners:
    """All of them, by address and port."""

    context: Context
    entries: dict[tuple[str, int], _Entry] = field(default_factory=dict)

    def add(
        self, service: ServiceRecord, port: RegistryPort, listener: EgressListener, bind: str, to_port: bool
    ) -> None:
        """Take in one service port; what is there already decides whether and how it fits."""
        if service.resolution == "ALIAS":
            return
        kind = listener_kind(port.protocol)
        subnets: tuple[str, ...] = ()
        if kind in ("tcp", "auto"):
            if not bind and service.address:
                if "/" in service.address:
                    bind, subnets = UNSPECIFIED, (service.address,)
                else:
                    bind = service.address
        elif kind == "http":
            bind = bind or UNSPECIFIED
        key = (bind, port.number)
        current = self.entries.get(key)
        if current is not None and current.locked:
            return
        protocol = port.protocol
        if protocol == "HTTP_PROXY":
            chains = [self._http(service, port, bind, kind)]
            current = None
        elif kind == "http":
            if current is not None and not is_tcp(current.protocol):
                return
            chain = self._http(service, port, bind, kind)
            if bind == UNSPECIFIED:
                chain = replace(chain, application_protocols=PLAINTEXT_HTTP, transport_protocol="raw_buffer")
                protocol = ""
            chains = [chain]
        elif kind == "tcp":
            chains = l4_chains(self.context, service, port, listener.rules, bind=bind, subnets=subnets)
        elif kind == "auto":
            if current is not None and not is_http(current.protocol) and not is_tcp(current.protocol):
                return
            chain = self._http(service, port, bind, kind)
            chains = [
                *l4_chains(self.context, service, port, listener.rules, bind=bind, subnets=subnets),
                replace(chain, application_protocols=PLAINTEXT_HTTP, transport_protocol="raw_buffer"),
            ]
        else:
            return
        if current is None or (kind == "auto" and is_http(current.protocol)):
            self.entries[key] = _Entry(bind, port, chains, protocol, to_port)
            return
        if {port.protocol, current.protocol} & _WELL_KNOWN and port.protocol != current.protocol:
            return
        for chain in chains:
            if not any(chain.conflicts(known) for known in current.chains):
                current.chains.append(chain)
        if not (kind == "tcp" and not is_http(current.protocol)):
            current.protocol = ""

    def _http(self, service: ServiceRecord, port: RegistryPort, bind: str, kind: str) -> Chain:
        table = str(port.number)
        if not port.number:
            table = bind
        elif kind == "auto" and bind != UNSPECIFIED:
            table = f"{service.hostname}:{port.number}"
        prefix = f"outbound_{listener_name(bind, port.number)}"
        dynamic = service.resolution == "DYNAMIC_DNS" and is_wildcard(service.hostname)
        host = service.hostname if dynamic else ""
        return Chain(filters=(outbound_manager(prefix, table, port.protocol, dynamic_host=host),))


def outbound_listeners(context: Context) -> dict[str, JsonObject]:
    """The listeners of a sidecar for its own pod's calls, by name."""
    listeners = _Listeners(context)
    for listener in context.scope.listeners:
        to_port = listener.capture == "NONE" or listener.bind.startswith("unix://")
        bind = listener.bind or (_LOCALHOST if to_port else "")
        if listener.port or listener.protocol:
            protocol = "" if listener.protocol == "AUTO" else listener.protocol
            port = RegistryPort(listener.port_name, listener.port, protocol)
            if not _reserved(bind, port):
                for service in listener.services:
                    listeners.add(service, port, listener, bind, to_port)
            continue
        for entry in listeners.entries.values():
            entry.locked = True
        for service in listener.services:
            for port in service.ports:
                if _reserved(bind, port):
                    continue
                for address in _binds(context, service, port, bind):
                    listeners.add(service, port, listener, address, to_port)
    result = {}
    for entry in listeners.entries.values():
        built = _listener(context, entry)
        result[built["name"]] = built
    result[VIRTUAL_OUTBOUND] = _virtual_outbound(context)
    return result


def _reserved(bind: str, port: RegistryPort) -> bool:
    if bind not in ("", UNSPECIFIED) or (not bind and not is_http(port.protocol)):
        return False
    return port.number in RESERVED_PORTS


def _binds(context: Context, service: ServiceRecord, port: RegistryPort, bind: str) -> Sequence[str]:
    """Addresses to listen on: those of its pods for a service that has none of its own and is not HTTP."""
    detected = not is_http(port.protocol) and port.protocol != "UDP"
    if bind or service.resolution != "PASSTHROUGH" or service.address != UNSPECIFIED or not detected:
        return [bind]
    endpoints = service.endpoints_by_number(port)
    if not service.kubernetes and not endpoints and service.selector is None:
        return [bind]
    return [
        endpoint.address for endpoint in endpoints if is_ip(endpoint.address) and endpoint.address != context.pod.ip
    ]


def _catch_all_cluster(context: Context) -> str:
    if context.outbound_traffic_policy != "ALLOW_ANY":
        return BLACK_HOLE
    proxy = context.scope.egress_proxy
    return destination_cluster(proxy, None, 0) if proxy is not None else PASSTHROUGH


def _listener(context: Context, entry: _Entry) -> JsonObject:
    result: JsonObject = {
        "name": listener_name(entry.bind, entry.port.number),
        "address": socket_address(entry.bind, entry.port.number),
        "traffic_direction": "OUTBOUND",
        "continue_on_listener_filters_timeout": True,
        "listener_filters_timeout": "0s",
    }
    if entry.bind_to_port:
        result["max_connections_to_accept_per_socket_event"] = 1
    else:
        result["bind_to_port"] = False
    inspectors = []
    if any(chain.server_names for chain in entry.chains):
        inspectors.append(TLS_INSPECTOR)
    if any(chain.application_protocols for chain in entry.chains):
        inspectors.append(HTTP_INSPECTOR)
    if inspectors:
        result["listener_filters"] = inspectors
    chains: list[JsonObject] = []
    default: JsonObject | None = None
    for chain in entry.chains:
        match = chain.match()
        if match is None:
            default = chain.proto()
        else:
            chains.append({**chain.proto(), "filter_chain_match": match})
    if default is not None and not chains:
        chains, default = [default], None
    elif default is None:
        cluster = _catch_all_cluster(context)
        default = {
            "name": "PassthroughFilterChain",
            "filter_chain_match": {},
            "filters": [tcp_proxy(cluster, cluster)],
        }
    result["filter_chains"] = chains
    if default is not None:
        result["default_filter_chain"] = default
    return result


def _virtual_outbound(context: Context) -> JsonObject:
    cluster = _catch_all_cluster(context)
    return {
        "name": VIRTUAL_OUTBOUND,
        "address": socket_address(UNSPECIFIED, OUTBOUND_PORT),
        "traffic_direction": "OUTBOUND",
        "use_original_dst": True,
        "max_connections_to_accept_per_socket_event": 1,
        "filter_chains": [
            {
                "name": "virtualOutbound-blackhole",
                "filter_chain_match": {"destination_port": OUTBOUND_PORT},
                "filters": [tcp_proxy(BLACK_HOLE, BLACK_HOLE)],
            },
            {"name": "virtualOutbound-catchall-tcp", "filters": [tcp_proxy(cluster, cluster)]},
        ],
    }
