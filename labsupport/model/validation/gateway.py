"""istiod's verdict on a Gateway (``ValidateGateway``), and on TLS settings towards clients."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.model.kinds.gateway import GatewaySpec, Port, Server, ServerTLSSettings, TLSCertificate
from labsupport.model.schema.syntax import host_problem, is_dns_label, is_ip, port_problem
from labsupport.model.validation.common import PROTOCOLS, check_unix_address, is_http, is_tls
from labsupport.model.validation.findings import Findings

__all__ = ["check_gateway", "check_namespaced_host", "check_server_tls"]

_UNIX = "unix://"
_CIPHERS = frozenset(
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-RSA-AES256-SHA",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
        "DES-CBC3-SHA",
        "ALL",
    ]
)


def check_gateway(spec: GatewaySpec, name: str, findings: Findings) -> None:
    """Check a Gateway.

    Args:
        spec: its spec.
        name: ``metadata.name``.
        findings: where findings go.
    """
    converted = findings.annotations.get("internal.istio.io/gateway-semantics") == "gateway"
    if not is_dns_label(name) and not converted:
        message = f"{name[:80]!r} is not a name for a Gateway"
        findings.error("metadata.name", message, "Use letters, digits and hyphens, without dots, at most 63.")
    if not spec.servers:
        findings.error("spec.servers", "a Gateway needs at least one server")
    names: set[str] = set()
    for index, server in enumerate(spec.servers):
        place = f"spec.servers[{index}]"
        _server(server, place, findings, converted)
        if server.port is None:
            continue
        if server.port.name in names:
            findings.error(
                f"{place}.port.name", f"there is already a port {server.port.name[:60]!r}", "Rename one of them."
            )
        names.add(server.port.name)
        if server.tls is not None and server.tls.https_redirect and not is_http(server.port.protocol):
            findings.warn(f"{place}.tls.httpsRedirect", "has an effect only on HTTP servers")


def _server(server: Server, path: str, findings: Findings, converted: bool) -> None:
    if not server.hosts:
        findings.error(f"{path}.hosts", "needs at least one host", 'Write hosts: ["*"] for every host.')
    for index, host in enumerate(server.hosts):
        check_namespaced_host(host, f"{path}.hosts[{index}]", findings, gateway=True, converted=converted)
    before = len(findings.errors)
    _port(server.port, server.bind, path, findings)
    port_fine = len(findings.errors) == before
    if server.bind.startswith(_UNIX):
        check_unix_address(server.bind.removeprefix(_UNIX), f"{path}.bind", findings)
        if server.port is not None and server.port.number:
            findings.error(f"{path}.port.number", "must be 0 when bind is a unix:// address")
    elif server.bind and not is_ip(server.bind):
        findings.error(f"{path}.bind", f"{server.bind[:80]!r} is not an IP address")
    check_server_tls(server.tls, f"{path}.tls", findings)
    if port_fine:
        _tls_fits(server, path, findings)


def _tls_fits(server: Server, path: str, findings: Findings) -> None:
    protocol, tls = server.port.protocol, server.tls
    if is_tls(protocol):
        if tls is None:
            findings.error(f"{path}.tls", f"is required with protocol {protocol}")
    elif tls is not None and is_http(protocol):
        passes = tls.mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH")
        if not passes or tls.ca_certificates or tls.private_key or tls.server_certificate:
            remedy = "Use protocol HTTPS, or keep only httpsRedirect."
            findings.error(f"{path}.tls", f"a server of protocol {protocol} does no TLS", remedy)
    elif tls is not None:
        findings.error(f"{path}.tls", f"a server of protocol {protocol} takes no tls", "Use protocol TLS or HTTPS.")


def _port(port: Port | None, bind: str, path: str, findings: Findings) -> None:
    if port is None:
        findings.error(f"{path}.port", "is required")
        return
    if port.protocol.lower() not in PROTOCOLS:
        known = "HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TLS, TCP, MONGO, REDIS, MYSQL"
        findings.error(f"{path}.port.protocol", f"{port.protocol[:60]!r} is not a protocol", f"Known are {known}.")
    if port.number or not bind.startswith(_UNIX):
        findings.error(f"{path}.port.number", port_problem(port.number))
    if port.target_port:
        findings.error(f"{path}.port.targetPort", "has no effect in a Gateway", "Remove it.")
    if not port.name:
        findings.error(f"{path}.port.name", "must not be empty")


def check_namespaced_host(text: str, path: str, findings: Findings, *, gateway: bool, converted: bool = False) -> None:
    """Check a host of a Gateway or a Sidecar, ``namespace/host``.

    Args:
        text: the host; in a Gateway the namespace may be left out.
        path: its field path.
        findings: where findings go.
        gateway: whether it belongs to a Gateway.
        converted: whether the Gateway was made from one of the Gateway API.
    """
    namespace, slash, host = text.partition("/")
    if not slash:
        if gateway:
            _host_part(text, path, findings, gateway)
        else:
            findings.error(
                path, f"{text[:80]!r} must have the form namespace/host", f"Write ./{text[:60]} or */{text[:60]}."
            )
        return
    if not namespace or not host:
        findings.error(path, "namespace and host must not be empty")
    allowed = ("*", ".", "~") if converted else ("*", ".")
    if not gateway:
        allowed = ("", "*", ".")
        namespace = namespace.removeprefix("~")
    if namespace not in allowed and not is_dns_label(namespace):
        findings.error(path, f"{namespace[:60]!r} is not a namespace")
    _host_part(host, path, findings, gateway)


def _host_part(host: str, path: str, findings: Findings, gateway: bool) -> None:
    if host != "*" and "." not in host:
        findings.error(
            path, f"{host[:80]!r} is a short name", "Write the full name, such as name.namespace.svc.cluster.local."
        )
    problem = host_problem(host)
    if problem and not (gateway and is_ip(host)):
        findings.error(path, problem)
    if "*" in host and len(host) != 1 and not host.startswith("*."):
        findings.error(path, f"{host[:80]!r}: * can only stand for whole labels, as in *.example.com")


def check_server_tls(tls: ServerTLSSettings | None, path: str, findings: Findings) -> None:
    """Check TLS settings towards clients.

    Args:
        tls: may be absent.
        path: its field path.
        findings: where findings go.
    """
    if tls is None:
        return
    _ciphers(tls, path, findings)
    files = {"serverCertificate": tls.server_certificate, "privateKey": tls.private_key}
    sources = {"tlsCertificates": tls.tls_certificates, "credentialName": tls.credential_name}
    sources["credentialNames"] = tls.credential_names
    if tls.mode == "ISTIO_MUTUAL":
        for name, value in (files | {"caCertificates": tls.ca_certificates} | sources).items():
            if value:
                findings.error(
                    f"{path}.{name}", "cannot be given with mode ISTIO_MUTUAL, which uses the mesh's certificates"
                )
        return
    if tls.mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH"):
        ignored = [name for name, value in (files | sources).items() if value]
        ignored += ["caCertificates"] * bool(tls.ca_certificates) + ["caCrl"] * bool(tls.ca_crl)
        if ignored:
            findings.warn(path, f"mode {tls.mode} uses no certificates; {', '.join(ignored)} will be ignored")
    pair = bool(tls.server_certificate and tls.private_key)
    if pair + sum(1 for value in sources.values() if value) > 1:
        message = "only one of credentialName, credentialNames, tlsCertificates and serverCertificate may be given"
        findings.error(path, message, "Remove all but one.")
    if tls.mode not in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"):
        _crl(tls, path, findings)
        return
    if tls.credential_name or tls.credential_names:
        return
    if tls.mode != "SIMPLE" and not tls.ca_certificates:
        findings.error(f"{path}.caCertificates", f"is required with mode {tls.mode}")
    if len(tls.tls_certificates) > 2:
        findings.warn(f"{path}.tlsCertificates", "at most 2 certificates are supported")
    certificates: Sequence[TLSCertificate | ServerTLSSettings] = tls.tls_certificates or [tls]
    for index, certificate in enumerate(certificates):
        place = f"{path}.tlsCertificates[{index}]" if tls.tls_certificates else path
        for name, value in (
            ("serverCertificate", certificate.server_certificate),
            ("privateKey", certificate.private_key),
        ):
            if not value:
                remedy = "Or set credentialName to the name of a Secret." if certificate is tls else ""
                findings.error(f"{place}.{name}", f"is required with mode {tls.mode}", remedy)
    _crl(tls, path, findings)


def _crl(tls: ServerTLSSettings, path: str, findings: Findings) -> None:
    if tls.ca_crl and tls.credential_name:
        findings.error(f"{path}.caCrl", "cannot be given with credentialName; put the CRL into the Secret")
    if tls.ca_crl and tls.mode == "SIMPLE":
        findings.error(f"{path}.caCrl", "cannot be given with mode SIMPLE, where clients show no certificate")


def _ciphers(tls: ServerTLSSettings, path: str, findings: Findings) -> None:
    if tls.min_protocol_version in ("TLSV1_0", "TLSV1_1") and not tls.cipher_suites:
        message = "TLS below 1.2 works only with cipherSuites that still have its ciphers"
        findings.warn(f"{path}.minProtocolVersion", message)
    known: set[str] = set()
    for index, suite in enumerate(tls.cipher_suites):
        place = f"{path}.cipherSuites[{index}]"
        # Expressions such as [A|B] or -AES128-SHA are left to Envoy; Go looks at the first byte here.
        plain = suite != "" and _is_alphanumeric(suite.encode()[0])
        if plain and suite not in _CIPHERS:
            findings.warn(place, f"{suite[:60]!r} is not a cipher suite and will be ignored")
        elif suite in known:
            findings.warn(place, f"{suite[:60]!r} is given twice")
        else:
            known.add(suite)


def _is_alphanumeric(byte: int) -> bool:
    char = chr(byte)
    return char.isalpha() or char.isnumeric()
