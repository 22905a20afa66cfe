"""``Sidecar`` of networking.istio.io: what the sidecars of some pods know and accept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labsupport.model.kinds.gateway import ServerTLSSettings
from labsupport.model.kinds.selector import WorkloadLabels
from labsupport.model.kinds.trafficpolicy import ConnectionPoolSettings
from labsupport.model.kinds.virtualservice import Destination
from labsupport.model.schema.base import IstioResource, Schema
from labsupport.model.schema.types import UInt32

__all__ = [
    "CaptureMode",
    "IstioEgressListener",
    "IstioIngressListener",
    "OutboundTrafficPolicy",
    "Sidecar",
    "SidecarPort",
    "SidecarSpec",
]

CaptureMode = Literal["DEFAULT", "IPTABLES", "NONE"]


class SidecarPort(Schema):
    """A port of a listener of the sidecar."""

    number: UInt32 = 0
    protocol: str = ""
    name: str = ""
    target_port: UInt32 = 0


class IstioIngressListener(Schema):
    """What the sidecar accepts for its pod."""

    port: SidecarPort
    bind: str = ""
    capture_mode: CaptureMode = "DEFAULT"
    default_endpoint: str = ""
    tls: ServerTLSSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None


class IstioEgressListener(Schema):
    """Which hosts the pod can reach through its sidecar."""

    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode = "DEFAULT"
    hosts: list[str]


class OutboundTrafficPolicy(Schema):
    """What happens to calls to unknown hosts."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] = "REGISTRY_ONLY"
    egress_proxy: Destination | None = None


class SidecarSpec(Schema):
    """``spec`` of a Sidecar."""

    workload_selector: WorkloadLabels | None = None
    ingress: list[IstioIngressListener] = Field(default_factory=list)
    egress: list[IstioEgressListener] = Field(default_factory=list)
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None


class Sidecar(IstioResource):
    """What the sidecars of some pods know and accept."""

    KIND = "Sidecar"

    spec: SidecarSpec = Field(default_factory=SidecarSpec)
