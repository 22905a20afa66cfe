"""Which proxies hold something of a rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from labsupport.controlplane import entrances
from labsupport.controlplane.translate.names import config_ending
from labsupport.model import Gateway, Resource, VirtualService

__all__ = ["proxies"]


def proxies(
    one: Resource,
    objects: Iterable[Resource],
    origins: Mapping[str, Set[str]],
    *,
    gateway: tuple[str, Mapping[str, str]] | None,
    concerned: Set[str],
) -> set[str]:
    """Names of the pods whose proxies hold something of a rule.

    istiod marks routes and clusters with the rule that made them. It leaves no mark on the rest, which is told from the
    rules themselves; of what is left, the proxies that learnt of the last change are those that had to.

    Args:
        one: the rule.
        objects: the desired state.
        origins: by pod with a proxy, the marks in what it holds.
        gateway: name and labels of the gateway's pod.
        concerned: pods that learnt of the rule's last change.
    """
    ending = config_ending(one)
    found = {name for name, marks in origins.items() if any(path.endswith(ending) for path in marks)}
    if gateway is not None and _at_gateway(one, objects, gateway[1]):
        found.add(gateway[0])
    if one.kind in ("ServiceEntry", "Sidecar"):
        found |= concerned & origins.keys()
    return found


def _at_gateway(rule: Resource, objects: Iterable[Resource], labels: Mapping[str, str]) -> bool:
    if isinstance(rule, Gateway):
        return entrances.selects(rule, labels)
    return isinstance(rule, VirtualService) and entrances.carries_connections(rule, objects, labels)
