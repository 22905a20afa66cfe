"""The one node of the mesh, and the ids of objects, as the API and the pods themselves tell them."""

from __future__ import annotations

import uuid

__all__ = ["NODE", "NODE_ADDRESS", "uid"]

NODE, NODE_ADDRESS = "workshop", "127.0.0.1"
_IDS = uuid.UUID("5b0f3a52-3d0b-4a53-9c8f-2b6d0d3c7f11")


def uid(kind: str, namespace: str, name: str, created_s: float) -> str:
    """The id of an object: another one for each that was created under the same name."""
    return str(uuid.uuid5(_IDS, f"{kind}/{namespace}/{name}/{created_s}"))
