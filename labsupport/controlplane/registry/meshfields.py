"""The fields of ``MeshConfig`` that are read, and what istiod refuses of them (``ValidateMeshConfig``)."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from labsupport.model.kinds.loadbalancer import (
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    ZoneAwareLoadBalancerSetting,
)
from labsupport.model.kinds.trafficpolicy import ConnectionPoolSettings, OutlierDetection, TcpKeepalive
from labsupport.model.kinds.virtualservice import HTTPRetry
from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import AnyDuration, Double, UInt32
from labsupport.model.validation.destinationrule import check_connection_pool, check_outlier_detection
from labsupport.model.validation.findings import Findings
from labsupport.model.validation.loadbalancer import check_load_balancer

__all__ = ["MeshFields", "OpenTelemetry", "refused"]

_MS = timedelta(milliseconds=1)
_LONGEST = timedelta(hours=1)


class OutboundTrafficPolicy(Schema):
    """``outboundTrafficPolicy``."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS"] = "REGISTRY_ONLY"


class PathNormalization(Schema):
    """``pathNormalization``."""

    normalization: Literal["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] = "DEFAULT"


class TLSDefaults(Schema):
    """``tlsDefaults``."""

    ecdh_curves: list[str] = Field(default_factory=list)
    cipher_suites: list[str] = Field(default_factory=list)


class HttpHeader(Schema):
    """A header of what is sent to a collector."""

    name: str
    value: str = ""
    env_name: str = ""


class HttpExport(Schema):
    """``http`` of an OpenTelemetry provider: OTLP over HTTP instead of gRPC."""

    path: str
    timeout: AnyDuration | None = None
    headers: list[HttpHeader] = Field(default_factory=list)


class OpenTelemetry(Schema):
    """``opentelemetry`` of an extension provider: where spans are sent."""

    service: str
    port: UInt32
    max_tag_length: UInt32 = 0
    http: HttpExport | None = None


class ExtensionProvider(Schema):
    """One of ``extensionProviders``; those of other forms have no part here."""

    name: str
    opentelemetry: OpenTelemetry | None = None


class DefaultProviders(Schema):
    """``defaultProviders``."""

    tracing: list[str] = Field(default_factory=list)


class ProxyTracing(Schema):
    """``tracing`` of ``defaultConfig``."""

    sampling: Double = 0.0
    max_path_tag_length: UInt32 = 0


class ProxyConfig(Schema):
    """``defaultConfig``."""

    tracing: ProxyTracing | None = None


class DefaultTrafficPolicy(Schema):
    """``defaultTrafficPolicy``."""

    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None


class MeshFields(Schema):
    """The fields as they are written; the others have no part in routing."""

    access_log_encoding: Literal["TEXT", "JSON"] = "TEXT"
    access_log_file: str = ""
    access_log_format: str = ""
    connect_timeout: AnyDuration | None = None
    default_config: ProxyConfig | None = None
    default_destination_rule_export_to: list[str] = Field(default_factory=list)
    default_http_retry_policy: HTTPRetry | None = None
    default_providers: DefaultProviders | None = None
    default_service_export_to: list[str] = Field(default_factory=list)
    default_traffic_policy: DefaultTrafficPolicy | None = None
    default_virtual_service_export_to: list[str] = Field(default_factory=list)
    enable_auto_mtls: bool = True
    extension_providers: list[ExtensionProvider] = Field(default_factory=list)
    h2_upgrade_policy: Literal["DO_NOT_UPGRADE", "UPGRADE"] = "DO_NOT_UPGRADE"
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
    path_normalization: PathNormalization | None = None
    protocol_detection_timeout: AnyDuration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    tls_defaults: TLSDefaults | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None


def refused(fields: MeshFields) -> list[tuple[str, str]]:
    """Path and message of everything that istiod refuses."""
    findings = Findings("istio-system")
    timeout = fields.connect_timeout
    if timeout is not None and not _MS <= timeout <= _LONGEST:
        findings.error("connectTimeout", f"must be between 1ms and 1h, got {timeout}")
    for name, duration in (
        ("connectTimeout", timeout),
        ("protocolDetectionTimeout", fields.protocol_detection_timeout),
    ):
        if duration is not None and duration.nanoseconds % 1_000_000:
            findings.error(name, f"must be whole milliseconds, got {duration}")
    # Unlike a rule, a mesh may have both; and it needs no outlier detection beside them.
    for name in ("locality_lb_setting", "zone_aware_lb_setting"):
        setting = LoadBalancerSettings.model_construct(**{name: getattr(fields, name)})
        check_load_balancer(setting, OutlierDetection.model_construct(), "", findings)
    if fields.default_traffic_policy is not None:
        policy, path = fields.default_traffic_policy, "defaultTrafficPolicy"
        check_connection_pool(policy.connection_pool, f"{path}.connectionPool", findings)
        check_outlier_detection(policy.outlier_detection, f"{path}.outlierDetection", findings)
    return [(issue.path.lstrip("."), issue.message) for issue in findings.errors]
