"""istiod's verdict on a Sidecar (``ValidateSidecar``)."""

from __future__ import annotations

from labsupport.model.kinds.sidecar import (
    IstioEgressListener,
    IstioIngressListener,
    OutboundTrafficPolicy,
    SidecarPort,
    SidecarSpec,
)
from labsupport.model.schema.syntax import fqdn_problem, is_dns_label, is_go_integer, is_ip, port_problem
from labsupport.model.validation.common import (
    PROTOCOLS,
    check_destination,
    check_unix_address,
    check_workload_labels,
    is_http,
    is_tls,
)
from labsupport.model.validation.destinationrule import check_connection_pool
from labsupport.model.validation.findings import Findings
from labsupport.model.validation.gateway import check_namespaced_host, check_server_tls

__all__ = ["check_sidecar"]

_UNIX = "unix://"
_LOCAL = ("", "127.0.0.1", "0.0.0.0", "::1", "::")


def check_sidecar(spec: SidecarSpec, findings: Findings) -> None:
    """Check a Sidecar.

    Args:
        spec: its spec.
        findings: where findings go.
    """
    if not check_workload_labels(spec.workload_selector, "spec.workloadSelector", findings):
        return
    policies = (spec.outbound_traffic_policy, spec.inbound_connection_pool)
    if not spec.egress and not spec.ingress and all(policy is None for policy in policies):
        findings.error("spec", "is empty: egress, ingress or another field must be given")
        return
    if spec.workload_selector is not None and not spec.workload_selector.labels:
        findings.warn("spec.workloadSelector", "has no labels, so the Sidecar is for every workload of the namespace")
    numbers: set[int] = set()
    for index, ingress in enumerate(spec.ingress):
        _ingress(ingress, f"spec.ingress[{index}]", numbers, findings)
    check_connection_pool(spec.inbound_connection_pool, "spec.inboundConnectionPool", findings)
    _egress(spec.egress, findings)
    _outbound(spec.outbound_traffic_policy, findings)


def _port(port: SidecarPort, path: str, findings: Findings) -> None:
    if port.target_port:
        findings.error(f"{path}.targetPort", "has no effect in a Sidecar", "Remove it.")
    if port.name and not is_dns_label(port.name):
        findings.error(f"{path}.name", f"{port.name[:60]!r} is not a port name")
    if port.protocol and port.protocol.lower() not in PROTOCOLS:
        findings.error(f"{path}.protocol", f"{port.protocol[:60]!r} is not a protocol")


def _ingress(ingress: IstioIngressListener, path: str, numbers: set[int], findings: Findings) -> None:
    port = ingress.port
    if port is None:
        findings.error(f"{path}.port", "is required")
        return
    _port(port, f"{path}.port", findings)
    findings.error(f"{path}.port.number", port_problem(port.number))
    if ingress.bind and not is_ip(ingress.bind):
        findings.error(f"{path}.bind", f"{ingress.bind[:80]!r} is not an IP address")
    if port.number in numbers:
        findings.error(f"{path}.port.number", f"port {port.number} is given twice")
    numbers.add(port.number)
    _default_endpoint(ingress.default_endpoint, f"{path}.defaultEndpoint", findings)
    tls = ingress.tls
    if tls is not None:
        refused = {
            "subjectAltNames": tls.subject_alt_names,
            "httpsRedirect": tls.https_redirect,
            "credentialName": tls.credential_name,
            "credentialNames": tls.credential_names,
            "tlsCertificates": tls.tls_certificates,
        }
        for name, given in refused.items():
            if given:
                findings.error(f"{path}.tls.{name}", "is not supported in a Sidecar")
        if tls.mode in ("ISTIO_MUTUAL", "AUTO_PASSTHROUGH"):
            findings.error(f"{path}.tls.mode", f"{tls.mode} is not supported in a Sidecar")
        if not is_tls(port.protocol):
            findings.error(f"{path}.tls", "needs a port of protocol HTTPS or TLS")
        check_server_tls(tls, f"{path}.tls", findings)
    check_connection_pool(ingress.connection_pool, f"{path}.connectionPool", findings)
    if ingress.connection_pool is not None and ingress.connection_pool.http is not None and not is_http(port.protocol):
        findings.warn(f"{path}.connectionPool.http", "has no effect: the port's protocol is not HTTP")


def _default_endpoint(endpoint: str, path: str, findings: Findings) -> None:
    if not endpoint:
        return
    if endpoint.startswith(_UNIX):
        check_unix_address(endpoint.removeprefix(_UNIX), path, findings)
        return
    host, port = _split(endpoint)
    number = is_go_integer(port)
    if host not in _LOCAL or number is None or port_problem(number):
        findings.error(
            path, f"{endpoint[:80]!r} must have the form 127.0.0.1:port, 0.0.0.0:port, [::1]:port or unix:///path"
        )


def _split(endpoint: str) -> tuple[str, str]:
    """Split host and port as Go's ``net.SplitHostPort`` does; an empty port if it cannot."""
    host, colon, port = endpoint.rpartition(":")
    if not colon:
        return "", ""
    if endpoint.startswith("["):
        if not host.endswith("]") or "]" in host[:-1] or "[" in host[1:]:
            return "", ""
        return host[1:-1], port
    if ":" in host or "[" in endpoint or "]" in endpoint:
        return "", ""
    return host, port


def _egress(listeners: list[IstioEgressListener], findings: Findings) -> None:
    numbers: set[int] = set()
    sockets: set[str] = set()
    catch_all = False
    for index, egress in enumerate(listeners):
        path = f"spec.egress[{index}]"
        if egress.port is None:
            if catch_all:
                findings.error(path, "only one egress listener may have no port")
                continue
            if index == len(listeners) - 1:
                catch_all = True
            else:
                findings.error(path, "the egress listener without port must be the last one")
        else:
            _egress_port(egress, egress.port, path, findings)
            if egress.port.number == 0:
                if egress.bind in sockets:
                    findings.error(f"{path}.bind", "two listeners have the same socket")
                sockets.add(egress.bind)
            else:
                if egress.port.number in numbers:
                    findings.error(f"{path}.port.number", f"port {egress.port.number} is given twice")
                numbers.add(egress.port.number)
        if not egress.hosts:
            findings.error(f"{path}.hosts", "needs at least one host", "Write ./* for the own namespace, */* for all.")
        _egress_hosts(egress.hosts, f"{path}.hosts", findings)


def _egress_port(egress: IstioEgressListener, port: SidecarPort, path: str, findings: Findings) -> None:
    _port(port, f"{path}.port", findings)
    if port.number == 0:
        if not egress.bind.startswith(_UNIX):
            findings.error(f"{path}.port.number", "is required unless bind is a unix:// address")
        else:
            check_unix_address(egress.bind.removeprefix(_UNIX), f"{path}.bind", findings)
        if egress.capture_mode == "IPTABLES":
            findings.error(f"{path}.captureMode", "must be DEFAULT or NONE for a unix:// address")
        return
    findings.error(f"{path}.port.number", port_problem(port.number))
    if egress.bind and not is_ip(egress.bind):
        findings.error(f"{path}.bind", f"{egress.bind[:80]!r} is not an IP address")


def _egress_hosts(hosts: list[str], path: str, findings: Findings) -> None:
    known: dict[str, set[str]] = {}
    for index, text in enumerate(hosts):
        place = f"{path}[{index}]"
        namespace, slash, host = text.partition("/")
        if slash and not namespace.startswith("~"):
            services = known.setdefault(findings.namespace if namespace == "." else namespace, set())
            if services if host == "*" else services & {host, "*"}:
                findings.warn(place, f"{text[:80]!r} is already covered by an entry before")
            services.add(host)
        check_namespaced_host(text, place, findings, gateway=False)
    if "*" in known.get("*", ()) and len(known) != 1:
        findings.warn(path, "*/* selects everything; other entries have no effect")


def _outbound(policy: OutboundTrafficPolicy | None, findings: Findings) -> None:
    if policy is None or policy.egress_proxy is None:
        return
    path = "spec.outboundTrafficPolicy.egressProxy"
    if policy.mode != "ALLOW_ANY":
        findings.error(path, "works only with mode ALLOW_ANY")
        return
    findings.error(f"{path}.host", fqdn_problem(policy.egress_proxy.host))
    if policy.egress_proxy.port is None:
        findings.error(f"{path}.port", "is required")
        return
    check_destination(policy.egress_proxy, path, findings)
