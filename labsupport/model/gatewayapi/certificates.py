"""Whether a Secret or ConfigMap holds what a listener refers to: a certificate with its key, or whom to trust."""

from __future__ import annotations

import base64
import binascii
import hashlib

from labsupport.model.kinds.core import ConfigMap, Secret

__all__ = ["authority_problem", "pair_problem"]

_PAIRS = (("cert", "key"), ("tls.crt", "tls.key"))
_AUTHORITIES = ("cacert", "ca.crt")
_KEPT = 256
# By a digest of both: a long key takes a while to read, and every change asks again.
_checked: dict[bytes, str] = {}


def _values(holder: Secret | ConfigMap) -> dict[str, bytes]:
    if isinstance(holder, ConfigMap):
        return {key: text.encode() for key, text in holder.data.items()}
    values = {}
    for key, text in holder.data.items():
        try:
            values[key] = base64.b64decode(text)
        except binascii.Error:
            values[key] = b""
    return values | {key: text.encode() for key, text in holder.string_data.items()}


def _found(values: dict[str, bytes]) -> str:
    keys = sorted(values)
    return ", ".join(keys) if len(keys) < 3 else f"{', '.join(keys[:3])}, and {len(keys) - 3} more..."


def pair_problem(secret: Secret) -> str:
    """Why a Secret is no certificate with its key, in istiod's words; empty if it is one."""
    values = _values(secret)
    for certificate, key in _PAIRS:
        if values.get(certificate) and values.get(key):
            return _mismatch(values[certificate], values[key])
    for certificate, key in _PAIRS:
        if certificate in values and key in values:
            return f'found keys "{certificate}" and "{key}", but they were empty'
    pairs = " or ".join(f"({certificate} and {key})" for certificate, key in _PAIRS)
    return f"found secret, but didn't have expected keys {pairs}; found: {_found(values)}"


def _mismatch(certificate: bytes, key: bytes) -> str:
    digest = hashlib.sha256(b"\0".join((certificate, key))).digest()
    if digest not in _checked:
        if len(_checked) >= _KEPT:
            _checked.clear()
        _checked[digest] = _read_pair(certificate, key)
    return _checked[digest]


def _read_pair(certificate: bytes, key: bytes) -> str:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        first = x509.load_pem_x509_certificates(certificate)[0]
        private = serialization.load_pem_private_key(key, password=None)
        public = first.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "the certificate is malformed: it cannot be read as PEM"
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != public.public_bytes(*form):
        return "the certificate is malformed: tls: private key does not match public key"
    return ""


def authority_problem(holder: Secret | ConfigMap) -> str:
    """Why an object does not say whom to trust, in istiod's words; empty if it does."""
    from cryptography import x509

    values = _values(holder)
    key = next((key for key in _AUTHORITIES if values.get(key)), "")
    if not key:
        empty = next((key for key in _AUTHORITIES if key in values), "")
        if empty:
            return f'found key "{empty}", but it was empty'
        wanted = " or ".join(_AUTHORITIES)
        return f"found secret, but didn't have expected keys {wanted}; found: {_found(values)}"
    try:
        x509.load_pem_x509_certificates(values[key])
    except ValueError:
        return "the bundle is malformed"
    return ""
