"""Short words for a change, as the marks in a picture of traffic show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labsupport.model.schema.base import Resource
from labsupport.records import ApplyResult

__all__ = ["caption"]

_LONGEST = 40


def caption(verb: str, result: ApplyResult, resources: Sequence[Resource] = ()) -> str:
    """Name a change in a few characters: ``apply 90/10``, ``delete web``.

    Args:
        verb: what the learner did, such as ``apply``.
        result: what it changed.
        resources: the objects that were applied, as far as known.

    Returns:
        Text; empty if nothing changed.
    """
    changed = [change.ref for change in result.changes if change.action != "unchanged"]
    if not changed:
        return ""
    kinds = {(resource.kind, resource.name): resource for resource in resources}
    rules = [ref for ref in changed if ref.kind in ("VirtualService", "HTTPRoute")]
    if len(rules) == 1 and (resource := kinds.get((rules[0].kind, rules[0].name))) is not None:
        split = weights(resource.raw)
        if split:
            return f"{verb} {split}"
    # Rules say more about traffic than the objects they are applied together with.
    telling = rules or changed
    names = ", ".join(ref.name for ref in telling)
    return f"{verb} {names}" if len(names) <= _LONGEST else f"{verb} {len(telling)} objects"


def weights(raw: dict[str, Any]) -> str:
    """The weights of the rule that splits traffic, such as ``10/10/80``; empty without a split or with several."""
    spec = raw.get("spec") or {}
    # A weight of an HTTPRoute is 1 unless it is written.
    lists = [(rule.get("route") or [], 0) for rule in spec.get("http") or [] if isinstance(rule, dict)]
    lists += [(rule.get("backendRefs") or [], 1) for rule in spec.get("rules") or [] if isinstance(rule, dict)]
    splits = ["/".join(str(to.get("weight", usual)) for to in listed) for listed, usual in lists if len(listed) > 1]
    return splits[0] if len(splits) == 1 else ""
