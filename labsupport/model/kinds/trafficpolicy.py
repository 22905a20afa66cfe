"""``trafficPolicy`` of a DestinationRule: balancing, pools, ejection, TLS."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from labsupport.model.kinds.loadbalancer import LoadBalancerSettings
from labsupport.model.kinds.virtualservice import PortSelector
from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import AnyDuration, Double, Duration, Int32, UInt32

__all__ = [
    "ClientTLSMode",
    "ClientTLSSettings",
    "ConnectionKeepalive",
    "ConnectionPoolSettings",
    "H2UpgradePolicy",
    "HTTPSettings",
    "OutlierDetection",
    "PortTrafficPolicy",
    "ProxyProtocol",
    "RetryBudget",
    "TCPSettings",
    "TcpKeepalive",
    "TrafficPolicy",
    "TunnelSettings",
]

H2UpgradePolicy = Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]
ClientTLSMode = Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]


class TcpKeepalive(Schema):
    """TCP keep-alive of upstream connections."""

    probes: UInt32 = 0
    time: Duration | None = None
    interval: Duration | None = None


class TCPSettings(Schema):
    """Connection limits of both HTTP and TCP."""

    max_connections: Int32 = 0
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: AnyDuration | None = None


class ConnectionKeepalive(Schema):
    """HTTP/2 PING keep-alive."""

    interval: Duration | None = None
    timeout: Duration | None = None


class HTTPSettings(Schema):
    """Limits of HTTP requests and connections."""

    http1_max_pending_requests: Int32 = 0
    http2_max_requests: Int32 = 0
    max_requests_per_connection: Int32 = 0
    max_retries: Int32 = 0
    idle_timeout: Duration | None = None
    h2_upgrade_policy: H2UpgradePolicy = "DEFAULT"
    use_client_protocol: bool = False
    max_concurrent_streams: Int32 = 0
    http2_keep_alive: ConnectionKeepalive | None = None


class ConnectionPoolSettings(Schema):
    """Limits of what may be under way to a host."""

    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


class OutlierDetection(Schema):
    """When an endpoint that answers with errors is ejected, and for how long."""

    consecutive_errors: Int32 = 0
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: UInt32 | None = None
    consecutive_gateway_errors: UInt32 | None = None
    consecutive_5xx_errors: UInt32 | None = Field(default=None, alias="consecutive5xxErrors")
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: Int32 = 0
    min_health_percent: Int32 = 0
    outlier_detection_http_error_codes: list[Annotated[int, Field(ge=100, le=599)]] = Field(default_factory=list)


class ClientTLSSettings(Schema):
    """TLS towards the endpoints."""

    mode: ClientTLSMode = "DISABLE"
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    credential_name: str = ""
    subject_alt_names: list[str] = Field(default_factory=list)
    sni: str = ""
    insecure_skip_verify: bool | None = None
    ca_crl: str = ""


class PortTrafficPolicy(Schema):
    """The policy of one port, which replaces the policy around it."""

    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TunnelSettings(Schema):
    """Tunnels TCP through an HTTP CONNECT or POST proxy."""

    protocol: str = ""
    target_host: str
    target_port: UInt32


class ProxyProtocol(Schema):
    """PROXY protocol towards the endpoints."""

    version: Literal["V1", "V2"] = "V1"


class RetryBudget(Schema):
    """How many of the requests under way may be retries."""

    percent: Annotated[Double | None, Field(ge=0, le=100)] = None
    min_retry_concurrency: UInt32 = 0
    budget_interval: AnyDuration | None = None


class TrafficPolicy(Schema):
    """How a host, a subset or a port of it is called."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: Annotated[list[PortTrafficPolicy], Field(max_length=4096)] = Field(default_factory=list)
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None
