"""``loadBalancer`` of a traffic policy."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import AnyDuration, Double, Duration, UInt32, UInt64

__all__ = [
    "ConsistentHashLB",
    "CookieAttribute",
    "Distribute",
    "Failover",
    "HTTPCookie",
    "LoadBalancerSettings",
    "LocalityLoadBalancerSetting",
    "MagLev",
    "RingHash",
    "SimpleLB",
    "WarmupConfiguration",
    "ZoneAwareLoadBalancerSetting",
]

SimpleLB = Literal["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"]


class RingHash(Schema):
    """A ring of hashes."""

    minimum_ring_size: UInt64 = 0


class MagLev(Schema):
    """A Maglev table."""

    table_size: UInt64 = 0


class CookieAttribute(Schema):
    """An attribute of the cookie that the proxy generates."""

    name: str
    value: str = ""


class HTTPCookie(Schema):
    """The cookie whose value is hashed."""

    name: str
    path: str = ""
    ttl: AnyDuration | None = None
    attributes: list[CookieAttribute] = Field(default_factory=list)


class ConsistentHashLB(Schema):
    """Balancing by a hash of a property of the request."""

    ONE_OF: ClassVar = (
        ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        ("ringHash", "maglev"),
    )

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: UInt64 = 0


class Distribute(Schema):
    """Shares of the traffic from one locality."""

    from_: str = Field(default="", alias="from")
    to: dict[str, UInt32] = Field(default_factory=dict)


class Failover(Schema):
    """The region that takes over from another."""

    from_: str = Field(default="", alias="from")
    to: str = ""


class LocalityLoadBalancerSetting(Schema):
    """Balancing by locality."""

    distribute: list[Distribute] = Field(default_factory=list)
    failover: list[Failover] = Field(default_factory=list)
    failover_priority: list[str] = Field(default_factory=list)
    enabled: bool | None = None


class ZoneAwareLoadBalancerSetting(Schema):
    """Balancing that prefers the caller's zone as far as capacity allows."""

    enabled: bool | None = None
    failover: list[Failover] = Field(default_factory=list)
    failover_priority: list[str] = Field(default_factory=list)
    min_cluster_size: Annotated[UInt32 | None, Field(ge=1)] = None


class WarmupConfiguration(Schema):
    """How a new endpoint gets its share little by little."""

    duration: Duration
    minimum_percent: Annotated[Double | None, Field(ge=0, le=100)] = None
    aggression: Annotated[Double | None, Field(ge=0)] = None


class LoadBalancerSettings(Schema):
    """How requests are dealt to the endpoints."""

    ONE_OF: ClassVar = (("simple", "consistentHash"),)

    simple: SimpleLB | None = None
    consistent_hash: ConsistentHashLB | None = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    warmup_duration_secs: Duration | None = None
    warmup: WarmupConfiguration | None = None
