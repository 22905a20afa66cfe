"""What istiod says of routes of the Gateway API in their status, told where somebody applies or looks at them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from labsupport import words
from labsupport.model import Resource, Service
from labsupport.model.gatewayapi import ROUTES, Facts, Route, status_of
from labsupport.model.gatewayapi.attach import is_mesh_parent
from labsupport.model.gatewayapi.faults import Fault
from labsupport.model.gatewayapi.rules import by_precedence, pieces
from labsupport.model.gatewayapi.status import CONTROLLER
from labsupport.model.kinds.gatewayapi.filters import GRPCFilter, HTTPFilter
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute, HTTPRouteRule
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCRoute, GRPCRouteRule, L4RouteRule
from labsupport.model.kinds.gatewayapi.shared import BackendObjectReference
from labsupport.records import JsonObject

__all__ = ["conditions", "facts_for_routes", "route_notes", "status_content", "with_status"]

_ANSWERED = "its share gets 500"
_SHARE = dict.fromkeys(("TCPRoute", "TLSRoute"), "its share of the connections is closed")


def facts_for_routes(objects: Sequence[Resource]) -> Facts:
    """What the routes among the objects may refer to; where there is no route, nothing is looked up.

    Args:
        objects: all objects, with their namespaces.
    """
    return Facts.of(objects if any(isinstance(resource, ROUTES) for resource in objects) else ())


def route_notes(news: Iterable[Resource], objects: Sequence[Resource]) -> list[str]:
    """What of new routes is not accepted or not resolved, and what follows from it.

    Args:
        news: what was applied.
        objects: all objects, with their namespaces.
    """
    routes = [resource for resource in news if isinstance(resource, ROUTES)]
    facts = Facts.of(objects if routes else ())
    services = {(item.namespace, item.name): item for item in objects if isinstance(item, Service)}
    return [
        f"{route.kind}/{route.name} {text}"
        for route in routes
        for text in (*_notes(route, facts), *_ports(route, services), *_backends(route, services), *_idle(route, facts))
    ]


def _backends(route: Route, services: Mapping[tuple[str, str], Service]) -> Iterator[str]:
    """Backends with a port which their Service lacks: istiod takes the reference as resolved."""
    rules: Sequence[HTTPRouteRule | GRPCRouteRule | L4RouteRule] = route.spec.rules
    for index, rule in enumerate(rules):
        filters: Sequence[HTTPFilter | GRPCFilter] = () if isinstance(rule, L4RouteRule) else rule.filters
        listed: list[tuple[str, BackendObjectReference, str]] = [
            (f"backendRefs[{number}]", reference, _SHARE.get(route.kind, _ANSWERED))
            for number, reference in enumerate(rule.backend_refs)
            if reference.weight
        ]
        listed += [
            (f"filters[{number}]", entry.request_mirror.backend_ref, "no copies are sent")
            for number, entry in enumerate(filters)
            if entry.request_mirror is not None
        ]
        for path, reference, follows in listed:
            service = services.get((reference.namespace or route.namespace, reference.name))
            if service is None or (reference.group, reference.kind) != ("", "Service"):
                continue
            if reference.port not in (ports := [port.port for port in service.spec.ports]):
                has = f"Service/{service.name} has port {words.join(map(str, ports))}, and not {reference.port}"
                yield f"spec.rules[{index}].{path}.port: {has}; {follows}"


def _idle(route: Route, facts: Facts) -> Iterator[str]:
    """Rules that send requests nowhere, and matches that another one takes the requests of."""
    if not isinstance(route, HTTPRoute | GRPCRoute):
        return
    taken: dict[str, str] = {}
    for piece in by_precedence(pieces(route, facts)[0]):
        place = f"spec.rules[{piece.rule}]"
        if "directResponse" in piece.content and not piece.match:
            yield f"{place}: no backend with a weight, and no redirect: every request gets 500"
        match = json.dumps(piece.content.get("match", [{"uri": {"prefix": "/"}}]), sort_keys=True)
        place += f".matches[{piece.match}]" if "match" in piece.content else ""
        if taken.setdefault(match, place) != place:
            yield f"{place}: never reached: {taken[match]} says the same and comes first"


def _ports(route: Route, services: Mapping[tuple[str, str], Service]) -> Iterator[str]:
    """Parents that name a port which their Service lacks: istiod accepts them, and no request comes there."""
    for index, parent in enumerate(route.spec.parent_refs):
        service = services.get((parent.namespace or route.namespace, parent.name)) if is_mesh_parent(parent) else None
        if parent.kind != "Service" or service is None or parent.port is None:
            continue
        ports = [port.port for port in service.spec.ports]
        if parent.port not in ports:
            has = f"Service/{service.name} has port {words.join(map(str, ports))}"
            told = f"{has}; nothing is routed by it at {parent.port}"
            yield f"spec.parentRefs[{index}].port: {told}"


def _notes(route: Route, facts: Facts) -> Iterator[str]:
    for status in status_of(route, facts):
        if status.denied is not None:
            yield f"spec.parentRefs: Accepted is False {_told(status.denied)}; nothing is routed by it there"
    made, faults = pieces(route, facts)
    for fault in faults:
        share = "no copies are sent" if "filters" in fault.path else _SHARE.get(route.kind, _ANSWERED)
        follows = share if made else "the whole route counts for nothing"
        yield f"{fault.path}: ResolvedRefs is False {_told(fault)}; {follows}"


def _told(fault: Fault) -> str:
    """What istiod says of it, of which some is a sentence, some a clause."""
    return f"({fault.reason}), {fault.message.rstrip('.')}"


def status_content(route: Route, facts: Facts, *, time: str = "") -> JsonObject:
    """The status of a route as istiod writes it.

    Args:
        route: with its namespace.
        facts: what it may refer to.
        time: when it came into force, as ``lastTransitionTime``; left out if that is empty.
    """
    stamp = {"lastTransitionTime": time} if time else {}
    return {
        "parents": [
            {
                "parentRef": entry.parent.model_dump(mode="json", by_alias=True, exclude_unset=True),
                "controllerName": CONTROLLER,
                "conditions": [{**condition, **stamp} for condition in entry.conditions],
            }
            for entry in status_of(route, facts)
        ]
    }


def with_status(resources: Sequence[Resource], objects: Callable[[], Sequence[Resource]]) -> list[Resource]:
    """Objects as they are shown: routes of the Gateway API with their status.

    Args:
        resources: the objects.
        objects: asks for all objects; called if there is a route.
    """
    if not any(isinstance(resource, ROUTES) for resource in resources):
        return list(resources)
    facts = Facts.of(objects())
    return [_shown(resource, facts) if isinstance(resource, ROUTES) else resource for resource in resources]


def _shown(route: Route, facts: Facts) -> Route:
    shown = route.model_copy()
    raw = route.raw or route.model_dump(mode="json", by_alias=True, exclude_unset=True)
    # Only what is shown has it: the status is nobody's to apply.
    shown._raw = {**raw, "status": status_content(route, facts)}
    return shown


def conditions(resource: Resource, facts: Facts) -> tuple[str, ...]:
    """The conditions in the status of a route, each as ``Accepted: True (Accepted)``; none for other objects.

    Args:
        resource: the object.
        facts: what it may refer to.
    """
    if not isinstance(resource, ROUTES):
        return ()
    said = (entry.conditions for entry in status_of(resource, facts))
    listed = (f"{item['type']}: {item['status']} ({item['reason']})" for entry in said for item in entry)
    return tuple(dict.fromkeys(listed))
