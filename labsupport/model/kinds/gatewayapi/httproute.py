"""``HTTPRoute``: how HTTP requests to a Service, or through a Gateway, are routed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labsupport.model.kinds.gatewayapi.filters import (
    PLAIN_PATH,
    HeaderValue,
    HTTPFilter,
    Method,
    at_most_one_of_type,
    replaces_prefix,
)
from labsupport.model.kinds.gatewayapi.shared import (
    BackendRef,
    HeaderName,
    HostName,
    ParentReferences,
    RouteResource,
    Section,
    distinct,
    pattern,
    unique_by,
)
from labsupport.model.schema.base import Schema
from labsupport.model.schema.duration import parse_duration
from labsupport.model.schema.types import Rule
from labsupport.records import Json

__all__ = [
    "CookieConfig",
    "HTTPBackendRef",
    "HTTPPathMatch",
    "HTTPRoute",
    "HTTPRouteMatch",
    "HTTPRouteRule",
    "HTTPRouteSpec",
    "HTTPValueMatch",
    "RouteDuration",
    "SessionPersistence",
    "path_is_plain",
    "rule_names_are_unique",
]

_PLAIN_PATH = pattern(PLAIN_PATH, "")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F", "#")
RouteDuration = Annotated[
    str, pattern(r"^([0-9]{1,5}(h|m|s|ms)){1,4}\Z", "must be a duration of whole numbers, such as 500ms, 2s or 1m30s")
]


def path_is_plain(value: Mapping[str, Json]) -> bool:
    """Whether the value of a condition on the path may stand there: an expression, or a path without odd parts."""
    if value.get("type", "PathPrefix") == "RegularExpression":
        return True
    path = value.get("value", "/")
    return (
        path.startswith("/")
        and not any(part in path for part in _NOT_IN_PATHS)
        and not path.endswith(("/..", "/."))
        and _PLAIN_PATH.holds(path)
    )


class HTTPPathMatch(Schema):
    """A condition on the path; a prefix counts whole path elements."""

    RULES: ClassVar = (
        Rule(
            path_is_plain,
            "a path that is no regular expression must begin with '/', without '//', '/./', '/../', '#', '%2f'",
            ".value",
        ),
    )

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Annotated[str, Field(max_length=1024)] = "/"


class HTTPValueMatch(Schema):
    """A condition on the value of a header."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: HeaderValue


class _QueryMatch(Schema):
    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: Annotated[str, Field(min_length=1, max_length=1024)]


_ByName = Rule(unique_by("name"), "has a name twice")


class HTTPRouteMatch(Schema):
    """Conditions on a request that must all hold."""

    path: HTTPPathMatch = Field(default_factory=HTTPPathMatch)
    headers: Annotated[list[HTTPValueMatch], Field(max_length=16), _ByName] = Field(default_factory=list)
    query_params: Annotated[list[_QueryMatch], Field(max_length=16), _ByName] = Field(default_factory=list)
    method: Method | None = None


_HTTPFilters = Annotated[
    list[HTTPFilter],
    Field(max_length=16),
    at_most_one_of_type("RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "CORS"),
    Rule(
        lambda value: not {"RequestRedirect", "URLRewrite"} <= {item["type"] for item in value},
        "RequestRedirect and URLRewrite exclude each other",
    ),
]


class HTTPBackendRef(BackendRef):
    """One of the destinations of a rule, with its weight and filters of its own."""

    filters: _HTTPFilters = Field(default_factory=list)


class HTTPTimeouts(Schema):
    """Limits of time; ``0s`` is none."""

    RULES: ClassVar = (
        Rule(
            lambda value: _fits(value.get("request"), value.get("backendRequest")),
            "backendRequest must not be longer than request",
        ),
    )

    request: RouteDuration = ""
    backend_request: RouteDuration = ""


def _fits(request: str | None, backend: str | None) -> bool:
    if request is None or backend is None:
        return True
    whole = parse_duration(request).nanoseconds
    return not whole or parse_duration(backend).nanoseconds <= whole


class HTTPRouteRetry(Schema):
    """When a request is tried again (experimental channel)."""

    codes: Annotated[list[Annotated[int, Field(ge=400, le=599)]], Rule(distinct, "has a code twice")] = Field(
        default_factory=list
    )
    attempts: Annotated[int, Field(ge=1)] | None = None
    backoff: RouteDuration = ""


class CookieConfig(Schema):
    """How long the cookie of a session is kept."""

    lifetime_type: Literal["Permanent", "Session"] = "Session"


class SessionPersistence(Schema):
    """Keeps the requests of a session together (experimental channel)."""

    RULES: ClassVar = (
        Rule(
            lambda value: (
                value.get("cookieConfig", {}).get("lifetimeType") != "Permanent" or "absoluteTimeout" in value
            ),
            "a permanent cookie needs an absoluteTimeout",
        ),
        Rule(
            lambda value: "cookieConfig" not in value or value.get("type", "Cookie") == "Cookie",
            "cookieConfig goes with type Cookie",
        ),
    )

    session_name: Annotated[str, Field(max_length=128)] = ""
    absolute_timeout: RouteDuration = ""
    type: Literal["Cookie", "Header"] = "Cookie"
    cookie_config: CookieConfig | None = None


def _one_prefix(value: Mapping[str, Json]) -> bool:
    """Whether the rule has exactly one match, and that by a path prefix."""
    matches = value.get("matches", [{}])
    return len(matches) == 1 and matches[0].get("path", {}).get("type", "PathPrefix") == "PathPrefix"


def _prefix_can_be_replaced(value: Mapping[str, Json]) -> bool:
    filters, backends = value.get("filters", []), value.get("backendRefs", [])
    for field in ("requestRedirect", "urlRewrite"):
        own = replaces_prefix(filters, field)
        of_backends = sum(replaces_prefix(backend.get("filters", []), field) for backend in backends) == 1
        if (own or of_backends) and not _one_prefix(value):
            return False
    return True


class HTTPRouteRule(Schema):
    """One rule: conditions of which one must hold, and what to do then."""

    RULES: ClassVar = (
        Rule(
            lambda value: (
                not value.get("backendRefs") or not any("requestRedirect" in item for item in value.get("filters", []))
            ),
            "a redirect may not stand beside backendRefs",
        ),
        Rule(_prefix_can_be_replaced, "replacePrefixMatch needs exactly one match, of type PathPrefix"),
    )

    name: Section = ""
    matches: Annotated[list[HTTPRouteMatch], Field(max_length=64)] = Field(default_factory=lambda: [HTTPRouteMatch()])
    filters: _HTTPFilters = Field(default_factory=list)
    backend_refs: Annotated[list[HTTPBackendRef], Field(max_length=16)] = Field(default_factory=list)
    timeouts: HTTPTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: SessionPersistence | None = None


def rule_names_are_unique(value: Sequence[Mapping[str, Json]]) -> bool:
    """Whether no two rules have the same name."""
    return distinct([item["name"] for item in value if "name" in item])


class HTTPRouteSpec(Schema):
    """``spec`` of an HTTPRoute."""

    parent_refs: ParentReferences = Field(default_factory=list)
    hostnames: Annotated[list[HostName], Field(max_length=16)] = Field(default_factory=list)
    rules: Annotated[
        list[HTTPRouteRule],
        Field(min_length=1, max_length=16),
        Rule(
            lambda value: sum(len(item.get("matches", [{}])) for item in value) <= 128,
            "may have 128 matches in all its rules at most",
        ),
        Rule(rule_names_are_unique, "no two rules may have the same name"),
    ] = Field(default_factory=lambda: [HTTPRouteRule()])
    use_default_gateways: Literal["All", "None"] = "None"


class HTTPRoute(RouteResource):
    """How HTTP requests to a Service, or through a Gateway, are routed."""

    KIND = "HTTPRoute"

    spec: HTTPRouteSpec
