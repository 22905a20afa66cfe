"""Host names of rules and services: wildcards, short names and the namespaces in front of a slash.

A host that starts with ``*`` stands for every name with the same ending. The rules follow the ``hosts`` fields of
VirtualService, Gateway and Sidecar and the ``host`` field of DestinationRule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

__all__ = [
    "CLUSTER_DOMAIN",
    "fqdn",
    "gateway_name",
    "host_order",
    "intersection",
    "is_wildcard",
    "looked_up",
    "matches",
    "most_specific",
    "subset_of",
]

CLUSTER_DOMAIN = "cluster.local"

T = TypeVar("T")


def is_wildcard(host: str) -> bool:
    """Whether a host stands for more than one name."""
    return host.startswith("*")


def matches(host: str, other: str) -> bool:
    """Whether there is a name that both hosts stand for."""
    if is_wildcard(host) and is_wildcard(other):
        return host[1:].endswith(other[1:]) if len(host) >= len(other) else other[1:].endswith(host[1:])
    if is_wildcard(host):
        return other.endswith(host[1:])
    if is_wildcard(other):
        return host.endswith(other[1:])
    return host == other


def subset_of(inner: str, outer: str) -> bool:
    """Whether every name that ``inner`` stands for is one that ``outer`` stands for."""
    if is_wildcard(inner):
        return is_wildcard(outer) and len(inner) >= len(outer) and inner[1:].endswith(outer[1:])
    if is_wildcard(outer):
        return inner.endswith(outer[1:])
    return inner == outer


def host_order(host: str) -> tuple[bool, int, str]:
    """Sort key: exact names first, then longer ones, then by alphabet."""
    return is_wildcard(host), -len(host), host


def intersection(left: Iterable[str], right: Iterable[str]) -> list[str]:
    """The more specific host of every overlapping pair, in the order of ``left``, without repetition."""
    hosts: dict[str, None] = {}
    others = list(right)
    for host in left:
        for other in others:
            if subset_of(host, other):
                hosts.setdefault(host)
            elif subset_of(other, host):
                hosts.setdefault(other)
    return list(hosts)


def most_specific(needle: str, exact: Mapping[str, T], wildcards: Mapping[str, T]) -> T | None:
    """The entry for a name: the exact one, or else that of the longest wildcard that covers it."""
    if is_wildcard(needle):
        if needle in wildcards:
            return wildcards[needle]
        needle = needle[1:]
    elif needle in exact:
        return exact[needle]
    covering = [host for host in wildcards if needle.endswith(host[1:])]
    return wildcards[min(covering, key=host_order)] if covering else None


def fqdn(host: str, namespace: str) -> str:
    """Expand a short name, one without any dot, to a Kubernetes service name in a rule's namespace."""
    if "." in host or ":" in host or is_wildcard(host) or not host:
        return host
    return f"{host}.{namespace}.svc.{CLUSTER_DOMAIN}"


def looked_up(name: str) -> str:
    """The full name of the Service that a proxy's resolver makes of a name; empty if the name leads out of the cluster.

    Args:
        name: as an endpoint of a ServiceEntry has it; without a last dot the cluster's domain is tried, too.
    """
    host = name.removesuffix(".")
    if host.endswith(f".svc.{CLUSTER_DOMAIN}"):
        return host
    return f"{host}.{CLUSTER_DOMAIN}" if name.endswith(".svc") and name.count(".") == 2 else ""


def gateway_name(name: str, namespace: str) -> str:
    """Expand an item of ``gateways`` to ``namespace/name``; the reserved word ``mesh`` stays as it is."""
    if name == "mesh":
        return name
    if "/" in name:
        before, _, after = name.partition("/")
        return f"{namespace}/{after}" if before == "." else name
    if "." not in name:
        return f"{namespace}/{name}"
    short, _, rest = name.partition(".")
    return f"{rest.partition('.')[0]}/{short}"
