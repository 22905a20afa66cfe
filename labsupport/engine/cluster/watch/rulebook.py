"""Remembers when each rule of a lab came into force, and tells which proxies hold something of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from labsupport.controlplane.desired import Key, changed_fields, key_of
from labsupport.controlplane.encode import origins
from labsupport.controlplane.origins import config_endings
from labsupport.controlplane.proxies import ProxyResources
from labsupport.engine.routeplaces import taken_by
from labsupport.engine.routestatus import conditions_in, facts_for_routes
from labsupport.model import RULES, Resource
from labsupport.model.gatewayapi import Facts
from labsupport.model.gatewayapi.attach import is_mesh_parent
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway
from labsupport.model.kinds.gatewayapi.otherroutes import TCPRoute, TLSRoute
from labsupport.records import EnvoyConfig, RuleStatus

__all__ = ["Rulebook", "origins_of"]

# Routes and clusters carry a note of these; of the others only the proxies that had to learn of them are known.
_NOTED = ("VirtualService", "HTTPRoute", "GRPCRoute", "DestinationRule")


def origins_of(config: EnvoyConfig | ProxyResources) -> frozenset[str]:
    """The config paths that Istio noted on routes and clusters (``filter_metadata.istio.config``)."""
    return frozenset(origins([*config.routes.values(), *config.clusters.values()]))


class Rulebook:
    """When the rules of one lab came into force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Key, tuple[float, float, frozenset[str]]] = {}

    def remember(
        self,
        before: Sequence[Resource],
        after: Sequence[Resource],
        began_s: float,
        took_s: float | None,
        proxies: frozenset[str],
    ) -> None:
        """Note a change.

        Args:
            before: all objects before it.
            after: all objects after it.
            began_s: when it began, in seconds since the epoch.
            took_s: how long until the last proxy held it; None if one does not yet.
            proxies: the proxies that had to learn of it.
        """
        old = {key_of(resource): resource for resource in before if resource.called in RULES}
        new = {key_of(resource): resource for resource in after if resource.called in RULES}
        with self._lock:
            for key in old.keys() - new.keys():
                self._known.pop(key, None)
            for key, rule in new.items():
                if key not in old or (old[key] is not rule and changed_fields(old[key], rule)):
                    since = (0.0, 0.0) if took_s is None else (began_s + took_s, took_s)
                    self._known[key] = (*since, proxies)

    def status(
        self,
        objects: Sequence[Resource],
        origins: Mapping[str, frozenset[str]],
        gateways: frozenset[str] = frozenset(),
        doors: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType({}),
    ) -> list[RuleStatus]:
        """What is known of each rule.

        Args:
            objects: all objects of the lab, with their status.
            origins: by proxy, the config paths of the rules that it holds something of.
            gateways: which of the proxies are gateways.
            doors: which of them were made for a Gateway of the Gateway API, by its namespace and name.
        """
        with self._lock:
            known = dict(self._known)
        statuses = []
        facts = facts_for_routes(objects)
        for rule in objects:
            if rule.called not in RULES:
                continue
            since, after, concerned = known.get(key_of(rule), (0.0, 0.0, frozenset()))
            endings = config_endings(rule, facts)
            holders = {name for name, paths in origins.items() if any(path.endswith(endings) for path in paths)}
            holders |= {name for place in _places(rule, facts) for name in doors.get(place, ())}
            if rule.kind not in _NOTED and _concerns_sidecars(rule):
                holders |= concerned & (gateways if rule.kind == "Gateway" else origins.keys())
            created = rule.metadata.creation_timestamp
            if not since and holders and key_of(rule) not in known and created is not None:
                # It was there before this lab, and is in force: since when exactly nobody knows any more.
                since = created.timestamp()
            told = conditions_in(rule.raw.get("status") or {})
            statuses.append(RuleStatus(rule.ref, since, after, tuple(sorted(holders)), told))
        return statuses

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._known.clear()


def _places(rule: Resource, facts: Facts) -> set[tuple[str, str]]:
    """Namespace and name of the Gateways of the Gateway API that serve a rule which leaves no note."""
    if isinstance(rule, KubernetesGateway):
        return {(rule.namespace, rule.name)}
    return taken_by(rule, facts) if isinstance(rule, TCPRoute | TLSRoute) else set()


def _concerns_sidecars(rule: Resource) -> bool:
    if isinstance(rule, TCPRoute | TLSRoute):
        return any(map(is_mesh_parent, rule.parents))
    return not isinstance(rule, KubernetesGateway)
