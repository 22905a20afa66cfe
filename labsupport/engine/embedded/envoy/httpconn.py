"""Pieces of HTTP connection managers that only the embedded mesh has: access logs, and tables chosen by port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labsupport.records import JsonObject

__all__ = [
    "ACCESS_LOG",
    "OUTBOUND",
    "REFUSED_HEADER",
    "SCOPE_HEADER",
    "UNKNOWN_HEADER",
    "access_log",
    "adapted",
    "by_port",
    "chain_filters",
    "connection_log",
    "connections_logged",
    "has_tables",
    "http_connection_manager",
    "local_address",
    "local_reply",
]

TYPE = "type.googleapis.com/envoy."
ACCESS_LOG = "access.log"
SCOPE_HEADER = "x-workshop-port"
UNKNOWN_HEADER = "x-workshop-unknown"
REFUSED_HEADER = "x-workshop-refused"
HCM = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"
_ADS: JsonObject = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}

# Everything that an AccessRecord says; ``labsupport.engine.accesslog`` reads it.
_FORMAT: Mapping[str, str] = {
    "id": "%REQ(X-REQUEST-ID)%",
    "time": "%START_TIME(%s.%6f)%",
    "us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    # A request whose caller has gone has no end of a response, and so no value above.
    "ms": "%DURATION%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream": "%UPSTREAM_HOST%",
    "tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "attempt": "%REQ(X-ENVOY-ATTEMPT-COUNT)%",
    "protocol": "%PROTOCOL%",
    "traceparent": "%REQ(TRACEPARENT)%",
}

# The same of a connection that is not HTTP: its server name stands for the authority.
_CONNECTION_FORMAT: Mapping[str, str] = {
    "id": "",
    "time": "%START_TIME(%s.%6f)%",
    "us": "%COMMON_DURATION(DS_CX_BEG:DS_CX_END:us)%",
    "method": "",
    "authority": "%REQUESTED_SERVER_NAME%",
    "path": "",
    "status": "0",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%CONNECTION_TERMINATION_DETAILS%",
    "failure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%",
    "route": "",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream": "%UPSTREAM_HOST%",
    "protocol": "TCP",
}

# What istiod gives every HTTP listener of a sidecar; used while a mesh has no service whose listener could be taken.
OUTBOUND: JsonObject = {
    "@type": f"{TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "stat_prefix": "outbound",
    "http_filters": [
        {
            "name": "envoy.filters.http.grpc_stats",
            "typed_config": {
                "@type": f"{TYPE}extensions.filters.http.grpc_stats.v3.FilterConfig",
                "emit_filter_state": True,
                "stats_for_all_methods": False,
            },
        },
        {
            "name": "envoy.filters.http.fault",
            "typed_config": {"@type": f"{TYPE}extensions.filters.http.fault.v3.HTTPFault"},
        },
        {
            "name": "envoy.filters.http.cors",
            "typed_config": {"@type": f"{TYPE}extensions.filters.http.cors.v3.Cors"},
        },
        {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": f"{TYPE}extensions.filters.http.router.v3.Router"},
        },
    ],
    "normalize_path": True,
    "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
    "proxy_100_continue": True,
    "request_id_extension": {
        "typed_config": {
            "@type": f"{TYPE}extensions.request_id.uuid.v3.UuidRequestIdConfig",
            "use_request_id_for_trace_sampling": True,
        }
    },
    "stream_idle_timeout": "0s",
    "upgrade_configs": [{"upgrade_type": "websocket"}],
    "use_remote_address": False,
}


def local_address(port: int) -> JsonObject:
    """The address of a local port."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def access_log(direction: str, *, unless_route: str = "") -> list[JsonObject]:
    """An access log in JSON lines, in the working directory of the Envoy.

    Args:
        direction: ``outbound``, ``inbound`` or ``gateway``; part of each line.
        unless_route: leave requests out that follow routes of this name.
    """
    log: JsonObject = {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{TYPE}extensions.access_loggers.file.v3.FileAccessLog",
            "path": ACCESS_LOG,
            "log_format": {"json_format": {**_FORMAT, "direction": direction}},
        },
    }
    if unless_route:
        log["filter"] = _when(f"!has(xds.route_name) || xds.route_name != '{unless_route}'")
    return [log]


def connection_log(direction: str, *, flag: str = "") -> list[JsonObject]:
    """The access log of connections that are not HTTP, in the same file.

    Args:
        direction: as for ``access_log``.
        flag: write only those with this response flag; empty for all.
    """
    (log,) = access_log(direction)
    log["typed_config"]["log_format"] = {"json_format": {**_CONNECTION_FORMAT, "direction": direction}}
    if flag:
        log["filter"] = {"response_flag_filter": {"flags": [flag]}}
    return [log]


def has_tables(listener: JsonObject) -> bool:
    """Whether a listener reads HTTP, and so waits for route tables before it listens.

    Args:
        listener: as Envoy gets it.
    """
    chains = [*listener.get("filter_chains", ()), listener.get("default_filter_chain", {})]
    return any(http_connection_manager(chain.get("filters", [])) for chain in chains)


def http_connection_manager(filters: list[JsonObject]) -> JsonObject | None:
    """The HTTP connection manager among a filter chain's filters, if there is one."""
    for network_filter in filters:
        if network_filter["name"] == HCM:
            config: JsonObject = network_filter["typed_config"]
            return config
    return None


def adapted(manager: Mapping[str, Any], direction: str) -> JsonObject:
    """A connection manager of istiod as a stock Envoy takes it, with our access log.

    ``istio.*`` filters exist only in Istio's own build of Envoy.
    """
    made: JsonObject = {key: value for key, value in manager.items() if key != "access_log"}
    made["http_filters"] = [
        http_filter for http_filter in manager.get("http_filters", ()) if not http_filter["name"].startswith("istio.")
    ]
    made["access_log"] = access_log(direction)
    return made


def chain_filters(chain: Mapping[str, Any], direction: str) -> list[JsonObject]:
    """The network filters of a chain of istiod, as a stock Envoy takes them.

    Args:
        chain: the filter chain.
        direction: as for ``access_log``.
    """
    return [
        {**network_filter, "typed_config": adapted(network_filter["typed_config"], direction)}
        if network_filter["name"] == HCM
        else network_filter
        for network_filter in chain["filters"]
        if not network_filter["name"].startswith("istio.")
    ]


def connections_logged(network_filter: JsonObject, direction: str) -> JsonObject:
    """A network filter that writes a line for each connection that it passes on; other filters as they are.

    Args:
        network_filter: the filter.
        direction: as for ``access_log``.
    """
    if network_filter["name"] != TCP_PROXY:
        return network_filter
    config = {**network_filter["typed_config"], "access_log": connection_log(direction)}
    return {**network_filter, "typed_config": config}


def local_reply(condition: str, status: int, header: str, value: str) -> JsonObject:
    """Give replies that Envoy makes itself, if they meet a CEL condition, a status and a header."""
    return {
        "filter": _when(condition),
        "status_code": status,
        "headers_to_add": [{"header": {"key": header, "value": value}}],
    }


def _when(condition: str) -> JsonObject:
    """A filter of log lines by a CEL condition."""
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": f"{TYPE}extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": condition,
            },
        }
    }


def by_port(manager: Mapping[str, Any], *, prefix: str = "") -> JsonObject:
    """Let one HTTP proxy listener choose among istiod's route tables by the port of the request's authority.

    istiod has one listener, and one route table, per port. A request to an HTTP proxy names host and port itself, so
    one listener does: an early header mutation writes the port into a header (80 if there is none), scoped routes
    look the table up by it, and the last filter before the router removes it. A table stays exactly what istiod
    made. With no table for a port, and for the host ``*`` of a table (``block_all``), the reply is 502 with a header
    that says so.

    Args:
        manager: an adapted connection manager.
        prefix: put before the port in scope keys, to tell several listeners of one proxy apart.
    """
    made = {key: value for key, value in manager.items() if key not in ("rds", "route_config", "stat_prefix")}
    made["stat_prefix"] = "outbound;"
    made["scoped_routes"] = {
        "name": "by-port",
        "scope_key_builder": {
            "fragments": [
                {"header_value_extractor": {"name": SCOPE_HEADER, "element_separator": ":", "index": 1}},
            ]
        },
        "rds_config_source": _ADS,
        "scoped_rds": {"scoped_rds_config_source": _ADS},
    }
    if prefix:
        fragments = made["scoped_routes"]["scope_key_builder"]["fragments"]
        fragments.append(
            {"header_value_extractor": {"name": f"{SCOPE_HEADER}-of", "index": 0, "element_separator": ":"}}
        )
    set_headers = {SCOPE_HEADER: "%REQ(:AUTHORITY)%:80"} | ({f"{SCOPE_HEADER}-of": prefix} if prefix else {})
    made["early_header_mutation_extensions"] = [
        {
            "name": "envoy.http.early_header_mutation.header_mutation",
            "typed_config": {
                "@type": f"{TYPE}extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                "mutations": [
                    {
                        "append": {
                            "header": {"key": key, "value": value},
                            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                        }
                    }
                    for key, value in set_headers.items()
                ],
            },
        }
    ]
    *others, router = manager["http_filters"]
    removal = {
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": f"{TYPE}extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"request_mutations": [{"remove": key} for key in set_headers]},
        },
    }
    made["http_filters"] = [*others, removal, router]
    made["local_reply_config"] = {
        "mappers": [
            # Every table has a host "*", so a request without a virtual host is one without a table.
            local_reply("response.code == 404 && !has(xds.virtual_host_name)", 502, UNKNOWN_HEADER, "port"),
            local_reply("response.code == 502 && xds.route_name == 'block_all'", 502, UNKNOWN_HEADER, "host"),
        ]
    }
    return made
