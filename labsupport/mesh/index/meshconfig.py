"""Mesh-wide configuration (``MeshConfig``), as far as it shapes traffic; the defaults are those of Istio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import yaml

from labsupport.model import HTTPRetry, LocalityLoadBalancerSetting, TcpKeepalive, parse_duration

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
    """

    outbound_traffic_policy: str = "ALLOW_ANY"
    root_namespace: str = "istio-system"
    connect_timeout: timedelta = timedelta(seconds=10)
    default_http_retry_policy: Any = None
    locality_lb_setting: Any = None
    h2_upgrade: bool = False
    tcp_keepalive: Any = None
    default_service_export_to: frozenset[str] = frozenset("*")
    default_virtual_service_export_to: frozenset[str] = frozenset("*")
    default_destination_rule_export_to: frozenset[str] = frozenset("*")


DEFAULT_MESH_CONFIG = MeshConfig()
"""What an installation has that changed nothing."""


_EXPORTS = {
    "defaultServiceExportTo": "default_service_export_to",
    "defaultVirtualServiceExportTo": "default_virtual_service_export_to",
    "defaultDestinationRuleExportTo": "default_destination_rule_export_to",
}
_KNOWN = frozenset(
    (
        *_EXPORTS,
        "connectTimeout",
        "defaultHttpRetryPolicy",
        "h2UpgradePolicy",
        "localityLbSetting",
        "outboundTrafficPolicy",
        "tcpKeepalive",
    )
)


def unread_fields(resource: Any) -> list[str]:
    """Names of the fields that a ConfigMap with the mesh configuration sets and that play no part here."""
    return sorted(set(_written((resource,))) - _KNOWN)


def _written(objects: Iterable[Any]) -> dict[str, Any]:
    text = ""
    for resource in objects:
        if (resource.kind, resource.name, resource.namespace) == ("ConfigMap", "istio", "istio-system"):
            text = resource.data.get("mesh", "")
    written = yaml.load(text, Loader=yaml.CSafeLoader)
    return written if isinstance(written, dict) else {}


def read_mesh_config(objects: Iterable[Any], text: str = "") -> MeshConfig:
    """Read the mesh configuration where an installation keeps it: ``data.mesh`` of the ConfigMap ``istio``.

    Args:
        objects: all objects; the ConfigMap is looked for in the root namespace ``istio-system``.
        text: YAML text of more fields, which count instead of those of the ConfigMap.

    Returns:
        The configuration, with Istio's defaults for what is not written.
    """
    more = yaml.load(text, Loader=yaml.CSafeLoader)
    written = {**_written(objects), **(more if isinstance(more, dict) else {})}
    fields: dict[str, Any] = {}
    policy = written.get("outboundTrafficPolicy")
    if policy is not None:
        fields["outbound_traffic_policy"] = policy.get("mode", "REGISTRY_ONLY")
    if "connectTimeout" in written:
        fields["connect_timeout"] = parse_duration(written["connectTimeout"])
    fields["h2_upgrade"] = written.get("h2UpgradePolicy") == "UPGRADE"
    for name, field, model in (
        ("defaultHttpRetryPolicy", "default_http_retry_policy", HTTPRetry),
        ("localityLbSetting", "locality_lb_setting", LocalityLoadBalancerSetting),
        ("tcpKeepalive", "tcp_keepalive", TcpKeepalive),
    ):
        if written.get(name) is not None:
            fields[field] = model.model_validate(written[name])
    for name, field in _EXPORTS.items():
        if written.get(name) is not None:
            fields[field] = frozenset(written[name])
    return MeshConfig(**fields) if written else DEFAULT_MESH_CONFIG
