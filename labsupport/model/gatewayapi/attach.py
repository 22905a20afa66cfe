"""Which hosts a route is for: its parents, and routes of one namespace and host merged into one rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pydantic import PrivateAttr

from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.rules import Piece, by_precedence, pieces
from labsupport.model.hosts import CLUSTER_DOMAIN
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute
from labsupport.model.kinds.gatewayapi.shared import ParentReference
from labsupport.model.kinds.virtualservice import VirtualService

__all__ = ["ConvertedRule", "convert", "host_of", "is_mesh_parent"]


class ConvertedRule(VirtualService):
    """A VirtualService that stands for routes of one namespace, host and port, named by these.

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
    """Convert the routes of a mesh; parents that are Gateways are passed over.

    Args:
        routes: with their age in seconds since the epoch.
        facts: what they may refer to.

    Returns:
        the rules, one for each namespace, port and host.
    """
    listed = sorted(routes, key=lambda item: (item[1], item[0].namespace, item[0].name))
    merged: dict[tuple[str, str], list[tuple[HTTPRoute, float, Sequence[Piece]]]] = {}
    for route, created in listed:
        parents = [parent for parent in route.spec.parent_refs if is_mesh_parent(parent)]
        if not parents:
            continue
        converted, _ = pieces(route, facts)
        for parent in parents:
            own = converted if parent.port is None else [piece.at_port(parent.port) for piece in converted]
            for host in host_of(parent, route.namespace, facts) or () if own else ():
                name = "~".join([route.namespace, *([str(parent.port)] if parent.port else []), host])
                merged.setdefault((name, host), []).append((route, created, own))
    return tuple(_merged(name, host, parts) for (name, host), parts in merged.items())


def _merged(name: str, host: str, parts: Sequence[tuple[HTTPRoute, float, Sequence[Piece]]]) -> ConvertedRule:
    ordered = by_precedence([piece for _, _, own in parts for piece in own])
    route, created, _ = parts[0]
    content = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": route.namespace},
        "spec": {"hosts": [host], "gateways": ["mesh"], "http": [piece.content for piece in ordered]},
    }
    rule = ConvertedRule.model_validate(content)
    stamp = datetime.fromtimestamp(created, UTC)
    rule = rule.model_copy(update={"metadata": rule.metadata.model_copy(update={"creation_timestamp": stamp})})
    rule._pieces = tuple(ordered)
    rule._origin = route.origin.model_copy(update={"lines": {"spec.hosts": route.origin.line_of("spec.parentRefs")}})
    return rule
