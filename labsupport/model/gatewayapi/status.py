"""What istiod writes into the status of a route: whether its parents take it, and whether all it refers to is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.model.gatewayapi.attach import host_of, is_mesh_parent, parent_text
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.faults import Fault
from labsupport.model.gatewayapi.rules import Route, pieces
from labsupport.model.kinds.gatewayapi.shared import ParentReference
from labsupport.records import JsonObject

__all__ = ["CONTROLLER", "ParentStatus", "status_of"]

CONTROLLER = "istio.io/gateway-controller"
"""The name by which istiod signs a status."""


@dataclass(frozen=True, slots=True)
class ParentStatus:
    """What istiod says of a route and one of its parents.

    Args:
        parent: the reference.
        denied: why the parent does not take the route; None if it does.
        faults: what of the route cannot be resolved.
    """

    parent: ParentReference
    denied: Fault | None = None
    faults: tuple[Fault, ...] = ()

    @property
    def conditions(self) -> tuple[JsonObject, ...]:
        """``Accepted`` and ``ResolvedRefs`` as a status has them, without times."""
        accepted = self.denied or Fault("Accepted", "Route was valid")
        resolved = Fault("ResolvedRefs", "All references resolved")
        if self.faults:
            told = _told(self.faults)
            resolved = Fault(told[0].reason, "; ".join(fault.message for fault in told))
        return (
            _condition("Accepted", accepted, holds=self.denied is None),
            _condition("ResolvedRefs", resolved, holds=not self.faults),
        )


def _told(faults: Sequence[Fault]) -> list[Fault]:
    """The faults that istiod tells: of the last rule that has any, the last of a backend and the last of a mirror."""
    last = faults[-1].path.split(".")[1]
    of_rule = [fault for fault in faults if fault.path.split(".")[1] == last]
    parts = ([fault for fault in of_rule if part in fault.path] for part in ("backendRefs", "filters"))
    return [part[-1] for part in parts if part]


def _condition(name: str, said: Fault, *, holds: bool) -> JsonObject:
    return {"type": name, "status": str(holds), "reason": said.reason, "message": said.message}


def status_of(route: Route, facts: Facts) -> Sequence[ParentStatus]:
    """The status of a route for each of its parents in the mesh, as istiod orders them.

    Args:
        route: with its namespace.
        facts: what it may refer to.
    """
    parents = [parent for parent in route.spec.parent_refs if is_mesh_parent(parent)]
    faults = tuple(pieces(route, facts)[1]) if parents else ()
    return sorted(
        (ParentStatus(parent, _denied(parent, route.namespace, facts), faults) for parent in parents),
        key=lambda entry: parent_text(entry.parent, route.namespace),
        reverse=True,
    )


def _denied(parent: ParentReference, namespace: str, facts: Facts) -> Fault | None:
    if host_of(parent, namespace, facts) is not None:
        return None
    what = "service" if parent.kind == "Service" else "service entry"
    return Fault("NoMatchingParent", f'parent {what}: "{parent.name}" not found')
