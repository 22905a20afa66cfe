"""Kinds of security.istio.io: who may call whom, mutual TLS, tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from labsupport.model.kinds.otheristio import NonEmpty, OtherIstio, PolicyTargetReference, TargetReferences, matching
from labsupport.model.kinds.selector import WorkloadSelector
from labsupport.model.schema.base import Schema
from labsupport.model.schema.types import Duration, Rule, at_most_one
from labsupport.model.schema.weburl import is_web_url

__all__ = [
    "AuthorizationPolicy",
    "AuthorizationPolicySpec",
    "AuthorizationRule",
    "ClaimToHeader",
    "ExtensionProvider",
    "JWTHeader",
    "JWTRule",
    "MutualTLS",
    "Operation",
    "PeerAuthentication",
    "PeerAuthenticationSpec",
    "RequestAuthentication",
    "RequestAuthenticationSpec",
    "RuleCondition",
    "RuleFrom",
    "RuleTo",
    "Source",
]

_ONE_TARGET = Rule(
    at_most_one("selector", "targetRef", "targetRefs"), "only one of selector, targetRef and targetRefs may be given"
)
Accounts = Annotated[list[Annotated[str, Field(max_length=320)]], Field(max_length=16)]


def _accounts_alone(value: Mapping[str, Any]) -> bool:
    accounts = "serviceAccounts" in value or "notServiceAccounts" in value
    others = ("principals", "notPrincipals", "namespaces", "notNamespaces")
    return not accounts or not any(name in value for name in others)


class Source(Schema):
    """Who calls."""

    RULES: ClassVar = (Rule(_accounts_alone, "serviceAccounts cannot be given with principals or namespaces"),)

    principals: list[str] = Field(default_factory=list)
    not_principals: list[str] = Field(default_factory=list)
    request_principals: list[str] = Field(default_factory=list)
    not_request_principals: list[str] = Field(default_factory=list)
    namespaces: list[str] = Field(default_factory=list)
    not_namespaces: list[str] = Field(default_factory=list)
    service_accounts: Accounts = Field(default_factory=list)
    not_service_accounts: Accounts = Field(default_factory=list)
    ip_blocks: list[str] = Field(default_factory=list)
    not_ip_blocks: list[str] = Field(default_factory=list)
    remote_ip_blocks: list[str] = Field(default_factory=list)
    not_remote_ip_blocks: list[str] = Field(default_factory=list)
    trust_domains: list[str] = Field(default_factory=list)
    not_trust_domains: list[str] = Field(default_factory=list)


class Operation(Schema):
    """What is called."""

    hosts: list[str] = Field(default_factory=list)
    not_hosts: list[str] = Field(default_factory=list)
    ports: list[str] = Field(default_factory=list)
    not_ports: list[str] = Field(default_factory=list)
    methods: list[str] = Field(default_factory=list)
    not_methods: list[str] = Field(default_factory=list)
    paths: list[str] = Field(default_factory=list)
    not_paths: list[str] = Field(default_factory=list)


class RuleFrom(Schema):
    """One alternative of who calls."""

    source: Source | None = None


class RuleTo(Schema):
    """One alternative of what is called."""

    operation: Operation | None = None


class RuleCondition(Schema):
    """A condition on an attribute of the request."""

    key: str
    values: list[str] = Field(default_factory=list)
    not_values: list[str] = Field(default_factory=list)


class AuthorizationRule(Schema):
    """Conditions that must all hold."""

    from_: Annotated[list[RuleFrom], Field(max_length=512)] = Field(default_factory=list, alias="from")
    to: list[RuleTo] = Field(default_factory=list)
    when: list[RuleCondition] = Field(default_factory=list)


class ExtensionProvider(Schema):
    """The external service that decides."""

    name: str = ""


class AuthorizationPolicySpec(Schema):
    """``spec`` of an AuthorizationPolicy."""

    RULES: ClassVar = (_ONE_TARGET,)

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: TargetReferences = Field(default_factory=list)
    rules: Annotated[list[AuthorizationRule], Field(max_length=512)] = Field(default_factory=list)
    action: Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"] = "ALLOW"
    provider: ExtensionProvider | None = None


class AuthorizationPolicy(OtherIstio):
    """Who may call whom."""

    KIND = "AuthorizationPolicy"
    GROUP = "security.istio.io"
    VERSIONS = ("v1", "v1beta1")
    PURPOSE = "decides who may call whom"

    spec: AuthorizationPolicySpec = Field(default_factory=AuthorizationPolicySpec)


class MutualTLS(Schema):
    """Whether TLS is asked of callers."""

    mode: Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] = "UNSET"


def _is_port(text: str) -> bool:
    return re.fullmatch("[0-9]{1,9}", text) is not None and 0 < int(text) <= 65535


def _selects(value: Mapping[str, Any]) -> bool:
    return "portLevelMtls" not in value or bool(value.get("selector", {}).get("matchLabels"))


class PeerAuthenticationSpec(Schema):
    """``spec`` of a PeerAuthentication."""

    RULES: ClassVar = (Rule(_selects, "needs a selector with matchLabels", ".portLevelMtls"),)

    selector: WorkloadSelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: Annotated[
        dict[str, MutualTLS],
        Field(min_length=1),
        Rule(lambda value: all(map(_is_port, value)), "keys must be port numbers, 1 to 65535"),
    ] = Field(default_factory=dict)


class PeerAuthentication(OtherIstio):
    """Mutual TLS between workloads."""

    KIND = "PeerAuthentication"
    GROUP = "security.istio.io"
    VERSIONS = ("v1", "v1beta1")
    PURPOSE = "sets mutual TLS between workloads"

    spec: PeerAuthenticationSpec = Field(default_factory=PeerAuthenticationSpec)


class JWTHeader(Schema):
    """A header that carries a token."""

    name: NonEmpty
    prefix: str = ""


class ClaimToHeader(Schema):
    """A header made from a claim."""

    header: Annotated[NonEmpty, matching(r"[-_A-Za-z0-9]+", "is not a header name")]
    claim: NonEmpty


WebURL = Annotated[
    str, Field(min_length=1, max_length=2048), Rule(is_web_url, "must be a URL that starts with http:// or https://")
]


class JWTRule(Schema):
    """How a token is checked."""

    RULES: ClassVar = (Rule(at_most_one("jwksUri", "jwks_uri", "jwks"), "only one of jwksUri and jwks may be given"),)

    issuer: NonEmpty = ""
    audiences: list[NonEmpty] = Field(default_factory=list)
    jwks_uri: WebURL = Field(
        default="", validation_alias=AliasChoices("jwksUri", "jwks_uri"), serialization_alias="jwksUri"
    )
    jwks: str = ""
    from_headers: list[JWTHeader] = Field(default_factory=list)
    from_params: list[NonEmpty] = Field(default_factory=list)
    from_cookies: list[NonEmpty] = Field(default_factory=list)
    output_payload_to_header: str = ""
    output_claim_to_headers: list[ClaimToHeader] = Field(default_factory=list)
    space_delimited_claims: Annotated[list[NonEmpty], Field(max_length=64)] = Field(default_factory=list)
    forward_original_token: bool = False
    timeout: Duration | None = None


class RequestAuthenticationSpec(Schema):
    """``spec`` of a RequestAuthentication."""

    RULES: ClassVar = (_ONE_TARGET,)

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: TargetReferences = Field(default_factory=list)
    jwt_rules: Annotated[list[JWTRule], Field(max_length=4096)] = Field(default_factory=list)


class RequestAuthentication(OtherIstio):
    """Checks of the tokens of requests."""

    KIND = "RequestAuthentication"
    GROUP = "security.istio.io"
    VERSIONS = ("v1", "v1beta1")
    PURPOSE = "checks the tokens of requests"

    spec: RequestAuthenticationSpec = Field(default_factory=RequestAuthenticationSpec)
