"""Where a rule of a route sends requests or connections, and what it does to headers on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from labsupport.model.gatewayapi.faults import Fault, InvalidRouteError
from labsupport.model.gatewayapi.filters import header_operations
from labsupport.model.kinds.gatewayapi.filters import GRPCFilter, HTTPFilter
from labsupport.model.kinds.gatewayapi.httproute import HTTPBackendRef
from labsupport.model.kinds.gatewayapi.otherroutes import GRPCBackendRef
from labsupport.model.kinds.gatewayapi.shared import BackendRef
from labsupport.records import JsonObject

__all__ = ["Find", "change_headers", "destinations"]

Find = Callable[..., tuple[JsonObject, Fault | None]]
"""``backend`` for one route: asked with a reference and its ``path``."""


def change_headers(content: JsonObject, entry: HTTPFilter | GRPCFilter, path: str) -> None:
    """Write a filter that changes headers into a rule or a destination; no other filter is left for these."""
    if entry.request_header_modifier is not None:
        content.setdefault("headers", {})["request"] = header_operations(entry.request_header_modifier)
    elif entry.response_header_modifier is not None:
        content.setdefault("headers", {})["response"] = header_operations(entry.response_header_modifier)
    else:
        raise InvalidRouteError("InvalidFilter", f'unsupported filter type "{entry.type}"', path)


def destinations(references: Sequence[BackendRef], find: Find) -> tuple[list[JsonObject], list[Fault]]:
    """``route`` of a VirtualService, without what has weight 0.

    Args:
        references: ``backendRefs`` of a rule.
        find: finds what they refer to.

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
        target, fault = find(reference, path=path)
        faults += [fault] if fault is not None else []
        destination: JsonObject = {"destination": target, "weight": reference.weight if len(kept) > 1 else 0}
        for entry in reference.filters if isinstance(reference, HTTPBackendRef | GRPCBackendRef) else ():
            change_headers(destination, entry, path)
        listed.append(destination)
    return listed, faults
