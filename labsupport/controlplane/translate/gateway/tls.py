"""``tls`` of a Gateway's server: TLS that ends at the gateway."""

from __future__ import annotations

from labsupport.controlplane.translate.tls import TLS_SOCKET, credential_secret, file_secret
from labsupport.model.kinds.gateway import ServerTLSSettings
from labsupport.records import JsonObject

__all__ = ["CIPHERS", "downstream_socket"]

_CONTEXT = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_VERSIONS = {"TLSV1_0": "TLSv1_0", "TLSV1_1": "TLSv1_1", "TLSV1_2": "TLSv1_2", "TLSV1_3": "TLSv1_3"}
_BLOCKS = ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA")
CIPHERS = frozenset(
    (
        *_BLOCKS,
        "DES-CBC3-SHA",
        *(f"ECDHE-{key}-{block}" for key in ("ECDSA", "RSA") for block in (*_BLOCKS, "CHACHA20-POLY1305")),
    )
)


def _known(suite: str) -> bool:
    """Whether Envoy knows a cipher suite; an expression that starts with an operator is left to it."""
    return suite in ("", "ALL") or not suite[0].isalnum() or suite in CIPHERS


def downstream_socket(settings: ServerTLSSettings) -> JsonObject | None:
    """The transport socket of a server.

    Args:
        settings: its ``tls`` block.

    Returns:
        The socket; None if TLS is not ended here, or only between sidecars (ISTIO_MUTUAL).
    """
    if settings.mode not in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"):
        return None
    mutual = settings.mode in ("MUTUAL", "OPTIONAL_MUTUAL")
    common: JsonObject = {"alpn_protocols": ["h2", "http/1.1"]}
    names = list(settings.credential_names) or ([settings.credential_name] if settings.credential_name else [])
    validation: JsonObject = {}
    if settings.subject_alt_names:
        validation["match_subject_alt_names"] = [{"exact": name} for name in settings.subject_alt_names]
    if names:
        common["tls_certificate_sds_secret_configs"] = [credential_secret(name) for name in names]
        trusted = credential_secret(settings.ca_cert_credential_name or f"{names[0]}-cacert")
        if validation and not mutual:
            common["validation_context"] = validation
        for field, values in (
            ("verify_certificate_spki", settings.verify_certificate_spki),
            ("verify_certificate_hash", settings.verify_certificate_hash),
        ):
            if values and mutual:
                validation[field] = list(values)
    else:
        pairs = [(item.server_certificate, item.private_key) for item in settings.tls_certificates]
        pairs = pairs or [(settings.server_certificate, settings.private_key)]
        # Where no certificate is left of those that a listener of the Gateway API names, the proxy shows its own.
        common["tls_certificate_sds_secret_configs"] = [
            file_secret(f"file-cert:{certificate}~{key}" if certificate else "default") for certificate, key in pairs
        ]
        trusted = file_secret(f"file-root:{settings.ca_certificates}" if settings.ca_certificates else "ROOTCA")
        if settings.ca_crl:
            validation["crl"] = {"filename": settings.ca_crl}
    if mutual:
        if settings.insecure_skip_verify:
            validation["trust_chain_verification"] = "ACCEPT_UNTRUSTED"
        common["combined_validation_context"] = {
            "default_validation_context": validation,
            "validation_context_sds_secret_config": trusted,
        }
    parameters: JsonObject = {}
    if settings.min_protocol_version in _VERSIONS:
        parameters["tls_minimum_protocol_version"] = _VERSIONS[settings.min_protocol_version]
    if settings.max_protocol_version in _VERSIONS:
        parameters["tls_maximum_protocol_version"] = _VERSIONS[settings.max_protocol_version]
    suites = [suite for suite in dict.fromkeys(settings.cipher_suites) if _known(suite)]
    if suites:
        parameters["cipher_suites"] = suites
    if parameters:
        common["tls_params"] = parameters
    typed: JsonObject = {
        "@type": _CONTEXT,
        "common_tls_context": common,
        "require_client_certificate": settings.mode == "MUTUAL",
    }
    return {"name": TLS_SOCKET, "typed_config": typed}
