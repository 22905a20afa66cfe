"""``Gateway`` of networking.istio.io: what a proxy at the edge listens to."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from labsupport.model.schema.base import IstioResource, Schema
from labsupport.model.schema.types import Rule, UInt32, at_most_one

__all__ = [
    "Gateway",
    "GatewaySpec",
    "Port",
    "Server",
    "ServerTLSMode",
    "ServerTLSSettings",
    "TLSCertificate",
    "TLSProtocol",
]

ServerTLSMode = Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"]
TLSProtocol = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]


class Port(Schema):
    """A port that a gateway listens on."""

    number: UInt32
    protocol: str
    name: str
    target_port: UInt32 = 0


class TLSCertificate(Schema):
    """A certificate by its files."""

    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""


class ServerTLSSettings(Schema):
    """TLS towards the clients."""

    RULES: ClassVar = (
        Rule(
            at_most_one("tlsCertificates", "credentialNames"),
            "only one of credentialNames and tlsCertificates may be given",
        ),
        Rule(
            at_most_one("credentialName", "credentialNames"),
            "only one of credentialName and credentialNames may be given",
        ),
    )

    https_redirect: bool = False
    mode: ServerTLSMode = "PASSTHROUGH"
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    credential_name: str = ""
    credential_names: Annotated[list[str], Field(min_length=1, max_length=2)] = Field(default_factory=list)
    ca_cert_credential_name: str = ""
    tls_certificates: Annotated[list[TLSCertificate], Field(min_length=1, max_length=2)] = Field(default_factory=list)
    subject_alt_names: list[str] = Field(default_factory=list)
    verify_certificate_spki: list[str] = Field(default_factory=list)
    verify_certificate_hash: list[str] = Field(default_factory=list)
    min_protocol_version: TLSProtocol = "TLS_AUTO"
    max_protocol_version: TLSProtocol = "TLS_AUTO"
    cipher_suites: list[str] = Field(default_factory=list)
    insecure_skip_verify: bool | None = None


class Server(Schema):
    """One port of a gateway with the hosts it serves."""

    port: Port
    bind: str = ""
    hosts: list[str]
    tls: ServerTLSSettings | None = None
    default_endpoint: str = ""
    name: str = ""


class GatewaySpec(Schema):
    """``spec`` of a Gateway."""

    servers: list[Server] = Field(default_factory=list)
    selector: dict[str, str] = Field(default_factory=dict)


class Gateway(IstioResource):
    """What the proxies selected by labels listen to at the edge of the mesh."""

    KIND = "Gateway"

    spec: GatewaySpec = Field(default_factory=GatewaySpec)
