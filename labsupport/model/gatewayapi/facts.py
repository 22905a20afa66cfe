"""What of a mesh counts for routes: which Services and hosts there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from labsupport.model.hosts import CLUSTER_DOMAIN
from labsupport.model.kinds.core import Service
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
    """

    services: frozenset[tuple[str, str]]
    entries: frozenset[tuple[str, str, tuple[str, ...]]]
    hosts: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, objects: Iterable[Resource], *, namespace: str = "") -> Self:
        """Collect them.

        Args:
            objects: all objects.
            namespace: the namespace of objects that name none.
        """
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
        return cls(frozenset(services), frozenset(entries), frozenset(hosts))

    def entry_hosts(self, namespace: str, name: str) -> tuple[str, ...] | None:
        """Hosts of a ServiceEntry; None if there is none of that name."""
        return next((hosts for space, own, hosts in self.entries if (space, own) == (namespace, name)), None)
