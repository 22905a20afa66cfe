"""Kinds of networking.istio.io about proxies themselves: ProxyConfig, EnvoyFilter, WorkloadGroup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from labsupport.model.kinds.otheristio import NonEmpty, OtherIstio, TargetReferences, matching
from labsupport.model.kinds.selector import WorkloadLabels, WorkloadSelector
from labsupport.model.kinds.serviceentry import WorkloadEntrySpec
from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import CLEARABLE, Int32, PortNumber, Rule, UInt32, at_most_one

__all__ = [
    "ClusterMatch",
    "EnvoyConfigObjectMatch",
    "EnvoyConfigObjectPatch",
    "EnvoyFilter",
    "EnvoyFilterSpec",
    "ExecHealthCheckConfig",
    "FilterChainMatch",
    "FilterMatch",
    "GrpcHealthCheckConfig",
    "HTTPHeader",
    "HTTPHealthCheckConfig",
    "ListenerMatch",
    "NameMatch",
    "Patch",
    "ProxyConfig",
    "ProxyConfigSpec",
    "ProxyImage",
    "ProxyMatch",
    "ReadinessProbe",
    "RouteConfigurationMatch",
    "RouteMatch",
    "TCPHealthCheckConfig",
    "VirtualHostMatch",
    "WaypointMatch",
    "WorkloadGroup",
    "WorkloadGroupMetadata",
    "WorkloadGroupSpec",
    "WorkloadTemplate",
]


class ProxyImage(Schema):
    """The image of proxies."""

    image_type: str = ""


class ProxyConfigSpec(Schema):
    """``spec`` of a ProxyConfig."""

    selector: WorkloadSelector | None = None
    concurrency: Annotated[Int32 | None, Field(ge=0), CLEARABLE] = None
    environment_variables: dict[str, Annotated[str, Field(max_length=2048)]] = Field(default_factory=dict)
    image: ProxyImage | None = None


class ProxyConfig(OtherIstio):
    """Settings of proxies."""

    KIND = "ProxyConfig"
    VERSIONS = ("v1beta1",)
    PURPOSE = "sets options of proxies"

    spec: ProxyConfigSpec = Field(default_factory=ProxyConfigSpec)


class ProxyMatch(Schema):
    """Which proxies."""

    proxy_version: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)


class ClusterMatch(Schema):
    """Which clusters."""

    port_number: UInt32 = 0
    service: str = ""
    subset: str = ""
    name: str = ""


class NameMatch(Schema):
    """By name."""

    name: str = ""


class RouteMatch(Schema):
    """Which routes."""

    name: str = ""
    action: Literal["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"] = "ANY"


class VirtualHostMatch(Schema):
    """Which virtual hosts."""

    name: str = ""
    domain_name: str = ""
    route: RouteMatch | None = None


class RouteConfigurationMatch(Schema):
    """Which route tables."""

    port_number: UInt32 = 0
    port_name: str = ""
    gateway: str = ""
    vhost: VirtualHostMatch | None = None
    name: str = ""


class FilterMatch(Schema):
    """Which filters."""

    name: str = ""
    sub_filter: NameMatch | None = None


class FilterChainMatch(Schema):
    """Which filter chains."""

    name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: str = ""
    filter: FilterMatch | None = None
    destination_port: UInt32 = 0


class ListenerMatch(Schema):
    """Which listeners."""

    port_number: UInt32 = 0
    port_name: str = ""
    filter_chain: FilterChainMatch | None = None
    listener_filter: str = ""
    name: str = ""


class WaypointMatch(Schema):
    """What of a waypoint."""

    port_number: PortNumber = 0
    route: NameMatch | None = None
    filter: FilterMatch | None = None


def _waypoint_fits(value: Mapping[str, Any]) -> bool:
    return (value.get("context") == "WAYPOINT") == ("waypoint" in value)


class EnvoyConfigObjectMatch(Schema):
    """What a patch applies to."""

    ONE_OF: ClassVar = (("listener", "routeConfiguration", "cluster", "waypoint"),)
    RULES: ClassVar = (Rule(_waypoint_fits, "waypoint goes with context WAYPOINT, and only with it"),)

    context: Literal["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"] = "ANY"
    proxy: ProxyMatch | None = None
    listener: ListenerMatch | None = None
    route_configuration: RouteConfigurationMatch | None = None
    cluster: ClusterMatch | None = None
    waypoint: WaypointMatch | None = None


class Patch(Schema):
    """What a patch does."""

    operation: Literal[
        "INVALID",
        "MERGE",
        "ADD",
        "REMOVE",
        "INSERT_BEFORE",
        "INSERT_AFTER",
        "INSERT_FIRST",
        "REPLACE",
        "MERGE_AND_REPLACE_LIST",
    ] = "INVALID"
    value: dict[str, Any] | None = None
    filter_class: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED"


class EnvoyConfigObjectPatch(Schema):
    """One patch."""

    apply_to: Literal[
        "INVALID",
        "LISTENER",
        "FILTER_CHAIN",
        "NETWORK_FILTER",
        "HTTP_FILTER",
        "ROUTE_CONFIGURATION",
        "VIRTUAL_HOST",
        "HTTP_ROUTE",
        "CLUSTER",
        "EXTENSION_CONFIG",
        "BOOTSTRAP",
        "LISTENER_FILTER",
    ] = "INVALID"
    match: EnvoyConfigObjectMatch | None = None
    patch: Patch | None = None


class EnvoyFilterSpec(Schema):
    """``spec`` of an EnvoyFilter."""

    RULES: ClassVar = (
        Rule(at_most_one("workloadSelector", "targetRefs"), "only one of workloadSelector and targetRefs may be given"),
    )

    workload_selector: WorkloadLabels | None = None
    target_refs: TargetReferences = Field(default_factory=list)
    config_patches: list[EnvoyConfigObjectPatch] = Field(default_factory=list)
    priority: Int32 = 0


class EnvoyFilter(OtherIstio):
    """Patches of the generated Envoy configuration."""

    KIND = "EnvoyFilter"
    VERSIONS = ("v1alpha3",)
    PURPOSE = "patches Envoy's configuration by hand"

    spec: EnvoyFilterSpec = Field(default_factory=EnvoyFilterSpec)


class WorkloadTemplate(WorkloadEntrySpec):
    """The template of WorkloadEntries; here the address may be missing."""

    RULES: ClassVar[tuple[Rule, ...]] = WorkloadEntrySpec.RULES[1:]


class WorkloadGroupMetadata(Schema):
    """Labels and annotations of the WorkloadEntries."""

    labels: Annotated[dict[str, str], Field(max_length=256)] = Field(default_factory=dict)
    annotations: Annotated[dict[str, str], Field(max_length=256)] = Field(default_factory=dict)


class HTTPHeader(Schema):
    """A header of a probe."""

    name: Annotated[str, matching(r"[-_A-Za-z0-9]+", "is not a header name")] = ""
    value: str = ""


class HTTPHealthCheckConfig(Schema):
    """A probe by HTTP."""

    path: str = ""
    port: PortNumber
    host: str = ""
    scheme: Annotated[str, Rule(lambda value: value in ("", "HTTP", "HTTPS"), "must be HTTP or HTTPS")] = ""
    http_headers: list[HTTPHeader] = Field(default_factory=list)


class TCPHealthCheckConfig(Schema):
    """A probe by TCP."""

    host: str = ""
    port: PortNumber


class ExecHealthCheckConfig(Schema):
    """A probe by a program."""

    command: list[NonEmpty]


class GrpcHealthCheckConfig(Schema):
    """A probe by gRPC."""

    port: PortNumber = 0
    service: str = ""


_Count = Annotated[Int32, Field(ge=0)]


class ReadinessProbe(Schema):
    """When a workload is ready."""

    ONE_OF: ClassVar = (("httpGet", "tcpSocket", "exec", "grpc"),)

    initial_delay_seconds: _Count = 0
    timeout_seconds: _Count = 0
    period_seconds: _Count = 0
    success_threshold: _Count = 0
    failure_threshold: _Count = 0
    http_get: HTTPHealthCheckConfig | None = None
    tcp_socket: TCPHealthCheckConfig | None = None
    exec: ExecHealthCheckConfig | None = None
    grpc: GrpcHealthCheckConfig | None = None


class WorkloadGroupSpec(Schema):
    """``spec`` of a WorkloadGroup."""

    metadata: WorkloadGroupMetadata | None = None
    template: WorkloadTemplate
    probe: ReadinessProbe | None = None


class WorkloadGroup(OtherIstio):
    """A template of WorkloadEntries."""

    KIND = "WorkloadGroup"
    PURPOSE = "describes workloads that are not pods"

    spec: WorkloadGroupSpec
