"""The HTTP connection manager of sidecars and gateways, with Istio's settings."""

from __future__ import annotations

from labsupport.controlplane.translate.names import dns_cache, stat_name
from labsupport.records import JsonObject

__all__ = ["ADS", "CONNECTION_MANAGER", "gateway_manager", "inbound_manager", "outbound_manager"]

ADS = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"
_TYPES = "type.googleapis.com/envoy.extensions"
_MANAGER = f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_DYNAMIC_PROXY = f"{_TYPES}.filters.http.dynamic_forward_proxy.v3.FilterConfig"
_GRPC_WEB: JsonObject = {
    "name": "envoy.filters.http.grpc_web",
    "typed_config": {"@type": f"{_TYPES}.filters.http.grpc_web.v3.GrpcWeb"},
}
_FILTERS: list[JsonObject] = [
    {
        "name": "envoy.filters.http.grpc_stats",
        "typed_config": {
            "@type": f"{_TYPES}.filters.http.grpc_stats.v3.FilterConfig",
            "emit_filter_state": True,
            "stats_for_all_methods": False,
        },
    },
    {
        "name": "envoy.filters.http.fault",
        "typed_config": {"@type": f"{_TYPES}.filters.http.fault.v3.HTTPFault"},
    },
    {"name": "envoy.filters.http.cors", "typed_config": {"@type": f"{_TYPES}.filters.http.cors.v3.Cors"}},
    {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}},
]
_REQUEST_ID: JsonObject = {
    "typed_config": {
        "@type": f"{_TYPES}.request_id.uuid.v3.UuidRequestIdConfig",
        "use_request_id_for_trace_sampling": True,
    }
}


def _manager(stat_prefix: str, protocol: str, *, dynamic_host: str = "", **fields: object) -> JsonObject:
    filters = [_GRPC_WEB, *_FILTERS] if protocol == "GRPC-Web" else _FILTERS
    if dynamic_host:
        config = {"@type": _DYNAMIC_PROXY, "dns_cache_config": dns_cache(dynamic_host)}
        proxy = {"name": "envoy.filters.http.dynamic_forward_proxy", "typed_config": config}
        filters = [*filters[:-1], proxy, filters[-1]]
    return {
        "name": CONNECTION_MANAGER,
        "typed_config": {
            "@type": _MANAGER,
            "stat_prefix": stat_name(stat_prefix),
            "http_filters": filters,
            "normalize_path": True,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "proxy_100_continue": True,
            "request_id_extension": _REQUEST_ID,
            "stream_idle_timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            **fields,
        },
    }


def _rds(table: str) -> JsonObject:
    return {"config_source": ADS, "route_config_name": table}


def outbound_manager(stat_prefix: str, table: str, protocol: str, *, dynamic_host: str = "") -> JsonObject:
    """The manager of a sidecar for its own pod's requests.

    Args:
        stat_prefix: prefix of statistics.
        table: name of the route table.
        protocol: protocol of the port.
        dynamic_host: the wildcard host of a DYNAMIC_DNS entry that it is for; empty otherwise.

    Returns:
        A network filter in proto JSON.
    """
    return _manager(stat_prefix, protocol, dynamic_host=dynamic_host, rds=_rds(table), use_remote_address=False)


def gateway_manager(stat_prefix: str, table: str, protocol: str) -> JsonObject:
    """The manager of a gateway, which does not trust what clients say about themselves; see ``outbound_manager``."""
    return _manager(
        stat_prefix,
        protocol,
        rds=_rds(table),
        use_remote_address=True,
        server_name="istio-envoy",
        forward_client_cert_details="SANITIZE_SET",
        set_current_client_cert_details={"subject": True, "cert": True, "dns": True, "uri": True},
        http_protocol_options={},
    )


def inbound_manager(stat_prefix: str, routes: JsonObject, protocol: str, *, http2: bool) -> JsonObject:
    """The manager of a sidecar for requests to its own pod.

    Args:
        stat_prefix: prefix of statistics.
        routes: the whole route table, as it is never changed by rules.
        protocol: protocol of the port.
        http2: whether the port speaks HTTP/2.

    Returns:
        A network filter in proto JSON.
    """
    fields: JsonObject = {"http2_protocol_options": {}} if http2 else {}
    return _manager(
        stat_prefix,
        protocol,
        route_config=routes,
        use_remote_address=False,
        server_name="istio-envoy",
        forward_client_cert_details="APPEND_FORWARD",
        set_current_client_cert_details={"subject": True, "dns": True, "uri": True},
        **fields,
    )
