"""Where a rule of a route sends requests or connections, and what it does to headers on the way."""

from __future__ import annotations

from collections.abc import Sequence

from labsupport.model.gatewayapi.backends import Fault, InvalidRouteError, backend
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.filters import header_operations
from labsupport.model.kinds.gatewayapi.filters import GRPCFilter, HTTPFilter
from labsupport.model.kinds.gatewayapi.httproute import HTTPBackendRef
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCBackendRef
from labsupport.model.kinds.gatewayapi.shared import BackendRef
from labsupport.records import JsonObject

__all__ = ["change_headers", "destinations"]


def change_headers(content: JsonObject, entry: HTTPFilter | GRPCFilter, path: str) -> None:
    """Write a filter that changes headers into a rule or a destination; no other filter is left for these."""
    if entry.request_header_modifier is not None:
        content.setdefault("headers", {})["request"] = header_operations(entry.request_header_modifier)
    elif entry.response_header_modifier is not None:
        content.setdefault("headers", {})["response"] = header_operations(entry.response_header_modifier)
    else:
        raise InvalidRouteError("InvalidFilter", f'unsupported filter type "{entry.type}"', path)


def destinations(
    references: Sequence[BackendRef], namespace: str, facts: Facts
) -> tuple[list[JsonObject], list[Fault]]:
    """``route`` of a VirtualService, without what has weight 0.

    Args:
        references: ``backendRefs`` of a rule.
        namespace: of the route.
        facts: what there is.

    Returns:
        the destinations, and the faults for which some of them get nothing.

    Raises:
        InvalidRouteError: the whole route counts for nothing.
    """
    listed: list[JsonObject] = []
    faults: list[Fault] = []
    kept = [(number, reference) for number, reference in enumerate(references) if reference.weight]
    for number, reference in kept:
        path = f"backendRefs[{number}]"
        target, fault = backend(reference, namespace, facts, path)
        faults += [fault] if fault is not None else []
        destination: JsonObject = {"destination": target, "weight": reference.weight if len(kept) > 1 else 0}
        for entry in reference.filters if isinstance(reference, HTTPBackendRef | GRPCBackendRef) else ():
            change_headers(destination, entry, path)
        listed.append(destination)
    return listed, faults
