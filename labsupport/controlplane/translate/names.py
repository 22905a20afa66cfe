"""Names that Istio gives to Envoy resources, and the metadata that says where they come from."""

from __future__ import annotations

import re
from datetime import timedelta

from labsupport.model.schema.base import Resource
from labsupport.records import JsonObject

__all__ = [
    "BLACK_HOLE",
    "INBOUND_PASSTHROUGH",
    "PASSTHROUGH",
    "VIRTUAL_INBOUND",
    "VIRTUAL_OUTBOUND",
    "config_ending",
    "config_path",
    "dns_cache",
    "domain_port",
    "duration",
    "inbound_cluster",
    "kebab",
    "listener_name",
    "origin_metadata",
    "outbound_cluster",
    "socket_address",
    "stat_name",
]

BLACK_HOLE = "BlackHoleCluster"
PASSTHROUGH = "PassthroughCluster"
INBOUND_PASSTHROUGH = "InboundPassthroughCluster"
VIRTUAL_OUTBOUND = "virtualOutbound"
VIRTUAL_INBOUND = "virtualInbound"

_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def outbound_cluster(host: str, port: int, subset: str = "") -> str:
    """Cluster of a service port, as ``istioctl proxy-config cluster`` shows it."""
    return f"outbound|{port}|{subset}|{host}"


def inbound_cluster(port: int) -> str:
    """Cluster of the pod's own application port."""
    return f"inbound|{port}||"


def stat_name(name: str) -> str:
    """Prefix of statistics, with the delimiter that lets labels be cut out of it again."""
    return f"{name};"


def domain_port(host: str, port: int) -> str:
    """Host and port, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listener_name(bind: str, port: int) -> str:
    """Name of a listener that is neither of the two virtual ones."""
    return f"{bind}_{port}"


def kebab(kind: str) -> str:
    """``VirtualService`` as ``virtual-service``."""
    return _CAPITALS.sub("-", kind).lower()


def config_path(kind: str, namespace: str, name: str) -> str:
    """Where an object lives in the Kubernetes API; Istio always names the storage version."""
    return f"/apis/networking.istio.io/v1/namespaces/{namespace}/{kebab(kind)}/{name}"


def config_ending(resource: Resource) -> str:
    """What a config path ends with if it names an object, whatever API group and version are in front."""
    return f"/namespaces/{resource.namespace}/{kebab(resource.kind)}/{resource.name}"


def origin_metadata(kind: str, namespace: str, name: str) -> JsonObject:
    """Metadata that names the object an Envoy resource was made from."""
    return {"filter_metadata": {"istio": {"config": config_path(kind, namespace, name)}}}


def socket_address(address: str, port: int) -> JsonObject:
    """An address in Envoy's form; port 0 stands for a Unix domain socket."""
    if not port:
        return {"pipe": {"path": address.removeprefix("unix://")}}
    return {"socket_address": {"address": address, "port_value": port}}


def dns_cache(host: str) -> JsonObject:
    """The cache that a dynamic cluster and the filters in front of it share."""
    return {"name": f"{host}_dfp_dns_cache", "dns_lookup_family": "V4_ONLY"}


def duration(value: timedelta) -> str:
    """A duration in proto JSON: seconds with no, three, six or nine decimals."""
    nanoseconds = getattr(value, "nanoseconds", None)
    if nanoseconds is None:
        nanoseconds = round(value.total_seconds() * 1e6) * 1000
    sign = "-" if nanoseconds < 0 else ""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    if not rest:
        return f"{sign}{seconds}s"
    digits = f"{rest:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{sign}{seconds}.{digits}s"
