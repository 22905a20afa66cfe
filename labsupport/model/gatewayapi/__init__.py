"""The Gateway API as Gateways and VirtualServices: what istiod makes of it before it translates anything.

The step lies below the translation and the explanation, so that both go by it; golden files of istiod and requests
through real Envoys hold it.
"""

from __future__ import annotations

from labsupport.model.gatewayapi.attach import ConvertedRule, convert
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.gateways import ConvertedGateway, convert_gateways
from labsupport.model.gatewayapi.rules import ROUTES, Route
from labsupport.model.gatewayapi.status import ParentStatus, status_of

__all__ = [
    "ROUTES",
    "ConvertedGateway",
    "ConvertedRule",
    "Facts",
    "ParentStatus",
    "Route",
    "convert",
    "convert_gateways",
    "status_of",
]
