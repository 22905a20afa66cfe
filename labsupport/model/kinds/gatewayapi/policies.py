"""``ReferenceGrant`` and ``BackendTLSPolicy``: what goes with routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labsupport.model.kinds.gatewayapi.gateway import ControllerName
from labsupport.model.kinds.gatewayapi.shared import (
    Condition,
    GatewayApiResource,
    Group,
    HostName,
    Kind,
    LocalReference,
    NamespaceName,
    ObjectName,
    ParentReference,
    PlainHostName,
    Section,
    distinct,
    pattern,
    same_target,
    told_apart,
)
from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import Rule
from labsupport.records import Json

__all__ = ["BackendTLSPolicy", "ReferenceGrant"]


class GrantFrom(Schema):
    """Whose references are allowed."""

    group: Group
    kind: Kind
    namespace: NamespaceName


class GrantTo(Schema):
    """What may be referred to."""

    group: Group
    kind: Kind
    name: ObjectName = ""


class ReferenceGrantSpec(Schema):
    """``spec`` of a ReferenceGrant."""

    from_: Annotated[list[GrantFrom], Field(min_length=1, max_length=16)] = Field(alias="from")
    to: Annotated[list[GrantTo], Field(min_length=1, max_length=16)]


class ReferenceGrant(GatewayApiResource):
    """Lets objects of other namespaces refer to objects of this one."""

    KIND = "ReferenceGrant"

    spec: ReferenceGrantSpec


class PolicyTarget(LocalReference):
    """A Service, or a port of it, that a policy is for."""

    section_name: Section = ""


def _target(value: Mapping[str, Json]) -> tuple[Json, ...]:
    return same_target(value, "", "")


class SubjectAltName(Schema):
    """A name that the certificate of a backend may have."""

    RULES: ClassVar = (
        Rule(lambda value: ("hostname" in value) == (value["type"] == "Hostname"), "hostname goes with type Hostname"),
        Rule(lambda value: ("uri" in value) == (value["type"] == "URI"), "uri goes with type URI"),
    )

    type: Literal["Hostname", "URI"]
    hostname: HostName = ""
    uri: Annotated[
        str,
        Field(min_length=1, max_length=253),
        pattern(r"^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?", "must be a URI with a scheme and a host"),
    ] = ""


class BackendValidation(Schema):
    """How the certificate of a backend is judged."""

    RULES: ClassVar = (
        Rule(
            lambda value: bool(value.get("caCertificateRefs")) != ("wellKnownCACertificates" in value),
            "needs either caCertificateRefs or wellKnownCACertificates",
        ),
    )

    hostname: PlainHostName
    ca_certificate_refs: Annotated[list[LocalReference], Field(max_length=8)] = Field(
        default_factory=list, alias="caCertificateRefs"
    )
    well_known_ca_certificates: Annotated[
        str,
        Field(min_length=1, max_length=253),
        pattern(
            r"^(System|([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
            r"/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))\Z",
            "must be System, or a domain and a name",
        ),
    ] = Field(default="", alias="wellKnownCACertificates")
    subject_alt_names: Annotated[list[SubjectAltName], Field(max_length=5)] = Field(default_factory=list)


class BackendTLSPolicySpec(Schema):
    """``spec`` of a BackendTLSPolicy."""

    target_refs: Annotated[
        list[PolicyTarget],
        Field(min_length=1, max_length=16),
        Rule(
            lambda value: told_apart(value, _target, "sectionName"), "references to one target need a sectionName each"
        ),
        Rule(
            lambda value: distinct([(*_target(item), item.get("sectionName", "")) for item in value]),
            "no two references may be for the same target and section",
        ),
    ]
    validation: BackendValidation
    options: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=16)] = Field(
        default_factory=dict
    )


class PolicyAncestorStatus(Schema):
    """What a controller says of a policy at one Gateway."""

    ancestor_ref: ParentReference
    controller_name: ControllerName
    conditions: Annotated[list[Condition], Field(min_length=1, max_length=8)]


class PolicyStatus(Schema):
    """``status`` of a policy."""

    ancestors: Annotated[list[PolicyAncestorStatus], Field(max_length=16)]


class BackendTLSPolicy(GatewayApiResource):
    """TLS that proxies begin towards a Service."""

    KIND = "BackendTLSPolicy"
    VERSIONS = ("v1", "v1alpha3")

    spec: BackendTLSPolicySpec
    status: PolicyStatus | None = None
