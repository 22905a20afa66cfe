"""Checks that several kinds share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labsupport.model.kinds.selector import WorkloadLabels, WorkloadSelector
from labsupport.model.kinds.virtualservice import Destination
from labsupport.model.schema.syntax import fqdn_problem, host_problem, is_dns_label, port_problem
from labsupport.model.validation.findings import Findings

__all__ = [
    "HTTP_PROTOCOLS",
    "PROTOCOLS",
    "TLS_PROTOCOLS",
    "check_destination",
    "check_export_to",
    "check_gateway_names",
    "check_unix_address",
    "check_workload_labels",
    "check_workload_selector",
    "is_http",
    "is_tls",
    "subset_name_problem",
]

HTTP_PROTOCOLS = frozenset({"http", "http2", "http_proxy", "grpc", "grpc-web"})
TLS_PROTOCOLS = frozenset({"https", "tls"})
PROTOCOLS = HTTP_PROTOCOLS | TLS_PROTOCOLS | {"tcp", "udp", "mongo", "redis", "mysql"}


def is_http(protocol: str) -> bool:
    """Tell whether a protocol name stands for HTTP."""
    return protocol.lower() in HTTP_PROTOCOLS


def is_tls(protocol: str) -> bool:
    """Tell whether a protocol name stands for TLS."""
    return protocol.lower() in TLS_PROTOCOLS


def subset_name_problem(name: str) -> str:
    """Check the name of a subset."""
    if not name:
        return "a subset needs a name"
    if is_dns_label(name):
        return ""
    return f"{name[:80]!r} is not a subset name: use letters, digits and inner hyphens, at most 63"


def check_destination(destination: Destination | None, path: str, findings: Findings) -> None:
    """Check where a route sends.

    Args:
        destination: may be absent.
        path: its field path.
        findings: where findings go.
    """
    if destination is None:
        return
    if destination.host == "*":
        findings.error(f"{path}.host", "a destination must be one host, not *")
    else:
        findings.error(f"{path}.host", host_problem(destination.host))
    if destination.subset:
        findings.error(f"{path}.subset", subset_name_problem(destination.subset))
    if destination.port is not None:
        findings.error(f"{path}.port.number", port_problem(destination.port.number))


def check_gateway_names(names: Sequence[str], path: str, findings: Findings) -> None:
    """Check references to Gateways.

    Args:
        names: ``name``, ``namespace/name`` or ``mesh``.
        path: their field path.
        findings: where findings go.
    """
    for index, name in enumerate(names):
        place = f"{path}[{index}]"
        namespace, slash, gateway = name.partition("/")
        if not slash:
            if "." in name:
                parts = name.split(".")
                remedy = f"Write {parts[1]}/{parts[0]}."
                findings.warn(place, f"{name[:80]!r} is the old form of a gateway's name", remedy)
            findings.error(place, fqdn_problem(name))
            return  # istiod looks no further after a name without a namespace
        if not is_dns_label(namespace):
            findings.error(place, f"{namespace[:80]!r} is not a namespace", "Write namespace/name, or only the name.")
        if not is_dns_label(gateway) and findings.annotations.get("internal.istio.io/route-semantics") != "gateway":
            findings.error(place, f"{gateway[:80]!r} is not the name of a Gateway")


def check_export_to(
    entries: Sequence[str], path: str, findings: Findings, *, service_entry: bool = False, selector: bool = False
) -> None:
    """Check ``exportTo``.

    Args:
        entries: ``.``, ``*``, ``~`` or namespaces.
        path: its field path.
        findings: where findings go.
        service_entry: whether ``~`` is allowed.
        selector: whether the object is a DestinationRule with a workloadSelector.
    """
    if not entries:
        return
    known: set[str] = set()
    for index, entry in enumerate(entries):
        place = f"{path}[{index}]"
        key = findings.namespace if entry == "." else entry
        if key in known:
            findings.error(place, f"{entry[:60]!r} is given twice")
        elif entry == "~" and service_entry:
            known.add(key)
        elif key == "~":
            findings.error(place, "~ (nobody) is allowed only in a ServiceEntry")
        elif key != "*" and not is_dns_label(key):
            findings.error(
                place, f"{entry[:60]!r} is not a namespace; allowed are . (this one), * (all) and namespaces"
            )
        else:
            known.add(key)
    if selector and known and known != {findings.namespace}:
        findings.error(path, "with a workloadSelector the rule cannot be exported beyond its own namespace")
    if "*" in known and len(entries) > 1:
        findings.error(path, "* (all namespaces) goes with no other entry")
    if "~" in known and len(entries) > 1:
        findings.error(path, "~ (nobody) goes with no other entry")


def check_workload_labels(selector: WorkloadLabels | None, path: str, findings: Findings) -> bool:
    """Check ``workloadSelector.labels``.

    Args:
        selector: may be absent.
        path: its field path.
        findings: where findings go.

    Returns:
        whether it is in order; istiod looks no further if not.
    """
    if selector is None:
        return True
    before = len(findings.errors)
    _selector_entries(selector.labels, f"{path}.labels", findings)
    return len(findings.errors) == before


def check_workload_selector(selector: WorkloadSelector | None, path: str, findings: Findings) -> None:
    """Check ``selector.matchLabels``.

    Args:
        selector: may be absent.
        path: its field path.
        findings: where findings go.
    """
    if selector is None:
        return
    _selector_entries(selector.match_labels, f"{path}.matchLabels", findings)
    if not selector.match_labels:
        findings.warn(path, "the selector has no labels, so it selects every workload")


def _selector_entries(labels: Mapping[str, str], path: str, findings: Findings) -> None:
    for key, value in labels.items():
        if not key:
            findings.error(path, "a label key must not be empty")
        if "*" in key or "*" in value:
            findings.error(f"{path}.{key}", "wildcards are not supported in selectors")


def check_unix_address(address: str, path: str, findings: Findings) -> None:
    """Check what follows ``unix://``.

    Args:
        address: an absolute path, or a name that starts with ``@``.
        path: field path.
        findings: where findings go.
    """
    if not address:
        findings.error(path, "a unix:// address needs a path")
    elif not address.startswith("@") and (not address.startswith("/") or address.endswith("/")):
        findings.error(path, f"{address[:80]!r} is not the absolute path of a file")
