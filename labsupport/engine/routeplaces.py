"""Where Gateways of the Gateway API listen, and which of them take a route."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labsupport.engine.routestatus import facts_for_routes
from labsupport.model import Resource
from labsupport.model.gatewayapi import ROUTES, Facts, Route, status_of
from labsupport.model.gatewayapi.binding import taken_at

__all__ = ["listened", "parents_told", "taken_by"]


def listened(objects: Sequence[Resource]) -> dict[tuple[str, str], dict[int, str]]:
    """What is spoken on each port that somebody listens on, by namespace and name of a Gateway of the Gateway API.

    Args:
        objects: all objects, with their namespaces.
    """
    ports: dict[tuple[str, str], dict[int, str]] = {}
    for section in facts_for_routes(objects).sections:
        if section.valid:
            ports.setdefault((section.namespace, section.gateway), {}).setdefault(
                section.port, section.protocol.lower()
            )
    return ports


def taken_by(route: Route, facts: Facts) -> set[tuple[str, str]]:
    """Namespace and name of the Gateways that take a route.

    Args:
        route: with its namespace.
        facts: what it may refer to.
    """
    return {(item.section.namespace, item.section.gateway) for item in taken_at(route, facts)}


def parents_told(news: Iterable[Resource], objects: Sequence[Resource]) -> dict[tuple[str, str], int]:
    """Of how many parents of each new route istiod says something in its status, by kind and name.

    Args:
        news: what was applied.
        objects: all objects, with their namespaces.
    """
    facts = facts_for_routes(objects)
    return {(item.kind, item.name): len(status_of(item, facts)) for item in news if isinstance(item, ROUTES)}
