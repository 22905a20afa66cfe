"""``tls`` of a listener: what of it an Istio Gateway gets, and what is wrong with the certificates."""

from __future__ import annotations

from dataclasses import dataclass

from labsupport.model.gatewayapi.certificates import authority_problem, pair_problem
from labsupport.model.gatewayapi.faults import Fault
from labsupport.model.gatewayapi.surroundings import Surroundings
from labsupport.model.kinds.core import Secret
from labsupport.model.kinds.gatewayapi.gateway import AuthorityReference, FrontendTLS, ListenerTLS, SecretReference
from labsupport.records import JsonObject

__all__ = ["ServerTLS", "certificate_fault", "server_tls"]

_MODE = "gateway.istio.io/tls-terminate-mode"
_CIPHERS = "gateway.istio.io/tls-cipher-suites"
_INVALID = "InvalidCertificateRef"
_INVALID_AUTHORITY = "InvalidCACertificateRef"
_NOT_PERMITTED = "RefNotPermitted"


@dataclass(frozen=True, slots=True)
class ServerTLS:
    """``tls`` of a server of an Istio Gateway.

    Args:
        mode: such as ``SIMPLE``.
        credentials: names of certificates.
        authority: name of whom to trust.
        lenient: whether certificates of others are taken, too; None if nothing is said.
        ciphers: names of cipher suites.
    """

    mode: str
    credentials: tuple[str, ...] = ()
    authority: str = ""
    lenient: bool | None = None
    ciphers: tuple[str, ...] = ()

    @property
    def content(self) -> JsonObject:
        """As a Gateway has it."""
        result: JsonObject = {"mode": self.mode}
        if len(self.credentials) == 1:
            result["credentialName"] = self.credentials[0]
        elif self.credentials:
            result["credentialNames"] = list(self.credentials)
        if self.authority:
            result["caCertCredentialName"] = self.authority
        if self.lenient is not None:
            result["insecureSkipVerify"] = self.lenient
        if self.ciphers:
            result["cipherSuites"] = list(self.ciphers)
        return result


def server_tls(
    tls: ListenerTLS, frontend: FrontendTLS | None, namespace: str, around: Surroundings
) -> tuple[ServerTLS, Fault | None]:
    """What becomes of the ``tls`` of a listener.

    Args:
        tls: as written.
        frontend: what the Gateway says of clients' certificates at this port.
        namespace: of the Gateway.
        around: what it may refer to.

    Returns:
        the settings, and why the listener cannot be used.
    """
    if tls.mode == "Passthrough":
        return ServerTLS("PASSTHROUGH", ciphers=_ciphers(tls)), None
    option = tls.options.get(_MODE, "")
    if option == "ISTIO_SIMPLE":
        return ServerTLS("SIMPLE", ("builtin://",)), None
    if option == "ISTIO_MUTUAL":
        return ServerTLS("ISTIO_MUTUAL"), None
    mode = option if option in ("MUTUAL", "OPTIONAL_MUTUAL") else "SIMPLE"
    if len(tls.certificate_refs) > 2:
        return ServerTLS(mode), Fault(_INVALID, "TLS mode can only support up to 2 server certificates")
    names, faults = [], []
    for reference in tls.certificate_refs:
        fault = certificate_fault(reference, namespace, around)
        faults += [fault] if fault is not None else []
        space = reference.namespace or namespace
        names.append("" if fault is not None else f"kubernetes-gateway://{space}/{reference.name}")
    if not any(names):
        fault = Fault(faults[0].reason, "; ".join(item.message for item in faults)) if faults else None
        return ServerTLS(mode), fault
    # Of two certificates of which one is there, istiod takes the first name, whichever it is.
    chosen = (names[0],) if len([name for name in names if name]) == 1 else tuple(names)
    result = ServerTLS(mode, chosen if all(chosen) else (), ciphers=_ciphers(tls))
    validation = frontend.validation if frontend is not None else None
    if validation is None:
        return result, None
    if len(validation.ca_certificate_refs) > 1:
        return result, Fault(_INVALID_AUTHORITY, "only one caCertificateRef is supported")
    authority = validation.ca_certificate_refs[0]
    fault = _authority_fault(authority, namespace, around)
    if fault is not None:
        return result, fault
    scheme = "configmap" if authority.kind == "ConfigMap" else "kubernetes-gateway"
    lenient = validation.mode == "AllowInsecureFallback" and option not in ("MUTUAL", "OPTIONAL_MUTUAL")
    optional = option == "OPTIONAL_MUTUAL" or lenient
    return (
        ServerTLS(
            "OPTIONAL_MUTUAL" if optional else "MUTUAL",
            result.credentials,
            f"{scheme}://{authority.namespace or namespace}/{authority.name}-cacert",
            lenient,
            result.ciphers,
        ),
        None,
    )


def _ciphers(tls: ListenerTLS) -> tuple[str, ...]:
    written = tls.options.get(_CIPHERS, "")
    return tuple(part.strip() for part in written.split(",")) if written else ()


def _shown(reference: SecretReference | AuthorityReference) -> str:
    return f"{reference.group}/{reference.kind}/{reference.name}.{reference.namespace}"


def certificate_fault(
    reference: SecretReference, namespace: str, around: Surroundings, *, what: str = "certificate reference"
) -> Fault | None:
    """Why a reference is none to a certificate that may be used.

    Args:
        reference: the reference.
        namespace: of the Gateway.
        around: what there is.
        what: how istiod calls it.
    """
    own = what == "certificate reference"
    reason = _INVALID if own else "InvalidClientCertificateRef"
    told = f"invalid {what} {_shown(reference)}, "
    if (reference.group, reference.kind) != ("", "Secret"):
        return Fault(reason, f"{told}only secret is allowed")
    space = reference.namespace or namespace
    holder = around.holders.get(("Secret", space, reference.name))
    if not isinstance(holder, Secret):
        return Fault(reason, f"{told}secret {space}/{reference.name} not found")
    if problem := pair_problem(holder):
        return Fault(reason, told + problem)
    if around.granted(namespace, ("Secret", space, reference.name)):
        return None
    return Fault(_NOT_PERMITTED, _not_permitted("certificateRef" if own else what, reference.name, space, namespace))


def _not_permitted(what: str, first: str, second: str, namespace: str) -> str:
    asking = f'a Gateway in namespace "{namespace}"'
    return f"{what} {first}/{second} not accessible to {asking} (missing a ReferenceGrant?)"


def _authority_fault(reference: AuthorityReference, namespace: str, around: Surroundings) -> Fault | None:
    told = f"invalid CA certificate reference {_shown(reference)}, "
    if reference.group or reference.kind not in ("ConfigMap", "Secret"):
        return Fault("InvalidCACertificateKind", f"{told}only secret and configmap are allowed")
    space = reference.namespace or namespace
    holder = around.holders.get((reference.kind, space, reference.name))
    if holder is None:
        return Fault(_INVALID_AUTHORITY, f"{told}{reference.kind.lower()} {space}/{reference.name} not found")
    if problem := authority_problem(holder):
        return Fault(_INVALID_AUTHORITY, told + problem)
    # istiod asks for a grant of the name that it gives the certificate, not of that of the object.
    if around.granted(namespace, (reference.kind, space, f"{reference.name}-cacert")):
        return None
    return Fault(_NOT_PERMITTED, _not_permitted("caCertificateRef", space, reference.name, namespace))
