"""``GatewayClass`` and ``Gateway`` of the Gateway API: ways in, each with a proxy of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labsupport.model.kinds.gatewayapi.shared import (
    GROUP,
    SUBDOMAIN,
    Condition,
    GatewayApiResource,
    Group,
    HostName,
    Kind,
    ListenerPort,
    LocalReference,
    NamespaceName,
    ObjectName,
    Section,
    distinct,
    pattern,
    unique_by,
)
from labsupport.model.schema.base import Schema
from labsupport.model.schema.syntax import is_ip
from labsupport.model.schema.types import Int32, Rule
from labsupport.records import Json

__all__ = ["GATEWAY_NAME", "ControllerName", "GatewayClass", "KubernetesGateway"]

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""The label of what is made for a Gateway; it has the Gateway's name."""

_HOST = re.compile(rf"(\*\.)?{SUBDOMAIN}")
_KEY = re.compile(rf"({SUBDOMAIN}/)?([A-Za-z0-9][-A-Za-z0-9_.]{{0,61}})?[A-Za-z0-9]")
_LEADING_ZEROS = re.compile(r"\b0+(?=[0-9])")
_PATH_CHARACTERS = r"[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+"

ControllerName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    pattern(rf"^{SUBDOMAIN}\/{_PATH_CHARACTERS}\Z", "must be a domain and a path, such as istio.io/gateway-controller"),
]


class ParametersReference(LocalReference):
    """More settings of a class."""

    namespace: NamespaceName = ""


class GatewayClassSpec(Schema):
    """``spec`` of a GatewayClass."""

    controller_name: ControllerName
    description: Annotated[str, Field(max_length=64)] = ""
    parameters_ref: ParametersReference | None = None


class SupportedFeature(Schema):
    """A feature that a controller says it has."""

    name: str


class GatewayClassStatus(Schema):
    """``status`` of a GatewayClass."""

    conditions: Annotated[list[Condition], Field(max_length=8)] = Field(default_factory=list)
    supported_features: Annotated[list[SupportedFeature], Field(max_length=64)] = Field(default_factory=list)


class GatewayClass(GatewayApiResource):
    """Which controller takes care of the Gateways of a class."""

    KIND = "GatewayClass"

    spec: GatewayClassSpec
    status: GatewayClassStatus | None = None


class SecretReference(Schema):
    """A certificate, usually in a Secret."""

    group: Group = ""
    kind: Kind = "Secret"
    name: ObjectName
    namespace: NamespaceName = ""


class ListenerTLS(Schema):
    """TLS of a listener."""

    RULES: ClassVar = (
        Rule(
            lambda value: (
                value.get("mode", "Terminate") != "Terminate"
                or bool(value.get("certificateRefs"))
                or bool(value.get("options"))
            ),
            "mode Terminate needs certificateRefs or options",
        ),
    )

    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: Annotated[list[SecretReference], Field(max_length=64)] = Field(default_factory=list)
    options: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=16)] = Field(
        default_factory=dict
    )


class Requirement(Schema):
    """A condition on one label."""

    key: str
    operator: str
    values: list[str] = Field(default_factory=list)


class LabelSelector(Schema):
    """Conditions on labels that must all hold."""

    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: list[Requirement] = Field(default_factory=list)


class RouteNamespaces(Schema):
    """Namespaces whose routes a listener takes."""

    from_: Literal["All", "Selector", "Same"] = Field(default="Same", alias="from")
    selector: LabelSelector | None = None


class ListenerNamespaces(Schema):
    """Namespaces whose ListenerSets a Gateway takes."""

    from_: Literal["All", "Selector", "Same", "None"] = Field(default="None", alias="from")
    selector: LabelSelector | None = None


class RouteKind(Schema):
    """A kind of routes."""

    group: Group = GROUP
    kind: Kind


class AllowedRoutes(Schema):
    """Which routes a listener takes."""

    namespaces: RouteNamespaces = Field(default_factory=RouteNamespaces)
    kinds: Annotated[list[RouteKind], Field(max_length=8)] = Field(default_factory=list)


class Listener(Schema):
    """A port with the host it serves."""

    name: Section
    hostname: HostName = ""
    port: ListenerPort
    protocol: Annotated[
        str,
        Field(min_length=1, max_length=255),
        pattern(
            rf"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?\Z|{SUBDOMAIN}\/[A-Za-z0-9]+\Z",
            "must be a protocol such as HTTP",
        ),
    ]
    tls: ListenerTLS | None = None
    allowed_routes: AllowedRoutes = Field(default_factory=AllowedRoutes)


_WITHOUT_TLS = ("HTTP", "TCP", "UDP")


def _tls_fits(value: Sequence[Mapping[str, Json]]) -> bool:
    for listener in value:
        protocol, tls = listener["protocol"], listener.get("tls")
        if protocol in _WITHOUT_TLS and tls is not None:
            return False
        if protocol == "HTTPS" and tls is not None and tls.get("mode", "Terminate") != "Terminate":
            return False
        if protocol == "TLS" and tls is None:
            return False
    return True


def _is_address(text: str) -> bool:
    # The API server reads 10.0.0.01, but no address with a zone.
    return "%" not in text and is_ip(_LEADING_ZEROS.sub("", text) if ":" not in text else text)


class AddressOfGateway(Schema):
    """An address that somebody asks for."""

    RULES: ClassVar = (
        Rule(
            lambda value: (
                value.get("type", "IPAddress") != "IPAddress" or "value" not in value or _is_address(value["value"])
            ),
            "must be an IP address",
            ".value",
        ),
        Rule(
            lambda value: (
                value.get("type") != "Hostname" or "value" not in value or _HOST.fullmatch(value["value"]) is not None
            ),
            "must be a host name",
            ".value",
        ),
    )

    type: Annotated[
        str,
        Field(min_length=1, max_length=253),
        pattern(
            rf"^Hostname|IPAddress|NamedAddress|{SUBDOMAIN}\/{_PATH_CHARACTERS}\Z",
            "must be IPAddress, Hostname, NamedAddress or a domain and a path",
        ),
    ] = "IPAddress"
    value: Annotated[str, Field(max_length=253)] | None = None


def _addresses_once(value: Sequence[Mapping[str, Json]]) -> bool:
    counted = [(item.get("type", "IPAddress"), item["value"]) for item in value if "value" in item]
    return distinct([item for item in counted if item[0] in ("IPAddress", "Hostname")])


_Keys = Rule(
    lambda value: all(_KEY.fullmatch(key) is not None and len(key.split("/")[0]) < 253 for key in value),
    "has a key that is none, such as app.example/team",
)
_LabelValue = Annotated[
    str,
    Field(max_length=63),
    pattern(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z", "must be the value of a label"),
]


class Infrastructure(Schema):
    """What the objects get that a controller makes for a Gateway."""

    labels: Annotated[dict[str, _LabelValue], Field(max_length=8), _Keys] = Field(default_factory=dict)
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=16), _Keys] = Field(
        default_factory=dict
    )
    parameters_ref: LocalReference | None = None


class AllowedListeners(Schema):
    """Which ListenerSets a Gateway takes."""

    namespaces: ListenerNamespaces = Field(default_factory=ListenerNamespaces)


class AuthorityReference(LocalReference):
    """A certificate authority, in a ConfigMap or Secret."""

    namespace: NamespaceName = ""


class FrontendValidation(Schema):
    """Which clients' certificates are believed."""

    ca_certificate_refs: Annotated[list[AuthorityReference], Field(min_length=1, max_length=16)]
    mode: Literal["AllowValidOnly", "AllowInsecureFallback"] = "AllowValidOnly"


class FrontendTLS(Schema):
    """TLS towards clients."""

    validation: FrontendValidation | None = None


class PortTLS(Schema):
    """TLS towards clients of one port."""

    port: ListenerPort
    tls: FrontendTLS


class FrontendConfig(Schema):
    """TLS towards clients, by port."""

    default: FrontendTLS
    per_port: Annotated[list[PortTLS], Field(max_length=64), Rule(unique_by("port"), "has a port twice")] = Field(
        default_factory=list
    )


class BackendConfig(Schema):
    """TLS towards backends."""

    client_certificate_ref: SecretReference | None = None


class GatewayTLS(Schema):
    """TLS of the whole Gateway."""

    backend: BackendConfig | None = None
    frontend: FrontendConfig | None = None


class GatewaySpec(Schema):
    """``spec`` of a Gateway."""

    gateway_class_name: ObjectName
    listeners: Annotated[
        list[Listener],
        Field(min_length=1, max_length=64),
        Rule(unique_by("name"), "no two listeners may have the same name"),
        Rule(
            unique_by("port", "protocol", "hostname"),
            "no two listeners may have the same port, protocol and host name",
        ),
        Rule(_tls_fits, "tls goes with protocols HTTPS (mode Terminate) and TLS (where it is needed)"),
        Rule(
            lambda value: not any(item["protocol"] in ("TCP", "UDP") and "hostname" in item for item in value),
            "listeners of protocols TCP and UDP have no host name",
        ),
    ]
    addresses: Annotated[
        list[AddressOfGateway], Field(max_length=16), Rule(_addresses_once, "has an address twice")
    ] = Field(default_factory=list)
    infrastructure: Infrastructure | None = None
    allowed_listeners: AllowedListeners | None = None
    tls: GatewayTLS | None = None
    default_scope: Literal["All", "None"] = "None"


class StatusAddress(Schema):
    """An address that a Gateway has."""

    type: str = "IPAddress"
    value: ObjectName


class ListenerStatus(Schema):
    """What a controller says of a listener."""

    name: Section
    supported_kinds: Annotated[list[RouteKind], Field(max_length=8)] = Field(default_factory=list)
    attached_routes: Int32
    conditions: Annotated[list[Condition], Field(max_length=8)]


class GatewayStatus(Schema):
    """``status`` of a Gateway."""

    addresses: Annotated[list[StatusAddress], Field(max_length=16)] = Field(default_factory=list)
    conditions: Annotated[list[Condition], Field(max_length=8)] = Field(default_factory=list)
    listeners: Annotated[list[ListenerStatus], Field(max_length=64)] = Field(default_factory=list)
    attached_listener_sets: Int32 = 0


class KubernetesGateway(GatewayApiResource):
    """A way in, with listeners that routes are bound to."""

    KIND = "Gateway"
    CALLED = "KubernetesGateway"

    spec: GatewaySpec
    status: GatewayStatus | None = None
