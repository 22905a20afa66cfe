"""What random rules are about: services, names that nobody has, and how a client calls a service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

NETWORKING = "networking.istio.io/v1"


@dataclass(frozen=True)
class Target:
    """A service that rules may be about.

    Args:
        name: of the Service; a host with dots for that of a ServiceEntry.
        ports: that speak HTTP.
        versions: labels ``version`` of its pods.
        namespace: of the Service.
    """

    name: str
    ports: tuple[int, ...]
    versions: tuple[str, ...] = ()
    namespace: str = "default"

    @property
    def host(self) -> str:
        """Its full name."""
        return self.name if "." in self.name else f"{self.name}.{self.namespace}.svc.cluster.local"

    def names(self, namespace: str) -> list[str]:
        """Names that it is called by from a namespace, the usual one first."""
        if "." in self.name:
            return [self.name]
        longer = [f"{self.name}.{self.namespace}", f"{self.name}.{self.namespace}.svc", self.host]
        return [self.name, *longer] if namespace == self.namespace else longer

    def written(self, namespace: str) -> list[str]:
        """Names that mean it in an object of a namespace."""
        return [self.name, self.name, self.host] if namespace == self.namespace else [self.host]


@dataclass(frozen=True)
class World:
    """Everything that sets of random rules have in common.

    Args:
        targets: services with pods.
        empty: one without pods.
        clients: pods that send, with their namespace.
        spaces: namespaces of rules; those named more often are chosen more often.
        labels: pairs that some client's pod has, and some that none has.
        door: a service that can be looked up; requests for hosts that cannot are sent to it with their ``Host``.
        connections: whether there is something behind Services ``sealed`` (TLS) and ``echo`` (TCP).
    """

    targets: Sequence[Target]
    empty: Target
    clients: Sequence[tuple[str, str]] = (("client", "default"),)
    spaces: Sequence[str] = ("default",)
    labels: Sequence[Json] = field(default=({"app": "client"}, {"app": "client"}, {"app": "other"}))
    door: str = "shop"
    connections: bool = False

    def target(self, host: str) -> Target | None:
        """The service of a full name."""
        return next((service for service in (*self.targets, self.empty) if service.host == host), None)


def of_kind(kind: str, name: str, namespace: str, spec: Json) -> Json:
    """An object of Istio's."""
    return {"apiVersion": NETWORKING, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}
