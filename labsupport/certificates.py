"""Certificates for a lab: an authority of one's own, what it signs, and the Kubernetes Secrets that carry them.

What an ``openssl`` session makes in Istio's documentation is made here in a few lines::

    from labsupport import Tls
    from labsupport.certificates import Authority

    authority = Authority("Workshop CA")
    lab.apply(authority.server("shop.example").secret("shop-cert"), "gateway.yaml")
    lab.send("https://shop.example/", tls=Tls(ca=authority))

Nothing here is meant for anything but a lab: keys live in memory, in the clear, for as long as the notebook does.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from labsupport.errors import UsageError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["Authority", "Certificate"]

# Clocks of machines differ a little, and a certificate that begins now would not be valid yet on the other one.
_CLOCKS = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key; a ``repr`` shows neither.

    Args:
        subject: whose it is.
        certificate: the certificate, in PEM.
        key: its private key, in PEM (PKCS #8).
        authority: certificate of the authority that signed it, in PEM.
    """

    subject: str
    certificate: str = field(repr=False)
    key: str = field(repr=False)
    authority: str = field(repr=False)

    def secret(
        self, name: str, *, ca: str | Authority | None = None, namespace: str = "", generic: bool = False
    ) -> str:
        """The Secret that a Gateway's ``credentialName`` can name, as YAML.

        Args:
            name: of the Secret.
            ca: with ``mode: MUTUAL``, whom the gateway trusts to sign clients' certificates: an authority or its
                certificate in PEM; it is put beside the gateway's own (``ca.crt`` or ``cacert``).
            namespace: where; the lab's if empty.
            generic: write the keys ``cert`` and ``key`` of Istio's generic Secrets instead of type
                ``kubernetes.io/tls``, which has ``tls.crt`` and ``tls.key``.
        """
        trusted = ca.certificate if isinstance(ca, Authority) else ca or ""
        if generic:
            data = {"cert": self.certificate, "key": self.key} | ({"cacert": trusted} if trusted else {})
            return _secret(name, namespace, "Opaque", data)
        data = {"tls.crt": self.certificate, "tls.key": self.key} | ({"ca.crt": trusted} if trusted else {})
        return _secret(name, namespace, "kubernetes.io/tls", data)


class Authority:
    """A certificate authority for one lab.

    Args:
        name: its common name.
        days: how long its certificate is valid.

    Raises:
        UsageError: the name is empty.
    """

    def __init__(self, name: str = "Workshop CA", *, days: float = 365.0) -> None:
        from cryptography import x509

        if not name:
            raise UsageError("An authority has a name, such as Authority('Workshop CA').")
        self.name = name
        self._key = _make_key()
        public = self._key.public_key()
        self._certificate = (
            _builder(name, _lifetime(days))
            .issuer_name(_subject(name))
            .public_key(public)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, _hash())
        )

    @property
    def certificate(self) -> str:
        """Its certificate in PEM: what others trust."""
        return _pem(self._certificate)

    def server(self, *hosts: str, days: float = 90.0) -> Certificate:
        """Sign a certificate for a server.

        Args:
            *hosts: the names (or addresses) it is for; a wildcard such as ``*.shop.example`` is one.
            days: how long it is valid; a negative number makes one that has expired.

        Returns:
            The certificate with its key.

        Raises:
            UsageError: no host is named.
        """
        if not hosts:
            raise UsageError("Name the hosts that the certificate is for, such as authority.server('shop.example').")
        return self._sign(hosts[0], hosts, days, client=False)

    def client(self, name: str, *, days: float = 90.0) -> Certificate:
        """Sign a certificate that a client shows, for a Gateway with ``mode: MUTUAL``.

        Args:
            name: whose it is.
            days: how long it is valid; a negative number makes one that has expired.

        Returns:
            The certificate with its key.

        Raises:
            UsageError: the name is empty.
        """
        if not name:
            raise UsageError("Say whose certificate it is, such as authority.client('alice').")
        return self._sign(name, (), days, client=True)

    def secret(self, name: str, *, namespace: str = "", generic: bool = True) -> str:
        """The Secret ``<credentialName>-cacert`` that tells a Gateway whom to trust, as YAML.

        Args:
            name: of the Secret; Istio reads ``<credentialName>-cacert`` before the Secret of the server itself.
            namespace: where; the lab's if empty.
            generic: write it under ``cacert``; else under ``ca.crt``.
        """
        return _secret(name, namespace, "Opaque", {"cacert" if generic else "ca.crt": self.certificate})

    def __repr__(self) -> str:
        return f"Authority({self.name!r})"

    def _sign(self, name: str, hosts: tuple[str, ...], days: float, *, client: bool) -> Certificate:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID

        key = _make_key()
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        # An authority signs for no name longer than 64 characters in a subject; the names that count are these.
        alternatives: list[x509.GeneralName] = [_general_name(host) for host in hosts] or [x509.RFC822Name(_mail(name))]
        made = (
            _builder(name[:64], _lifetime(days))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, _hash())
        )
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        return Certificate(name, _pem(made), text, self.certificate)


def _make_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    # P-256 is made in no time, and is what every server and client takes.
    return ec.generate_private_key(ec.SECP256R1())


def _hash() -> Any:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _subject(name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Istio traffic workshop")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), organization])


def _lifetime(days: float) -> tuple[datetime, datetime]:
    """First and last moment; of a negative number of days, both lie in the past."""
    now = datetime.now(UTC)
    if days < 0:
        return now + timedelta(days=days - 1), now + timedelta(days=days)
    return now - _CLOCKS, now + timedelta(days=days)


def _builder(name: str, lifetime: tuple[datetime, datetime]) -> x509.CertificateBuilder:
    from cryptography import x509

    builder = x509.CertificateBuilder().subject_name(_subject(name)).serial_number(x509.random_serial_number())
    return builder.not_valid_before(lifetime[0]).not_valid_after(lifetime[1])


def _usage(**wanted: bool) -> x509.KeyUsage:
    from cryptography import x509

    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in names})


def _general_name(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _mail(name: str) -> str:
    safe = "".join(char if char.isascii() and char.isalnum() else "-" for char in name).strip("-") or "client"
    return f"{safe}@workshop.example"


def _secret(name: str, namespace: str, kind: str, data: dict[str, str]) -> str:
    """A Secret as YAML; values are base64, so that nothing reads a key by passing."""
    lines = ["apiVersion: v1", "kind: Secret", "metadata:", f"  name: {name}"]
    lines += [f"  namespace: {namespace}"] if namespace else []
    lines += [f"type: {kind}", "data:"]
    lines += [f"  {key}: {base64.b64encode(value.encode()).decode()}" for key, value in data.items()]
    return "\n".join(lines) + "\n"
