"""Routes of the Gateway API as rules of a VirtualService: what istiod makes of them before it translates anything.

The step lies below the translation and the explanation, so that both go by it; golden files of istiod and requests
through real Envoys hold it.
"""

from __future__ import annotations

from labsupport.model.gatewayapi.attach import ConvertedRule, convert
from labsupport.model.gatewayapi.facts import Facts
from labsupport.model.gatewayapi.rules import ROUTES, Route
from labsupport.model.gatewayapi.status import ParentStatus, status_of

__all__ = ["ROUTES", "ConvertedRule", "Facts", "ParentStatus", "Route", "convert", "status_of"]
