"""Which DestinationRules count for a client and a service, and which of them count together.

The client's namespace is asked first, then the service's, then the root namespace; the first that has a rule for the
host counts alone, and in it an exact host counts before a wildcard, a longer wildcard before a shorter one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labsupport.explain.catalog import ROOT_NAMESPACE, Catalog
from labsupport.explain.known import KnownService
from labsupport.model import DestinationRule
from labsupport.model.hosts import fqdn, is_wildcard

__all__ = ["rules_for"]


@dataclass(slots=True)
class _Joined:
    """Rules of one host that count as one: subsets of all of them, the policy of the first that has one."""

    rules: list[DestinationRule]
    audience: frozenset[str]
    selector: Mapping[str, str] | None


def rules_for(
    catalog: Catalog, namespace: str, labels: Mapping[str, str], service: KnownService
) -> list[DestinationRule]:
    """The DestinationRules that count for a client's requests to a service: those that are merged, the oldest first.

    Args:
        catalog: what there is.
        namespace: of the client.
        labels: of the client's pod.
        service: the service.
    """
    joined = _asked(catalog, namespace, service)
    general: list[DestinationRule] = []
    for item in joined:
        if item.selector is None:
            # As in istiod, of rules that are not merged because other namespaces see them, the last counts.
            general = item.rules
        elif catalog.namespace_of(item.rules[0]) == namespace and item.selector.items() <= labels.items():
            return item.rules
    return general


def _asked(catalog: Catalog, namespace: str, service: KnownService) -> list[_Joined]:
    host = service.hostname
    own = _best(catalog, host, namespace, "private" if namespace == ROOT_NAMESPACE else "local")
    if own:
        # As in istiod, rules for other workloads still keep less specific ones from being looked for.
        return own
    for owner in (service.namespace, ROOT_NAMESPACE):
        services = _best(catalog, host, owner, "shared")
        seen = [item for item in services if not item.audience or "*" in item.audience or namespace in item.audience]
        if seen:
            return seen
    return []


def _audience(rule: DestinationRule) -> frozenset[str]:
    """Who sees a rule, as written; a rule for chosen workloads is for its own namespace only."""
    return frozenset(rule.spec.export_to) if rule.spec.workload_selector is None else frozenset(".")


def _counts(rule: DestinationRule, namespace: str, for_whom: str) -> bool:
    audience = _audience(rule)
    if for_whom == "local":
        return not audience or bool(audience & {"*", ".", namespace})
    private = len(audience) == 1 and bool(audience & {".", namespace})
    return private == (for_whom == "private")


def _best(catalog: Catalog, host: str, namespace: str, for_whom: str) -> list[_Joined]:
    """Those of a namespace's rules that have the most specific host for a service, put together where they merge."""
    by_host: dict[str, list[DestinationRule]] = {}
    for rule in catalog.destination_rules:
        if catalog.namespace_of(rule) == namespace and _counts(rule, namespace, for_whom):
            by_host.setdefault(fqdn(rule.spec.host, namespace), []).append(rule)
    covering = [name for name in by_host if is_wildcard(name) and host.endswith(name[1:])]
    name = host if host in by_host else min(covering, key=lambda pattern: -len(pattern)) if covering else ""
    return _joined(by_host[name]) if name else []


def _joined(rules: list[DestinationRule]) -> list[_Joined]:
    """Rules of one host for the same audience count as one; those with a selector come first."""
    joined: list[_Joined] = []
    for rule in sorted(rules, key=lambda candidate: candidate.spec.workload_selector is None):
        audience = _audience(rule)
        chosen = rule.spec.workload_selector
        selector = chosen.match_labels if chosen is not None else None
        alone = True
        for item in joined:
            same = audience == item.audience
            alone = not same
            if not same and not (item.audience and audience >= item.audience):
                continue
            if selector is not None and item.selector is not None and selector != item.selector:
                alone = True
                continue
            if (selector is None) == (item.selector is None):
                alone = False
            item.rules.append(rule)
        if alone:
            joined.append(_Joined([rule], audience, selector))
    return joined
