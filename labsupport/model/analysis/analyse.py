"""All analyses in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labsupport.model.analysis.others import (
    analyse_destination_rules,
    analyse_gateways,
    analyse_selectors,
    analyse_services,
)
from labsupport.model.analysis.panics import analyse_panics
from labsupport.model.analysis.spellings import analyse_spellings
from labsupport.model.analysis.virtualservices import analyse_virtual_services
from labsupport.model.analysis.world import Note, PodLabels, World
from labsupport.model.schema.base import Resource

__all__ = ["analyse"]


def analyse(objects: Sequence[Resource], *, pods: Iterable[PodLabels] = (), namespace: str = "default") -> list[Note]:
    """Find what does not fit together, as ``istioctl analyze`` does.

    Pods of Deployments count as if they ran; the ingress gateway of the default profile is taken for granted.

    Args:
        objects: every object there is; each valid by itself.
        pods: pods that exist besides those of the objects.
        namespace: the namespace of objects that name none.

    Returns:
        notes in the order of the objects; codes IST0101, IST0109, IST0112, IST0118, IST0127, IST0130, IST0131, IST0132,
        IST0145, IST0173 and IST0174; PROTOCOL for HTTP rules of a port that speaks none, FAULT for faults that do
        nothing, NOTATIONS for a host with a VirtualService and an HTTPRoute, PANIC where istiod itself would fail, and
        OLD for spellings of earlier times.
    """
    world = World(objects, pods, namespace)
    analyse_virtual_services(world)
    analyse_destination_rules(world)
    analyse_gateways(world)
    analyse_selectors(world)
    analyse_services(world)
    analyse_panics(world)
    analyse_spellings(world)
    order = {(entry.kind, world.namespace(entry), entry.name): index for index, entry in enumerate(objects)}
    return sorted(world.notes, key=lambda note: (order[note.kind, note.namespace, note.name], note.path, note.code))
