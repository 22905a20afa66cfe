"""Typed models of the manifests: schema, defaults and validation, one module per API group."""

from __future__ import annotations

from labsupport.model.kinds.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from labsupport.model.kinds.core import BarePod, ConfigMap, Namespace, Secret, Service, ServiceAccount
from labsupport.model.kinds.destinationrule import DestinationRule, Subset
from labsupport.model.kinds.gateway import Gateway, Server
from labsupport.model.kinds.index import CLUSTER_SCOPED, KINDS, RULES, api_versions, find_kind
from labsupport.model.kinds.loadbalancer import (
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    ZoneAwareLoadBalancerSetting,
)
from labsupport.model.kinds.otheristio import OtherIstio
from labsupport.model.kinds.serviceentry import ServiceEntry, WorkloadEntry
from labsupport.model.kinds.sidecar import Sidecar
from labsupport.model.kinds.telemetry import Telemetry
from labsupport.model.kinds.trafficpolicy import ConnectionPoolSettings, OutlierDetection, TcpKeepalive
from labsupport.model.kinds.virtualservice import (
    Abort,
    CorsPolicy,
    Destination,
    HeaderOperations,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
    StringMatch,
    VirtualService,
)
from labsupport.model.reading.parse import parse
from labsupport.model.schema.base import Origin, Resource, Schema
from labsupport.model.schema.duration import parse_duration

__all__ = [
    "CLUSTER_SCOPED",
    "KINDS",
    "RULES",
    "Abort",
    "BarePod",
    "ConfigMap",
    "ConnectionPoolSettings",
    "CorsPolicy",
    "DaemonSet",
    "Deployment",
    "Destination",
    "DestinationRule",
    "Gateway",
    "HTTPMatchRequest",
    "HTTPRedirect",
    "HTTPRetry",
    "HTTPRoute",
    "HTTPRouteDestination",
    "HeaderOperations",
    "LoadBalancerSettings",
    "LocalityLoadBalancerSetting",
    "Namespace",
    "Origin",
    "OtherIstio",
    "OutlierDetection",
    "Percent",
    "ReplicaSet",
    "Resource",
    "Schema",
    "Secret",
    "Server",
    "Service",
    "ServiceAccount",
    "ServiceEntry",
    "Sidecar",
    "StatefulSet",
    "StringMatch",
    "Subset",
    "TcpKeepalive",
    "Telemetry",
    "VirtualService",
    "WorkloadEntry",
    "ZoneAwareLoadBalancerSetting",
    "api_versions",
    "find_kind",
    "parse",
    "parse_duration",
]
