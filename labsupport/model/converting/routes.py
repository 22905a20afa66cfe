"""A VirtualService as HTTPRoutes: rule by rule, as far as the Gateway API has words for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from labsupport.model.converting.actions import add_limits, cors, header_filters, mirrors, redirect, rewrite
from labsupport.model.converting.losses import Loss, Losses, NoCounterpartError
from labsupport.model.converting.matches import as_match
from labsupport.model.converting.services import Registry
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.rules import Piece, pieces
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.gatewayapi.shared import GROUP
from labsupport.model.kinds.sidecar import Sidecar
from labsupport.model.kinds.virtualservice import HTTPRoute as Rule
from labsupport.model.kinds.virtualservice import VirtualService
from labsupport.model.schema.base import Resource
from labsupport.model.validation.verdict import judge
from labsupport.records import JsonObject

__all__ = ["Conversion", "as_httproutes"]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of some manifests.

    Args:
        manifests: HTTPRoutes, and the Services that stand for subsets.
        losses: what is not there any more, or not the same.
    """

    manifests: tuple[JsonObject, ...]
    losses: tuple[Loss, ...]


def as_httproutes(objects: Sequence[Resource], *, namespace: str = "default", port: int | None = None) -> Conversion:
    """Write the VirtualServices among some objects as HTTPRoutes.

    Where all of a rule has a counterpart and nothing is told of it, istiod makes the same of both. A rule with a part
    that would change the meaning of the rest is left out as a whole.

    Args:
        objects: VirtualServices, and the Services, ServiceEntries and DestinationRules that they name.
        namespace: the namespace of objects that name none.
        port: of destinations that name none, where no object tells it.
    """
    registry, losses, routes = Registry(objects, namespace, port), list[Loss](), list[JsonObject]()
    taken: dict[tuple[str, str], str] = {}
    hidden = next((f"Sidecar/{resource.name}" for resource in objects if isinstance(resource, Sidecar)), "")
    for rule in objects:
        if not isinstance(rule, VirtualService):
            continue
        told = Losses()
        if hidden:
            told.tell("http", f"an HTTPRoute answers 500, and not 503, for a Service that {hidden} leaves out")
        route = _route(rule, rule.namespace or namespace, registry, told)
        for parent in route["spec"]["parentRefs"] if route is not None else ():
            key = (parent["name"], parent.get("namespace") or rule.namespace or namespace)
            if taken.setdefault(key, rule.name) != rule.name:
                text = f"istiod merges its rules with those of {taken[key]}; of VirtualServices the older one counts"
                told.tell("hosts", text)
        routes += [route] if route is not None else []
        losses += [
            Loss(f"VirtualService/{rule.name}", path, text, rule.origin.file, rule.origin.line_of(path))
            for path, text in dict.fromkeys(told.found)
        ]
    return Conversion((*registry.made.values(), *routes), tuple(losses))


def _route(rule: VirtualService, namespace: str, registry: Registry, losses: Losses) -> JsonObject | None:
    spec = rule.spec
    for field in ("tcp", "tls"):
        if getattr(spec, field):
            losses.tell(field, f"left out: its counterpart is a {field.upper()}Route")
    if others := [name for name in spec.gateways if name != "mesh"]:
        losses.tell("gateways", f"left out: a Gateway of {GROUP} takes the place of {', '.join(others)}")
    if spec.gateways and "mesh" not in spec.gateways:
        return None
    if spec.export_to:
        losses.tell("exportTo", "an HTTPRoute has none: in the namespace of its Service it counts for all callers")
    parents = []
    for index, host in enumerate(spec.hosts):
        try:
            parents.append(registry.parent(host, namespace, f"hosts[{index}]"))
        except NoCounterpartError as error:
            losses.tell(error.path, f"left out: {error.text}")
            continue
        if "namespace" in parents[-1]:
            losses.tell(f"hosts[{index}]", f"an HTTPRoute of another namespace counts for callers in {namespace} only")
    rules: list[JsonObject] = []
    places: list[int] = []
    for index, part in enumerate(spec.http):
        with losses.below(f"http[{index}]"):
            try:
                made = list(_rules(part, namespace, registry, losses))
            except NoCounterpartError as error:
                losses.tell(error.path, f"the rule is left out: {error.text}")
                continue
        rules += made
        places += [index] * len(made)
    if not parents or not rules:
        return None
    metadata = {"name": rule.name} | ({"namespace": rule.namespace} if rule.namespace else {})
    route = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": {"parentRefs": parents, "rules": rules},
    }
    verdict, judged = judge(route, namespace=namespace)
    for text in verdict.errors:
        losses.tell("", f"left out: an API server would refuse the HTTPRoute: {text.removeprefix('crd: ')}")
    if not isinstance(judged, HTTPRoute):
        return None
    _tell_order(judged, places, losses)
    return route


def _rules(rule: Rule, namespace: str, registry: Registry, losses: Losses) -> Iterator[JsonObject]:
    """What one rule becomes: one rule, or one for each match where a rewrite depends on it."""
    matches: list[JsonObject] = []
    for index, entry in enumerate(rule.match):
        if entry.gateways and "mesh" not in entry.gateways:
            continue
        with losses.below(f"match[{index}]"):
            try:
                matches.append(as_match(entry, losses))
            except NoCounterpartError as error:
                losses.tell(error.path, f"the condition is left out: {error.text}")
    if rule.match and not matches:
        return
    if rule.delegate is not None or rule.direct_response is not None:
        field = "delegate" if rule.delegate is not None else "directResponse"
        raise NoCounterpartError(field, f"an HTTPRoute has no {field}")
    if rule.fault is not None:
        losses.tell("fault", "an HTTPRoute injects no faults")
    depends = bool(rule.rewrite and rule.rewrite.uri) or bool(rule.redirect and rule.redirect.prefix_rewrite)
    groups = [[match] for match in matches] if depends and matches else [matches]
    for group in groups:
        yield _rule(rule, group, namespace, registry, losses)


def _rule(rule: Rule, matches: list[JsonObject], namespace: str, registry: Registry, losses: Losses) -> JsonObject:
    # One without conditions has none to write.
    written = [match for match in matches if match]
    result: JsonObject = {"matches": matches} if written else {}
    filters = header_filters(rule.headers)
    if rule.cors_policy is not None:
        filters.append(cors(rule.cors_policy, losses))
    if rule.redirect is not None:
        filters.append(redirect(rule.redirect, matches[0] if matches else {}, losses))
    elif rule.rewrite is not None:
        filters.append(rewrite(rule.rewrite, matches[0] if matches else {}, losses))
    filters += mirrors(rule, lambda to, path: registry.backend(to, namespace, path, losses))
    if filters:
        result["filters"] = filters
    if rule.route:
        result["backendRefs"] = _backends(rule, namespace, registry, losses)
    add_limits(rule, result, losses)
    return result


def _backends(rule: Rule, namespace: str, registry: Registry, losses: Losses) -> list[JsonObject]:
    several = len(rule.route) > 1
    if several and not sum(to.weight for to in rule.route):
        raise NoCounterpartError("route", "all its weights are 0, and an HTTPRoute would answer 500")
    references = []
    for index, to in enumerate(rule.route):
        reference = registry.backend(to.destination, namespace, f"route[{index}].destination", losses)
        if several:
            reference["weight"] = to.weight
        if filters := header_filters(to.headers):
            reference["filters"] = filters
        references.append(reference)
    return references


def _tell_order(route: HTTPRoute, places: Sequence[int], losses: Losses) -> None:
    """Tell of rules that are asked in another order: the Gateway API puts special ones first, wherever they stand."""
    listed, _ = pieces(route, Facts(frozenset(), frozenset(), frozenset()))
    for first, second in combinations(listed, 2):
        above, below = places[first.rule], places[second.rule]
        if above != below and second.rank > first.rank and not _apart(first, second):
            text = f"it is asked before http[{above}]: an HTTPRoute's special conditions go first, wherever they stand"
            losses.tell(f"http[{below}]", text)


def _apart(first: Piece, second: Piece) -> bool:
    """Whether no request meets both, as far as exact values tell."""
    one, other = first.content["match"][0], second.content["match"][0]
    pairs = [(one.get(field, {}), other.get(field, {})) for field in ("uri", "method")]
    for field in ("headers", "queryParams"):
        conditions, others = one.get(field, {}), other.get(field, {})
        pairs += [(conditions[name], others[name]) for name in conditions.keys() & others.keys()]
    return any("exact" in left and "exact" in right and left != right for left, right in pairs)
