"""Which ``tcp`` or ``tls`` rule a connection follows, in a sidecar and at a gateway."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from labsupport.explain.catalog import Catalog
from labsupport.explain.known import KnownService, place_of
from labsupport.explain.matching import Viewpoint
from labsupport.explain.records import Condition, MatchEntry, Place, RuleKind, RuleTrace, RuleVerdict
from labsupport.explain.scope import rule_hosts
from labsupport.model import VirtualService
from labsupport.model.gatewayapi import ConvertedRule
from labsupport.model.hosts import gateway_name, is_wildcard, matches
from labsupport.model.kinds.virtualservice import (
    L4MatchAttributes,
    RouteDestination,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
)

__all__ = ["ConnectionTraits", "Followed", "about", "bound_to", "follow", "name_rank", "written_as"]


@dataclass(frozen=True, slots=True)
class ConnectionTraits:
    """What rules look at of a connection.

    Args:
        server_name: SNI; empty without TLS.
        addresses: the address that it was opened to, if it is known.
    """

    server_name: str = ""
    addresses: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Followed:
    """The outcome of trying rules in order.

    Args:
        traces: every rule.
        routes: destinations of the rule that took the connection; empty if none did.
        rule: the VirtualService it stands in.
        path: where in it.
    """

    traces: tuple[RuleTrace, ...] = ()
    routes: tuple[RouteDestination, ...] = ()
    rule: VirtualService | None = field(default=None)
    path: str = ""

    def place(self, index: int) -> Place:
        """Where a destination was written."""
        assert self.rule is not None
        return place_of(self.rule, f"{self.path}.route[{index}].destination")


def bound_to(catalog: Catalog, rule: VirtualService, hosts: Sequence[tuple[str, str]]) -> bool:
    """Whether a rule's hosts and those of a Gateway's server, each behind its namespace, have a name in common."""
    owner = catalog.namespace_of(rule)
    return any(matches(host, own) for space, host in hosts if space in ("", owner) for own in rule_hosts(catalog, rule))


def written_as(rule: VirtualService, kind: RuleKind, index: int) -> tuple[str, RuleKind, int]:
    """The object that a ``tcp`` or ``tls`` rule was written in, with the list and the number that it has there."""
    if not isinstance(rule, ConvertedRule):
        return f"VirtualService/{rule.name}", kind, index
    piece = rule.pieces[index]
    return f"{piece.route.kind}/{piece.route.name}", "rules", piece.rule


def name_rank(name: str, pattern: str) -> int:
    """How closely a pattern fits a server name, as Envoy prefers filter chains; -1 if it does not."""
    if name == pattern:
        return 1_000
    if pattern == "*":
        return 0
    fits = is_wildcard(pattern) and name.endswith(pattern[1:]) and len(name) >= len(pattern)
    return len(pattern) if fits else -1


def follow(
    catalog: Catalog,
    rules: Sequence[VirtualService],
    kind: RuleKind,
    view: Viewpoint,
    connection: ConnectionTraits,
    *,
    ended: bool = False,
) -> Followed:
    """Try the ``tcp`` or ``tls`` rules of VirtualServices on a connection.

    ``tcp`` rules are tried in order. Of ``tls`` rules the one with the closest server name counts, the older of two
    equals.

    Args:
        catalog: what there is.
        rules: the VirtualServices that are about the connection's host, in order of precedence.
        kind: ``tcp`` or ``tls``.
        view: the proxy that decides.
        connection: the connection.
        ended: whether TLS has ended here, for which TLSRoutes count as TCPRoutes do, whatever their names.
    """
    tried: list[_Tried] = []
    for rule in rules:
        tried += [_tried(catalog, rule, kind, index, view, connection) for index in range(_count(rule, kind))]
        for index, item in enumerate(rule.spec.tls if ended and isinstance(rule, ConvertedRule) else ()):
            tried.append(_Tried(rule, "tls", index, (), tuple(item.route), 0 if item.match else -1, True))
    chosen: tuple[int, _Tried] | None = None
    for each in tried:
        if each.routes and each.rank >= 0 and (chosen is None or (kind == "tls" and each.rank > chosen[0])):
            chosen = (each.rank, each)
    traces = []
    passed = False
    for each in tried:
        verdict: RuleVerdict = "no match"
        if chosen is not None and each is chosen[1]:
            verdict, passed = "chosen", True
        elif not each.applies:
            verdict = "not for this proxy"
        elif each.rank >= 0 or (passed and kind == "tcp"):
            verdict = "not reached"
        traces.append(each.trace(verdict))
    if chosen is None:
        return Followed(tuple(traces))
    best = chosen[1]
    return Followed(tuple(traces), best.routes, best.rule, best.path)


@dataclass(frozen=True, slots=True)
class _Tried:
    rule: VirtualService
    kind: RuleKind
    index: int
    entries: tuple[MatchEntry, ...]
    routes: tuple[RouteDestination, ...]
    rank: int
    applies: bool

    @property
    def path(self) -> str:
        return f"spec.{self.kind}[{self.index}]"

    def trace(self, verdict: RuleVerdict) -> RuleTrace:
        place = place_of(self.rule, self.path)
        owner, kind, number = written_as(self.rule, self.kind, self.index)
        return RuleTrace(owner, number, "", verdict, self.entries, place, kind)


def _count(rule: VirtualService, kind: RuleKind) -> int:
    return len(rule.spec.tls if kind == "tls" else rule.spec.tcp)


def _tried(
    catalog: Catalog, rule: VirtualService, kind: RuleKind, index: int, view: Viewpoint, connection: ConnectionTraits
) -> _Tried:
    item: TCPRoute | TLSRoute = rule.spec.tls[index] if kind == "tls" else rule.spec.tcp[index]
    owner = catalog.namespace_of(rule)
    path = f"spec.{kind}[{index}]"
    entries, rank, applies = [], -1, not item.match
    listed: Sequence[L4MatchAttributes | TLSMatchAttributes] = item.match
    for number, match in enumerate(listed):

        def at(field_name: str, number: int = number) -> Place:
            return place_of(rule, f"{path}.match[{number}]" + (f".{field_name}" if field_name else ""))

        about_proxy = tuple(_about_proxy(match, view, owner, at))
        conditions = [*about_proxy, *_about_connection(match, view, connection, at)]
        entries.append(MatchEntry("", tuple(conditions), at("")))
        applies = applies or all(condition.holds for condition in about_proxy)
        if entries[-1].holds:
            names = match.sni_hosts if isinstance(match, TLSMatchAttributes) else ["*"]
            rank = max(rank, *(name_rank(connection.server_name, name) for name in names))
    # As in istiod, chains are made for matches: a tls rule without any, as of a route without weight, has none.
    if not item.match and kind == "tcp":
        rank = 0
    return _Tried(rule, kind, index, tuple(entries), tuple(item.route), rank, applies)


def _about_proxy(
    match: L4MatchAttributes | TLSMatchAttributes, view: Viewpoint, owner: str, at: Callable[[str], Place]
) -> Iterator[Condition]:
    if match.port:
        yield Condition("port", str(match.port), str(view.port), match.port == view.port, at("port"))
    if match.gateways:
        names = [gateway_name(name, owner) for name in match.gateways]
        yield Condition("gateways", " or ".join(names), view.gateway, view.gateway in names, at("gateways"))
    if view.gateway != "mesh":
        # As in istiod, a gateway does not ask where its own pod comes from.
        return
    for key, value in match.source_labels.items():
        got = view.labels.get(key)
        text = "nothing" if got is None else f'"{got}"'
        yield Condition(f"sourceLabels[{key}]", f'"{value}"', text, got == value, at(f"sourceLabels.{key}"))
    if match.source_namespace:
        holds = match.source_namespace == view.namespace
        yield Condition(
            "sourceNamespace", f'"{match.source_namespace}"', f'"{view.namespace}"', holds, at("sourceNamespace")
        )


def _about_connection(
    match: L4MatchAttributes | TLSMatchAttributes,
    view: Viewpoint,
    connection: ConnectionTraits,
    at: Callable[[str], Place],
) -> Iterator[Condition]:
    if isinstance(match, TLSMatchAttributes):
        name = connection.server_name
        holds = any(name_rank(name, pattern) >= 0 for pattern in match.sni_hosts)
        got = f'"{name}"' if name else "nothing"
        hint = ""
        if not holds and name and any(name_rank(name.lower(), pattern.lower()) >= 0 for pattern in match.sni_hosts):
            hint = "only the case differs"
        yield Condition("sniHosts", " or ".join(match.sni_hosts), got, holds, at("sniHosts"), hint)
    if match.destination_subnets and view.gateway == "mesh":
        holds = any(_inside(address, block) for address in connection.addresses for block in match.destination_subnets)
        got = ", ".join(connection.addresses) or "nothing"
        wanted = " or ".join(match.destination_subnets)
        yield Condition("destinationSubnets", wanted, got, holds, at("destinationSubnets"))


def _inside(address: str, block: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)
    except ValueError:
        return False


def about(catalog: Catalog, rules: Sequence[VirtualService], service: KnownService) -> list[VirtualService]:
    """Those of some VirtualServices that are about a service."""
    return [rule for rule in rules if any(matches(host, service.hostname) for host in rule_hosts(catalog, rule))]
