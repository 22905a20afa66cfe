"""Which marks of istiod in Envoy resources stand for an object."""

from __future__ import annotations

from collections.abc import Iterable

from labsupport.controlplane.translate.names import config_ending
from labsupport.model import Resource
from labsupport.model.gatewayapi import Facts, convert
from labsupport.model.kinds.gatewayapi.httproute import HTTPRoute

__all__ = ["config_endings"]


def config_endings(resource: Resource, objects: Iterable[Resource]) -> tuple[str, ...]:
    """What config paths end with that name an object, or what istiod makes of it.

    Args:
        resource: the object.
        objects: the desired state, which says what a route of the Gateway API becomes.

    Returns:
        one ending; for an HTTPRoute one for each namespace, port and host.
    """
    if not isinstance(resource, HTTPRoute):
        return (config_ending(resource),)
    converted = convert([(resource, 0.0)], Facts.of(objects))
    return tuple(config_ending(rule) for rule in converted.rules)
