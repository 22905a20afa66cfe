"""Mesh-wide configuration (``MeshConfig``), as far as it shapes traffic; the defaults are those of Istio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import yaml

from labsupport.controlplane.registry.meshfields import MeshFields, OpenTelemetry, refused
from labsupport.errors import ManifestError, Problem
from labsupport.model import ConfigMap
from labsupport.model.kinds.loadbalancer import LocalityLoadBalancerSetting, ZoneAwareLoadBalancerSetting
from labsupport.model.kinds.trafficpolicy import ConnectionPoolSettings, OutlierDetection, TcpKeepalive
from labsupport.model.kinds.virtualservice import HTTPRetry
from labsupport.model.schema.base import Origin, Resource
from labsupport.model.schema.protojson import DecodeError, decode
from labsupport.records import JsonObject

__all__ = ["DEFAULT_MESH_CONFIG", "MeshConfig", "read_mesh_config", "unread_fields", "written_fields"]


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
        auto_mtls: whether sidecars use mutual TLS where both ends have one.
        tracers: the ``extensionProviders`` that take spans, by name.
        default_tracer: the first of ``defaultProviders.tracing``; empty without one.
        sampling: percentage of requests that are traced where no Telemetry says otherwise.
        max_path_tag_length: ``tracing.maxPathTagLength`` of ``defaultConfig``; 0 is Envoy's default.
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
    auto_mtls: bool = True
    tracers: tuple[tuple[str, OpenTelemetry], ...] = ()
    default_tracer: str = ""
    sampling: float = 1.0
    max_path_tag_length: int = 0


DEFAULT_MESH_CONFIG = MeshConfig()
"""What an installation has that changed nothing."""


_DYNAMIC = "ALLOW_ANY_DYNAMIC_DNS"


def written_fields(resource: Resource) -> JsonObject:
    """The fields of the mesh configuration that an object sets; none, if it is another object."""
    return _load(_text((resource,)))


def unread_fields(resource: Resource) -> list[str]:
    """Names of the fields that a ConfigMap with the mesh configuration sets and that play no part here."""
    written = written_fields(resource)
    unread = set(written) - {str(field.alias) for field in MeshFields.model_fields.values()}
    policy = written.get("outboundTrafficPolicy")
    if isinstance(policy, dict) and policy.get("mode") == _DYNAMIC:
        unread.add("outboundTrafficPolicy")
    of_proxies = written.get("defaultConfig")
    if isinstance(of_proxies, dict) and set(of_proxies) - {"tracing"}:
        unread.add("defaultConfig")
    return sorted(unread)


def _object(objects: Iterable[Resource]) -> ConfigMap | None:
    """The ConfigMap with the mesh configuration."""
    last = None
    for resource in objects:
        if isinstance(resource, ConfigMap) and (resource.name, resource.namespace) == ("istio", "istio-system"):
            last = resource
    return last


def _text(objects: Iterable[Resource]) -> str:
    resource = _object(objects)
    return resource.data.get("mesh", "") if resource is not None else ""


def _load(text: str) -> JsonObject:
    try:
        written = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return {}
    return written if isinstance(written, dict) else {}


def read_mesh_config(objects: Iterable[Resource], text: str = "") -> MeshConfig:
    """Read the mesh configuration where an installation keeps it: ``data.mesh`` of the ConfigMap ``istio``.

    Args:
        objects: all objects; the ConfigMap is looked for in the root namespace ``istio-system``.
        text: YAML text of more fields, which count instead of those of the ConfigMap.

    Returns:
        The configuration, with Istio's defaults for what is not written.

    Raises:
        ManifestError: istiod refuses it; it would go on with the configuration before.
    """
    resource = _object(objects)
    written = {**_readable(_text(objects), resource), **_readable(text, None)}
    if not written:
        return DEFAULT_MESH_CONFIG
    try:
        fields = decode(MeshFields, written, "")
    except DecodeError as error:
        raise _refusal([(error.path.lstrip("."), str(error))], resource) from None
    if problems := refused(fields):
        raise _refusal(problems, resource)
    policy, traffic, default = fields.outbound_traffic_policy, fields.default_traffic_policy, DEFAULT_MESH_CONFIG
    tracing = fields.default_config.tracing if fields.default_config is not None else None
    return MeshConfig(
        # The nearest mode that is translated; see unread_fields.
        outbound_traffic_policy="REGISTRY_ONLY"
        if policy is not None and policy.mode == "REGISTRY_ONLY"
        else "ALLOW_ANY",
        connect_timeout=fields.connect_timeout or default.connect_timeout,
        default_http_retry_policy=fields.default_http_retry_policy,
        locality_lb_setting=fields.locality_lb_setting,
        h2_upgrade=fields.h2_upgrade_policy == "UPGRADE",
        tcp_keepalive=fields.tcp_keepalive,
        default_service_export_to=_shown(fields.default_service_export_to),
        default_virtual_service_export_to=_shown(fields.default_virtual_service_export_to),
        default_destination_rule_export_to=_shown(fields.default_destination_rule_export_to),
        default_connection_pool=traffic.connection_pool if traffic is not None else None,
        default_outlier_detection=traffic.outlier_detection if traffic is not None else None,
        zone_aware_lb_setting=fields.zone_aware_lb_setting,
        detection_timeout=fields.protocol_detection_timeout or default.detection_timeout,
        path_normalization=fields.path_normalization.normalization if fields.path_normalization else "DEFAULT",
        access_log=(fields.access_log_file, fields.access_log_encoding, fields.access_log_format),
        ecdh_curves=tuple(fields.tls_defaults.ecdh_curves) if fields.tls_defaults else (),
        cipher_suites=tuple(fields.tls_defaults.cipher_suites) if fields.tls_defaults else (),
        auto_mtls="enable_auto_mtls" not in fields.model_fields_set or fields.enable_auto_mtls,
        tracers=tuple(
            (provider.name, provider.opentelemetry)
            for provider in fields.extension_providers
            if provider.opentelemetry is not None
        ),
        default_tracer=next(iter(fields.default_providers.tracing), "") if fields.default_providers else "",
        # Proto JSON does not tell 0 from a field that is not set.
        sampling=(tracing.sampling if tracing is not None else 0.0) or default.sampling,
        max_path_tag_length=tracing.max_path_tag_length if tracing is not None else 0,
    )


def _shown(namespaces: Iterable[str]) -> frozenset[str]:
    return frozenset(namespaces) or frozenset("*")


def _readable(text: str, resource: ConfigMap | None) -> JsonObject:
    try:
        written = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise _refusal([("", f"it is no YAML: {str(error).splitlines()[0]}")], resource) from None
    if not isinstance(written, dict | None):
        raise _refusal([("", "it must be a mapping with fields")], resource)
    return written or {}


def _refusal(problems: Iterable[tuple[str, str]], resource: ConfigMap | None) -> ManifestError:
    origin = resource.origin if resource is not None else Origin()
    return ManifestError(
        Problem(
            " ".join(("istiod refuses the mesh configuration:", *filter(None, (path, message)))),
            origin.file,
            line=origin.line_of("data.mesh"),
            object="ConfigMap/istio" if resource is not None else "",
        )
        for path, message in problems
    )
