"""Typed models of the manifests: schema, defaults and validation, one module per API group."""

from __future__ import annotations

from labsupport.model.apps import DaemonSet, Deployment, ReplicaSet, StatefulSet
from labsupport.model.base import Origin, Resource, Schema
from labsupport.model.core import ConfigMap, Namespace, Pod, Secret, Service, ServiceAccount
from labsupport.model.destinationrule import DestinationRule, Subset
from labsupport.model.duration import parse_duration
from labsupport.model.extensions import TrafficExtension, WasmPlugin
from labsupport.model.gateway import Gateway, Server
from labsupport.model.kinds import CLUSTER_SCOPED, KINDS, api_versions, find_kind
from labsupport.model.loadbalancer import (
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    ZoneAwareLoadBalancerSetting,
)
from labsupport.model.parse import loose_fields, parse
from labsupport.model.proxies import EnvoyFilter, ProxyConfig, WorkloadGroup
from labsupport.model.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from labsupport.model.serviceentry import ServiceEntry, WorkloadEntry
from labsupport.model.sidecar import Sidecar
from labsupport.model.telemetry import Telemetry
from labsupport.model.trafficpolicy import ConnectionPoolSettings, OutlierDetection, TcpKeepalive
from labsupport.model.virtualservice import (
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

__all__ = [
    "CLUSTER_SCOPED",
    "KINDS",
    "AuthorizationPolicy",
    "ConfigMap",
    "ConnectionPoolSettings",
    "CorsPolicy",
    "DaemonSet",
    "Deployment",
    "Destination",
    "DestinationRule",
    "EnvoyFilter",
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
    "OutlierDetection",
    "PeerAuthentication",
    "Percent",
    "Pod",
    "ProxyConfig",
    "ReplicaSet",
    "RequestAuthentication",
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
    "TrafficExtension",
    "VirtualService",
    "WasmPlugin",
    "WorkloadEntry",
    "WorkloadGroup",
    "ZoneAwareLoadBalancerSetting",
    "api_versions",
    "find_kind",
    "loose_fields",
    "parse",
    "parse_duration",
]
