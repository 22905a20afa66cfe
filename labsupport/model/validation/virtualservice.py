"""istiod's verdict on a VirtualService (``ValidateVirtualService``)."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.model.kinds.virtualservice import (
    L4MatchAttributes,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualServiceSpec,
)
from labsupport.model.schema.syntax import cidr_problem, host_problem, is_ip, port_problem
from labsupport.model.validation.common import check_export_to, check_gateway_names
from labsupport.model.validation.findings import Findings
from labsupport.model.validation.headers import is_jwt_claim
from labsupport.model.validation.httproute import check_http_route
from labsupport.model.validation.reachability import warn_unreachable
from labsupport.model.validation.weights import check_weights

__all__ = ["check_virtual_service", "hosts_overlap"]


def check_virtual_service(spec: VirtualServiceSpec, findings: Findings) -> None:
    """Check a VirtualService.

    Args:
        spec: its spec.
        findings: where findings go.
    """
    if not spec.hosts:
        for name, given in (("gateways", spec.gateways), ("tls", spec.tls), ("tcp", spec.tcp)):
            if given:
                message = f"a VirtualService without hosts is a delegate, which takes no {name}"
                findings.error(f"spec.{name}", message, "Add spec.hosts, or remove it.")
    gateway_only = bool(spec.gateways) and "mesh" not in spec.gateways
    check_gateway_names(spec.gateways, "spec.gateways", findings)
    if not gateway_only:
        _no_claims(spec, findings)
    _hosts(spec, gateway_only, findings)
    if not (spec.http or spec.tcp or spec.tls):
        findings.error("spec", "there is no rule: http, tcp or tls must be given")
    for index, http in enumerate(spec.http):
        check_http_route(http, f"spec.http[{index}]", findings, delegate=not spec.hosts)
    for index, tls in enumerate(spec.tls):
        _tls_route(tls, f"spec.tls[{index}]", spec, findings)
    for index, tcp in enumerate(spec.tcp):
        _tcp_route(tcp, f"spec.tcp[{index}]", findings.silent())
    check_export_to(spec.export_to, "spec.exportTo", findings)
    warn_unreachable(spec, findings)


def _no_claims(spec: VirtualServiceSpec, findings: Findings) -> None:
    for index, http in enumerate(spec.http):
        for number, match in enumerate(http.match):
            for field, names in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
                for name in names:
                    if is_jwt_claim(name):
                        place = f"spec.http[{index}].match[{number}].{field}.{name}"
                        findings.error(place, "claims of a JWT can be matched only at a gateway, not in the mesh")


def _hosts(spec: VirtualServiceSpec, gateway_only: bool, findings: Findings) -> None:
    sni = any(match.sni_hosts for route in spec.tls for match in route.match)
    valid = True
    for index, host in enumerate(spec.hosts):
        place = f"spec.hosts[{index}]"
        problem = _gateway_host_problem(host, sni) if gateway_only else host_problem(host)
        if problem and not is_ip(host):
            findings.error(place, problem)
            valid = False
        elif not problem and host == "*" and not gateway_only:
            remedy = "Name the hosts, or bind the rule to a Gateway by spec.gateways."
            findings.error(place, "* (every host) is not allowed for calls inside the mesh", remedy)
            valid = False
    if not valid:
        return
    for index, other in sorted(_overlaps(spec.hosts).items()):
        message = f"{spec.hosts[index]!r} overlaps {spec.hosts[other]!r} in the same VirtualService"
        findings.error(f"spec.hosts[{index}]", message)


def _overlaps(hosts: Sequence[str]) -> dict[int, int]:
    """By position of a host: that of an earlier one with names in common, if there is one."""
    # Read backwards and sorted, what a wildcard covers comes right after it: no two of many hosts need be compared.
    ordered = sorted((host.removeprefix("*")[::-1], not host.startswith("*"), at) for at, host in enumerate(hosts))
    overlaps: dict[int, int] = {}
    wildcards: list[tuple[str, int]] = []
    last_exact = ("", -1)
    for ending, exact, at in ordered:
        while wildcards and not ending.startswith(wildcards[-1][0]):
            wildcards.pop()
        other = wildcards[-1][1] if wildcards else -1
        if exact:
            other = last_exact[1] if last_exact[0] == ending and last_exact[1] >= 0 else other
            last_exact = (ending, at)
        else:
            wildcards.append((ending, min(at, other) if other >= 0 else at))
        if other >= 0:
            overlaps.setdefault(max(at, other), min(at, other))
    return overlaps


def hosts_overlap(host: str, other: str) -> bool:
    """Tell whether two hosts, of which either may be a wildcard, have names in common (``host.Name.Matches``)."""
    if host.startswith("*") and other.startswith("*"):
        short, long = (host, other) if len(host) < len(other) else (other, host)
        return long[1:].endswith(short[1:])
    if host.startswith("*"):
        return other.endswith(host[1:])
    if other.startswith("*"):
        return host.endswith(other[1:])
    return host == other


def _covered(host: str, by: str) -> bool:
    """Tell whether every name of a host is one of another (``host.Name.SubsetOf``)."""
    if host.startswith("*"):
        return by.startswith("*") and len(host) >= len(by) and host[1:].endswith(by[1:])
    return host.endswith(by[1:]) if by.startswith("*") else host == by


def _gateway_host_problem(host: str, sni: bool) -> str:
    if not (sni and host.startswith("outbound_") and len(host.encode()) <= 255):
        return host_problem(host)
    parts = host.split("_")
    fine = len(parts) >= 4
    fine = fine and any(char in "0123456789" for char in parts[1].strip("."))
    fine = fine and any(char.isascii() and char.isalpha() for char in parts[3].strip("."))
    return "" if fine else f"{host[:80]!r} does not have the form outbound_.<port>_._.<host>"


def _tls_route(route: TLSRoute, path: str, spec: VirtualServiceSpec, findings: Findings) -> None:
    if not route.match:
        findings.error(f"{path}.match", "a tls rule needs at least one match, with sniHosts")
    for index, match in enumerate(route.match):
        place = f"{path}.match[{index}]"
        if not match.sni_hosts:
            findings.error(f"{place}.sniHosts", "needs at least one host")
        for number, host in enumerate(match.sni_hosts):
            _sni_host(host, f"{place}.sniHosts[{number}]", spec, findings)
        _l4_match(match, place, findings)
    if not route.route:
        findings.error(f"{path}.route", "a tls rule needs a destination")
    check_weights(route.route, f"{path}.route", findings)


def _sni_host(host: str, path: str, spec: VirtualServiceSpec, findings: Findings) -> None:
    problem = host_problem(host) if "mesh" in spec.gateways else _gateway_host_problem(host, True)
    if problem:
        if is_ip(host):
            findings.warn(path, f"{host} is an IP address; SNI knows only names, so most clients never send it")
        else:
            findings.error(path, problem)
    elif not any(_covered(host, by) for by in spec.hosts):
        findings.error(path, f"{host!r} is not covered by spec.hosts ({', '.join(spec.hosts)[:100]})")


def _l4_match(match: TLSMatchAttributes | L4MatchAttributes, path: str, findings: Findings) -> None:
    for number, subnet in enumerate(match.destination_subnets):
        findings.error(f"{path}.destinationSubnets[{number}]", cidr_problem(subnet))
    if match.port:
        findings.error(f"{path}.port", port_problem(match.port))
    findings.label_map(f"{path}.sourceLabels", match.source_labels)
    check_gateway_names(match.gateways, f"{path}.gateways", findings)


def _tcp_route(route: TCPRoute, path: str, findings: Findings) -> None:
    for index, match in enumerate(route.match):
        _l4_match(match, f"{path}.match[{index}]", findings)
    if not route.route:
        findings.error(f"{path}.route", "a tcp rule needs a destination")
    check_weights(route.route, f"{path}.route", findings)
