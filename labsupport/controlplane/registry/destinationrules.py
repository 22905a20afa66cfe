"""Which DestinationRule applies to whom: merging of rules on one host, ``exportTo`` and the order of namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from labsupport.controlplane.registry.memo import MEMO
from labsupport.model.hosts import fqdn, is_wildcard, most_specific
from labsupport.model.kinds.destinationrule import DestinationRule, Subset
from labsupport.model.kinds.trafficpolicy import TrafficPolicy
from labsupport.model.schema.syntax import is_ip

__all__ = ["DestinationRuleIndex", "MergedRule"]


@dataclass(frozen=True, eq=False)
class MergedRule:
    """One DestinationRule, or several of the same host and namespace in one.

    Args:
        name, namespace: of the oldest object in it.
        traffic_policy: the oldest that is set.
        subsets: of all objects; of equal names the oldest.
        selector: pod labels of ``workloadSelector``; None without one.
        export_to: as written; empty is everywhere.
        sources: the objects it is made of.
    """

    name: str
    namespace: str
    traffic_policy: TrafficPolicy | None
    subsets: tuple[Subset, ...]
    selector: Mapping[str, str] | None
    export_to: frozenset[str]
    sources: tuple[DestinationRule, ...] = field(default=(), compare=False)

    def subset(self, name: str) -> Subset | None:
        """A subset by name, or None."""
        return next((subset for subset in self.subsets if subset.name == name), None)


class _ByHost:
    """Rules of one scope by host, exact and wildcard hosts apart."""

    def __init__(self) -> None:
        self.exact: dict[str, list[MergedRule]] = {}
        self.wildcards: dict[str, list[MergedRule]] = {}

    def find(self, hostname: str) -> list[MergedRule] | None:
        return most_specific(hostname, self.exact, self.wildcards)

    def add(self, host: str, incoming: MergedRule) -> None:
        """Merge a rule into those of its host that have the same audience, or keep it beside them."""
        rules = self.wildcards if is_wildcard(host) else self.exact
        known = rules.setdefault(host, [])
        separately = True
        for position, rule in enumerate(known):
            if incoming.export_to == rule.export_to:
                separately = False
            elif rule.export_to and incoming.export_to >= rule.export_to:
                separately = True
            else:
                separately = True
                continue
            both = rule.selector is not None and incoming.selector is not None
            neither = rule.selector is None and incoming.selector is None
            if both and rule.selector != incoming.selector:
                separately = True
                continue
            if both or neither:
                separately = False
            known[position] = MEMO.get("MergedRule", (rule, incoming), (), partial(_merged, rule, incoming))
        if separately:
            known.append(incoming)


def _merged(rule: MergedRule, incoming: MergedRule) -> MergedRule:
    names = {subset.name for subset in rule.subsets}
    return replace(
        rule,
        subsets=rule.subsets + tuple(subset for subset in incoming.subsets if subset.name not in names),
        traffic_policy=rule.traffic_policy if rule.traffic_policy is not None else incoming.traffic_policy,
        sources=rule.sources + incoming.sources,
    )


def _single(resource: DestinationRule) -> MergedRule:
    spec = resource.spec
    selector = spec.workload_selector
    return MergedRule(
        name=resource.name,
        namespace=resource.namespace,
        traffic_policy=spec.traffic_policy,
        subsets=tuple(spec.subsets),
        selector=selector.match_labels if selector is not None else None,
        export_to=frozenset(spec.export_to) if selector is None else frozenset("."),
        sources=(resource,),
    )


class DestinationRuleIndex:
    """All DestinationRules, ready to be asked which of them a client's proxy uses for a service.

    Args:
        objects: DestinationRules with their age in seconds since the epoch.
        root_namespace: the namespace whose rules are for everyone.
        default_export_to: who sees those without ``exportTo``.
    """

    def __init__(
        self,
        objects: Iterable[tuple[DestinationRule, float]],
        root_namespace: str,
        default_export_to: frozenset[str] = frozenset("*"),
    ) -> None:
        self._root = root_namespace
        self._default_private = "." in default_export_to
        self._local: dict[str, _ByHost] = {}
        self._exported: dict[str, _ByHost] = {}
        self._root_local = _ByHost()
        ordered = sorted(
            objects,
            key=lambda item: (item[0].spec.workload_selector is None, item[1], item[0].name, item[0].namespace),
        )
        for resource, _ in ordered:
            self._add(resource)

    def _add(self, resource: DestinationRule) -> None:
        spec, namespace = resource.spec, resource.namespace
        host = spec.host if is_ip(spec.host) else fqdn(spec.host, namespace)
        rule = MEMO.get("DestinationRule", (resource,), (), partial(_single, resource))
        export_to = rule.export_to
        if not export_to or export_to & {"*", ".", namespace}:
            self._local.setdefault(namespace, _ByHost()).add(host, rule)
        private = len(export_to) == 1 and bool(export_to & {".", namespace})
        private = private or (not export_to and self._default_private)
        if not private:
            self._exported.setdefault(namespace, _ByHost()).add(host, rule)
        elif namespace == self._root:
            self._root_local.add(host, rule)

    def candidates(self, client_namespace: str, hostname: str, service_namespace: str) -> list[MergedRule]:
        """Rules for a service: of the client's namespace, or else of the service's, or else of the root namespace."""
        if client_namespace != self._root:
            local = self._local.get(client_namespace)
            own = local.find(hostname) if local else None
        else:
            own = self._root_local.find(hostname)
        if own is not None:
            return own
        for owner in (service_namespace, self._root):
            exported = self._exported.get(owner)
            rules = exported.find(hostname) if exported else None
            visible = [
                rule
                for rule in rules or ()
                if not rule.export_to or "*" in rule.export_to or client_namespace in rule.export_to
            ]
            if visible:
                return visible
        return []
