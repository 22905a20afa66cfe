"""Whether rules copy requests: what costs a look at the logs is done only where they do."""

from __future__ import annotations

from collections.abc import Iterable

from labsupport.model.schema.base import Resource
from labsupport.model.writing.written import written

__all__ = ["mirroring"]


def mirroring(objects: Iterable[Resource]) -> bool:
    """Whether any rule copies requests.

    Args:
        objects: of any kind.
    """
    for resource in objects:
        if resource.kind not in ("VirtualService", "HTTPRoute", "GRPCRoute"):
            continue
        spec = written(resource).get("spec") or {}
        for rule in [*(spec.get("http") or ()), *(spec.get("rules") or ())]:
            kinds = {entry.get("type") for entry in rule.get("filters") or ()}
            if rule.get("mirror") or rule.get("mirrors") or "RequestMirror" in kinds:
                return True
    return False
