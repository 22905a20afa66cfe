"""When rules came into force, and which proxies hold something of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence, Set

from labsupport.controlplane import entrances
from labsupport.controlplane.origins import config_endings
from labsupport.engine.routeplaces import taken_by
from labsupport.engine.routestatus import conditions, facts_for_routes
from labsupport.model import RULES, Gateway, Resource, VirtualService
from labsupport.model.gatewayapi import Facts
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway
from labsupport.model.kinds.gatewayapi.otherroutes import TCPRoute, TLSRoute
from labsupport.records import ObjectChange, Ref, RuleStatus

__all__ = ["RulesInForce", "proxies"]


class RulesInForce:
    """Remembers of each rule when its last change came into force, and which proxies had to learn of it."""

    def __init__(self) -> None:
        self._last: dict[Ref, tuple[float, float, frozenset[str]]] = {}

    def note(self, changes: Iterable[ObjectChange], *, at: float, began: float, learnt: frozenset[str]) -> None:
        """Remember changes that are in force.

        Args:
            changes: what changed, rules or not.
            at: when the last proxy had acknowledged them, by ``time.monotonic()``.
            began: when they were asked for, by the same clock.
            learnt: the pods whose proxies had to acknowledge.
        """
        for change in changes:
            if change.action == "deleted":
                self._last.pop(change.ref, None)
            elif change.action != "unchanged" and change.ref.kind in RULES:
                epoch = time.time() - (time.monotonic() - at)
                self._last[change.ref] = (epoch, at - began, learnt)

    def clear(self) -> None:
        """Forget all."""
        self._last.clear()

    def listed(
        self,
        objects: Sequence[Resource],
        origins: Mapping[str, Set[str]],
        *,
        gateway: tuple[str, Mapping[str, str]] | None,
        doors: Mapping[tuple[str, str], str],
    ) -> list[RuleStatus]:
        """The state of every rule among the objects; for the arguments see ``proxies``.

        ``doors`` are the pods that listen for Gateways of the Gateway API, by namespace and name of the Gateway.
        """
        statuses = []
        facts = facts_for_routes(objects)
        for resource in objects:
            if resource.called not in RULES:
                continue
            ref = resource.ref
            since, after, concerned = self._last.get(ref, (0.0, 0.0, frozenset()))
            names = proxies(resource, objects, origins, facts=facts, gateway=gateway, concerned=concerned)
            if isinstance(resource, KubernetesGateway) and (pod := doors.get((resource.namespace, resource.name))):
                names.add(pod)
            if isinstance(resource, TCPRoute | TLSRoute):
                # istiod leaves no mark on the filter chains of gateways.
                names |= {pod for place in taken_by(resource, facts) if (pod := doors.get(place))}
            statuses.append(RuleStatus(ref, since, after, tuple(sorted(names)), conditions(resource, facts, objects)))
        return statuses


def proxies(
    resource: Resource,
    objects: Iterable[Resource],
    origins: Mapping[str, Set[str]],
    *,
    facts: Facts,
    gateway: tuple[str, Mapping[str, str]] | None,
    concerned: Set[str],
) -> set[str]:
    """Names of the pods whose proxies hold something of a rule.

    istiod marks routes and clusters with the rule that made them. It leaves no mark on the rest, which is told from the
    rules themselves; of what is left, the proxies that learnt of the last change are those that had to.

    Args:
        resource: the rule.
        objects: the desired state.
        origins: by pod with a proxy, the marks in what it holds.
        facts: what routes of the Gateway API may refer to.
        gateway: name and labels of the gateway's pod.
        concerned: pods that learnt of the rule's last change.
    """
    endings = config_endings(resource, facts)
    holders = {name for name, marks in origins.items() if any(path.endswith(endings) for path in marks)}
    if gateway is not None and _at_gateway(resource, objects, gateway[1]):
        holders.add(gateway[0])
    if resource.kind in ("ServiceEntry", "Sidecar"):
        holders |= concerned & origins.keys()
    return holders


def _at_gateway(rule: Resource, objects: Iterable[Resource], labels: Mapping[str, str]) -> bool:
    if isinstance(rule, Gateway):
        return entrances.selects(rule, labels)
    return isinstance(rule, VirtualService) and entrances.carries_connections(rule, objects, labels)
