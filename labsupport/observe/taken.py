"""Which rule took which requests, by the route that the callers' proxies wrote down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from labsupport import words
from labsupport.explain.catalog import Catalog
from labsupport.explain.matching import Viewpoint, judge, takes_everything
from labsupport.explain.records import Condition, Place
from labsupport.explain.request import Request
from labsupport.explain.rules import EffectiveRule, effective_rules
from labsupport.model import HTTPMatchRequest, VirtualService
from labsupport.model import HTTPRoute as Rule
from labsupport.model.gatewayapi import Facts, convert
from labsupport.model.hosts import fqdn, matches
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCRoute
from labsupport.model.schema.base import Resource
from labsupport.observe.workloads import service_of
from labsupport.records import AccessRecord, Pod

__all__ = ["RuleRow", "RulesTaken", "rules_taken"]

_NOBODY = Request("GET", "http", "", "/")


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule, and the requests that it took.

    Args:
        title: its number and its name.
        conditions: one text for each match entry; none means that every request matches.
        leads_to: where its requests go, in words.
        versions: version of the pod that answered, to number of requests.
        by_proxy: status to number of requests that the proxy answered itself.
    """

    title: str
    conditions: tuple[str, ...]
    leads_to: str
    versions: Mapping[str, int] = field(default_factory=dict)
    by_proxy: Mapping[int, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of requests that it took."""
        return sum(self.versions.values()) + sum(self.by_proxy.values())

    @property
    def met(self) -> str:
        """Who answered, in words."""
        met = {version or "no version": count for version, count in self.versions.items()}
        met |= {f"{status} of the proxy": count for status, count in self.by_proxy.items()}
        return f"all {next(iter(met))}" if len(met) == 1 else ", ".join(f"{who} {n}" for who, n in met.items())


@dataclass(frozen=True, slots=True, repr=False)
class RulesTaken:
    """The rules of an object in order, each with the requests that it took.

    Args:
        rule: the object, such as ``VirtualService/web``.
        rows: its rules, in the order in which they are tried.
        unmatched: requests that no rule took: the proxy answered them with 404, flag ``NR``.
        unclear: requests that a rule without a name took, where more than one has none.
        strangers: requests for its hosts that passed a proxy without any of its rules in force.
        resorted: whether that order is not the one in which they were written.
    """

    rule: str
    rows: tuple[RuleRow, ...]
    unmatched: int = 0
    unclear: int = 0
    strangers: int = 0
    resorted: bool = False

    @property
    def count(self) -> int:
        """Number of requests for its hosts that the callers' proxies wrote down."""
        return sum(row.count for row in self.rows) + self.unmatched + self.unclear + self.strangers

    @property
    def notes(self) -> list[str]:
        """What the rows do not show, one sentence each."""
        told = []
        if self.resorted:
            told.append("Tried in this order, the most specific first; the numbers are those of the object.")
        if self.unclear:
            told.append(f"{words.plural(self.unclear, 'request')} taken by rules without a name. Name each rule.")
        if self.strangers:
            told.append(f"{words.plural(self.strangers, 'request')} sent by a proxy that has none of these rules.")
        if not self.count:
            told.append("No caller's proxy wrote down a request for these hosts.")
        return told

    @words.shown
    def __repr__(self) -> str:
        lines = [f"{words.plural(self.count, 'request')}, rules of {self.rule}"]
        for row in self.rows:
            lines.append(
                f"{row.title}: {' or '.join(row.conditions) or 'every request'}: {row.leads_to}: took {row.count}"
                + (f" ({row.met})" if row.met else "")
            )
        if self.unmatched:
            lines.append(f"no rule: took {self.unmatched} (404 NR)")
        return "\n".join([*lines, *self.notes])


def rules_taken(
    rule: VirtualService | HTTPRoute | GRPCRoute,
    records: Iterable[AccessRecord],
    *,
    objects: Sequence[Resource],
    pods: Sequence[Pod],
    namespace: str,
) -> RulesTaken:
    """Sort requests by the rule that took them.

    Args:
        rule: whose rules.
        records: what proxies wrote about the requests.
        objects: all that the mesh has; delegates and parents are looked up there.
        pods: all pods.
        namespace: of objects that name none.
    """
    catalog = Catalog(objects, pods, namespace)
    owners = (
        [rule] if isinstance(rule, VirtualService) else convert([(rule, 0.0)], Facts.of(objects, namespace=namespace))
    )
    rules = [effective for owner in owners for effective in effective_rules(catalog, owner)]
    gateways = [name for owner in owners for name in owner.spec.gateways or ["mesh"]]
    if "mesh" not in gateways:
        # As in istiod, a gateway tries what takes every request last, wherever it was written.
        rules.sort(key=_takes_everything)
    hosts = [fqdn(host, catalog.namespace_of(owner)).lower() for owner in owners for host in owner.spec.hosts]
    directions = {"outbound" if name == "mesh" else "gateway" for name in gateways}
    version_of = {pod.name: pod.version for pod in pods}
    parts: dict[tuple[str, int, int], list[EffectiveRule]] = {}
    for effective in rules:
        parts.setdefault(_key(effective), []).append(effective)
    tally = {key: _Tally() for key in parts}
    unmatched = unclear = strangers = 0
    for record in records:
        if (
            record.mirrored
            or record.direction not in directions
            or not _asks(record, hosts, catalog.namespace_of(rule))
        ):
            continue
        if "NR" in record.flags.split(","):
            unmatched += 1
            continue
        keys = _keys(rules, record)
        if len(keys) == 1:
            tally[keys[0]].add(record, version_of)
        elif keys:
            unclear += 1
        else:
            strangers += 1
    rows = tuple(_row(parts[key], counted) for key, counted in tally.items())
    resorted = any(
        later.owner is earlier.owner and later.piece is not None and later.number < earlier.number
        for earlier, later in pairwise(rules)
    )
    return RulesTaken(f"{rule.kind}/{rule.name}", rows, unmatched, unclear, strangers, resorted)


class _Tally:
    """Who answered what a rule took."""

    def __init__(self) -> None:
        self.versions: Counter[str] = Counter()
        self.by_proxy: Counter[int] = Counter()

    def add(self, record: AccessRecord, version_of: Mapping[str, str]) -> None:
        if record.upstream_pod:
            self.versions[version_of.get(record.upstream_pod, "")] += 1
        else:
            self.by_proxy[record.status] += 1


def _key(effective: EffectiveRule) -> tuple[str, int, int]:
    """What is one rule to people: the matches of a route's rule are tried apart, and belong together."""
    if effective.piece is not None:
        return effective.object, -1, effective.number
    return effective.object, effective.root_index, effective.index


def _row(parts: Sequence[EffectiveRule], counted: _Tally) -> RuleRow:
    first = parts[0]
    # istiod names what has no name of its own.
    name = first.rule.name if first.piece is None else first.piece.route.spec.rules[first.number].name
    conditions = [text for effective in parts for text in _conditions(effective)]
    return RuleRow(
        f"{first.number + 1}" + (f" · {name}" if name else ""),
        () if "" in conditions else tuple(dict.fromkeys(conditions)),
        _leads_to(first.rule),
        dict(sorted(counted.versions.items(), key=lambda item: words.natural_key(item[0]))),
        dict(sorted(counted.by_proxy.items())),
    )


def _asks(record: AccessRecord, hosts: Iterable[str], namespace: str) -> bool:
    name, colon, port = record.authority.rpartition(":")
    host = (name if colon and port.isdigit() else record.authority).lower()
    # A service is also asked for as service.namespace and service.namespace.svc.
    service = ".".join([*host.split(".")[:2], "svc", "cluster", "local"])
    return any(matches(asked, known) for known in hosts for asked in (host, fqdn(host, namespace), service))


def _keys(rules: Sequence[EffectiveRule], record: AccessRecord) -> list[tuple[str, int, int]]:
    """The rules that may have taken a request: by the route's name, and without one by where the request went."""
    named = [effective for effective in rules if record.route in _routes(effective.rule)]
    keys = list(dict.fromkeys(map(_key, named)))
    if len(keys) < 2:
        return keys
    service, subset = service_of(record.cluster)
    leading = [
        _key(effective)
        for effective in named
        for to in effective.rule.route
        if (to.destination.host.partition(".")[0], to.destination.subset) == (service, subset)
    ]
    return list(dict.fromkeys(leading)) or keys


def _routes(rule: Rule) -> set[str]:
    """What access logs call the routes of a rule: its name, with that of the match entry behind a dot."""
    return {f"{rule.name}.{entry.name}" if entry.name else rule.name for entry in rule.match or [HTTPMatchRequest()]}


def _takes_everything(effective: EffectiveRule) -> bool:
    return not effective.rule.match or any(takes_everything(entry) for entry in effective.rule.match)


def _conditions(effective: EffectiveRule) -> Iterator[str]:
    """One text for each match; empty where every request matches."""
    view = Viewpoint("mesh", 0, effective.namespace)
    if not effective.rule.match:
        yield ""
    for entry in effective.rule.match:
        of_route = effective.piece is not None
        judged = judge(entry, _NOBODY, view, effective.namespace, lambda path: Place(""), whole_elements=of_route)
        told = [each for each in judged.conditions if effective.piece is None or _is_of_a_match(each)]
        yield words.join(f"{condition.field} {condition.wanted}" for condition in told)


def _is_of_a_match(condition: Condition) -> bool:
    """Whether a match of a route says so: the port is that of its parent, and one without a path gets any."""
    return condition.field != "port" and condition.wanted != 'prefix "/"'


def _leads_to(rule: Rule) -> str:
    if rule.redirect is not None:
        return f"redirect to {rule.redirect.authority}{rule.redirect.uri or rule.redirect.prefix_rewrite}"
    if rule.direct_response is not None:
        return f"answered here, with {rule.direct_response.status}"
    ends = []
    for to in rule.route:
        where = to.destination.host.partition(".")[0]
        where += f", subset {to.destination.subset}" if to.destination.subset else ""
        ends.append(f"{where} ({to.weight})" if len(rule.route) > 1 else where)
    changed = f", path becomes {rule.rewrite.uri}" if rule.rewrite is not None and rule.rewrite.uri else ""
    return " or ".join(ends) + changed
