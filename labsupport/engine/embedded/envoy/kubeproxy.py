"""The path of pods without a sidecar: one shared Envoy that does what kube-proxy does, and nothing more.

A program without a sidecar still has to find ``http://web:8080``. Its HTTP proxy is this Envoy, which knows the
Services but no rule. Like kube-proxy it chooses a pod at random for each connection, not for each request: the
connection's number is hashed to an endpoint (Maglev), separately for each Service, because an HTTP client may use one
proxy connection for several. It adds no header that Envoy can be told to leave out. Node ports are plain TCP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labsupport.controlplane.proxies import ProxyResources
from labsupport.engine.embedded.envoy import httpconn
from labsupport.engine.embedded.envoy.localize import LocalizedResources, LocalResources, moved, scope
from labsupport.records import JsonObject

__all__ = ["NodePort", "balance", "node_port_cluster"]

_CONNECTION = "workshop.connection"
_TYPE = httpconn.TYPE
_ADS: JsonObject = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
# No breaker and no panic mode: kube-proxy sends to ready pods, and refuses if there is none.
_LIMIT = 4294967295
_BASE: JsonObject = {
    "connect_timeout": "10s",
    "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    "circuit_breakers": {
        "thresholds": [
            {
                "max_connections": _LIMIT,
                "max_pending_requests": _LIMIT,
                "max_requests": _LIMIT,
                "max_retries": _LIMIT,
            }
        ]
    },
}


@dataclass(frozen=True, slots=True)
class NodePort:
    """A node port to serve.

    Args:
        cluster: the outbound cluster of the Service's port, as istiod names it.
        name: of the listener.
        port: local port to listen on.
    """

    cluster: str
    name: str
    port: int


def node_port_cluster(cluster: str) -> str:
    """The cluster behind a node port; it has the endpoints of the Service's port but chooses per TCP connection."""
    return f"nodeport|{cluster.partition('|')[2]}"


def _cluster(name: str, endpoints: str, policy: str) -> JsonObject:
    return {
        **_BASE,
        "name": name,
        "alt_stat_name": f"{name};",
        "type": "EDS",
        "lb_policy": policy,
        "eds_cluster_config": {"eds_config": _ADS, "service_name": endpoints},
    }


def _pinned(table: JsonObject) -> JsonObject:
    """A route table in which every Service's route is pinned to the connection, without retries or timeouts."""

    def route(entry: JsonObject) -> JsonObject:
        if "route" not in entry:
            return entry
        return {
            "name": entry.get("name", ""),
            "match": entry["match"],
            "route": {
                "cluster": entry["route"]["cluster"],
                "timeout": "0s",
                "hash_policy": [{"filter_state": {"key": _CONNECTION}}],
            },
        }

    hosts = [
        {"name": host["name"], "domains": host["domains"], "routes": [route(entry) for entry in host.get("routes", ())]}
        for host in table["virtual_hosts"]
    ]
    return {**table, "virtual_hosts": hosts}


def _listener(namespace: str, port: int) -> JsonObject:
    manager: JsonObject = {
        "@type": f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{_TYPE}extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
        "generate_request_id": False,
        "use_remote_address": False,
        "skip_xff_append": True,
        "server_header_transformation": "PASS_THROUGH",
        "stream_idle_timeout": "0s",
        "proxy_100_continue": True,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
    }
    state: JsonObject = {
        "name": "envoy.filters.network.set_filter_state",
        "typed_config": {
            "@type": f"{_TYPE}extensions.filters.network.set_filter_state.v3.Config",
            "on_new_connection": [
                {
                    "object_key": _CONNECTION,
                    "factory_key": "envoy.hashable_string",
                    "format_string": {"text_format_source": {"inline_string": "%CONNECTION_ID%"}},
                }
            ],
        },
    }
    config = httpconn.by_port(manager, prefix=namespace)
    # Where kube-proxy would refuse the connection there is nothing to reply with; a client is told by a header.
    refused = httpconn.local_reply("response.code == 503", 503, httpconn.REFUSED_HEADER, "connection")
    config["local_reply_config"]["mappers"].append(refused)
    return {
        "name": f"plain_{namespace}",
        "address": httpconn.local_address(port),
        "traffic_direction": "OUTBOUND",
        "filter_chains": [{"filters": [state, {"name": httpconn.HCM, "typed_config": config}]}],
    }


def _node_port_listener(node_port: NodePort) -> JsonObject:
    return {
        "name": node_port.name,
        "address": httpconn.local_address(node_port.port),
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.tcp_proxy",
                        "typed_config": {
                            "@type": f"{_TYPE}extensions.filters.network.tcp_proxy.v3.TcpProxy",
                            "stat_prefix": "nodeport",
                            "cluster": node_port_cluster(node_port.cluster),
                        },
                    }
                ]
            }
        ],
    }


def balance(
    views: Mapping[str, ProxyResources],
    *,
    endpoints: Mapping[tuple[str, int], int],
    listeners: Mapping[str, int],
    node_ports: Iterable[NodePort],
    memo: LocalizedResources,
) -> LocalResources:
    """Make the configuration of the shared Envoy.

    Args:
        views: by namespace, what a sidecar there would get in a mesh without rules; it tells names and endpoints.
        endpoints: local port by mesh address.
        listeners: local port of the proxy listener by namespace.
        node_ports: what to serve on node ports; those of Services without endpoints yet are left out.
        memo: of ``localize``.
    """
    clusters: dict[str, JsonObject] = {}
    assignments: dict[str, JsonObject] = {}
    scopes: dict[str, JsonObject] = {}
    routes: dict[str, JsonObject] = {}
    for namespace, view in views.items():
        for name, assignment in view.endpoints.items():
            assignments[name] = memo.get(assignment, lambda original: moved(original, endpoints))
            clusters[name] = _cluster(name, name, "MAGLEV")
        for port, table in view.routes.items():
            if port.isdigit():
                name = f"{namespace}/{port}"
                scopes[name] = scope(name, port, namespace)
                routes[name] = {**_pinned(table), "name": name}
    served = []
    for node_port in node_ports:
        if node_port.cluster in assignments:
            name = node_port_cluster(node_port.cluster)
            clusters[name] = _cluster(name, node_port.cluster, "RANDOM")
            served.append(_node_port_listener(node_port))
    proxies = [_listener(namespace, port) for namespace, port in listeners.items()]
    return LocalResources(
        clusters, assignments, {listener["name"]: listener for listener in (*proxies, *served)}, scopes, routes
    )
