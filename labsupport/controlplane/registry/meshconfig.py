"""Mesh-wide configuration (``MeshConfig``), as far as it shapes traffic; the defaults are those of Istio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import yaml

from labsupport.model import ConfigMap, parse_duration
from labsupport.model.kinds.loadbalancer import LocalityLoadBalancerSetting, ZoneAwareLoadBalancerSetting
from labsupport.model.kinds.trafficpolicy import ConnectionPoolSettings, OutlierDetection, TcpKeepalive
from labsupport.model.kinds.virtualservice import HTTPRetry
from labsupport.model.schema.base import Resource, Schema
from labsupport.model.schema.protojson import decode
from labsupport.records import JsonObject

__all__ = ["DEFAULT_MESH_CONFIG", "MeshConfig", "read_mesh_config", "unread_fields"]


@dataclass(frozen=True)
class MeshConfig:
    """Fields of ``MeshConfig``.

    Args:
        outbound_traffic_policy: ``ALLOW_ANY`` or ``REGISTRY_ONLY``, for hosts that are not in the mesh.
        root_namespace: the namespace whose rules count for all.
        connect_timeout: time for a connection to be made.
        default_http_retry_policy: an ``HTTPRetry`` for rules without ``retries``; None is Istio's own default.
        locality_lb_setting: a ``LocalityLoadBalancerSetting``; None is an enabled one without rules.
        h2_upgrade: whether clusters of HTTP ports speak HTTP/2.
        tcp_keepalive: keepalive of every upstream connection; None is the operating system's.
        default_service_export_to: who sees Services and ServiceEntries without ``exportTo``.
        default_virtual_service_export_to: who sees VirtualServices without ``exportTo``.
        default_destination_rule_export_to: who sees DestinationRules without ``exportTo``.
        default_connection_pool, default_outlier_detection: blocks of ``defaultTrafficPolicy``, for clusters whose rule
            has none.
        zone_aware_lb_setting: a ``ZoneAwareLoadBalancerSetting``; None without one.
        detection_timeout: how long a proxy waits for the first bytes of a connection; zero is for ever.
        path_normalization: ``normalization`` of ``pathNormalization``.
        access_log: ``accessLogFile``, ``accessLogEncoding`` and ``accessLogFormat``; no file is no log.
        ecdh_curves, cipher_suites: of ``tlsDefaults``.
    """

    outbound_traffic_policy: str = "ALLOW_ANY"
    root_namespace: str = "istio-system"
    connect_timeout: timedelta = timedelta(seconds=10)
    default_http_retry_policy: HTTPRetry | None = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    h2_upgrade: bool = False
    tcp_keepalive: TcpKeepalive | None = None
    default_service_export_to: frozenset[str] = frozenset("*")
    default_virtual_service_export_to: frozenset[str] = frozenset("*")
    default_destination_rule_export_to: frozenset[str] = frozenset("*")
    default_connection_pool: ConnectionPoolSettings | None = None
    default_outlier_detection: OutlierDetection | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    detection_timeout: timedelta = timedelta()
    path_normalization: str = "DEFAULT"
    access_log: tuple[str, str, str] = ("", "TEXT", "")
    ecdh_curves: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()


DEFAULT_MESH_CONFIG = MeshConfig()
"""What an installation has that changed nothing."""


_DYNAMIC = "ALLOW_ANY_DYNAMIC_DNS"
_EXPORTS = {
    "defaultServiceExportTo": "default_service_export_to",
    "defaultVirtualServiceExportTo": "default_virtual_service_export_to",
    "defaultDestinationRuleExportTo": "default_destination_rule_export_to",
}
_KNOWN = frozenset(
    (
        *_EXPORTS,
        "accessLogEncoding",
        "accessLogFile",
        "accessLogFormat",
        "connectTimeout",
        "defaultHttpRetryPolicy",
        "defaultTrafficPolicy",
        "h2UpgradePolicy",
        "localityLbSetting",
        "outboundTrafficPolicy",
        "pathNormalization",
        "protocolDetectionTimeout",
        "tcpKeepalive",
        "tlsDefaults",
        "zoneAwareLbSetting",
    )
)


def unread_fields(resource: Resource) -> list[str]:
    """Names of the fields that a ConfigMap with the mesh configuration sets and that play no part here."""
    written = _written((resource,))
    unread = set(written) - _KNOWN
    if _block(written, "outboundTrafficPolicy").get("mode") == _DYNAMIC:
        unread.add("outboundTrafficPolicy")
    return sorted(unread)


def _written(objects: Iterable[Resource]) -> JsonObject:
    text = ""
    for resource in objects:
        if isinstance(resource, ConfigMap) and (resource.name, resource.namespace) == ("istio", "istio-system"):
            text = resource.data.get("mesh", "")
    written = yaml.load(text, Loader=yaml.CSafeLoader)
    return written if isinstance(written, dict) else {}


def _block(written: JsonObject, name: str) -> JsonObject:
    value = written.get(name)
    return value if isinstance(value, dict) else {}


def read_mesh_config(objects: Iterable[Resource], text: str = "") -> MeshConfig:
    """Read the mesh configuration where an installation keeps it: ``data.mesh`` of the ConfigMap ``istio``.

    Args:
        objects: all objects; the ConfigMap is looked for in the root namespace ``istio-system``.
        text: YAML text of more fields, which count instead of those of the ConfigMap.

    Returns:
        The configuration, with Istio's defaults for what is not written.
    """
    more = yaml.load(text, Loader=yaml.CSafeLoader)
    written = {**_written(objects), **(more if isinstance(more, dict) else {})}
    fields: JsonObject = {}
    policy = written.get("outboundTrafficPolicy")
    if policy is not None:
        mode = policy.get("mode", "REGISTRY_ONLY")
        # The nearest mode that is translated; see unread_fields.
        fields["outbound_traffic_policy"] = "ALLOW_ANY" if mode == _DYNAMIC else mode
    for name, field in (("connectTimeout", "connect_timeout"), ("protocolDetectionTimeout", "detection_timeout")):
        if written.get(name) is not None:
            fields[field] = parse_duration(written[name])
    fields["h2_upgrade"] = written.get("h2UpgradePolicy") == "UPGRADE"
    fields["path_normalization"] = str(_block(written, "pathNormalization").get("normalization") or "DEFAULT")
    fields["access_log"] = (
        str(written.get("accessLogFile") or ""),
        str(written.get("accessLogEncoding") or "TEXT"),
        str(written.get("accessLogFormat") or ""),
    )
    tls = _block(written, "tlsDefaults")
    fields["ecdh_curves"] = tuple(tls.get("ecdhCurves") or ())
    fields["cipher_suites"] = tuple(tls.get("cipherSuites") or ())
    policies = _block(written, "defaultTrafficPolicy")
    model: type[Schema]
    for block, name, field, model in (
        (written, "defaultHttpRetryPolicy", "default_http_retry_policy", HTTPRetry),
        (written, "localityLbSetting", "locality_lb_setting", LocalityLoadBalancerSetting),
        (written, "zoneAwareLbSetting", "zone_aware_lb_setting", ZoneAwareLoadBalancerSetting),
        (written, "tcpKeepalive", "tcp_keepalive", TcpKeepalive),
        (policies, "connectionPool", "default_connection_pool", ConnectionPoolSettings),
        (policies, "outlierDetection", "default_outlier_detection", OutlierDetection),
    ):
        if block.get(name) is not None:
            fields[field] = decode(model, block[name], name)
    for name, field in _EXPORTS.items():
        if written.get(name) is not None:
            fields[field] = frozenset(written[name])
    return MeshConfig(**fields) if written else DEFAULT_MESH_CONFIG
