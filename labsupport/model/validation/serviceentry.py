"""istiod's verdicts on ServiceEntry and WorkloadEntry (``ValidateServiceEntry``, ``ValidateWorkloadEntry``)."""

from __future__ import annotations

from labsupport.model.kinds.serviceentry import ServiceEntrySpec, WorkloadEntrySpec
from labsupport.model.schema.syntax import cidr_problem, fqdn_problem, host_problem, is_dns_label, is_ip, port_problem
from labsupport.model.validation.common import (
    PROTOCOLS,
    check_export_to,
    check_unix_address,
    check_workload_labels,
    is_http,
    is_tls,
)
from labsupport.model.validation.findings import Findings

__all__ = ["check_service_entry", "check_workload_entry"]

_TCP = frozenset({"tcp", "https", "tls", "mongo", "redis", "mysql"})
_DYNAMIC = frozenset({"http", "tls", "grpc", "http2"})


def check_service_entry(spec: ServiceEntrySpec, findings: Findings) -> None:
    """Check a ServiceEntry.

    Args:
        spec: its spec.
        findings: where findings go.
    """
    if not check_workload_labels(spec.workload_selector, "spec.workloadSelector", findings):
        return
    if spec.workload_selector is not None:
        if not spec.workload_selector.labels:
            findings.warn("spec.workloadSelector", "has no labels, so it selects every workload of the namespace")
        if spec.endpoints:
            findings.error("spec.endpoints", "endpoints and workloadSelector cannot be given together")
    _hosts(spec, findings)
    for index, address in enumerate(spec.addresses):
        findings.error(f"spec.addresses[{index}]", cidr_problem(address))
    blocks = any("/" in address for address in spec.addresses)
    if blocks and spec.resolution not in ("NONE", "STATIC"):
        findings.error("spec.addresses", "CIDR addresses go only with resolution NONE or STATIC")
    _ports(spec, findings)
    if spec.resolution == "NONE":
        if spec.endpoints:
            findings.error("spec.endpoints", "resolution NONE takes no endpoints", "Set resolution to STATIC or DNS.")
        if spec.workload_selector is not None:
            findings.warn("spec.workloadSelector", "has no effect with resolution NONE")
    elif spec.resolution == "STATIC":
        names = {port.name for port in spec.ports}
        for index, endpoint in enumerate(spec.endpoints):
            _endpoint(endpoint, f"spec.endpoints[{index}]", findings, names=names, by_name=False)
    elif spec.resolution in ("DNS", "DNS_ROUND_ROBIN"):
        _dns(spec, findings)
    elif spec.resolution == "DYNAMIC_DNS":
        _dynamic(spec, findings)
    if spec.resolution != "NONE" and len(spec.hosts) > 1:
        for index, port in enumerate(spec.ports):
            if not (is_http(port.protocol) or is_tls(port.protocol)):
                message = "several hosts cannot share a port that is neither HTTP nor TLS: nothing tells them apart"
                findings.error(f"spec.ports[{index}].protocol", message)
                break
    check_export_to(spec.export_to, "spec.exportTo", findings, service_entry=True)


def _hosts(spec: ServiceEntrySpec, findings: Findings) -> None:
    if not spec.hosts:
        findings.error("spec.hosts", "needs at least one host")
    for index, host in enumerate(spec.hosts):
        place = f"spec.hosts[{index}]"
        if host == "*":
            findings.error(place, "a ServiceEntry cannot be for every host (*)")
            continue
        findings.error(place, host_problem(host))
        if spec.resolution != "DYNAMIC_DNS" and "*" in host and not host.startswith("*."):
            findings.warn(place, f"{host[:80]!r}: * should stand for whole labels, as in *.example.com")


def _ports(spec: ServiceEntrySpec, findings: Findings) -> None:
    opted_out = findings.labels.get("networking.istio.io/enable-autoallocate-ip", "").lower() == "false"
    allocated = spec.resolution != "NONE" and not opted_out
    names: set[str] = set()
    numbers: set[int] = set()
    for index, port in enumerate(spec.ports):
        place = f"spec.ports[{index}]"
        if port.name in names:
            findings.error(f"{place}.name", f"there is already a port {port.name[:60]!r}", "Rename one of them.")
        if port.number in numbers:
            findings.error(f"{place}.number", f"port {port.number} is given twice")
        names.add(port.name)
        numbers.add(port.number)
        if port.target_port:
            findings.error(f"{place}.targetPort", port_problem(port.target_port))
        if not spec.addresses and not allocated and port.protocol in ("", "TCP"):
            findings.warn("spec.addresses", "a TCP port needs addresses when none are allocated automatically")
        if not is_dns_label(port.name):
            findings.error(
                f"{place}.name", f"{port.name[:60]!r} is not a port name", "Use letters, digits and inner hyphens."
            )
        if port.protocol and port.protocol.lower() not in PROTOCOLS:
            findings.error(f"{place}.protocol", f"{port.protocol[:60]!r} is not a protocol")
        findings.error(f"{place}.number", port_problem(port.number))


def _dns(spec: ServiceEntrySpec, findings: Findings) -> None:
    if not spec.endpoints:
        for index, host in enumerate(spec.hosts):
            if fqdn_problem(host):
                message = f"with resolution {spec.resolution} and no endpoints a host must be a plain name to look up"
                findings.error(f"spec.hosts[{index}]", message)
                break
    if spec.resolution == "DNS_ROUND_ROBIN" and len(spec.endpoints) > 1:
        findings.error("spec.endpoints", "resolution DNS_ROUND_ROBIN takes at most one endpoint")
    names = {port.name for port in spec.ports}
    for index, endpoint in enumerate(spec.endpoints):
        place = f"spec.endpoints[{index}]"
        if not is_ip(endpoint.address) and fqdn_problem(endpoint.address):
            findings.error(f"{place}.address", f"{endpoint.address[:80]!r} is neither a host name nor an IP address")
        findings.label_map(f"{place}.labels", endpoint.labels)
        _endpoint_ports(endpoint, place, findings, names)
    if spec.addresses and len(spec.hosts) > 1 and any(port.protocol.lower() in _TCP for port in spec.ports):
        findings.warn("spec.hosts", "several hosts with addresses and a TCP port cannot be told apart")


def _dynamic(spec: ServiceEntrySpec, findings: Findings) -> None:
    for index, host in enumerate(spec.hosts):
        if not host.startswith("*"):
            findings.error(f"spec.hosts[{index}]", "with resolution DYNAMIC_DNS hosts must be wildcards")
    for name, given in (("addresses", spec.addresses), ("endpoints", spec.endpoints)):
        if given:
            findings.error(f"spec.{name}", "cannot be given with resolution DYNAMIC_DNS")
    for index, port in enumerate(spec.ports):
        if port.protocol.lower() not in _DYNAMIC:
            message = "resolution DYNAMIC_DNS supports only HTTP, HTTP2, GRPC and TLS"
            findings.error(f"spec.ports[{index}].protocol", message)
    waypoint = findings.labels.get("istio.io/use-waypoint", "")
    if spec.location == "MESH_INTERNAL" and waypoint and waypoint.lower() != "none":
        findings.error("spec.location", "MESH_INTERNAL with resolution DYNAMIC_DNS does not work with a waypoint")


def check_workload_entry(spec: WorkloadEntrySpec, findings: Findings) -> None:
    """Check a WorkloadEntry.

    Args:
        spec: its spec.
        findings: where findings go.
    """
    _endpoint(spec, "spec", findings, names=None, by_name=True)


def _endpoint(
    endpoint: WorkloadEntrySpec, path: str, findings: Findings, *, names: set[str] | None, by_name: bool
) -> None:
    address = endpoint.address
    if not address:
        if not endpoint.network:
            findings.error(f"{path}.address", "is required")
            return
        findings.warn(f"{path}.address", f"is not given, only the network {endpoint.network[:60]!r}")
    unix = address.startswith("unix://")
    if unix:
        check_unix_address(address.removeprefix("unix://"), f"{path}.address", findings)
        if endpoint.ports:
            findings.error(f"{path}.ports", "a unix:// address takes no ports")
    elif address and not is_ip(address):
        if not by_name:
            message = f"{address[:80]!r} is not an IP address"
            findings.error(f"{path}.address", message, "For names set resolution to DNS.")
        elif fqdn_problem(address):
            findings.error(f"{path}.address", f"{address[:80]!r} is neither a host name nor an IP address")
    _endpoint_ports(endpoint, path, findings, names)
    findings.label_map(f"{path}.labels", endpoint.labels)
    if unix and names is not None and len(names) != 1:
        findings.error(f"{path}.address", "a unix:// address needs a ServiceEntry with exactly one port")


def _endpoint_ports(endpoint: WorkloadEntrySpec, path: str, findings: Findings, names: set[str] | None) -> None:
    for name, number in endpoint.ports.items():
        place = f"{path}.ports.{name}"
        if names is not None and name not in names:
            findings.error(place, f"spec.ports has no port named {name[:60]!r}")
        if not is_dns_label(name):
            findings.error(place, f"{name[:60]!r} is not a port name")
        findings.error(place, port_problem(number))
