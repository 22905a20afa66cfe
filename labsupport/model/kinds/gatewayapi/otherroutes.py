"""``GRPCRoute``, ``TCPRoute`` and ``TLSRoute``: routes for what is no plain HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labsupport.model.kinds.gatewayapi.filters import GRPCFilter, at_most_one_of_type
from labsupport.model.kinds.gatewayapi.httproute import SessionPersistence, rule_names_are_unique
from labsupport.model.kinds.gatewayapi.shared import (
    BackendRef,
    HeaderName,
    HostName,
    ParentReferences,
    RouteResource,
    Section,
    unique_by,
)
from labsupport.model.schema.base import Schema
from labsupport.model.schema.syntax import is_ip
from labsupport.model.schema.types import Rule
from labsupport.records import Json

__all__ = ["GRPCRoute", "TCPRoute", "TLSRoute"]

_SERVICE = re.compile(r"\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*", re.IGNORECASE | re.ASCII)
_METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_UniqueNames = Rule(rule_names_are_unique, "no two rules may have the same name")


def _names_are_plain(value: Mapping[str, Json]) -> bool:
    if value.get("type", "Exact") != "Exact":
        return True
    return all(
        form.fullmatch(value[name]) is not None
        for name, form in (("service", _SERVICE), ("method", _METHOD))
        if name in value
    )


class GRPCMethodMatch(Schema):
    """A condition on the service and method that is called."""

    RULES: ClassVar = (
        Rule(lambda value: "service" in value or "method" in value, "needs a service or a method"),
        Rule(_names_are_plain, "service and method of type Exact must be names, such as shop.Cart and Add"),
    )

    type: Literal["Exact", "RegularExpression"] = "Exact"
    service: Annotated[str, Field(max_length=1024)] = ""
    method: Annotated[str, Field(max_length=1024)] = ""


class GRPCHeaderMatch(Schema):
    """A condition on the value of a header."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: Annotated[str, Field(min_length=1, max_length=4096)]


class GRPCRouteMatch(Schema):
    """Conditions on a call that must all hold."""

    method: GRPCMethodMatch | None = None
    headers: Annotated[list[GRPCHeaderMatch], Field(max_length=16), Rule(unique_by("name"), "has a name twice")] = (
        Field(default_factory=list)
    )


_GRPCFilters = Annotated[
    list[GRPCFilter], Field(max_length=16), at_most_one_of_type("RequestHeaderModifier", "ResponseHeaderModifier")
]


class GRPCBackendRef(BackendRef):
    """One of the destinations of a rule, with its weight and filters of its own."""

    filters: _GRPCFilters = Field(default_factory=list)


class GRPCRouteRule(Schema):
    """One rule: conditions of which one must hold, and what to do then."""

    name: Section = ""
    matches: Annotated[list[GRPCRouteMatch], Field(max_length=64)] = Field(default_factory=list)
    filters: _GRPCFilters = Field(default_factory=list)
    backend_refs: Annotated[list[GRPCBackendRef], Field(max_length=16)] = Field(default_factory=list)
    session_persistence: SessionPersistence | None = None


class GRPCRouteSpec(Schema):
    """``spec`` of a GRPCRoute."""

    parent_refs: ParentReferences = Field(default_factory=list)
    hostnames: Annotated[list[HostName], Field(max_length=16)] = Field(default_factory=list)
    rules: Annotated[
        list[GRPCRouteRule],
        Field(max_length=16),
        Rule(
            lambda value: sum(len(item.get("matches", [])) for item in value) <= 128,
            "may have 128 matches in all its rules at most",
        ),
        _UniqueNames,
    ] = Field(default_factory=list)
    use_default_gateways: Literal["All", "None"] = "None"


class GRPCRoute(RouteResource):
    """How gRPC calls to a Service, or through a Gateway, are routed."""

    KIND = "GRPCRoute"
    VERSIONS = ("v1",)

    spec: GRPCRouteSpec


class L4RouteRule(Schema):
    """The one rule of a route of connections."""

    name: Section = ""
    backend_refs: Annotated[list[BackendRef], Field(min_length=1, max_length=16)]


_L4Rules = Annotated[list[L4RouteRule], Field(min_length=1, max_length=16), _UniqueNames]


def _alpha(value: Mapping[str, Json]) -> bool:
    return str(value.get("apiVersion")).endswith("/v1alpha2")


_OneRule = Rule(
    lambda value: _alpha(value) or len(value["spec"]["rules"]) == 1, "may have one rule only", ".spec.rules"
)


class TCPRouteSpec(Schema):
    """``spec`` of a TCPRoute."""

    parent_refs: ParentReferences = Field(default_factory=list)
    rules: _L4Rules
    use_default_gateways: Literal["All", "None"] = "None"


class TCPRoute(RouteResource):
    """Where the connections of a port go."""

    KIND = "TCPRoute"
    VERSIONS = ("v1", "v1alpha2")
    RULES = (_OneRule,)

    spec: TCPRouteSpec


def _no_addresses(value: Sequence[str]) -> bool:
    return not any(is_ip(host) for host in value)


class TLSRouteSpec(Schema):
    """``spec`` of a TLSRoute."""

    parent_refs: ParentReferences = Field(default_factory=list)
    hostnames: Annotated[list[HostName], Field(max_length=1024)] = Field(default_factory=list)
    rules: _L4Rules
    use_default_gateways: Literal["All", "None"] = "None"


class TLSRoute(RouteResource):
    """Where TLS connections go, by the server name that they ask for."""

    KIND = "TLSRoute"
    VERSIONS = ("v1", "v1alpha3", "v1alpha2")
    RULES = (
        _OneRule,
        Rule(
            lambda value: _alpha(value) or bool(value["spec"].get("hostnames")),
            "needs at least one host name",
            ".spec.hostnames",
        ),
        Rule(
            lambda value: _alpha(value) or _no_addresses(value["spec"].get("hostnames", ())),
            "may not have addresses",
            ".spec.hostnames",
        ),
    )

    spec: TLSRouteSpec
