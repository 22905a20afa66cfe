"""What a client outside trusts and shows when it speaks TLS, read from what a notebook gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from labsupport.arguments import a_kind
from labsupport.errors import UsageError
from labsupport.records import TlsOptions

__all__ = ["ClientCertificate", "Tls", "TrustAnchor", "check_tls", "tls_options"]

_BEGIN = "-----BEGIN CERTIFICATE-----"
_VERSIONS = ("1.0", "1.1", "1.2", "1.3")


@runtime_checkable
class TrustAnchor(Protocol):
    """Something that has a certificate to trust, such as ``labsupport.certificates.Authority``."""

    @property
    def certificate(self) -> str:
        """The certificate in PEM."""
        ...


@runtime_checkable
class ClientCertificate(TrustAnchor, Protocol):
    """Something that has a certificate and its key, such as ``labsupport.certificates.Certificate``."""

    @property
    def key(self) -> str:
        """The private key in PEM."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a client outside speaks TLS: ``lab.send(url, tls=Tls(ca=authority))``. A ``repr`` shows no key.

    Args:
        ca: whom the client trusts: a ``labsupport.certificates.Authority``, or certificates as PEM text; None trusts
            every server.
        certificate: what the client shows: what ``Authority.client`` makes, or certificate and key as two PEM texts;
            None shows none.
        version: the only version of TLS that the client speaks, such as ``"1.2"``; None for 1.2 and 1.3.
    """

    ca: str | TrustAnchor | None = field(default=None, repr=False)
    certificate: ClientCertificate | tuple[str, str] | None = field(default=None, repr=False)
    version: str | None = None


def tls_options(tls: Tls | None) -> TlsOptions | None:
    """Read the argument ``tls`` of a call that sends.

    Args:
        tls: what the notebook gives.

    Returns:
        The options; None if nothing was given.

    Raises:
        UsageError: one of them makes no sense; no message shows a key.
    """
    if tls is not None and not isinstance(tls, Tls):
        raise UsageError(f"tls: this is {a_kind(type(tls))}; write tls=Tls(ca=..., certificate=..., version=...)")
    if tls is None or tls == Tls():
        return None
    ca, certificate, version = tls.ca, tls.certificate, tls.version
    trusted = ca.certificate if isinstance(ca, TrustAnchor) else "" if ca is None else ca
    shown, key = ("", "")
    if isinstance(certificate, ClientCertificate):
        shown, key = certificate.certificate, certificate.key
    elif certificate is not None:
        pair = tuple(certificate) if isinstance(certificate, tuple | list) else ()
        if len(pair) != 2:
            raise UsageError(
                "tls: certificate: give what authority.client(...) makes, or certificate and key as two PEM texts"
            )
        shown, key = pair
    return check_tls(TlsOptions(trusted, shown, key, "" if version is None else version))


def check_tls(options: TlsOptions) -> TlsOptions:
    """Check that options for TLS make sense.

    Args:
        options: the options.

    Returns:
        The same.

    Raises:
        UsageError: one of them makes no sense.
    """
    if options.version not in ("", *_VERSIONS):
        raise UsageError(f"tls: version={options.version!r}: write one of {', '.join(map(repr, _VERSIONS))}")
    for name, text in (("ca", options.ca), ("certificate", options.certificate)):
        if not isinstance(text, str) or (text and _BEGIN not in text):
            raise UsageError(f"tls: {name} is no certificate in PEM, which begins with {_BEGIN}")
    if not isinstance(options.key, str) or bool(options.certificate) != bool(options.key):
        raise UsageError("tls: certificate: a certificate and its private key belong together, as two PEM texts")
    if options.key and "PRIVATE KEY-----" not in options.key:
        raise UsageError("tls: certificate: its second part is no private key in PEM")
    return options
