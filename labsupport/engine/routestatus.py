"""What istiod says of routes of the Gateway API in their status, told where somebody applies or looks at them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from labsupport import words
from labsupport.engine.gatewayservices import ADDRESS, with_gateway_services
from labsupport.model import Resource, Service
from labsupport.model.gatewayapi import ROUTES, Facts, Route, status_of
from labsupport.model.gatewayapi.attach import is_mesh_parent
from labsupport.model.gatewayapi.binding import is_gateway_parent
from labsupport.model.gatewayapi.doorstatus import gateway_status, listener_faults
from labsupport.model.gatewayapi.faults import Fault
from labsupport.model.gatewayapi.listeners import made_name
from labsupport.model.gatewayapi.rules import by_precedence, pieces
from labsupport.model.gatewayapi.surroundings import CONTROLLER, REMOTE, Surroundings
from labsupport.model.hosts import CLUSTER_DOMAIN
from labsupport.model.kinds.gatewayapi.filters import GRPCFilter, HTTPFilter
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute, HTTPRouteRule
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCRoute, GRPCRouteRule, L4RouteRule
from labsupport.model.kinds.gatewayapi.shared import BackendObjectReference
from labsupport.records import JsonObject

__all__ = [
    "conditions",
    "conditions_in",
    "facts_for_routes",
    "route_notes",
    "shown_with",
    "status_content",
    "with_status",
]

_ANSWERED = "its share gets 500"
_SHARE = dict.fromkeys(("TCPRoute", "TLSRoute"), "its share of the connections is closed")
_WITH_STATUS = (*ROUTES, KubernetesGateway)


def facts_for_routes(objects: Sequence[Resource]) -> Facts:
    """What the routes and Gateways among the objects may refer to; where there is none, nothing is looked up.

    Args:
        objects: all objects, with their namespaces.
    """
    return Facts.of(objects if any(isinstance(resource, _WITH_STATUS) for resource in objects) else ())


def route_notes(news: Iterable[Resource], objects: Sequence[Resource]) -> list[str]:
    """What of new routes and Gateways is not accepted or not resolved, and what follows from it.

    Args:
        news: what was applied.
        objects: all objects, with their namespaces.
    """
    concerned = [resource for resource in news if isinstance(resource, _WITH_STATUS)]
    if not concerned:
        return []
    objects = with_gateway_services(objects)
    facts = Facts.of(objects)
    services = {(item.namespace, item.name): item for item in objects if isinstance(item, Service)}
    notes: list[str] = []
    for resource in concerned:
        if isinstance(resource, KubernetesGateway):
            notes += _gateway_notes(resource, objects)
            continue
        told = (
            *_notes(resource, facts),
            *_missing(resource, objects),
            *_ports(resource, services),
            *_backends(resource, services),
            *_idle(resource, facts),
        )
        notes += [f"{resource.kind}/{resource.name} {text}" for text in told]
    return notes


def _missing(route: Route, objects: Sequence[Resource]) -> Iterator[str]:
    """Parents that are no Gateway: istiod says nothing of them, as they could be another controller's."""
    there = {(item.namespace, item.name) for item in objects if isinstance(item, KubernetesGateway)}
    for index, parent in enumerate(route.spec.parent_refs):
        owner = parent.namespace or route.namespace
        if is_gateway_parent(parent) and (owner, parent.name) not in there:
            told = f"there is no Gateway {parent.name} of the Gateway API in namespace {owner}"
            yield f"spec.parentRefs[{index}]: {told}; nothing is routed by it there"


def _gateway_notes(gateway: KubernetesGateway, objects: Sequence[Resource]) -> Iterator[str]:
    name = f"{gateway.called}/{gateway.name}"
    if Surroundings.of(objects).classes.get(gateway.spec.gateway_class_name) not in (CONTROLLER, REMOTE):
        yield f"{name}: no controller takes care of the class {gateway.spec.gateway_class_name}, so nobody listens"
    for listener, condition, fault in listener_faults(gateway, objects):
        holds = "True" if condition == "Conflicted" else "False"
        follows = "some routes are not taken" if fault.reason == "InvalidRouteKinds" else "nobody listens there"
        yield f"{name}, listener {listener}: {condition} is {holds} {_told(fault)}; {follows}"


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
    counts: dict[Fault, bool] = {}
    for status in status_of(route, facts):
        if status.denied is not None:
            yield f"spec.parentRefs: Accepted is False {_told(status.denied)}; nothing is routed by it there"
        if status.faults:
            made, _ = pieces(route, facts, granted=not is_mesh_parent(status.parent))
            counts |= dict.fromkeys(status.faults, bool(made))
    for fault, routed in counts.items():
        share = "no copies are sent" if "filters" in fault.path else _SHARE.get(route.kind, _ANSWERED)
        follows = share if routed else "the whole route counts for nothing"
        yield f"{fault.path}: ResolvedRefs is False {_told(fault)}; {follows}"


def _told(fault: Fault) -> str:
    """What istiod says of it, of which some is a sentence, some a clause."""
    return f"({fault.reason}), {fault.message.rstrip('.')}"


def status_content(
    resource: Route | KubernetesGateway, facts: Facts, objects: Sequence[Resource], *, time: str = ""
) -> JsonObject:
    """The status of a route or Gateway as istiod writes it.

    Args:
        resource: with its namespace.
        facts: what it may refer to.
        objects: all objects, with their namespaces.
        time: when it came into force, as ``lastTransitionTime``; left out if that is empty.
    """
    stamp = {"lastTransitionTime": time} if time else {}
    if isinstance(resource, KubernetesGateway):
        services = [item for item in with_gateway_services(objects) if isinstance(item, Service)]
        opened = {
            f"{item.name}.{item.namespace}.svc.{CLUSTER_DOMAIN}": [port.port for port in item.spec.ports]
            for item in services
        }
        balanced = any(
            (item.namespace, item.name, item.spec.type) == (resource.namespace, made_name(resource), "LoadBalancer")
            for item in services
        )
        external = ADDRESS if balanced else ""
        status = gateway_status(resource, objects, facts, opened=opened, external=external)
        for part in (status, *status.get("listeners", ())):
            part["conditions"] = [{**condition, **stamp} for condition in part.get("conditions", ())]
        return status
    return {
        "parents": [
            {
                "parentRef": entry.parent.model_dump(mode="json", by_alias=True, exclude_unset=True),
                "controllerName": CONTROLLER,
                "conditions": [{**condition, **stamp} for condition in entry.conditions],
            }
            for entry in status_of(resource, facts)
        ]
    }


def with_status(resources: Sequence[Resource], objects: Callable[[], Sequence[Resource]]) -> list[Resource]:
    """Objects as they are shown: routes and Gateways of the Gateway API with their status.

    Args:
        resources: the objects.
        objects: asks for all objects; called if there is one of these.
    """
    if not any(isinstance(resource, _WITH_STATUS) for resource in resources):
        return list(resources)
    every = objects()
    facts = Facts.of(every)
    return [
        shown_with(resource, status_content(resource, facts, every)) if isinstance(resource, _WITH_STATUS) else resource
        for resource in resources
    ]


def shown_with(resource: Resource, status: JsonObject) -> Resource:
    """An object as it is shown.

    Args:
        resource: as it was written.
        status: what istiod says of it.
    """
    shown = resource.model_copy()
    raw = resource.raw or resource.model_dump(mode="json", by_alias=True, exclude_unset=True)
    # Only what is shown has it: the status is nobody's to apply.
    shown._raw = {**raw, "status": status}
    return shown


def conditions(resource: Resource, facts: Facts, objects: Sequence[Resource]) -> tuple[str, ...]:
    """The conditions in the status of a route or Gateway, each as ``Accepted: True (Accepted)``; none for others.

    Args:
        resource: the object.
        facts: what it may refer to.
        objects: all objects, with their namespaces.
    """
    if not isinstance(resource, _WITH_STATUS):
        return ()
    return conditions_in(status_content(resource, facts, objects))


def conditions_in(status: JsonObject) -> tuple[str, ...]:
    """The conditions in a status, each as ``Accepted: True (Accepted)``; of listeners only those that are wrong.

    Args:
        status: of a route or Gateway.
    """
    listed = [("", item) for entry in (status, *status.get("parents", ())) for item in entry.get("conditions", ())]
    for listener in status.get("listeners", ()):
        # A fault, or that it lost.
        listed += [
            (f"listener {listener['name']}: ", item)
            for item in listener["conditions"]
            if (item["status"] == "True") == (item["type"] == "Conflicted")
        ]
    texts = (f"{where}{item['type']}: {item['status']} ({item['reason']})" for where, item in listed)
    return tuple(dict.fromkeys(texts))
