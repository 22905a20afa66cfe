"""What of a mesh counts for routes: which Services, hosts and listeners there are, and what may be referred to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from labsupport.model.gatewayapi.listeners import Section, sections_of
from labsupport.model.gatewayapi.surroundings import Grants, Surroundings, grants_of, permits
from labsupport.model.hosts import CLUSTER_DOMAIN
from labsupport.model.kinds.core import Service
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway
from labsupport.model.kinds.serviceentry import ServiceEntry
from labsupport.model.schema.base import Resource

__all__ = ["Facts"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What routes may refer to.

    Args:
        services: namespace and name of each Service.
        entries: namespace, name and hosts of each ServiceEntry.
        hosts: host and namespace of all of them.
        sections: listeners of Gateways.
        grants: who may refer to objects of other namespaces.
    """

    services: frozenset[tuple[str, str]]
    entries: frozenset[tuple[str, str, tuple[str, ...]]]
    hosts: frozenset[tuple[str, str]]
    sections: tuple[Section, ...] = ()
    grants: Grants = field(default=frozenset())

    @classmethod
    def of(cls, objects: Iterable[Resource], *, namespace: str = "") -> Self:
        """Collect them.

        Args:
            objects: all objects.
            namespace: the namespace of objects that name none.
        """
        objects = list(objects)
        services, entries = set(), set()
        hosts: set[tuple[str, str]] = set()
        for resource in objects:
            owner = resource.namespace or namespace
            key = (owner, resource.name)
            if isinstance(resource, Service):
                services.add(key)
                hosts.add((f"{resource.name}.{owner}.svc.{CLUSTER_DOMAIN}", owner))
            elif isinstance(resource, ServiceEntry):
                entries.add((*key, tuple(resource.spec.hosts)))
                hosts |= {(host, owner) for host in resource.spec.hosts}
        sections: tuple[Section, ...] = ()
        if any(isinstance(resource, KubernetesGateway) for resource in objects):
            sections = sections_of(objects, Surroundings.of(objects, namespace), namespace)
        grants = grants_of(objects, namespace)
        return cls(frozenset(services), frozenset(entries), frozenset(hosts), sections, grants)

    def granted(self, kind: str, namespace: str, target: tuple[str, str, str, str]) -> bool:
        """Whether a route may refer to an object of another namespace.

        Args:
            kind: of the route.
            namespace: of the route.
            target: group, kind, namespace and name of the object.
        """
        group, other, space, name = target
        return not group and permits(self.grants, (kind, namespace), (other, space, name))

    def entry_hosts(self, namespace: str, name: str) -> tuple[str, ...] | None:
        """Hosts of a ServiceEntry; None if there is none of that name."""
        return next((hosts for space, own, hosts in self.entries if (space, own) == (namespace, name)), None)
