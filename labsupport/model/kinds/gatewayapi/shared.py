"""What the kinds of the Gateway API share: names, references to other objects, status."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from labsupport.model.schema.base import Resource, Schema
from labsupport.model.schema.types import Format, Int32, Rule
from labsupport.records import Json

__all__ = [
    "GROUP",
    "SUBDOMAIN",
    "BackendObjectReference",
    "BackendRef",
    "Condition",
    "GatewayApiResource",
    "Group",
    "HeaderName",
    "HostName",
    "Kind",
    "ListenerPort",
    "LocalReference",
    "NamespaceName",
    "ObjectName",
    "ParentReference",
    "ParentReferences",
    "PlainHostName",
    "RouteResource",
    "RouteStatus",
    "Section",
    "distinct",
    "pattern",
    "same_target",
    "told_apart",
    "unique_by",
]

GROUP: Final = "gateway.networking.k8s.io"
"""The API group, which has a Gateway of its own beside Istio's."""

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
"""A regular expression for a domain below others, not anchored."""


def pattern(regex: str, message: str) -> Rule:
    """A rule that a text has to match a regular expression, anywhere unless it is anchored."""
    compiled = re.compile(regex)
    return Rule(lambda value: compiled.search(str(value)) is not None, message, plain=True)


def _whole(regex: str, message: str) -> Rule:
    return pattern(rf"^(?:{regex})\Z", message)


def distinct(value: Json) -> bool:
    """Whether a list has no value twice."""
    return len(value) == len({repr(item) for item in value})


def unique_by(*names: str) -> Callable[[Sequence[Mapping[str, Json]]], bool]:
    """Make a predicate: no two items of a list have the same values in some fields."""
    return lambda value: distinct([[item.get(name) for name in names] for item in value])


_NAME_FORM = "must be lower-case letters, digits, hyphens and dots, such as reviews-v2"
HostName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    _whole(rf"(\*\.)?{SUBDOMAIN}", "must be a lower-case host name, possibly with *. in front"),
]
PlainHostName = Annotated[
    str, Field(min_length=1, max_length=253), _whole(SUBDOMAIN, "must be a lower-case host name without wildcard")
]
Section = Annotated[str, Field(min_length=1, max_length=253), _whole(SUBDOMAIN, _NAME_FORM)]
Group = Annotated[
    str, Field(max_length=253), _whole(rf"|{SUBDOMAIN}", "must be an API group, empty for the core group")
]
Kind = Annotated[
    str, Field(min_length=1, max_length=63), _whole("[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?", "must be a kind")
]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
NamespaceName = Annotated[
    str, Field(min_length=1, max_length=63), _whole(_LABEL, "must be lower-case letters, digits and hyphens")
]
ListenerPort = Annotated[int, Field(ge=1, le=65535)]
HeaderName = Annotated[
    str,
    Field(min_length=1, max_length=256),
    _whole(r"[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+", "must be a header name, such as x-user"),
]


class Condition(Schema):
    """A condition in a status."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    message: Annotated[str, Field(max_length=32768)]
    last_transition_time: Annotated[str, Format("date-time")]
    observed_generation: Annotated[int, Field(ge=0)] = 0


class ParentReference(Schema):
    """What a route is bound to: a Gateway, or a Service for requests in the mesh."""

    group: Group = GROUP
    kind: Kind = "Gateway"
    name: ObjectName
    namespace: NamespaceName = ""
    section_name: Section = ""
    port: ListenerPort | None = None


class LocalReference(Schema):
    """An object by group, kind and name."""

    group: Group
    kind: Kind
    name: ObjectName


class BackendObjectReference(Schema):
    """What requests are sent to, usually a Service."""

    RULES: ClassVar = (
        Rule(
            lambda value: bool(value.get("group")) or value.get("kind", "Service") != "Service" or "port" in value,
            "a Service needs a port",
        ),
    )

    group: Group = ""
    kind: Kind = "Service"
    name: ObjectName
    namespace: NamespaceName = ""
    port: ListenerPort | None = None


class BackendRef(BackendObjectReference):
    """One of the destinations of a rule, with its weight."""

    weight: Annotated[Int32, Field(ge=0, le=1_000_000)] = 1


def same_target(value: Mapping[str, Json], group: str, kind: str) -> tuple[Json, ...]:
    """What two references have in common that are for the same object."""
    return (
        value.get("group", group),
        value.get("kind", kind),
        value.get("name"),
        value.get("namespace", ""),
    )


def _parent(value: Mapping[str, Json]) -> tuple[Json, ...]:
    return same_target(value, GROUP, "Gateway")


def told_apart(
    value: Sequence[Mapping[str, Json]], target: Callable[[Mapping[str, Json]], tuple[Json, ...]], *fields: str
) -> bool:
    """Of references to one object, all or none have each of these fields.

    Args:
        value: the references.
        target: what two references have in common that are for the same object.
        fields: such as ``sectionName``.
    """
    forms: dict[tuple[Json, ...], list[bool]] = {}
    for item in value:
        given = [field in item for field in fields]
        if forms.setdefault(target(item), given) != given:
            return False
    return True


def _once(value: Sequence[Mapping[str, Json]]) -> bool:
    return distinct([(*_parent(item), item.get("sectionName", ""), item.get("port", 0)) for item in value])


ParentReferences = Annotated[
    list[ParentReference],
    Field(max_length=32),
    Rule(
        lambda value: told_apart(value, _parent, "sectionName", "port"),
        "references to one parent need a sectionName or a port each",
    ),
    Rule(_once, "no two references may be for the same parent, section and port"),
]


class RouteParentStatus(Schema):
    """What a controller says of a route and one of its parents."""

    parent_ref: ParentReference
    controller_name: ObjectName
    conditions: Annotated[list[Condition], Field(min_length=1, max_length=8)]


class RouteStatus(Schema):
    """``status`` of a route."""

    parents: Annotated[list[RouteParentStatus], Field(max_length=32)]


class GatewayApiResource(Resource):
    """What the kinds of the Gateway API have in common."""

    GROUP: ClassVar[str] = GROUP
    VERSIONS: ClassVar[tuple[str, ...]] = ("v1", "v1beta1")


class RouteResource(GatewayApiResource):
    """What routes have in common."""

    status: RouteStatus | None = None

    @property
    def parents(self) -> Sequence[ParentReference]:
        """What it is bound to."""
        return tuple(vars(self)["spec"].parent_refs)

    @property
    def hosts(self) -> Sequence[str]:
        """The hosts that it is for at Gateways; empty for all."""
        return tuple(getattr(vars(self)["spec"], "hostnames", ()))
