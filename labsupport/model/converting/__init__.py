"""Rules of a VirtualService in the notation of the Gateway API, and what of them has no counterpart there.

The other way than ``labsupport.model.gatewayapi``: that is what istiod does, this is what people do once.
"""

from __future__ import annotations

from labsupport.model.converting.losses import Loss
from labsupport.model.converting.routes import Conversion, as_httproutes

__all__ = ["Conversion", "Loss", "as_httproutes"]
