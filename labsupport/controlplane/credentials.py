"""Certificates for proxies: from the name that a rule gives (``credentialName``) to the SDS secret, as istiod does it.

A name is looked up in the proxy's namespace. ``<name>-cacert`` holds whom to trust, in a Secret of its own or in that
of the server; any other name holds a certificate with its key. Of the keys that a Secret may have, Istio's generic
ones (``cert``, ``key``, ``cacert``, ``crl``) are read before those of ``kubernetes.io/tls``.

What istiod finds nothing for it does not send, so that a listener without certificate closes every connection. What
Envoy would refuse is not sent here either: it would keep the certificate that it has, and so it does. Both are told
in words, by name, and never with the content.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from labsupport.model import Resource
from labsupport.records import JsonObject

__all__ = ["SYSTEM_ROOTS", "Credential", "credential", "references"]

Use = Literal["certificate", "authority"]
SYSTEM_ROOTS = "file-root:system"
_SUFFIX = "-cacert"
_GENERIC = ("cert", "key")
_TLS = ("tls.crt", "tls.key")
# Keys of whom to trust, and of the list of revoked certificates that goes with each.
_AUTHORITIES = {"cacert": "crl", "ca.crt": "ca.crl"}
# What BoringSSL takes in Envoy: RSA from 2048 bits, and these curves.
_SMALLEST_RSA = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


@dataclass(frozen=True, slots=True)
class Credential:
    """What a proxy gets under a name.

    Args:
        name: of the SDS secret, such as ``kubernetes://shop-cert``.
        secret: ``envoy.extensions.transport_sockets.tls.v3.Secret`` in proto JSON; None if there is nothing to send.
        problem: why there is nothing to send, or what a learner should know of it; empty if all is well.
    """

    name: str
    secret: JsonObject | None = field(repr=False)
    problem: str = ""


class _Unusable(ValueError):
    """There is nothing that can be sent; the text says why."""


def references(resources: Iterable[Mapping[str, Any]]) -> dict[str, set[Use]]:
    """Names of the SDS secrets that listeners or clusters refer to, and what they are used for."""
    uses_by_name: dict[str, set[Use]] = {}
    for name, use in _references(list(resources)):
        uses_by_name.setdefault(name, set()).add(use)
    return uses_by_name


def _references(value: Any) -> Iterator[tuple[str, Use]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "tls_certificate_sds_secret_configs":
                yield from ((reference["name"], "certificate") for reference in item)
            elif key == "validation_context_sds_secret_config":
                yield item["name"], "authority"
            else:
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def credential(
    name: str, uses: Iterable[Use], objects: Iterable[Resource], namespaces: Sequence[str], *, gateway: bool = True
) -> Credential:
    """Look up what a proxy gets under a name.

    Args:
        name: of the SDS secret.
        uses: what the proxy wants it for.
        objects: where Secrets and ConfigMaps are looked up.
        namespaces: the proxy's namespace, and others that are looked into after it.
        gateway: whether the proxy is a gateway; istiod gives others no private keys.
    """
    try:
        if name == SYSTEM_ROOTS:
            return Credential(name, {"name": name, "validation_context": {"trusted_ca": {"filename": _roots()}}})
        scheme, _, place = name.partition("://")
        authority = scheme == "configmap" or place.endswith(_SUFFIX)
        for use in uses:
            # Istio decides by the name alone, and Envoy refuses what it did not ask for.
            if use == "authority" and not authority:
                raise _Unusable("it is to say whom to trust, and Istio reads that from names that end in -cacert only")
            if use == "certificate" and authority:
                raise _Unusable("it is to be a certificate with a key, and Istio reads -cacert as whom to trust")
        if not authority and not gateway:
            raise _Unusable("istiod gives sidecars no private keys, unless their service account may read Secrets")
        values = _find(scheme, place, objects, namespaces)
        secret, problem = _trusted(values) if authority else _pair(values)
        return Credential(name, {"name": name, **secret}, problem and f"{_shown(name)}: {problem}")
    except _Unusable as error:
        return Credential(name, None, f"{_shown(name)}: {error}")


def _shown(name: str) -> str:
    scheme, _, place = name.partition("://")
    kind = {"kubernetes": "Secret", "kubernetes-gateway": "Secret", "configmap": "ConfigMap"}.get(scheme)
    return f"{kind}/{place.rpartition('/')[2]}" if kind and place else name


def _roots() -> str:
    """The file of authorities that this machine trusts."""
    paths = ssl.get_default_verify_paths()
    common = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
    for path in (paths.cafile, *common):
        if path and Path(path).is_file():
            return path
    raise _Unusable("this machine has no file of authorities that it trusts")


def _find(scheme: str, place: str, objects: Iterable[Resource], namespaces: Sequence[str]) -> dict[str, bytes]:
    """The values of a Secret or ConfigMap.

    Raises:
        _Unusable: there is none, or the proxy may not read it.
    """
    space, slash, name = place.rpartition("/")
    if scheme == "configmap":
        wanted, names = [space], [name.removesuffix(_SUFFIX)]
    elif scheme == "kubernetes-gateway":
        # A listener names it, and does not count unless it may.
        wanted, names = [space], [name, name.removesuffix(_SUFFIX)] if name.endswith(_SUFFIX) else [name]
    elif scheme == "kubernetes":
        if slash and space != namespaces[0]:
            raise _Unusable(f"a proxy of namespace {namespaces[0]} may not read Secrets of namespace {space}")
        wanted = [space] if slash else list(namespaces)
        names = [name, name.removesuffix(_SUFFIX)] if name.endswith(_SUFFIX) else [name]
    else:
        raise _Unusable("Istio knows no credential of this form")
    kind = "ConfigMap" if scheme == "configmap" else "Secret"
    known = {(resource.namespace, resource.name): resource for resource in objects if resource.kind == kind}
    for namespace in wanted:
        for candidate in names:
            if (namespace, candidate) in known:
                return _values(known[namespace, candidate])
    other = sorted({space for space, known_name in known if known_name in names})
    hint = f"; there is one in namespace {other[0]}" if other else ""
    also = f", nor one called {names[1]}," if len(names) > 1 else ""
    raise _Unusable(f"there is no such {kind}{also} in namespace {' or '.join(wanted)}{hint}")


def _values(resource: Any) -> dict[str, bytes]:
    if resource.kind == "ConfigMap":
        return {key: text.encode() for key, text in resource.data.items()}
    values: dict[str, bytes] = {}
    for key, text in resource.data.items():
        try:
            values[key] = base64.b64decode(text)
        except binascii.Error:
            raise _Unusable(f"its value {key} is not base64") from None
    return values | {key: text.encode() for key, text in resource.string_data.items()}


def _listed(values: Mapping[str, bytes]) -> str:
    return ", ".join(sorted(values)) or "none"


def _inline(content: bytes) -> JsonObject:
    return {"inline_bytes": base64.b64encode(content).decode()}


def _pair(values: Mapping[str, bytes]) -> tuple[JsonObject, str]:
    """A certificate with its key, as ``ExtractCertInfo`` of istiod reads it."""
    chosen = next((pair for pair in (_GENERIC, _TLS) if all(values.get(key) for key in pair)), None)
    if chosen is None:
        pairs = f"neither {' and '.join(_GENERIC)} nor {' and '.join(_TLS)}"
        raise _Unusable(f"it has {pairs} with a value; its keys: {_listed(values)}")
    certificate, key = chosen
    note = _check_pair(values[certificate], values[key], certificate, key)
    made: JsonObject = {"certificate_chain": _inline(values[certificate]), "private_key": _inline(values[key])}
    if key == _TLS[1] and "tls.ocsp-staple" in values:
        made["ocsp_staple"] = _inline(values["tls.ocsp-staple"])
    return {"tls_certificate": made}, note


def _trusted(values: Mapping[str, bytes]) -> tuple[JsonObject, str]:
    """Whom to trust, as ``ExtractRoot`` of istiod reads it."""
    key = next((key for key in _AUTHORITIES if values.get(key)), "")
    if not key:
        raise _Unusable(f"it has neither {' nor '.join(_AUTHORITIES)} with a value; its keys: {_listed(values)}")
    revoked = _AUTHORITIES[key]
    note = _validity(_certificates(values[key], key), key)
    made: JsonObject = {"trusted_ca": _inline(values[key])}
    if revoked in values:
        _check_revoked(values[revoked], revoked)
        made["crl"] = _inline(values[revoked])
    return {"validation_context": made}, note


def _certificates(content: bytes, key: str) -> list[Any]:
    from cryptography import x509

    try:
        return list(x509.load_pem_x509_certificates(content))
    except ValueError:
        raise _Unusable(f"{key} is no certificate in PEM") from None


# What is known of pairs that were looked at, by a digest: the check of a long RSA key takes as long as everything else
# that a change costs, and every change asks again.
_checked: dict[bytes, str] = {}
_KEPT = 256


def _check_pair(certificate: bytes, key: bytes, certificate_name: str, key_name: str) -> str:
    """Check what Envoy would check; returns what istiod would only log.

    Raises:
        _Unusable: Envoy would refuse it.
    """
    chain = _certificates(certificate, certificate_name)
    digest = hashlib.sha256(b"\0".join((certificate, key, key_name.encode()))).digest()
    if digest not in _checked:
        if len(_checked) >= _KEPT:
            _checked.clear()
        _checked[digest] = _mismatch(chain[0], key, certificate_name, key_name)
    if _checked[digest]:
        raise _Unusable(_checked[digest])
    return _validity(chain[:1], certificate_name)


def _mismatch(certificate: Any, key: bytes, certificate_name: str, key_name: str) -> str:
    """Why a key cannot be used with a certificate; empty if it can."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return f"{key_name} is no private key in PEM (without a pass phrase)"
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    theirs = certificate.public_key().public_bytes(encoding, form)
    if private.public_key().public_bytes(encoding, form) != theirs:
        return f"{key_name} does not belong to {certificate_name}"
    if isinstance(private, rsa.RSAPrivateKey):
        if private.key_size < _SMALLEST_RSA:
            return f"Envoy takes RSA keys from {_SMALLEST_RSA} bits, and this one has {private.key_size}"
    elif not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name not in _CURVES:
        return "Envoy takes RSA keys and those on the curves P-256, P-384 and P-521, and this is neither"
    return ""


def _validity(certificates: Sequence[Any], key: str) -> str:
    now = datetime.now(UTC)
    for certificate in certificates:
        if now > certificate.not_valid_after_utc:
            return f"{key} expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
        if now < certificate.not_valid_before_utc:
            return f"{key} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    return ""


def _check_revoked(content: bytes, key: str) -> None:
    from cryptography import x509

    try:
        x509.load_pem_x509_crl(content)
    except ValueError:
        raise _Unusable(f"{key} is no list of revoked certificates in PEM") from None
