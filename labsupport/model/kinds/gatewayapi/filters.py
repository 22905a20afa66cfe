"""Filters of routes: what happens to a request besides being sent on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from labsupport.model.kinds.gatewayapi.shared import (
    BackendObjectReference,
    HeaderName,
    ListenerPort,
    LocalReference,
    PlainHostName,
    distinct,
    pattern,
    unique_by,
)
from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import Int32, Rule
from labsupport.records import Json

__all__ = [
    "PLAIN_PATH",
    "GRPCFilter",
    "HTTPCors",
    "HTTPFilter",
    "HTTPHeader",
    "HTTPHeaderModifier",
    "HTTPPathModifier",
    "HTTPRequestMirror",
    "HTTPRequestRedirect",
    "HTTPURLRewrite",
    "HeaderValue",
    "Method",
    "at_most_one_of_type",
    "replaces_prefix",
]

PLAIN_PATH: Final = r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+\Z"
"""A regular expression for paths in which nothing has a meaning of its own."""

Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
HeaderValue = Annotated[
    str,
    Field(min_length=1, max_length=4096),
    pattern(r"^[!-~]+([\t ]?[!-~]+)*\Z", "must be printable ASCII without spaces at its ends"),
]
_Set = Rule(distinct, "has a value twice", plain=True)
_ByName = Rule(unique_by("name"), "has a name twice", plain=True)


def _alone(value: Sequence[str]) -> bool:
    return "*" not in value or len(value) == 1


_StarAlone = Rule(_alone, "'*' may not stand beside other values")


class HTTPHeader(Schema):
    """A header with its value."""

    name: HeaderName
    value: HeaderValue


class HTTPHeaderModifier(Schema):
    """Changes of headers."""

    set: Annotated[list[HTTPHeader], Field(max_length=16), _ByName] = Field(default_factory=list)
    add: Annotated[list[HTTPHeader], Field(max_length=16), _ByName] = Field(default_factory=list)
    remove: Annotated[list[str], Field(max_length=16), _Set] = Field(default_factory=list)


class Fraction(Schema):
    """A share of requests."""

    RULES: ClassVar = (
        Rule(
            lambda value: value["numerator"] <= value.get("denominator", 100),
            "numerator must not be greater than denominator",
        ),
    )

    numerator: Annotated[Int32, Field(ge=0)]
    denominator: Annotated[Int32, Field(ge=1)] = 100


class HTTPRequestMirror(Schema):
    """A destination that gets copies."""

    RULES: ClassVar = (
        Rule(
            lambda value: not ("percent" in value and "fraction" in value),
            "only one of percent and fraction may be given",
        ),
    )

    backend_ref: BackendObjectReference
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    fraction: Fraction | None = None


def _goes_with(name: str, kind: str) -> Rule:
    """A field that has to be there for one value of ``type``, and for no other."""
    return Rule(
        lambda value: (name in value) == (value["type"] == kind), f"{name} must be given for type {kind}, and only then"
    )


class HTTPPathModifier(Schema):
    """What takes the place of the path, or of the part that matched."""

    RULES: ClassVar = (
        _goes_with("replaceFullPath", "ReplaceFullPath"),
        _goes_with("replacePrefixMatch", "ReplacePrefixMatch"),
    )

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: Annotated[str, Field(max_length=1024)] | None = None
    replace_prefix_match: Annotated[str, Field(max_length=1024)] | None = None


class HTTPRequestRedirect(Schema):
    """A redirect that the proxy answers itself."""

    scheme: Literal["http", "https"] | None = None
    hostname: PlainHostName = ""
    path: HTTPPathModifier | None = None
    port: ListenerPort | None = None
    status_code: Annotated[
        int, Rule(lambda value: value in (301, 302, 303, 307, 308), "must be 301, 302, 303, 307 or 308")
    ] = 302


class HTTPURLRewrite(Schema):
    """Another host or path for the request that is sent on."""

    hostname: PlainHostName = ""
    path: HTTPPathModifier | None = None


_Origin = Annotated[
    str,
    Field(min_length=1, max_length=253),
    pattern(
        r"^\*\Z|^(http(s)?)://(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)\Z",
        "must be an origin, such as https://shop.example",
    ),
]


class HTTPCors(Schema):
    """Cross-origin rules that the proxy enforces."""

    allow_origins: Annotated[list[_Origin], Field(max_length=64), _Set, _StarAlone] = Field(default_factory=list)
    allow_credentials: bool = False
    allow_methods: Annotated[
        list[Literal[Method, "*"]],
        Field(max_length=9),
        _Set,
        _StarAlone,
    ] = Field(default_factory=list)
    allow_headers: Annotated[list[HeaderName], Field(max_length=64), _Set, _StarAlone] = Field(default_factory=list)
    expose_headers: Annotated[list[HeaderName], Field(max_length=64), _Set] = Field(default_factory=list)
    max_age: Annotated[Int32, Field(ge=1)] = 5


class _ForwardBody(Schema):
    max_size: int = 0


class _GRPCAuth(Schema):
    allowed_headers: Annotated[list[str], Field(max_length=64), _Set] = Field(default_factory=list)


class _HTTPAuth(Schema):
    path: Annotated[
        str,
        Field(max_length=1024),
        pattern(PLAIN_PATH, "must be a path"),
    ] = ""
    allowed_headers: Annotated[list[str], Field(max_length=64), _Set] = Field(default_factory=list)
    allowed_response_headers: Annotated[list[str], Field(max_length=64), _Set] = Field(default_factory=list)


class ExternalAuth(Schema):
    """A service that decides about requests; istiod does not have it."""

    RULES: ClassVar = (
        Rule(lambda value: ("grpc" in value) == (value["protocol"] == "GRPC"), "grpc goes with protocol GRPC"),
        Rule(lambda value: ("http" in value) == (value["protocol"] == "HTTP"), "http goes with protocol HTTP"),
    )

    protocol: Literal["HTTP", "GRPC"]
    backend_ref: BackendObjectReference
    grpc: _GRPCAuth | None = None
    http: _HTTPAuth | None = None
    forward_body: _ForwardBody | None = None


_SHARED_RULES = (
    _goes_with("requestHeaderModifier", "RequestHeaderModifier"),
    _goes_with("responseHeaderModifier", "ResponseHeaderModifier"),
    _goes_with("requestMirror", "RequestMirror"),
    _goes_with("extensionRef", "ExtensionRef"),
)


class GRPCFilter(Schema):
    """One filter of a GRPCRoute."""

    RULES: ClassVar = _SHARED_RULES

    type: Literal["ResponseHeaderModifier", "RequestHeaderModifier", "RequestMirror", "ExtensionRef"]
    request_header_modifier: HTTPHeaderModifier | None = None
    response_header_modifier: HTTPHeaderModifier | None = None
    request_mirror: HTTPRequestMirror | None = None
    extension_ref: LocalReference | None = None


class HTTPFilter(Schema):
    """One filter of an HTTPRoute."""

    RULES: ClassVar = (
        *_SHARED_RULES,
        _goes_with("requestRedirect", "RequestRedirect"),
        _goes_with("urlRewrite", "URLRewrite"),
        _goes_with("cors", "CORS"),
        _goes_with("externalAuth", "ExternalAuth"),
    )

    type: Literal[
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "ExtensionRef",
        "CORS",
        "ExternalAuth",
    ]
    request_header_modifier: HTTPHeaderModifier | None = None
    response_header_modifier: HTTPHeaderModifier | None = None
    request_mirror: HTTPRequestMirror | None = None
    request_redirect: HTTPRequestRedirect | None = None
    url_rewrite: HTTPURLRewrite | None = None
    cors: HTTPCors | None = None
    external_auth: ExternalAuth | None = None
    extension_ref: LocalReference | None = None


def at_most_one_of_type(*types: str) -> Rule:
    """A rule over a list of filters: none of these types may be there twice."""

    def holds(value: Sequence[Mapping[str, Json]]) -> bool:
        given = [item["type"] for item in value]
        return all(given.count(name) <= 1 for name in types)

    return Rule(holds, f"may have only one filter of each of the types {', '.join(types)}")


def replaces_prefix(filters: Sequence[Mapping[str, Json]], field: str) -> bool:
    """Whether exactly one of some filters replaces the prefix that matched.

    Args:
        filters: as written.
        field: ``requestRedirect`` or ``urlRewrite``.
    """
    paths = [item[field].get("path", {}) for item in filters if field in item]
    return [path.get("type") for path in paths if "replacePrefixMatch" in path] == ["ReplacePrefixMatch"]
