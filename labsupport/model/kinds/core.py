"""Kinds of Kubernetes' core group: Namespace, Service, ConfigMap, Secret, Pod, ServiceAccount."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labsupport.model.kinds.kube import KubeSchema
from labsupport.model.kinds.pods import PodSpec
from labsupport.model.schema.base import Resource
from labsupport.model.schema.types import Base64, Int32, IntOrString, Loose

__all__ = [
    "BarePod",
    "ConfigMap",
    "Core",
    "LoadBalancerIngress",
    "LoadBalancerStatus",
    "Namespace",
    "Secret",
    "Service",
    "ServiceAccount",
    "ServicePortSpec",
    "ServiceSpec",
    "ServiceStatus",
]


class Core(Resource):
    """What the kinds of the core group have in common."""

    NULLS: ClassVar[bool] = True
    GROUP = ""
    VERSIONS: ClassVar[tuple[str, ...]] = ("v1",)


class Namespace(Core):
    """A namespace; its label ``istio-injection: enabled`` gives its pods sidecars."""

    KIND = "Namespace"

    spec: Loose = None
    status: Loose = None


class ServicePortSpec(KubeSchema):
    """A port of a Service."""

    name: str = ""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    app_protocol: str | None = None
    port: Annotated[Int32, Field(ge=1, le=65535)]
    target_port: IntOrString | None = None
    node_port: Annotated[Int32, Field(ge=0, le=65535)] = 0


class ServiceSpec(KubeSchema):
    """``spec`` of a Service."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    selector: dict[str, str] = Field(default_factory=dict)
    ports: list[ServicePortSpec] = Field(default_factory=list)
    cluster_ip: str = Field(default="", alias="clusterIP")
    cluster_ips: list[str] = Field(default_factory=list, alias="clusterIPs")
    external_name: str = ""
    external_ips: list[str] = Field(default_factory=list, alias="externalIPs")
    publish_not_ready_addresses: bool = False
    internal_traffic_policy: Literal["Cluster", "Local"] | None = None
    traffic_distribution: str | None = None
    session_affinity: Loose = None
    session_affinity_config: Loose = None
    external_traffic_policy: Loose = None
    load_balancer_ip: Loose = Field(default=None, alias="loadBalancerIP")
    load_balancer_source_ranges: Loose = None
    load_balancer_class: Loose = None
    allocate_load_balancer_node_ports: Loose = None
    health_check_node_port: Loose = None
    ip_families: Loose = None
    ip_family_policy: Loose = None

    @property
    def opens_node_ports(self) -> bool:
        """Whether each node opens a port for it: of a load balancer, too, unless it says otherwise."""
        balanced = self.type == "LoadBalancer" and self.allocate_load_balancer_node_ports is not False
        return self.type == "NodePort" or balanced


class LoadBalancerIngress(KubeSchema):
    """An address that a load balancer outside gave to a Service."""

    ip: str = ""
    hostname: str = ""
    ip_mode: Loose = None
    ports: Loose = None


class LoadBalancerStatus(KubeSchema):
    """Addresses that a load balancer outside gave to a Service."""

    ingress: list[LoadBalancerIngress] = Field(default_factory=list)


class ServiceStatus(KubeSchema):
    """``status`` of a Service."""

    load_balancer: LoadBalancerStatus | None = None
    conditions: Loose = None


class Service(Core):
    """A name and ports for the pods with some labels."""

    KIND = "Service"

    spec: ServiceSpec = Field(default_factory=ServiceSpec)
    status: ServiceStatus | None = None


class ConfigMap(Core):
    """Settings by key, used as environment variables."""

    KIND = "ConfigMap"

    data: dict[str, str] = Field(default_factory=dict)
    binary_data: dict[str, Base64] = Field(default_factory=dict)
    immutable: bool | None = None


class Secret(Core):
    """Secret values by key; ``kubernetes.io/tls`` holds ``tls.crt`` and ``tls.key``."""

    KIND = "Secret"

    type: str = "Opaque"
    # Never shown.
    data: dict[str, Base64] = Field(default_factory=dict, repr=False)
    string_data: dict[str, str] = Field(default_factory=dict, repr=False)
    immutable: bool | None = None


class ServiceAccount(Core):
    """The identity of pods."""

    KIND = "ServiceAccount"

    secrets: Loose = None
    image_pull_secrets: Loose = None
    automount_service_account_token: Loose = None


class BarePod(Core):
    """A pod of its own, without a workload."""

    KIND = "Pod"

    spec: PodSpec
    status: Loose = None
