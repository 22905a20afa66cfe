"""Listeners of Gateways of the Gateway API as Gateways of Istio, one for each, as istiod makes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pydantic import PrivateAttr

from labsupport.model.gatewayapi.listeners import Section
from labsupport.model.kinds.gateway import Gateway

__all__ = ["ConvertedGateway", "convert_gateways"]


class ConvertedGateway(Gateway):
    """A Gateway of Istio that stands for a listener; it is for the pods of Services instead of those with labels."""

    _section: Section = PrivateAttr()

    @property
    def section(self) -> Section:
        """The listener."""
        return self._section


def convert_gateways(sections: Iterable[Section], ages: Mapping[tuple[str, str], float]) -> list[ConvertedGateway]:
    """Convert listeners; those that nobody listens for are passed over.

    Args:
        sections: of all Gateways.
        ages: of Gateways, in seconds since the epoch, by namespace and name.
    """
    return [_converted(item, ages[item.namespace, item.gateway]) for item in sections if item.valid]


def _converted(section: Section, created: float) -> ConvertedGateway:
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
    return gateway
