"""Which marks of istiod in Envoy resources stand for an object."""

from __future__ import annotations

from labsupport.controlplane.translate.names import config_ending
from labsupport.model import Resource
from labsupport.model.gatewayapi import ROUTES, Facts, convert

__all__ = ["config_endings"]


def config_endings(resource: Resource, facts: Facts) -> tuple[str, ...]:
    """What config paths end with that name an object, or what istiod makes of it.

    Args:
        resource: the object.
        facts: what routes of the Gateway API may refer to, which says what they become.

    Returns:
        one ending; for a route of the Gateway API one for each namespace, port and host.
    """
    if not isinstance(resource, ROUTES):
        return (config_ending(resource),)
    return tuple(config_ending(rule) for rule in convert([(resource, 0.0)], facts))
