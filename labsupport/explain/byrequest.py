"""What a proxy's route table does with a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from labsupport import words
from labsupport.explain.catalog import Catalog, meant
from labsupport.explain.destinations import Client, reach, resolve
from labsupport.explain.draft import Draft
from labsupport.explain.explanation import Explanation
from labsupport.explain.headers import request_headers, sent_authority
from labsupport.explain.known import KnownService
from labsupport.explain.outcomes import https_redirect, predict
from labsupport.explain.records import ANSWERED_BEFORE, Ignored, Place, Policy, PredictedOutcome, RoutedTo
from labsupport.explain.request import Request
from labsupport.explain.rules import Candidate, choose
from labsupport.explain.scope import rule_hosts
from labsupport.explain.sidecar import Table
from labsupport.explain.words import HASH, mirror_percent, percent_of
from labsupport.model import HTTPRouteDestination
from labsupport.model.hosts import is_wildcard
from labsupport.records import Pod

__all__ = ["decided"]


def decided(
    draft: Draft,
    catalog: Catalog,
    client: Client,
    table: Table,
    pod: Pod,
    kind: Literal["sidecar", "gateway"],
    ignored: Sequence[Ignored],
) -> Explanation:
    """Explain a request by the table that decides about it.

    Args:
        draft: the request.
        catalog: what there is.
        client: the deciding proxy.
        table: what it has for the request's host.
        pod: its pod.
        kind: what it is.
        ignored: objects that do not count, besides those of the table.
    """
    request = draft.request
    way = [draft.caller, f"{pod.name} ({kind})"]
    unused = (*ignored, *table.ignored)
    if table.https_only and request.scheme == "http":
        decision = "The Gateway's server has httpsRedirect."
        outcome = https_redirect(request)
        return draft.explanation(decision, [outcome], ignored=unused, proxy=pod.name, kind=kind, hops=way)
    if not table.known:
        named = {host.lower() for rule in catalog.virtual_services for host in rule_hosts(catalog, rule)}
        hint = meant(request.host, sorted(host for host in named if not is_wildcard(host)))
        reason = f"the gateway has no rule for host {request.host}" + (f"; {hint}" if hint else "")
        outcome = PredictedOutcome("no_route", 1.0, f"the gateway answers 404: {reason}", status=404, flags="NR")
        decision = words.sentence(f"No route: {reason}")
        return draft.explanation(decision, [outcome], ignored=unused, proxy=pod.name, kind=kind, hops=way)
    choice = choose(table.rules, table.routes, request)
    route = choice.chosen
    if table.ruled and route is None:
        text = "the proxy answers 404: no rule matches, and a host with rules has no other route"
        outcome = PredictedOutcome("no_route", 1.0, text, status=404, flags="NR")
        return draft.explanation(
            "No rule matches.",
            [outcome],
            rules=choice.traces,
            ignored=unused,
            proxy=pod.name,
            kind=kind,
            hops=way,
        )
    # At a gateway, the port of the server that the route belongs to is the default of its destinations.
    if route is not None:
        client = replace(client, port=route.view.port)
    pairs = _destinations(catalog, client, table.service, route, request)
    outcomes = predict(route, request, pairs)
    # Aborts and preflights are answered before the router: what they take reaches no destination, and is not copied.
    left = sum(outcome.share for outcome in outcomes if outcome.kind not in ANSWERED_BEFORE)
    destinations = [replace(destination, share=destination.share * left) for destination, _ in pairs]
    return draft.explanation(
        _decision(route, table.service),
        outcomes,
        rules=choice.traces,
        route=route,
        name=route.name if route is not None else "default",
        ignored=unused,
        proxy=pod.name,
        kind=kind,
        destinations=destinations,
        mirrors=[replace(mirror, share=mirror.share * left) for mirror in _mirrors(catalog, client, route)],
        policies=draft.policies(route),
        hops=[*way, *draft.arrival(catalog, outcomes, destinations)],
        forwards=bool(pairs) and left > 0,
    )


def _destinations(
    catalog: Catalog, client: Client, service: KnownService | None, route: Candidate | None, request: Request
) -> list[tuple[RoutedTo, HTTPRouteDestination | None]]:
    if route is None:
        assert service is not None
        destination = reach(catalog, client, service, "", client.port, 1.0, None)
        return [(replace(destination, authority=request.authority), None)]
    rule = route.rule.rule
    if rule.redirect is not None or rule.direct_response is not None:
        return []
    weights = [1] if len(rule.route) == 1 else [item.weight for item in rule.route]
    total = sum(weights)
    pairs: list[tuple[RoutedTo, HTTPRouteDestination | None]] = []
    for index, (item, weight) in enumerate(zip(rule.route, weights, strict=True)):
        if weight > 0:
            place = route.rule.place(f"route[{index}].destination")
            destination = resolve(catalog, client, item.destination, route.rule.namespace, weight / total, place)
            headers = request_headers(rule, item, request)
            authority = sent_authority(rule, item, request)
            # A route of the Gateway API that names nobody answers otherwise than a VirtualService.
            status = 500 if destination.problem == "NC" and route.rule.piece is not None else 503
            destination = replace(destination, status=status, authority=authority, headers=headers)
            pairs.append((destination, item))
    return _hashed_together(pairs)


def _hashed_together(
    pairs: list[tuple[RoutedTo, HTTPRouteDestination | None]],
) -> list[tuple[RoutedTo, HTTPRouteDestination | None]]:
    """Say of a weighted route that what its destinations hash counts for each of them that hashes at all."""
    keys = dict.fromkeys(
        policy.text.rpartition(" (")[0].removeprefix(HASH)
        for destination, _ in pairs
        for policy in destination.policies
        if policy.name == "loadBalancer" and policy.text.startswith(HASH)
    )
    if len(keys) < 2:
        return pairs
    together = f"{HASH}{' and '.join(keys)} together"
    return [
        (replace(destination, policies=tuple(_hashing(policy, together) for policy in destination.policies)), item)
        for destination, item in pairs
    ]


def _hashing(policy: Policy, together: str) -> Policy:
    if policy.name != "loadBalancer" or not policy.text.startswith(HASH):
        return policy
    table = policy.text.rpartition(" (")[2].removesuffix(")")
    return replace(policy, text=f"{together}, as a weighted route has one list of them ({table})")


def _mirrors(catalog: Catalog, client: Client, route: Candidate | None) -> list[RoutedTo]:
    """Where copies go; a copy for which there is no cluster is not made."""
    if route is None or route.rule.rule.redirect is not None or route.rule.rule.direct_response is not None:
        return []
    rule, owner = route.rule.rule, route.rule.namespace
    mirrors = []
    if rule.mirror is not None and mirror_percent(rule) > 0:
        share = min(1.0, mirror_percent(rule) / 100)
        mirrors.append(resolve(catalog, client, rule.mirror, owner, share, route.rule.place("mirror")))
    for index, mirror in enumerate(rule.mirrors):
        share = min(1.0, percent_of(mirror.percentage, 100) / 100)
        if mirror.destination is not None and share > 0:
            place = route.rule.place(f"mirrors[{index}]")
            mirrors.append(resolve(catalog, client, mirror.destination, owner, share, place))
    return mirrors


def _decision(route: Candidate | None, service: KnownService | None) -> str:
    if route is None:
        assert service is not None
        return f"No rule routes requests for {service.hostname} here, so the service itself is the destination."
    rule = route.rule
    name = f" {rule.rule.name!r}" if rule.rule.name else ""
    entry = f", match[{route.entry}]" if route.entry is not None and len(rule.rule.match) > 1 else ""
    entry = f", matches[{rule.match}]" if rule.match >= 0 else entry
    place: Place = rule.place()
    return f"Chosen: {rule.object} {rule.kind}[{rule.number}]{name}{entry} ({place})."
