"""``trafficPolicy.connectionPool`` and ``retryBudget``: circuit breakers, timeouts and protocol of a cluster."""

from __future__ import annotations

from labsupport.controlplane.registry.meshconfig import MeshConfig
from labsupport.controlplane.translate.names import duration
from labsupport.controlplane.translate.policy import PortPolicy
from labsupport.model.kinds.trafficpolicy import HTTPSettings, RetryBudget, TcpKeepalive, TCPSettings
from labsupport.model.protocols import is_http
from labsupport.records import JsonObject

__all__ = ["UNLIMITED", "apply_connection_pool", "h2_upgrade", "mesh_timeout"]

UNLIMITED = 4294967295
"""Istio's value for a limit that is not set; it differs from Envoy's default of 1024."""


def mesh_timeout(mesh: MeshConfig) -> str:
    """The mesh-wide ``connectTimeout``."""
    return duration(mesh.connect_timeout)


def h2_upgrade(policy: PortPolicy | None, protocol: str, mesh: MeshConfig) -> bool:
    """Whether ``h2UpgradePolicy`` makes the cluster speak HTTP/2."""
    http = policy.connection_pool.http if policy is not None and policy.connection_pool is not None else None
    if http is not None:
        if http.use_client_protocol:
            return False
        if http.h2_upgrade_policy in ("UPGRADE", "DO_NOT_UPGRADE"):
            return bool(http.h2_upgrade_policy == "UPGRADE")
    return is_http(protocol) and mesh.h2_upgrade


def apply_connection_pool(
    cluster: JsonObject, options: JsonObject, policy: PortPolicy | None, mesh: MeshConfig
) -> None:
    """Set thresholds, timeouts, keepalive and connection limits of a cluster.

    Args:
        cluster: the cluster, changed in place.
        options: its HttpProtocolOptions, changed in place; empty if there are none so far.
        policy: what counts for it.
        mesh: mesh-wide defaults.
    """
    pool = policy.connection_pool if policy is not None else None
    http = pool.http if pool is not None else None
    tcp = pool.tcp if pool is not None else None
    threshold: JsonObject = {
        "max_connections": (tcp.max_connections if tcp is not None else 0) or UNLIMITED,
        "max_pending_requests": (http.http1_max_pending_requests if http is not None else 0) or UNLIMITED,
        "max_requests": (http.http2_max_requests if http is not None else 0) or UNLIMITED,
        "max_retries": (http.max_retries if http is not None else 0) or UNLIMITED,
    }
    if policy is not None and policy.retry_budget is not None:
        threshold["retry_budget"] = _retry_budget(policy.retry_budget)
    cluster["circuit_breakers"] = {"thresholds": [threshold]}
    cluster["connect_timeout"] = mesh_timeout(mesh)
    if tcp is not None and tcp.connect_timeout is not None:
        cluster["connect_timeout"] = duration(tcp.connect_timeout)
    keepalive = _keepalive(mesh.tcp_keepalive, tcp.tcp_keepalive if tcp is not None else None)
    if keepalive is not None:
        cluster["upstream_connection_options"] = {"tcp_keepalive": keepalive}
    _limit_connections(options, http, tcp)
    if http is not None and http.use_client_protocol:
        use_client_protocol(options)


def use_client_protocol(options: JsonObject) -> None:
    """Let the cluster speak the protocol of the caller."""
    options.pop("explicit_http_config", None)
    options["use_downstream_protocol_config"] = {"http_protocol_options": {}, "http2_protocol_options": {}}


def _limit_connections(options: JsonObject, http: HTTPSettings | None, tcp: TCPSettings | None) -> None:
    idle = http.idle_timeout if http is not None else None
    if idle is None and tcp is not None:
        idle = tcp.idle_timeout
    lifetime = tcp.max_connection_duration if tcp is not None else None
    requests = (http.max_requests_per_connection or 0) if http is not None else 0
    streams = (http.max_concurrent_streams or 0) if http is not None else 0
    keepalive = http.http2_keep_alive if http is not None else None
    if idle is None and lifetime is None and not requests and not streams and keepalive is None:
        return
    common: JsonObject = options.setdefault("common_http_protocol_options", {})
    if idle is not None:
        common["idle_timeout"] = duration(idle)
    if requests:
        common["max_requests_per_connection"] = requests
    if lifetime is not None:
        common["max_connection_duration"] = duration(lifetime)
    http2 = options.get("explicit_http_config", {}).get("http2_protocol_options")
    if http2 is None:
        return
    if streams:
        http2["max_concurrent_streams"] = streams
    if keepalive is not None:
        http2["connection_keepalive"] = {
            name: duration(value)
            for name, value in (("interval", keepalive.interval), ("timeout", keepalive.timeout))
            if value is not None
        }


def _retry_budget(budget: RetryBudget) -> JsonObject:
    result: JsonObject = {
        "budget_percent": percent(20.0 if budget.percent is None else budget.percent),
        "min_retry_concurrency": budget.min_retry_concurrency or 3,
    }
    if budget.budget_interval is not None:
        result["budget_interval"] = duration(budget.budget_interval)
    return result


def percent(value: float) -> JsonObject:
    """An Envoy Percent; zero is the default of its only field."""
    return {"value": int(value) if value == int(value) else value} if value else {}


def _keepalive(*settings: TcpKeepalive | None) -> JsonObject | None:
    result: JsonObject | None = None
    for setting in settings:
        if setting is None:
            continue
        result = result or {}
        if setting.probes:
            result["keepalive_probes"] = setting.probes
        if setting.time is not None:
            result["keepalive_time"] = int(setting.time.total_seconds())
        if setting.interval is not None:
            result["keepalive_interval"] = int(setting.interval.total_seconds())
    return result
