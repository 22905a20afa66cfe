"""Routes at the listeners of Gateways: who takes whom, and for which hosts; the same for all kinds of routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.faults import Fault
from labsupport.model.gatewayapi.listeners import Section
from labsupport.model.hosts import is_wildcard, matches, subset_of
from labsupport.model.kinds.gatewayapi.shared import GROUP, ParentReference, RouteResource

__all__ = ["Binding", "bindings_of", "is_gateway_parent", "taken_at"]


@dataclass(frozen=True, slots=True)
class Binding:
    """A route at a listener.

    Args:
        section: the listener.
        denied: why it does not take the route; None if it does.
        others: hosts of other listeners of this port and protocol, which keep what is theirs.
    """

    section: Section
    denied: Fault | None
    others: frozenset[str]

    def takes(self, host: str) -> bool:
        """Whether requests for a host of the route come in here, and not at a listener that fits better."""
        own = self.section.hostname
        if own and not is_wildcard(own):
            return True
        if own and not matches(host, own):
            return False
        return not any(len(own) <= len(other) and subset_of(host, other) for other in self.others)


def is_gateway_parent(parent: ParentReference) -> bool:
    """Whether a parent is a Gateway of the Gateway API."""
    return (parent.group, parent.kind) == (GROUP, "Gateway")


def bindings_of(parent: ParentReference, route: RouteResource, facts: Facts) -> list[Binding]:
    """What becomes of a route at each listener of a parent.

    Args:
        parent: a reference to a Gateway.
        route: the route, with its namespace.
        facts: what there is.

    Returns:
        one for each listener, those that the reference does not mean included; none if there is no such Gateway.
    """
    if not is_gateway_parent(parent):
        return []
    key = (parent.namespace or route.namespace, parent.name)
    sections = [section for section in facts.sections if (section.namespace, section.gateway) == key]
    return [Binding(section, _denied(section, parent, route), _others(section, sections)) for section in sections]


def taken_at(route: RouteResource, facts: Facts) -> list[Binding]:
    """The listeners of all its parents that take a route; one that two parents mean is there twice.

    Args:
        route: the route, with its namespace.
        facts: what there is.
    """
    found = (binding for parent in route.parents for binding in bindings_of(parent, route, facts))
    return [binding for binding in found if binding.denied is None]


def _others(section: Section, sections: Sequence[Section]) -> frozenset[str]:
    same = (item for item in sections if (item.port, item.protocol) == (section.port, section.protocol))
    return frozenset(item.hostname for item in same) - {section.hostname}


def _denied(section: Section, parent: ParentReference, route: RouteResource) -> Fault | None:
    if parent.port is not None and parent.port != section.port:
        return Fault("NoMatchingParent", f"port {parent.port} not found")
    if parent.section_name and parent.section_name != section.name:
        return Fault("NoMatchingParent", f'sectionName "{parent.section_name}" not found')
    common = {
        space
        for host in route.hosts or ("*",)
        for text in section.hosts
        for space, _, own in (text.partition("/"),)
        if matches(own, host)
    }
    if not common:
        return Fault("NoMatchingListenerHostname", f'no hostnames matched parent hostname "{section.hostname}"')
    if not common & {"*", route.namespace}:
        told = f'but namespace "{route.namespace}" is not allowed by the parent'
        return Fault("NotAllowedByListeners", f'hostnames matched parent hostname "{section.hostname}", {told}')
    if route.kind not in section.kinds:
        return Fault("NotAllowedByListeners", f"kind {GROUP}/v1/{route.kind} is not allowed")
    return None
