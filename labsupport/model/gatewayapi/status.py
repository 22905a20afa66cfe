"""What istiod writes into the status of a route: whether its parents take it, and whether all it refers to is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.model.gatewayapi.attach import host_of, is_mesh_parent, parent_text
from labsupport.model.gatewayapi.binding import Binding, bindings_of
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.faults import Fault
from labsupport.model.gatewayapi.rules import Route, pieces
from labsupport.model.kinds.gatewayapi.shared import ParentReference
from labsupport.records import JsonObject

__all__ = ["ParentStatus", "status_of"]

# Of what several listeners say, the first of these is told.
_SEVEREST = ("NotAllowedByListeners", "NoMatchingListenerHostname", "NoMatchingParent")


@dataclass(frozen=True, slots=True)
class ParentStatus:
    """What istiod says of a route and one of its parents.

    Args:
        parent: the reference.
        denied: why the parent does not take the route; None if it does.
        taken: how many listeners of the parent take it.
        faults: what of the route cannot be resolved.
    """

    parent: ParentReference
    denied: Fault | None = None
    taken: int = 1
    faults: tuple[Fault, ...] = ()

    @property
    def conditions(self) -> tuple[JsonObject, ...]:
        """``Accepted`` and ``ResolvedRefs`` as a status has them, without times."""
        bound = f", bound to {self.taken} parents" if self.taken > 1 else ""
        accepted = self.denied or Fault("Accepted", f"Route was valid{bound}")
        resolved = Fault("ResolvedRefs", "All references resolved")
        if self.faults:
            told = _told(self.faults)
            resolved = Fault(told[0].reason, "; ".join(fault.message for fault in told))
        return (
            accepted.condition("Accepted", str(self.denied is None)),
            resolved.condition("ResolvedRefs", str(not self.faults)),
        )


def _told(faults: Sequence[Fault]) -> list[Fault]:
    """The faults that istiod tells: of the last rule that has any, the last of a backend and the last of a mirror."""
    last = faults[-1].path.split(".")[1]
    of_rule = [fault for fault in faults if fault.path.split(".")[1] == last]
    parts = ([fault for fault in of_rule if part in fault.path] for part in ("backendRefs", "filters"))
    return [part[-1] for part in parts if part]


def status_of(route: Route, facts: Facts) -> Sequence[ParentStatus]:
    """The status of a route for each of its parents, as istiod orders them; it says nothing of Gateways that are not.

    Args:
        route: with its namespace.
        facts: what it may refer to.
    """
    parents = [parent for parent in route.spec.parent_refs if is_mesh_parent(parent)]
    faults = tuple(pieces(route, facts)[1]) if parents else ()
    listed = [ParentStatus(parent, _denied(parent, route.namespace, facts), 1, faults) for parent in parents]
    found = ((parent, bindings_of(parent, route, facts)) for parent in route.spec.parent_refs)
    bound = [(parent, bindings) for parent, bindings in found if bindings]
    faults = tuple(pieces(route, facts, granted=True)[1]) if bound else ()
    listed += [ParentStatus(parent, *_at_listeners(bindings), faults) for parent, bindings in bound]
    return sorted(listed, key=lambda entry: parent_text(entry.parent, route.namespace), reverse=True)


def _at_listeners(bindings: Sequence[Binding]) -> tuple[Fault | None, int]:
    """Why no listener takes a route, or how many do."""
    taken = sum(binding.denied is None for binding in bindings)
    if taken:
        return None, taken
    faults = [binding.denied for binding in bindings if binding.denied is not None]
    reason = min((fault.reason for fault in faults), key=_SEVEREST.index)
    return Fault(reason, "; ".join(fault.message for fault in faults if fault.reason == reason)), 0


def _denied(parent: ParentReference, namespace: str, facts: Facts) -> Fault | None:
    if host_of(parent, namespace, facts) is not None:
        return None
    what = "service" if parent.kind == "Service" else "service entry"
    return Fault("NoMatchingParent", f'parent {what}: "{parent.name}" not found')
