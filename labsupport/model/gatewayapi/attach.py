"""Which hosts a route is for: its parents, and routes of one place and host merged into one rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from pydantic import PrivateAttr

from labsupport.model.gatewayapi.binding import Binding, bindings_of
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.rules import Piece, by_precedence, pieces
from labsupport.model.hosts import CLUSTER_DOMAIN
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.gatewayapi.shared import ParentReference
from labsupport.model.kinds.virtualservice import VirtualService

__all__ = ["ConvertedRule", "convert", "host_of", "is_mesh_parent"]

_Part = tuple[HTTPRoute, float, Sequence[Piece]]


class ConvertedRule(VirtualService):
    """A VirtualService that stands for routes of one host, of one namespace and port in the mesh or at one listener.

    Its ``creation_timestamp`` is that of the oldest route.
    """

    _pieces: tuple[Piece, ...] = PrivateAttr(default=())

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Where each of its ``http`` rules comes from."""
        return self._pieces

    @property
    def created(self) -> float:
        """Its age, in seconds since the epoch."""
        stamp = self.metadata.creation_timestamp
        return stamp.timestamp() if stamp is not None else 0.0

    @property
    def label(self) -> str:
        """The routes as people name them, such as ``HTTPRoute/web``."""
        return ", ".join(f"HTTPRoute/{route.name}" for route in self.routes)

    @property
    def routes(self) -> tuple[HTTPRoute, ...]:
        """The routes it stands for, each once."""
        return tuple({id(piece.route): piece.route for piece in self.pieces}.values())


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


def convert(routes: Iterable[tuple[HTTPRoute, float]], facts: Facts) -> tuple[ConvertedRule, ...]:
    """Convert the routes of a mesh and of its Gateways.

    Args:
        routes: with their age in seconds since the epoch.
        facts: what they may refer to.

    Returns:
        the rules, one for each namespace, port and host in the mesh, and for each listener and host at Gateways.
    """
    # istiod compares names that have more behind this mark.
    listed = sorted(routes, key=lambda item: (item[1], item[0].namespace, f"{item[0].name}~"))
    merged: dict[tuple[str, str, str], list[_Part]] = {}
    for route, created in listed:
        for key, own in _placed(route, facts):
            if own:
                merged.setdefault(key, []).append((route, created, own))
    return tuple(_merged(*key, parts) for key, parts in merged.items())


def _placed(route: HTTPRoute, facts: Facts) -> Iterator[tuple[tuple[str, str, str], Sequence[Piece]]]:
    """For each place of a route its rules; a place has a name, a gateway and a host."""
    parents = route.spec.parent_refs
    in_mesh = pieces(route, facts)[0] if any(map(is_mesh_parent, parents)) else []
    for parent in filter(is_mesh_parent, parents):
        own = in_mesh if parent.port is None else [piece.at_port(parent.port) for piece in in_mesh]
        for host in host_of(parent, route.namespace, facts) or ():
            port = [str(parent.port)] if parent.port else []
            yield ("~".join([route.namespace, *port, host]), "mesh", host), own
    sections: dict[str, Binding] = {}
    for parent in parents:
        for binding in bindings_of(parent, route.kind, route.spec.hostnames, route.namespace, facts):
            if binding.denied is None:
                sections[binding.section.internal_name] = binding
    at_gateways = pieces(route, facts, granted=True)[0] if sections else []
    for name, binding in sorted(sections.items()):
        for host in dict.fromkeys(route.spec.hostnames or ("*",)):
            if binding.takes(host):
                yield (f"{name.replace('/', '~')}~{host}", name, host), at_gateways


def _merged(name: str, gateway: str, host: str, parts: Sequence[_Part]) -> ConvertedRule:
    ordered = by_precedence([piece for _, _, own in parts for piece in own])
    route, created, _ = parts[0]
    content = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": route.namespace},
        "spec": {"hosts": [host], "gateways": [gateway], "http": [piece.content for piece in ordered]},
    }
    rule = ConvertedRule.model_validate(content)
    stamp = datetime.fromtimestamp(created, UTC)
    rule = rule.model_copy(update={"metadata": rule.metadata.model_copy(update={"creation_timestamp": stamp})})
    rule._pieces = tuple(ordered)
    rule._origin = route.origin.model_copy(update={"lines": {"spec.hosts": route.origin.line_of("spec.parentRefs")}})
    return rule
