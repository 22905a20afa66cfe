"""Mesh-wide configuration (``MeshConfig``), as far as it shapes traffic; the defaults are those of Istio."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

__all__ = ["MeshConfig"]


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
    """

    outbound_traffic_policy: str = "ALLOW_ANY"
    root_namespace: str = "istio-system"
    connect_timeout: timedelta = timedelta(seconds=10)
    default_http_retry_policy: Any = None
    locality_lb_setting: Any = None
    h2_upgrade: bool = False
    tcp_keepalive: Any = None
