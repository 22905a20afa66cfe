"""Remembers when each rule of a lab came into force, and tells which proxies hold something of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from labsupport.controlplane.desired import Key, changed_fields, key_of
from labsupport.controlplane.encode import origins
from labsupport.controlplane.origins import config_endings
from labsupport.controlplane.proxies import ProxyResources
from labsupport.engine.routestatus import conditions, facts_for_routes
from labsupport.model import RULES, Resource
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
        self, objects: Sequence[Resource], origins: Mapping[str, frozenset[str]], gateways: frozenset[str] = frozenset()
    ) -> list[RuleStatus]:
        """What is known of each rule.

        Args:
            objects: all objects of the lab.
            origins: by proxy, the config paths of the rules that it holds something of.
            gateways: which of the proxies are gateways.
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
            if rule.kind not in _NOTED:
                holders |= concerned & (gateways if rule.kind == "Gateway" else origins.keys())
            created = rule.metadata.creation_timestamp
            if not since and holders and key_of(rule) not in known and created is not None:
                # It was there before this lab, and is in force: since when exactly nobody knows any more.
                since = created.timestamp()
            ref = rule.ref
            statuses.append(RuleStatus(ref, since, after, tuple(sorted(holders)), conditions(rule, facts, objects)))
        return statuses

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._known.clear()
