"""TLS as a client speaks it: whom it trusts, what it was shown, and a failure in words."""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

from client_spec import SpecError, TlsSpec

__all__ = ["describe", "explain", "make_context"]

_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
# X509_V_ERR_* of OpenSSL.
_NOT_YET_VALID, _EXPIRED, _HOSTNAME_MISMATCH = 9, 10, 62
_UNTRUSTED = (2, 18, 19, 20, 21)
# Alerts that the server sent, and what OpenSSL makes of an answer that is no TLS, by the names it gives them.
_REASONS = {
    "CERTIFICATE_REQUIRED": "the server wants a client certificate, and none was shown",
    "ALERT_UNKNOWN_CA": "the server does not trust the authority that signed the client's certificate",
    "ALERT_BAD_CERTIFICATE": "the server refuses the client's certificate",
    "ALERT_CERTIFICATE_EXPIRED": "the server refuses the client's certificate, because it has expired",
    "ALERT_CERTIFICATE_REVOKED": "the server refuses the client's certificate, because it was revoked",
    "ALERT_CERTIFICATE_UNKNOWN": "the server refuses the client's certificate",
    "ALERT_UNSUPPORTED_CERTIFICATE": "the server refuses this kind of client certificate",
    "ALERT_PROTOCOL_VERSION": "the server does not speak this version of TLS",
    "UNSUPPORTED_PROTOCOL": "the server wants a version of TLS that the client does not speak",
    "ALERT_HANDSHAKE_FAILURE": "client and server have no cipher in common, or the server has no certificate to show",
    "ALERT_UNRECOGNIZED_NAME": "the server does not know this server name (SNI)",
    "NO_PROTOCOLS_AVAILABLE": "this version of TLS is switched off in the client's own OpenSSL",
    "WRONG_VERSION_NUMBER": "what answers on this port does not speak TLS",
    "RECORD_LAYER_FAILURE": "what answers on this port does not speak TLS",
}
_CLOSED = (
    "the server closed the connection during the handshake: it serves nothing under this server name (SNI), or has no "
    "certificate for it"
)


def make_context(options: TlsSpec | None, *, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """Make the context of a run.

    Args:
        options: whom to trust and what to show; None trusts every server.
        alpn: application protocols to offer.

    Returns:
        A client's context.

    Raises:
        SpecError: a certificate or key cannot be read; the message shows neither.
    """
    options = options or TlsSpec()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if options.ca:
        try:
            context.load_verify_locations(cadata=options.ca)
        except (ssl.SSLError, ValueError):
            raise SpecError("tls.ca", "is not a list of certificates in PEM") from None
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.certificate:
        _show(context, options.certificate, options.key)
    if options.version:
        with warnings.catch_warnings():
            # Old versions are deprecated, which is the lesson.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = _VERSIONS[options.version]
        if options.version in ("1.0", "1.1"):
            # OpenSSL 3 speaks them only at its lowest security level.
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load the client's own certificate; Python reads it from a file only, which exists for that moment."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "client.pem")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{key.rstrip()}\n{certificate.rstrip()}\n")
        try:
            # A function that answers keeps OpenSSL from asking for a pass phrase on a terminal.
            context.load_cert_chain(path, password=lambda: b"")
        except (ssl.SSLError, ValueError):
            message = "is not a certificate in PEM with the private key that belongs to it, without a pass phrase"
            raise SpecError("tls.certificate", message) from None


def describe(connection: Any, known: dict[bytes, dict[str, str]]) -> dict[str, str]:
    """What was agreed on over a connection, and what certificate the server showed.

    Args:
        connection: the ``ssl.SSLObject`` of the connection.
        known: certificates that were described before, by their bytes; added to.

    Returns:
        The fields of ``tls`` in a record.
    """
    name, _, _ = connection.cipher() or ("", "", 0)
    agreed = {"version": connection.version() or "", "cipher": name, "alpn": connection.selected_alpn_protocol() or ""}
    agreed["server_name"] = connection.server_hostname or ""
    certificate = connection.getpeercert(binary_form=True)
    if certificate:
        if certificate not in known:
            known[certificate] = _certificate(certificate)
        agreed |= known[certificate]
    return agreed


def _certificate(der: bytes) -> dict[str, str]:
    # Only a client that speaks TLS needs it, and it takes longer to import than most runs last.
    from cryptography import x509

    shown = x509.load_der_x509_certificate(der)
    try:
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        listed = [str(name) for name in names.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        listed = []
    return {
        "subject": shown.subject.rfc4514_string(),
        "issuer": shown.issuer.rfc4514_string(),
        "names": ", ".join(listed),
        "not_after": shown.not_valid_after_utc.isoformat(),
        "fingerprint": hashlib.sha256(der).hexdigest(),
    }


def explain(problem: BaseException, server_name: str, *, handshake: bool) -> str:
    """Why a connection in TLS failed, in words; empty if it has nothing to do with TLS.

    Args:
        problem: what was raised.
        server_name: the server name that was asked for.
        handshake: whether the connection was not there yet, so that a silent end of it is about TLS too.
    """
    for cause in _causes(problem):
        # aiohttp's own exceptions are SSLErrors by name, without what OpenSSL said; that is in their cause.
        if isinstance(cause, ssl.SSLCertVerificationError) and getattr(cause, "verify_code", None) is not None:
            return f"TLS: {_verification(cause, server_name)}"
        if isinstance(cause, ssl.SSLEOFError):
            return f"TLS: {_CLOSED}"
        reason = getattr(cause, "reason", None) if isinstance(cause, ssl.SSLError) else None
        if reason:
            text = next((words for mark, words in _REASONS.items() if mark in reason), "")
            return f"TLS: {text or reason.replace('_', ' ').lower() or cause}"
        if handshake and isinstance(cause, ConnectionResetError | BrokenPipeError | EOFError):
            return f"TLS: {_CLOSED}"
    return ""


def _verification(error: ssl.SSLCertVerificationError, server_name: str) -> str:
    if error.verify_code == _HOSTNAME_MISMATCH:
        return f"the server's certificate is for other names, not for {server_name}"
    if error.verify_code == _EXPIRED:
        return "the server's certificate has expired"
    if error.verify_code == _NOT_YET_VALID:
        return "the server's certificate is not valid yet"
    if error.verify_code in _UNTRUSTED:
        return f"the client does not trust who signed the server's certificate ({error.verify_message})"
    return f"the server's certificate is refused: {error.verify_message}"


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it, as far as libraries keep it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [problem]
    while waiting:
        error = waiting.pop(0)
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        inner = (getattr(error, name, None) for name in ("certificate_error", "os_error", "__cause__", "__context__"))
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]
