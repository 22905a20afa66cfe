"""Listeners of Gateways of the Gateway API as Gateways of Istio, one for each, as istiod makes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import PrivateAttr

from labsupport.model.gatewayapi.listeners import Section
from labsupport.model.kinds.gateway import Gateway
from labsupport.model.kinds.gatewayapi.gateway import KubernetesGateway

__all__ = ["ConvertedGateway", "convert_gateways"]


class ConvertedGateway(Gateway):
    """A Gateway of Istio that stands for a listener; it is for the pods of Services instead of those with labels."""

    _section: Section = PrivateAttr()

    @property
    def created(self) -> float:
        """Its age, in seconds since the epoch."""
        stamp = self.metadata.creation_timestamp
        return stamp.timestamp() if stamp is not None else 0.0

    @property
    def section(self) -> Section:
        """The listener."""
        return self._section


def convert_gateways(
    sections: Iterable[Section], gateways: Iterable[tuple[KubernetesGateway, float]]
) -> list[ConvertedGateway]:
    """Convert listeners; those that nobody listens for are passed over.

    Args:
        sections: of all Gateways.
        gateways: the Gateways, in their namespaces, with their age in seconds since the epoch.
    """
    owners = {(item.namespace, item.name): (item, age) for item, age in gateways}
    return [_converted(item, *owners[item.namespace, item.gateway]) for item in sections if item.valid]


def _converted(section: Section, owner: KubernetesGateway, created: float) -> ConvertedGateway:
    namespace, _, name = section.internal_name.partition("/")
    server = {
        "port": {"number": section.port, "name": "default", "protocol": section.protocol},
        "hosts": list(section.hosts),
    }
    if section.tls is not None:
        server["tls"] = section.tls.content
    content = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"servers": [server]},
    }
    gateway = ConvertedGateway.model_validate(content)
    stamp = datetime.fromtimestamp(created, UTC)
    gateway = gateway.model_copy(update={"metadata": gateway.metadata.model_copy(update={"creation_timestamp": stamp})})
    gateway._section = section
    gateway._origin = owner.origin
    return gateway
