"""Which hosts a route is for: its parents, and routes of one place and host merged into one rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from pydantic import PrivateAttr

from labsupport.model.gatewayapi.binding import Binding, taken_at
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.layer4 import at_listener, at_parent
from labsupport.model.gatewayapi.listeners import MADE, Section
from labsupport.model.gatewayapi.rules import Piece, Route, by_precedence, pieces
from labsupport.model.hosts import CLUSTER_DOMAIN, intersection
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCRoute, TCPRoute, TLSRoute
from labsupport.model.kinds.gatewayapi.shared import ParentReference
from labsupport.model.kinds.virtualservice import VirtualService

__all__ = ["ConvertedRule", "convert", "host_of", "is_mesh_parent", "parent_text"]

_Part = tuple[Route, float, Sequence[Piece]]


class ConvertedRule(VirtualService):
    """A VirtualService that stands for routes of one host, of one namespace and port in the mesh or at one listener.

    HTTPRoutes and GRPCRoutes are put together; of a TCPRoute or TLSRoute it has one host. Its ``creation_timestamp`` is
    that of the oldest route.
    """

    _pieces: tuple[Piece, ...] = PrivateAttr(default=())
    _routes: tuple[Route, ...] = PrivateAttr(default=())

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Where each of its ``http``, ``tcp`` or ``tls`` rules comes from."""
        return self._pieces

    @property
    def created(self) -> float:
        """Its age, in seconds since the epoch."""
        stamp = self.metadata.creation_timestamp
        return stamp.timestamp() if stamp is not None else 0.0

    @property
    def label(self) -> str:
        """The routes as people name them, such as ``HTTPRoute/web``."""
        return ", ".join(f"{route.kind}/{route.name}" for route in self.routes)

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes it stands for, each once."""
        return self._routes


def is_mesh_parent(parent: ParentReference) -> bool:
    """Whether a parent is a host of the mesh rather than a Gateway."""
    return (parent.group, parent.kind) in (("", "Service"), ("networking.istio.io", "ServiceEntry"))


def host_of(parent: ParentReference, namespace: str, facts: Facts) -> tuple[str, ...] | None:
    """Hosts of the mesh that a parent stands for.

    Args:
        parent: a reference to a Service or ServiceEntry.
        namespace: of the route.
        facts: what there is.

    Returns:
        the hosts; None if there is no such object.
    """
    owner = parent.namespace or namespace
    if parent.kind == "Service":
        known = (owner, parent.name) in facts.services
        return (f"{parent.name}.{owner}.svc.{CLUSTER_DOMAIN}",) if known else None
    return facts.entry_hosts(owner, parent.name)


def parent_text(parent: ParentReference, namespace: str) -> str:
    """A parent as text, by which istiod sorts them.

    Args:
        parent: the reference.
        namespace: of the route.
    """
    own = f"{parent.group}/{parent.kind}/{parent.name}/{parent.section_name}/{parent.port or 0}"
    return f"{own}.{parent.namespace or namespace}"


def convert(routes: Iterable[tuple[Route, float]], facts: Facts) -> tuple[ConvertedRule, ...]:
    """Convert the routes of a mesh and of its Gateways.

    Args:
        routes: with their age in seconds since the epoch.
        facts: what they may refer to.

    Returns:
        the rules: of HTTPRoutes and GRPCRoutes one for each namespace, port and host in the mesh, and for each listener
        and host at Gateways; of other routes one for each host of each parent.
    """
    # istiod compares names that have more behind this mark, so that web-2 comes before web.
    listed = sorted(routes, key=lambda item: (item[1], item[0].namespace, f"{item[0].name}~"))
    merged: dict[tuple[str, str, str], list[_Part]] = {}
    rules: list[ConvertedRule] = []
    for route, created in listed:
        if isinstance(route, TCPRoute | TLSRoute):
            rules += _connections(route, created, facts)
            continue
        for key, own in _placed(route, facts):
            if own:
                merged.setdefault(key, []).append((route, created, own))
    for (name, gateway, host), parts in merged.items():
        ordered = by_precedence([piece for _, _, own in parts for piece in own])
        rules.append(_rule(name, (gateway, host), "http", parts[0][:2], ordered))
    return tuple(rules)


def _sections(route: Route, facts: Facts) -> list[Binding]:
    """The listeners that take a route, by name."""
    taken = {binding.section.internal_name: binding for binding in taken_at(route, facts)}
    return [binding for _, binding in sorted(taken.items())]


def _placed(route: HTTPRoute | GRPCRoute, facts: Facts) -> Iterator[tuple[tuple[str, str, str], Sequence[Piece]]]:
    """For each place of a route its rules; a place has a name, a gateway and a host."""
    parents = route.spec.parent_refs
    in_mesh = pieces(route, facts)[0] if any(map(is_mesh_parent, parents)) else []
    for parent in filter(is_mesh_parent, parents):
        own = in_mesh if parent.port is None else [piece.at_port(parent.port) for piece in in_mesh]
        for host in host_of(parent, route.namespace, facts) or ():
            port = [str(parent.port)] if parent.port else []
            yield ("~".join([route.namespace, *port, host]), "mesh", host), own
    sections = _sections(route, facts)
    at_gateways = pieces(route, facts, granted=True)[0] if sections else []
    for binding in sections:
        name = binding.section.internal_name
        for host in dict.fromkeys(route.spec.hostnames or ("*",)):
            if binding.takes(host):
                yield (f"{name.replace('/', '~')}~{host}", name, host), at_gateways


def _connections(route: TCPRoute | TLSRoute, created: float, facts: Facts) -> Iterator[ConvertedRule]:
    """The rules of a route of connections: one for each host of each parent, even if nothing is left of the route."""
    kind = "tls" if isinstance(route, TLSRoute) else "tcp"
    for number, (gateway, host, own) in enumerate(_connected(route, facts)):
        yield _rule(f"{route.name}~{kind}~{number}~{MADE}", (gateway, host), kind, (route, created), own)


def _connected(route: TCPRoute | TLSRoute, facts: Facts) -> Iterator[tuple[str, str, Sequence[Piece]]]:
    """Gateway, host and rules for each host of each parent, in the order of istiod, which numbers them."""
    sections = _sections(route, facts)
    at_gateways = pieces(route, facts, granted=True)[0] if sections else []
    before = [item for binding in sections for item in _at_listener(route, binding.section, at_gateways)]
    yield from (item for item in before if item[0] < "mesh")
    parents = [parent for parent in route.spec.parent_refs if is_mesh_parent(parent)]
    in_mesh = pieces(route, facts)[0] if parents else []
    for parent in sorted(parents, key=lambda parent: parent_text(parent, route.namespace)):
        hosts = host_of(parent, route.namespace, facts) or ()
        for host in hosts:
            tls = isinstance(route, TLSRoute)
            at = partial(at_parent, tls=tls, port=parent.port, host=host, hosts=hosts)
            yield "mesh", host, [replace(piece, content=at(piece.content)) for piece in in_mesh]
    yield from (item for item in before if item[0] > "mesh")


def _at_listener(
    route: TCPRoute | TLSRoute, section: Section, listed: Sequence[Piece]
) -> Iterator[tuple[str, str, Sequence[Piece]]]:
    if isinstance(route, TCPRoute):
        yield section.internal_name, "*", listed
        return
    hosts: Sequence[str] = route.spec.hostnames or ("*",)
    if section.hostname:
        hosts = intersection(hosts, [section.hostname])
        narrowed = [replace(piece, content=at_listener(piece.content, section.hostname)) for piece in listed]
        listed = [piece for piece in narrowed if piece.content["match"] == [] or piece.content["match"][0]["sniHosts"]]
    for host in hosts:
        yield section.internal_name, host, listed


def _rule(
    name: str, place: tuple[str, str], kind: str, oldest: tuple[Route, float], listed: Sequence[Piece]
) -> ConvertedRule:
    route, created = oldest
    gateway, host = place
    content = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": route.namespace},
        "spec": {"hosts": [host], "gateways": [gateway], kind: [piece.content for piece in listed]},
    }
    rule = ConvertedRule.model_validate(content)
    stamp = datetime.fromtimestamp(created, UTC)
    rule = rule.model_copy(update={"metadata": rule.metadata.model_copy(update={"creation_timestamp": stamp})})
    rule._pieces = tuple(listed)
    # A fault may leave nothing of a route of connections.
    rule._routes = tuple({id(piece.route): piece.route for piece in listed}.values()) or (route,)
    rule._origin = route.origin.model_copy(update={"lines": {"spec.hosts": route.origin.line_of("spec.parentRefs")}})
    return rule
