"""``VirtualService`` of networking.istio.io: how requests to a host are routed."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AliasChoices, Field

from labsupport.model.schema.base import IstioResource, Schema
from labsupport.model.schema.types import Bytes, Double, Duration, Int32, UInt32

__all__ = [
    "Abort",
    "CorsPolicy",
    "Delay",
    "Delegate",
    "Destination",
    "HTTPBody",
    "HTTPDirectResponse",
    "HTTPFaultInjection",
    "HTTPMatchRequest",
    "HTTPMirrorPolicy",
    "HTTPRedirect",
    "HTTPRetry",
    "HTTPRewrite",
    "HTTPRoute",
    "HTTPRouteDestination",
    "HeaderOperations",
    "Headers",
    "L4MatchAttributes",
    "Percent",
    "PortSelector",
    "RegexRewrite",
    "RouteDestination",
    "StringMatch",
    "TCPRoute",
    "TLSMatchAttributes",
    "TLSRoute",
    "VirtualService",
    "VirtualServiceSpec",
]


class PortSelector(Schema):
    """A port of a service, by number."""

    number: UInt32 = 0


class Destination(Schema):
    """Where to send: a host of the registry, a subset of it, a port of it."""

    host: str
    subset: str = ""
    port: PortSelector | None = None


class Percent(Schema):
    """A percentage, 0 to 100."""

    value: Double = 0.0


class StringMatch(Schema):
    """A condition on a text; without an operator it asks for presence."""

    ONE_OF: ClassVar = (("exact", "prefix", "regex"),)

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class HeaderOperations(Schema):
    """Changes of headers."""

    set: dict[str, str] = Field(default_factory=dict)
    add: dict[str, str] = Field(default_factory=dict)
    remove: list[str] = Field(default_factory=list)


class Headers(Schema):
    """Changes of request and response headers."""

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPMatchRequest(Schema):
    """Conditions on a request that must all hold."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] = Field(default_factory=dict)
    port: UInt32 = 0
    source_labels: dict[str, str] = Field(default_factory=dict)
    gateways: list[str] = Field(default_factory=list)
    query_params: dict[str, StringMatch] = Field(default_factory=dict)
    ignore_uri_case: bool = False
    without_headers: dict[str, StringMatch] = Field(default_factory=dict)
    source_namespace: str = ""
    stat_prefix: str = ""


class HTTPRouteDestination(Schema):
    """One of the destinations of a rule, with its weight."""

    destination: Destination
    weight: Int32 = 0
    headers: Headers | None = None


class HTTPRedirect(Schema):
    """A redirect that the proxy answers itself."""

    ONE_OF: ClassVar = (("port", "derivePort"),)

    uri: str = ""
    authority: str = ""
    port: UInt32 | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None
    scheme: str = ""
    redirect_code: UInt32 = 0
    prefix_rewrite: str = ""


class HTTPBody(Schema):
    """A body, as text or as base64."""

    ONE_OF: ClassVar = (("string", "bytes"),)

    string: str | None = None
    bytes: Bytes | None = None


class HTTPDirectResponse(Schema):
    """A fixed response that the proxy answers itself."""

    status: UInt32
    body: HTTPBody | None = None


class Delegate(Schema):
    """The VirtualService that holds the rules for a root rule's matches."""

    name: str = ""
    namespace: str = ""


class RegexRewrite(Schema):
    """A rewrite of the path by an RE2 expression."""

    match: str = ""
    rewrite: str = ""


class HTTPRewrite(Schema):
    """A rewrite of path and authority before forwarding."""

    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPRetry(Schema):
    """How failed requests are tried again."""

    attempts: Int32 = 0
    per_try_timeout: Duration | None = None
    retry_on: str = ""
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None
    backoff: Duration | None = None


class Delay(Schema):
    """A delay to inject."""

    ONE_OF: ClassVar = (("fixedDelay", "exponentialDelay"),)

    percent: Int32 = 0
    fixed_delay: Duration | None = None
    exponential_delay: Duration | None = None
    percentage: Percent | None = None


class Abort(Schema):
    """An error to inject."""

    ONE_OF: ClassVar = (("httpStatus", "grpcStatus", "http2Error"),)

    http_status: Int32 | None = None
    grpc_status: str | None = None
    http2_error: str | None = Field(default=None, alias="http2Error")
    percentage: Percent | None = None


class HTTPFaultInjection(Schema):
    """Faults to inject on the client's side."""

    delay: Delay | None = None
    abort: Abort | None = None


class HTTPMirrorPolicy(Schema):
    """A destination that gets copies."""

    destination: Destination
    percentage: Percent | None = None


class CorsPolicy(Schema):
    """Cross-origin rules that the proxy enforces."""

    allow_origin: list[str] = Field(default_factory=list)
    allow_origins: list[StringMatch] = Field(default_factory=list)
    allow_methods: list[str] = Field(default_factory=list)
    allow_headers: list[str] = Field(default_factory=list)
    expose_headers: list[str] = Field(default_factory=list)
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"


class HTTPRoute(Schema):
    """One rule of ``spec.http``: conditions and what to do when they hold."""

    name: str = ""
    match: list[HTTPMatchRequest] = Field(default_factory=list)
    route: list[HTTPRouteDestination] = Field(default_factory=list)
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Duration | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirrors: list[HTTPMirrorPolicy] = Field(default_factory=list)
    # The CRD has this one field under both spellings.
    mirror_percent: UInt32 | None = Field(
        default=None,
        validation_alias=AliasChoices("mirrorPercent", "mirror_percent"),
        serialization_alias="mirrorPercent",
    )
    mirror_percentage: Percent | None = None
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class L4MatchAttributes(Schema):
    """Conditions on a TCP connection that must all hold."""

    destination_subnets: list[str] = Field(default_factory=list)
    port: UInt32 = 0
    source_subnet: str = ""
    source_labels: dict[str, str] = Field(default_factory=dict)
    gateways: list[str] = Field(default_factory=list)
    source_namespace: str = ""


class TLSMatchAttributes(Schema):
    """Conditions on a TLS connection that must all hold."""

    sni_hosts: list[str]
    destination_subnets: list[str] = Field(default_factory=list)
    port: UInt32 = 0
    source_labels: dict[str, str] = Field(default_factory=dict)
    gateways: list[str] = Field(default_factory=list)
    source_namespace: str = ""


class RouteDestination(Schema):
    """One of the destinations of a tcp or tls rule, with its weight."""

    destination: Destination
    weight: Int32 = 0


class TCPRoute(Schema):
    """One rule of ``spec.tcp``."""

    match: list[L4MatchAttributes] = Field(default_factory=list)
    route: list[RouteDestination] = Field(default_factory=list)


class TLSRoute(Schema):
    """One rule of ``spec.tls``."""

    match: list[TLSMatchAttributes]
    route: list[RouteDestination] = Field(default_factory=list)


class VirtualServiceSpec(Schema):
    """``spec`` of a VirtualService."""

    hosts: list[str] = Field(default_factory=list)
    gateways: list[str] = Field(default_factory=list)
    http: list[HTTPRoute] = Field(default_factory=list)
    tls: list[TLSRoute] = Field(default_factory=list)
    tcp: list[TCPRoute] = Field(default_factory=list)
    export_to: list[str] = Field(default_factory=list)


class VirtualService(IstioResource):
    """How requests to some hosts are routed."""

    KIND = "VirtualService"

    spec: VirtualServiceSpec = Field(default_factory=VirtualServiceSpec)
