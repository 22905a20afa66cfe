"""Rules of VirtualServices as they count: delegates in their place, each with where it was written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from labsupport.explain.catalog import Catalog, exported
from labsupport.explain.known import place_of
from labsupport.explain.matching import Viewpoint, applies_to_proxy, judge, takes_everything
from labsupport.explain.records import Ignored, MatchEntry, Place, RuleKind, RuleTrace, RuleVerdict
from labsupport.explain.request import Request
from labsupport.model import HTTPMatchRequest, HTTPRoute, StringMatch, VirtualService
from labsupport.model.gatewayapi import ConvertedRule
from labsupport.model.gatewayapi.rules import Piece
from labsupport.model.hosts import gateway_name

__all__ = ["Candidate", "EffectiveRule", "RuleOutcome", "choose", "effective_rules", "survives"]

_INHERITED = (
    "rewrite",
    "direct_response",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirror_percent",
    "mirror_percentage",
    "cors_policy",
    "headers",
)


@dataclass(frozen=True, slots=True)
class EffectiveRule:
    """One rule of ``spec.http`` as it counts.

    Args:
        owner: the VirtualService whose hosts and gateways it has.
        written_in: the VirtualService it was written in: the owner, or its delegate.
        index: its number there.
        rule: the rule, with what it takes over from the root rule of a delegate.
        namespace: in which its host names are read.
        root_index: number of the root rule, if it comes from a delegate.
    """

    owner: VirtualService
    written_in: VirtualService
    index: int
    rule: HTTPRoute
    namespace: str
    root_index: int = -1

    @property
    def piece(self) -> Piece | None:
        """The part of a route of the Gateway API that it stands for; None if it was written as it is."""
        return self.written_in.pieces[self.index] if isinstance(self.written_in, ConvertedRule) else None

    @property
    def object(self) -> str:
        """The object it was written in, such as ``VirtualService/web``."""
        piece = self.piece
        return f"VirtualService/{self.written_in.name}" if piece is None else f"{piece.route.kind}/{piece.route.name}"

    @property
    def kind(self) -> RuleKind:
        """The list of that object that it stands in: ``http``, or ``rules`` of a route."""
        return "http" if self.piece is None else "rules"

    @property
    def number(self) -> int:
        """Its number in that list."""
        return self.index if self.piece is None else self.piece.rule

    @property
    def match(self) -> int:
        """Number of the match of a route's rule that it stands for, where there are several; else -1."""
        piece = self.piece
        return piece.match if piece is not None and piece.of_several else -1

    @property
    def path(self) -> str:
        """Its field path in the object it was written in."""
        return f"spec.{self.kind}[{self.number}]"

    def place(self, field: str = "") -> Place:
        """Where a field of it was written; for what a delegate took over, that is the root rule."""
        if self.piece is not None:
            return place_of(self.piece.route, self.piece.path_of(field))
        path = f"{self.path}.{field}" if field else self.path
        name = field.partition(".")[0].partition("[")[0]
        if self.root_index >= 0 and name and not _given(self.written_in.spec.http[self.index], name):
            return place_of(self.owner, f"spec.http[{self.root_index}].{field}")
        return place_of(self.written_in, path)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One route: a rule with one of its match entries (None for a rule without any), as one proxy has it."""

    rule: EffectiveRule
    entry: int | None
    view: Viewpoint

    @property
    def match(self) -> HTTPMatchRequest | None:
        """The match entry."""
        return None if self.entry is None else self.rule.rule.match[self.entry]

    @property
    def name(self) -> str:
        """Name of the route: that of the rule, with that of the match entry behind a dot."""
        entry = self.match.name if self.match is not None else ""
        return f"{self.rule.rule.name}.{entry}" if entry else self.rule.rule.name

    @property
    def takes_everything(self) -> bool:
        """Whether no request gets past it."""
        return self.match is None or takes_everything(self.match)


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """The outcome of trying rules in order.

    Args:
        traces: every rule.
        chosen: the route that took the request; None if none did.
    """

    traces: tuple[RuleTrace, ...]
    chosen: Candidate | None = None


def effective_rules(
    catalog: Catalog, service: VirtualService, lost: list[Ignored] | None = None
) -> list[EffectiveRule]:
    """The rules of a VirtualService in order, with those of its delegates in place of the rules that name them.

    Args:
        catalog: what there is.
        service: the VirtualService.
        lost: gets what is lost in the delegation, and why.
    """
    namespace = catalog.namespace_of(service)
    rules = []
    lost = [] if lost is None else lost
    for index, rule in enumerate(service.spec.http):
        if rule.delegate is None:
            rules.append(EffectiveRule(service, service, index, rule, namespace))
            continue
        where = rule.delegate.namespace or namespace
        if reason := _no_delegate(catalog, where, rule.delegate.name, namespace):
            place = place_of(service, f"spec.http[{index}].delegate")
            lost.append(Ignored(f"VirtualService/{service.name} http[{index}]", reason, place))
        for delegate in catalog.virtual_services:
            if delegate.spec.hosts or (catalog.namespace_of(delegate), delegate.name) != (where, rule.delegate.name):
                continue
            if exported(delegate, where, namespace):
                for position, own in enumerate(delegate.spec.http):
                    merged = _merge(_full(rule, namespace), _full(own, where))
                    if merged is not None:
                        rules.append(EffectiveRule(service, delegate, position, merged, where, index))
                        continue
                    reason = f"its match does not fit into that of VirtualService/{service.name} http[{index}]"
                    if any(match.uri is not None and match.uri.regex for match in (*rule.match, *own.match)):
                        reason += "; a regex is never part of another condition"
                    place = place_of(delegate, f"spec.http[{position}].match")
                    lost.append(Ignored(f"VirtualService/{delegate.name} http[{position}]", reason, place))
    return rules


def _no_delegate(catalog: Catalog, namespace: str, name: str, asking: str) -> str:
    """Why a rule that delegates has nobody to delegate to; empty if it has."""
    named = [rule for rule in catalog.virtual_services if (catalog.namespace_of(rule), rule.name) == (namespace, name)]
    if not named:
        return f"there is no VirtualService {namespace}/{name} to delegate to"
    if all(rule.spec.hosts for rule in named):
        return f"VirtualService/{name} has hosts, so nobody can delegate to it"
    if not any(exported(rule, namespace, asking) for rule in named):
        return f"VirtualService/{name} is not shown to namespace {asking} (exportTo)"
    return ""


def survives(rules: Iterable[EffectiveRule], view: Viewpoint) -> list[Candidate]:
    """The routes the control plane makes for one proxy: entries that can apply, up to one that takes everything."""
    candidates: list[Candidate] = []
    for rule in rules:
        if not rule.rule.match:
            return [*candidates, Candidate(rule, None, view)]
        for entry, match in enumerate(rule.rule.match):
            if applies_to_proxy(match, view, rule.namespace):
                candidates.append(Candidate(rule, entry, view))
                if takes_everything(match):
                    return candidates
    return candidates


def choose(
    rules: Sequence[tuple[EffectiveRule, Viewpoint]], routes: Sequence[Candidate], request: Request
) -> RuleOutcome:
    """Try routes in order, the first that fits takes the request.

    Args:
        rules: every rule that one may ask about, in order, with the proxy's point of view.
        routes: what the control plane makes of them, in the order Envoy tries.
        request: the request.

    Returns:
        A trace of each rule, and the route.
    """
    chosen: Candidate | None = None
    for route in routes:
        if route.match is None or _entry(route, request).holds:
            chosen = route
            break
    order = {id(route.rule): position for position, route in reversed(list(enumerate(routes)))}
    listed = list(rules)
    positions = [order[id(rule)] for rule, _ in rules if id(rule) in order]
    if positions != sorted(positions):
        # A gateway has moved what takes everything to the end; rules without a route here follow after those that have.
        listed.sort(key=lambda item: order.get(id(item[0]), len(routes)))
    limit = routes.index(chosen) if chosen is not None else len(routes)
    traces = []
    for rule, view in listed:
        verdict: RuleVerdict
        if chosen is not None and rule is chosen.rule:
            verdict = "chosen"
        elif id(rule) not in order and not _may_apply(rule, view):
            verdict = "not for this proxy"
        elif order.get(id(rule), len(routes)) > limit:
            verdict = "not reached"
        else:
            verdict = "no match"
        entries = [Candidate(rule, entry, view) for entry in range(len(rule.rule.match))]
        traces.append(
            RuleTrace(
                object=rule.object,
                index=rule.number,
                name=rule.rule.name,
                verdict=verdict,
                entries=tuple(_entry(entry, request) for entry in entries),
                place=rule.place(),
                kind=rule.kind,
                match=rule.match,
            )
        )
    return RuleOutcome(tuple(traces), chosen)


def _may_apply(rule: EffectiveRule, view: Viewpoint) -> bool:
    return not rule.rule.match or any(applies_to_proxy(match, view, rule.namespace) for match in rule.rule.match)


def _entry(route: Candidate, request: Request) -> MatchEntry:
    assert route.match is not None
    where = f"match[{route.entry}]"
    return judge(
        route.match,
        request,
        route.view,
        route.rule.namespace,
        lambda path: route.rule.place(f"{where}.{path}" if path else where),
        whole_elements=route.rule.piece is not None,
    )


def _given(rule: HTTPRoute, yaml_name: str) -> bool:
    """Whether a rule itself has a field, by its name in YAML."""
    fields = type(rule).model_fields
    return any(
        (info.serialization_alias or info.alias or name) == yaml_name and bool(getattr(rule, name))
        for name, info in fields.items()
    )


def _merge(root: HTTPRoute, own: HTTPRoute) -> HTTPRoute | None:
    """A delegate's rule under its root rule; None if one of its entries contradicts every entry of the root."""
    entries: list[HTTPMatchRequest] = list(own.match or root.match)
    if root.match and own.match:
        entries = []
        for leaf in own.match:
            fitting = [_narrow(match, leaf) for match in root.match if _compatible(match, leaf)]
            if not fitting:
                return None
            entries += fitting
    update: dict[str, Any] = {"match": entries, "name": "-".join(name for name in (root.name, own.name) if name)}
    for field in _INHERITED:
        if getattr(own, field) is None:
            update[field] = getattr(root, field)
    if not own.mirrors:
        update["mirrors"] = root.mirrors
    return own.model_copy(update=update)


def _narrow(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> HTTPMatchRequest:
    update: dict[str, Any] = {
        "name": "-".join(name for name in (root.name, leaf.name) if name),
    } | {
        field: {**getattr(root, field), **getattr(leaf, field)}
        for field in ("headers", "without_headers", "query_params", "source_labels")
    }
    for field in ("uri", "scheme", "method", "authority", "port", "gateways", "source_namespace"):
        update[field] = getattr(leaf, field) or getattr(root, field)
    return leaf.model_copy(update=update)


def _compatible(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> bool:
    pairs: list[tuple[StringMatch | None, StringMatch | None]] = [
        (getattr(root, field), getattr(leaf, field)) for field in ("uri", "scheme", "method", "authority")
    ]
    for field in ("headers", "without_headers", "query_params"):
        pairs += [(getattr(root, field).get(key), wanted) for key, wanted in getattr(leaf, field).items()]
    return (
        all(_narrower(outer, inner) for outer, inner in pairs)
        and root.ignore_uri_case == leaf.ignore_uri_case
        and (not root.port or not leaf.port or root.port == leaf.port)
        and (not root.source_namespace or root.source_namespace == leaf.source_namespace)
        and all(root.source_labels.get(key, value) == value for key, value in leaf.source_labels.items())
        and (not root.gateways or set(leaf.gateways) <= set(root.gateways))
    )


def _narrower(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    """Whether a delegate's condition is the root's or a part of it (``Delegate`` in the VirtualService reference)."""
    if root is None or leaf is None:
        return True
    if (root.regex and (leaf.exact or leaf.prefix or leaf.regex)) or (leaf.regex and (root.exact or root.prefix)):
        return False
    if root.exact:
        return not leaf.prefix and leaf.exact == root.exact
    narrower = leaf.prefix or leaf.exact
    # As in istiod, a condition on presence is narrowed by nothing, not even by itself.
    return bool(root.prefix and narrower and narrower.startswith(root.prefix))


def _full(rule: HTTPRoute, namespace: str) -> HTTPRoute:
    """A rule whose gateways have full names, so that it can be read in another namespace."""
    entries = [
        match.model_copy(update={"gateways": [gateway_name(name, namespace) for name in match.gateways]})
        for match in rule.match
    ]
    return rule.model_copy(update={"match": entries})
